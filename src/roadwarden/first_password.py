"""The first administrator's generated password, kept in a file until somebody was shown it.

It is written before the user is, and taken away after it was printed: whatever is killed between, the next start
prints it (again).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from pathlib import Path

log = logging.getLogger("roadwarden.first_password")


class FirstPassword:
    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "first-password"

    def untold(self) -> str | None:
        """What was generated and perhaps not shown; None: nothing."""
        try:
            return self._path.read_text("ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def make(self) -> str:
        """The one that waits to be shown, else a new one, on disk for its owner's eyes only."""
        if (waiting := self.untold()) is not None:
            return waiting
        password = secrets.token_urlsafe(12)
        new = self._path.with_suffix(".new")
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                file.write(password)
                file.flush()
                os.fsync(descriptor)
            new.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written: a kill before the password is shown would lose it: %s", new, error)
        return password

    def shown(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
