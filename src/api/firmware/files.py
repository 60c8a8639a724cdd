"""The files of firmware packages: named by their content, put where they belong whole and on disk, or not at all.

A file is put and its row inserted, or it is seen that no row has it and removed, under one lock of the database. What a
crash leaves between the two is removed at the next upload or removal.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg

from api.problems import ProblemError
from downlink import firmware_path
from store import Database
from store.queries import firmware

log = logging.getLogger(__name__)

UPLOAD: Final = "upload-"
LEFT_OVER_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is on disk under a passing name."""

    path: Path
    size_bytes: int
    sha256: str

    async def put(self) -> None:
        """Give it its name, for good."""
        await asyncio.to_thread(self._put)

    def _put(self) -> None:
        os.replace(self.path, firmware_path(self.path.parent, self.sha256))
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def discard(self) -> None:
        """If it was not put."""
        self.path.unlink(missing_ok=True)


async def receive(stream: AsyncIterator[bytes], folder: Path) -> Upload:
    """A body as a file.

    Raises:  ProblemError: 400, it is empty; whatever the stream raises.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=UPLOAD)
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "wb") as file:
            async for chunk in stream:
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
            if not size:
                raise ProblemError(400, "no-file", "The body is empty; it has to be the file.")
            await asyncio.to_thread(_sync, file)
    except BaseException:
        os.unlink(name)
        raise
    return Upload(Path(name), size, digest.hexdigest())


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


async def remove_unused(database: Database, folder: Path, freed: str) -> None:
    """Remove a file that a package had, and what was left over, unless a package has it. What cannot be removed now
    goes another time."""
    try:
        async with database.connection() as connection:
            kept = await firmware.files(connection)
        for name in await asyncio.to_thread(_found, folder, freed):
            if name not in kept:
                async with database.connection() as connection:
                    await firmware.lock_file(connection, name)
                    if name not in await firmware.files(connection):
                        await asyncio.to_thread((folder / name).unlink, missing_ok=True)
    except (psycopg.OperationalError, OSError) as error:
        log.warning("firmware files that nobody needs stay for now: %s", error)


def _found(folder: Path, freed: str) -> list[str]:
    """The freed file, and those of ours that nobody has touched for a while."""
    before = time.time() - LEFT_OVER_S
    with os.scandir(folder) as entries:
        files = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    return [
        file.name for file in files if file.name == freed or (_is_ours(file.name) and file.stat().st_mtime < before)
    ]


def _is_ours(name: str) -> bool:
    if name.startswith(UPLOAD):
        return True
    try:
        firmware_path(Path(), name)
    except ValueError:
        return False
    return True
