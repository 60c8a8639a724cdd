"""Firmware packages: uploaded by administrators, listed, taken away."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from api.deps import Admin, ServicesDep, Viewer
from api.fields import Line, Name, PathId
from api.firmware.schemas import REQUEST_BODY, Firmware
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import ProblemError, conflict, not_found
from downlink import firmware_path
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
    size_bytes, sha256 = await _keep(request, folder)
    async with services.database.connection() as connection:
        firmware_id = await firmware.insert(
            connection, name=name, upgrade_type=upgrade_type, manufacturer_id=manufacturer_id, version=version,
            size_bytes=size_bytes, sha256=sha256, note=note, created_by=actor.user_id,
        )  # fmt: skip
        if firmware_id is None:
            raise conflict("firmware-exists", f"There is already a package of that type with version {version}.")
        await actor.record(
            connection, "firmware.create", name, id=firmware_id, version=version, size_bytes=size_bytes, sha256=sha256
        )
        return await firmware.get(connection, firmware_id)


async def _keep(request: Request, folder: Path) -> tuple[int, str]:
    """The body as a file named by its content, whole and on disk, or not at all."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix="upload-")
    digest, size = hashlib.sha256(), 0
    try:
        with os.fdopen(handle, "wb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                size += len(chunk)
                await asyncio.to_thread(file.write, chunk)
            if not size:
                raise ProblemError(400, "no-file", "The body is empty; it has to be the file.")
            await asyncio.to_thread(_sync, file)
        os.replace(name, firmware_path(folder, digest.hexdigest()))
    except BaseException:
        os.unlink(name)
        raise
    return size, digest.hexdigest()


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


@router.get("/{firmware_id}", response_model=Firmware)
async def get_firmware(firmware_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        package = await firmware.get(connection, firmware_id)
    if package is None:
        raise not_found("firmware", firmware_id)
    return package


@router.delete("/{firmware_id}", status_code=204)
async def delete_firmware(firmware_id: PathId, services: ServicesDep, actor: Admin) -> None:
    """Take a package out of the list, and its file away when no other has it. Not while a command sends it."""
    folder = services.settings.firmware_dir
    if folder is None:
        raise _NOT_KEPT
    async with services.database.connection() as connection:
        package = await firmware.get(connection, firmware_id)
        if package is None:
            raise not_found("firmware", firmware_id)
        if await firmware.in_use(connection, firmware_id):
            raise conflict("firmware-in-use", f"{package['name']} is being sent; wait, or take the commands back.")
        is_alone = await firmware.retire(connection, firmware_id)
        await actor.record(connection, "firmware.delete", package["name"], id=firmware_id, sha256=package["sha256"])
    if is_alone:
        firmware_path(folder, package["sha256"]).unlink(missing_ok=True)
