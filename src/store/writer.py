"""The one transaction of the pipeline."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import numpy as np
from fleet import Commit
from numpy.typing import NDArray

from store.pool import Database


@dataclass(slots=True)
class Stored:
    """What a commit did.

    ``fresh`` has one bool a position of the commit: True where it was new, False where the database had it already.
    ``already_done``: an earlier run stored this offset; nothing was written and nothing is fresh.
    """

    fresh: NDArray[np.bool_]
    commands: list[uuid.UUID] = field(default_factory=list)  # commands whose rows changed
    alarms: list[uuid.UUID] = field(default_factory=list)  # alarms whose rows changed
    already_done: bool = False


class Writer:
    """Stores what the pipeline made of the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def offset(self, journal: str) -> int:
        """How far this journal is stored; 0 when nothing is."""
        raise NotImplementedError

    async def commit(self, commit: Commit) -> Stored:
        """Store it all in one transaction, or nothing."""
        raise NotImplementedError
