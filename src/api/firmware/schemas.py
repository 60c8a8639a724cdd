"""Firmware on the wire."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from api.fields import Time


class Firmware(BaseModel):
    """A firmware package (终端升级包). ``upgrade_type``: 0 terminal, 12 IC card reader, 52 satellite module, 100 ADAS,
    101 DSM, 102 TPMS, 103 BSD, or a maker's own."""

    id: int
    name: str
    upgrade_type: int
    manufacturer_id: str
    version: str
    size_bytes: int
    sha256: str
    note: str
    created_by: int | None
    created_by_name: str | None
    created_at: Time


REQUEST_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The file, as it is.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
