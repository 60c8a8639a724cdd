"""Firmware for upgrades (终端升级包): where its file is, and the body of the 0x8108 around it, a package at a time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from downlink.payload import CommandError
from jt808.errors import UsageError
from jt808.header import MAX_BODY_BYTES, Edition
from jt808.messages import UpgradePackage, encode_body
from jt808.outgoing import MAX_PACKAGES

FIRMWARE_HEAD_BYTES: Final = 1 + 5 + 1 + 255 + 4
"""What stands before the data in the body, at most."""

MAX_FIRMWARE_BYTES: Final = MAX_PACKAGES * MAX_BODY_BYTES - FIRMWARE_HEAD_BYTES
"""What the packages of one message can hold; 67 MB."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def firmware_path(folder: Path, sha256: str) -> Path:
    """The file with that content. Raises:  ValueError: not a SHA-256 in lower-case hex."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is no SHA-256")
    return folder / sha256


class UpgradeBody:
    """The body of a 0x8108 whose data is a file: read a package at a time."""

    def __init__(self, folder: Path, payload: dict[str, Any]) -> None:
        """Raises:  CommandError: the file is not there, or not as long as it was."""
        self.path = firmware_path(folder, payload["sha256"])
        self.size_bytes: int = payload["size_bytes"]
        try:
            found = self.path.stat().st_size
        except OSError as error:
            raise CommandError(f"the firmware's file cannot be read: {error.strerror}") from error
        if found != self.size_bytes:
            raise CommandError(f"the firmware's file has {found} bytes, not {self.size_bytes}")
        self.head = self._head(payload)

    def _head(self, payload: dict[str, Any]) -> bytes:
        message = UpgradePackage(payload["upgrade_type"], payload["manufacturer_id"], payload["version"], b"")
        try:
            empty = encode_body(message, Edition.V2013)  # the same in 2019
        except UsageError as error:
            raise CommandError(str(error)) from error
        return empty[:-4] + self.size_bytes.to_bytes(4, "big")

    @property
    def package_count(self) -> int:
        return -(-(len(self.head) + self.size_bytes) // MAX_BODY_BYTES)

    def package(self, number: int) -> bytes:
        """The body of a package, counted from 1. Raises:  OSError: the file cannot be read."""
        begin = (number - 1) * MAX_BODY_BYTES
        end = begin + MAX_BODY_BYTES
        head = self.head[begin:end]
        offset = max(begin - len(self.head), 0)
        with self.path.open("rb") as file:
            file.seek(offset)
            return head + file.read(end - begin - len(head))
