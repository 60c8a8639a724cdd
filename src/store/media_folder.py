"""The media folder: files named by what is in them, each whole and on disk or not there at all. Blocking."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

TEMPORARY: Final = "tmp"
_NAME: Final = re.compile(r"([0-9a-f]{2})/([0-9a-f]{2})/(\1\2[0-9a-f]{60})\.([a-z0-9]{1,8})")


class MediaFolder:
    """Names are ``ab/cd/<sha256>.<suffix>`` (`fleet.media.file_name`). A file that is there is never written again: its
    name says what is in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._numbers = itertools.count()

    def path(self, name: str) -> Path:
        """Raises:  ValueError: it is no name of ours."""
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of a media file")
        return self.root / name

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, durably: written aside, fsync, renamed, fsync of its directory.

        Raises:  OSError: it could not be written; nothing of it is left.
        """
        path = self.path(name)
        if not _is_whole(path, len(content)):
            aside = self.root / TEMPORARY / f"{path.name}.{os.getpid()}.{next(self._numbers)}"
            _make_durably(aside.parent)
            _make_durably(path.parent)
            try:
                _write_durably(aside, content)
                os.rename(aside, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    aside.unlink(missing_ok=True)
                raise
        _sync(path.parent)  # also of one that was there: whoever wrote it may have been killed before this

    def remove(self, names: Sequence[str]) -> int:
        """Remove files; how many were there. Raises OSError."""
        removed = 0
        for name in names:
            path = self.path(name)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                removed += 1
        return removed

    def names(self, older_than_s: float) -> Iterator[str]:
        """The names of all files of ours that nobody touched for so long; other files are left out."""
        before = time.time() - older_than_s
        for directory, _, files in os.walk(self.root):
            for file in files:
                path = Path(directory, file)
                name = path.relative_to(self.root).as_posix()
                if _NAME.fullmatch(name):
                    with contextlib.suppress(FileNotFoundError):
                        if path.stat().st_mtime < before:
                            yield name

    def remove_temporary(self, older_than_s: float) -> int:
        """Remove what a killed process left half written; how many files."""
        before = time.time() - older_than_s
        removed = 0
        with contextlib.suppress(FileNotFoundError):
            for path in (self.root / TEMPORARY).iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before:
                        path.unlink()
                        removed += 1
        return removed


def _is_whole(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _make_durably(directory: Path) -> None:
    """A directory and those it is in, each on disk."""
    if directory.is_dir():
        return
    _make_durably(directory.parent)
    with contextlib.suppress(FileExistsError):
        directory.mkdir()
    _sync(directory.parent)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
