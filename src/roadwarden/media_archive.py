"""The media files of a backup: a plain tar beside the database's dump, each member named by its content's hash."""

from __future__ import annotations

import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from store.media_folder import MediaFolder

MOST_BYTES: Final = 64 << 20  # of one file: no terminal's upload is larger
ALL_S: Final = -3600.0  # files of any age, also those that a clock put back makes younger than now


@dataclass(slots=True)
class Archived:
    """``wrong``: members that are no media, or not what their name says; they were left out."""

    files: int = 0
    size_bytes: int = 0
    wrong: int = 0


def archive_of(dump: Path) -> Path:
    """``backup.dump`` -> ``backup.dump.media.tar``."""
    return dump.with_name(dump.name + ".media.tar")


def pack(folder: MediaFolder, target: Path) -> Archived:
    """Write all media files to a new tar; it has its name when it is whole. A file deleted meanwhile is not in it.

    Raises:  OSError.
    """
    done = Archived()
    partial = target.with_name(target.name + ".partial")
    try:
        with tarfile.open(partial, "w") as archive:
            for name in folder.names(ALL_S):
                try:
                    file = folder.path(name).open("rb")
                except FileNotFoundError:
                    continue
                with file:
                    member = archive.gettarinfo(arcname=name, fileobj=file)
                    archive.addfile(member, file)
                archive.members.clear()  # type: ignore[attr-defined]  # it would remember every one
                done.files += 1
                done.size_bytes += member.size
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    return done


def unpack(folder: MediaFolder, source: Path) -> Archived:
    """Put the files of a tar into the folder, each durably; what is there already stays.

    Raises:  OSError, tarfile.TarError: the folder cannot be written, the archive cannot be read.
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
                folder.write(member.name, content)
            except ValueError:
                done.wrong += 1
                continue
            done.files += 1
            done.size_bytes += len(content)
    return done
