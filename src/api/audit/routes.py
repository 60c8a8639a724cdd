"""The audit, for administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.audit.schemas import AuditEntry
from api.deps import Admin, ServicesDep
from api.fields import Line
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from store.queries import audit

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("", response_model=Page[AuditEntry])
async def list_audit(
    services: ServicesDep,
    actor: Admin,
    action: Annotated[Line | None, Query(max_length=64, description="`alarm` or `alarm.claim`.")] = None,
    username: Annotated[Line | None, Query(max_length=64)] = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """Newest first."""
    (before_id,) = decode_cursor(cursor, int) or (None,)
    async with services.database.connection() as connection:
        rows = await audit.page(connection, before_id=before_id, limit=limit + 1, action=action, username=username)
    items, following = cut(rows, limit, "id")
    return {"items": items, "next": following}
