"""The audit on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.fields import Time


class AuditEntry(BaseModel):
    """Who did what, when, from where. ``action`` is ``subject.verb``."""

    id: int
    time: Time
    user_id: int | None
    username: str
    peer: str
    action: str
    target: str
    detail: dict[str, Any]
