"""Media: lists, the bytes, removal. Vehicles' cameras show people: each download and each removal is in the audit."""

from __future__ import annotations

import asyncio
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, get_args
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Header, Query, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse

from api.deps import Admin, ServicesDep, Viewer
from api.fields import Id, TimeIn
from api.filters import choices
from api.media.schemas import Media, MediaReport, MediaType, shape, shape_report
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import ProblemError, not_found
from fleet import CHINA
from fleet.media import CONTENT_TYPES, MEDIA_TYPES
from store.queries import media
from store.queries.media import ContentOf

router = APIRouter(tags=["media"])

CACHE: Final = "private, max-age=31536000, immutable"  # a row's content never changes
RowId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9._-]")
_POLICY: Final = "default-src 'none'; sandbox"  # opened alone in a tab it may do nothing
_KINDS: Final = {name: kind for kind, name in MEDIA_TYPES.items()}
_CONTENT_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The bytes", "content": {kind: {} for kind in sorted(set(CONTENT_TYPES.values()))}},
    206: {"description": "The part asked for with Range"},
    304: {"description": "It is what If-None-Match names"},
    404: {"description": "There is no such media, or its file is gone"},
}


@router.get("/media", response_model=Page[Media])
async def list_media(
    services: ServicesDep,
    actor: Viewer,
    vehicle_id: Annotated[Id | None, Query()] = None,
    kind: Annotated[list[str] | None, Query(alias="type", description="Repeatable, or a comma list.")] = None,
    command_id: Annotated[UUID | None, Query(description="What this command brought.")] = None,
    begin: Annotated[TimeIn | None, Query(alias="from", description="Earliest time of recording.")] = None,
    end: Annotated[TimeIn | None, Query(alias="to", description="Latest time of recording.")] = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """Newest recording first."""
    types = choices("type", kind, get_args(MediaType))
    before = decode_cursor(cursor, datetime, int)
    async with services.database.connection() as connection:
        rows = await media.page(
            connection, before=before, limit=limit + 1, vehicle_id=vehicle_id, command_id=command_id, begin=begin,
            end=end, kinds=None if types is None else [_KINDS[name] for name in types if name in _KINDS],
            is_other_kind="other" in (types or ()),
        )  # fmt: skip
    items, following = cut(rows, limit, "time", "id")
    return {"items": [shape(row) for row in items], "next": following}


@router.get("/media-reports", response_model=Page[MediaReport])
async def list_media_reports(
    services: ServicesDep,
    actor: Viewer,
    vehicle_id: Annotated[Id | None, Query()] = None,
    begin: Annotated[TimeIn | None, Query(alias="from", description="Earliest receipt.")] = None,
    end: Annotated[TimeIn | None, Query(alias="to", description="Latest receipt.")] = None,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Any:
    """What terminals said they recorded, newest first; what was not uploaded can be asked for by its `media_id`."""
    before = decode_cursor(cursor, datetime, int)
    async with services.database.connection() as connection:
        rows = await media.reports_page(
            connection, before=before, limit=limit + 1, vehicle_id=vehicle_id, begin=begin, end=end
        )
    items, following = cut(rows, limit, "received_at", "id")
    return {"items": [shape_report(row) for row in items], "next": following}


@router.get("/media/{media_id}", response_model=Media)
async def get_media(media_id: RowId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        row = await media.get(connection, media_id)
    if row is None:
        raise not_found("media", media_id)
    return shape(row)


@router.get("/media/{media_id}/content", response_class=Response, responses=_CONTENT_ANSWERS)
async def get_media_content(
    media_id: RowId,
    services: ServicesDep,
    actor: Viewer,
    download: Annotated[bool, Query(description="To keep: as an attachment, and with an entry in the audit.")] = False,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The bytes as the terminal sent them. Parts can be asked for (Range), so films can be seeked in."""
    async with services.database.connection() as connection:
        found = await media.content_of(connection, media_id)
        if found is None:
            raise not_found("media", media_id)
        if download:
            await actor.record(connection, "media.download", found.plate or found.phone, id=media_id)
    headers = _headers(found, is_attachment=download)
    if if_none_match is not None and _matches(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    content_type = CONTENT_TYPES.get(found.suffix, CONTENT_TYPES["bin"])
    if found.content is not None:
        return Response(found.content, headers=headers, media_type=content_type)
    path = services.media.path(found.file_name) if services.media is not None else None
    stat = await asyncio.to_thread(_stat, path) if path is not None else None
    if path is None or stat is None:
        raise ProblemError(404, "media-file", f"The file of media {media_id} is gone: {found.file_name}.")
    return FileResponse(path, headers=headers, media_type=content_type, stat_result=stat)


@router.delete("/media/{media_id}", status_code=204)
async def delete_media(media_id: RowId, services: ServicesDep, actor: Admin) -> None:
    """Remove it for good. Only administrators: it may be evidence."""
    async with services.database.connection() as connection:
        row = await media.get(connection, media_id)
        name = await media.delete(connection, media_id)
        if row is None or name is None:
            raise not_found("media", media_id)
        await actor.record(
            connection, "media.delete", row["plate"] or row["phone"], id=media_id, sha256=row["sha256"].hex(),
            size_bytes=row["size_bytes"],
        )  # fmt: skip
    if services.media is not None:
        await services.media.remove([name])


def _headers(found: ContentOf, *, is_attachment: bool) -> dict[str, str]:
    is_known = found.suffix in CONTENT_TYPES and found.suffix != "bin"
    place = "inline" if is_known and not is_attachment else "attachment"
    return {
        "ETag": f'"{found.sha256.hex()}"',
        "Cache-Control": CACHE,
        "Content-Disposition": f"{place}; filename=\"{ascii_name(found)}\"; filename*=UTF-8''{quote(name_of(found))}",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
    }


def name_of(found: ContentOf) -> str:
    """A name to save it under: 辽B12345_20260301-160000_ch1.jpg, the time as the wall clock in China shows it."""
    suffix = found.suffix if found.suffix in CONTENT_TYPES else "bin"
    return f"{found.plate or found.phone}_{found.time.astimezone(CHINA):%Y%m%d-%H%M%S}_ch{found.channel}.{suffix}"


def ascii_name(found: ContentOf) -> str:
    """The same for those who know no ``filename*``."""
    return _NOT_PLAIN.sub("_", name_of(found))


def _matches(if_none_match: str, etag: str) -> bool:
    """RFC 9110 13.1.2: compared weakly."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
