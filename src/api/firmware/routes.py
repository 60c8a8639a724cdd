"""Firmware packages: uploaded by administrators, listed, taken away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api.deps import Admin, ServicesDep, Viewer
from api.fields import Line, Name, PathId
from api.firmware import files
from api.firmware.schemas import REQUEST_BODY, Firmware
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import ProblemError, conflict, not_found
from store.queries import firmware

router = APIRouter(prefix="/firmware", tags=["firmware"])

_NOT_KEPT = conflict("no-firmware-store", "This server keeps no firmware.")


@router.get("", response_model=Page[Firmware])
async def list_firmware(services: ServicesDep, actor: Viewer, limit: Limit = 100, cursor: CursorText = None) -> Any:
    """Newest first."""
    (before_id,) = decode_cursor(cursor, int) or (None,)
    async with services.database.connection() as connection:
        rows = await firmware.page(connection, before_id=before_id, limit=limit + 1)
    items, following = cut(rows, limit, "id")
    return {"items": items, "next": following}


@router.post("", status_code=201, response_model=Firmware, openapi_extra=REQUEST_BODY)
async def create_firmware(
    request: Request,
    services: ServicesDep,
    actor: Admin,
    name: Annotated[Name, Query(description="For people.")],
    version: Annotated[Line, Query(min_length=1, max_length=100, description="As the terminal is told it.")],
    upgrade_type: Annotated[int, Query(ge=0, le=255)] = 0,
    manufacturer_id: Annotated[Line, Query(max_length=5, pattern="^[ -~]*$", description="制造商 ID.")] = "",
    note: Annotated[Line, Query(max_length=500)] = "",
) -> Any:
    """Upload a package. The body is the file; what it is stands in the query."""
    try:
        version.encode("gbk")
    except UnicodeEncodeError:
        raise ProblemError(422, "validation", "version: has characters that have no place in GBK") from None
    folder = services.settings.firmware_dir
    if folder is None:
        raise _NOT_KEPT
    upload = await files.receive(request.stream(), folder)
    try:
        async with services.database.connection() as connection:
            await firmware.lock_file(connection, upload.sha256)
            await upload.put()
            firmware_id = await firmware.insert(
                connection, name=name, upgrade_type=upgrade_type, manufacturer_id=manufacturer_id, version=version,
                size_bytes=upload.size_bytes, sha256=upload.sha256, note=note, created_by=actor.user_id,
            )  # fmt: skip
            if firmware_id is None:
                raise conflict("firmware-exists", f"There is already a package of that type with version {version}.")
            await actor.record(
                connection, "firmware.create", name, id=firmware_id, version=version, size_bytes=upload.size_bytes,
                sha256=upload.sha256,
            )  # fmt: skip
            return await firmware.get(connection, firmware_id)
    finally:
        upload.discard()
        await files.remove_unused(services.database, folder, upload.sha256)


@router.get("/{firmware_id}", response_model=Firmware)
async def get_firmware(firmware_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        package = await firmware.get(connection, firmware_id)
    if package is None:
        raise not_found("firmware", firmware_id)
    return package


@router.delete("/{firmware_id}", status_code=204)
async def delete_firmware(firmware_id: PathId, services: ServicesDep, actor: Admin) -> None:
    """Delete a package, and its file when no other has it. Not while an unfinished command sends it; commands of before
    keep its name and version."""
    folder = services.settings.firmware_dir
    if folder is None:
        raise _NOT_KEPT
    async with services.database.connection() as connection:
        package = await firmware.lock(connection, firmware_id)
        if package is None:
            raise not_found("firmware", firmware_id)
        if await firmware.in_use(connection, firmware_id):
            raise conflict("firmware-in-use", f"{package['name']} is being sent; wait, or take the commands back.")
        await firmware.delete(connection, firmware_id)
        kept = {key: package[key] for key in ("version", "upgrade_type", "manufacturer_id", "size_bytes", "sha256")}
        await actor.record(connection, "firmware.delete", package["name"], id=firmware_id, **kept)
    await files.remove_unused(services.database, folder, package["sha256"])
