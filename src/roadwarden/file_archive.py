"""The files of a backup: a plain tar beside the database's dump, each member named by its content's hash.

Media have the names of ``store.media_folder``, firmware packages theirs behind ``firmware/``.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from downlink import firmware_path
from store.media_folder import MediaFolder

FIRMWARE: Final = "firmware/"
MOST_BYTES: Final = 64 << 20  # of one file: no terminal's upload and no firmware package is larger
ALL_S: Final = -3600.0  # files of any age, also those that a clock put back makes younger than now


@dataclass(slots=True)
class Archived:
    """``wrong``: members that are no file of ours, or not what their name says; they were left out."""

    media: int = 0
    firmware: int = 0
    size_bytes: int = 0
    wrong: int = 0


@dataclass(frozen=True, slots=True)
class Files:
    """Where the files are that the database's rows refer to."""

    media: MediaFolder
    firmware: Path

    def names(self, *, with_media: bool = True) -> Iterator[str]:
        """Of all there are, as they are called in the archive."""
        for path in sorted(self.firmware.glob("*")) if self.firmware.is_dir() else ():
            try:
                firmware_path(self.firmware, path.name)
            except ValueError:  # an upload that did not become whole
                continue
            yield FIRMWARE + path.name
        if with_media:
            yield from self.media.names(ALL_S)

    def path(self, name: str) -> Path:
        """Raises:  ValueError: it is no name of ours."""
        if name.startswith(FIRMWARE):
            return firmware_path(self.firmware, name.removeprefix(FIRMWARE))
        return self.media.path(name)

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place, durably. Raises:  ValueError: it is no name of ours; OSError."""
        if not name.startswith(FIRMWARE):
            self.media.write(name, content)
            return
        path = self.path(name)
        self.firmware.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"upload-{path.name}")
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)


def archive_of(dump: Path) -> Path:
    """``backup.dump`` -> ``backup.dump.files.tar``."""
    return dump.with_name(dump.name + ".files.tar")


def make_private(path: Path) -> None:
    """A new, empty file that its owner alone may read: what goes into it later is as secret as the data.

    Raises:  OSError.
    """
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def pack(files: Files, target: Path, *, with_media: bool = True) -> Archived:
    """Write all files to a new tar; it has its name when it is whole. A file deleted meanwhile is not in it.

    Raises:  OSError.
    """
    done = Archived()
    partial = target.with_name(target.name + ".partial")
    try:
        make_private(partial)
        with tarfile.open(partial, "w") as archive:
            for name in files.names(with_media=with_media):
                try:
                    file = files.path(name).open("rb")
                except FileNotFoundError:
                    continue
                with file:
                    member = archive.gettarinfo(arcname=name, fileobj=file)
                    archive.addfile(member, file)
                archive.members.clear()  # type: ignore[attr-defined]  # it would remember every one
                _count(done, name, member.size)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return done


def unpack(files: Files, source: Path) -> Archived:
    """Put the files of a tar into their folders, each durably; what is there already stays.

    Raises:  OSError, tarfile.TarError: a folder cannot be written, the archive cannot be read.
    """
    done = Archived()
    with tarfile.open(source, "r|") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isreg() and member.size <= MOST_BYTES else None
            content = file.read() if file is not None else b""
            if file is None or Path(member.name).stem != hashlib.sha256(content).hexdigest():
                done.wrong += 1
                continue
            try:
                files.write(member.name, content)
            except ValueError:
                done.wrong += 1
                continue
            _count(done, member.name, len(content))
    return done


def _count(done: Archived, name: str, size_bytes: int) -> None:
    if name.startswith(FIRMWARE):
        done.firmware += 1
    else:
        done.media += 1
    done.size_bytes += size_bytes
