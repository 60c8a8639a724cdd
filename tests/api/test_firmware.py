"""Firmware: uploaded, listed, sent, taken away."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from api import ApiSettings, Services
from store.queries import commands, firmware
from tests.api.support import Seed, assert_problem

PATH = "/api/v1/firmware"
CONTENT = bytes(range(256)) * 10
NAMED = {"name": "RW-1 固件", "version": "2.0.1", "manufacturer_id": "MAKER"}


@pytest.fixture
def services(postgresql_database: Any, tmp_path: Path) -> Services:
    settings = ApiSettings(firmware_dir=tmp_path / "firmware", max_firmware_bytes=4096)
    return Services(postgresql_database, settings=settings)


async def test_kept_by_its_content(admin: httpx.AsyncClient, operator: httpx.AsyncClient, tmp_path: Path) -> None:
    assert_problem(await operator.post(PATH, params=NAMED, content=CONTENT), 403, "role")
    answer = await admin.post(PATH, params=NAMED, content=CONTENT)
    assert answer.status_code == 201, answer.text
    package = answer.json()
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (package["size_bytes"], package["sha256"], package["upgrade_type"]) == (2560, digest, 0)
    assert (tmp_path / "firmware" / digest).read_bytes() == CONTENT
    assert [file.name for file in (tmp_path / "firmware").iterdir()] == [digest]
    assert (await operator.get(PATH)).json()["items"] == [package]
    assert_problem(await admin.post(PATH, params=NAMED, content=b"other"), 409, "firmware-exists", "2.0.1")


async def test_what_cannot_be_kept(admin: httpx.AsyncClient, tmp_path: Path) -> None:
    assert_problem(await admin.post(PATH, params=NAMED, content=b""), 400, "no-file")
    assert_problem(await admin.post(PATH, params=NAMED, content=bytes(4097)), 413, "too-large", "4096")
    for wrong in ({"version": ""}, {"manufacturer_id": "TOOLONG"}, {"upgrade_type": 256}, {"version": "🚧"}):
        assert_problem(await admin.post(PATH, params=NAMED | wrong, content=b"x"), 422, "validation")
    folder = tmp_path / "firmware"
    assert not folder.exists() or not list(folder.iterdir())


async def test_an_upgrade_names_it(admin: httpx.AsyncClient, seed: Seed, tmp_path: Path) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    package = (await admin.post(PATH, params=NAMED, content=CONTENT)).json()
    body = {"vehicle_id": vehicle_id, "kind": "upgrade", "firmware_id": package["id"]}
    assert_problem(
        await admin.post("/api/v1/commands", json=body | {"firmware_id": 99}), 422, "validation", "firmware_id"
    )
    command = (await admin.post("/api/v1/commands", json=body)).json()
    assert command["payload"] == {
        "firmware_id": package["id"], "upgrade_type": 0, "manufacturer_id": "MAKER", "version": "2.0.1",
        "name": "RW-1 固件", "size_bytes": len(CONTENT), "sha256": package["sha256"],
    }  # fmt: skip
    assert await seed.one("SELECT extract(epoch FROM expires_at - created_at)::int FROM commands") == 86400
    assert_problem(await admin.delete(f"{PATH}/{package['id']}"), 409, "firmware-in-use")
    await admin.post(f"/api/v1/commands/{command['id']}/cancel")
    assert (await admin.delete(f"{PATH}/{package['id']}")).status_code == 204
    assert not (tmp_path / "firmware" / package["sha256"]).exists()
    assert_problem(await admin.get(f"{PATH}/{package['id']}"), 404, "not-found")


async def test_an_old_terminal_cannot_be_upgraded(admin: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    await seed.run("UPDATE terminals SET edition = '2011'")
    package = (await admin.post(PATH, params=NAMED, content=CONTENT)).json()
    body = {"vehicle_id": vehicle_id, "kind": "upgrade", "firmware_id": package["id"]}
    assert_problem(await admin.post("/api/v1/commands", json=body), 422, "edition", "2011")


async def test_commands_of_before_outlive_their_package(admin: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.terminal("13900000001", vehicle_id)
    package = (await admin.post(PATH, params=NAMED, content=CONTENT)).json()
    body = {"vehicle_id": vehicle_id, "kind": "upgrade", "firmware_id": package["id"]}
    command = (await admin.post("/api/v1/commands", json=body)).json()
    deletion = f"{PATH}/{package['id']}"
    for unfinished in ("queued", "sent", "acknowledged"):
        await seed.run("UPDATE commands SET state = %s, answer_by = now()", unfinished)
        assert_problem(await admin.delete(deletion), 409, "firmware-in-use")
    await seed.run("UPDATE commands SET state = 'answered', answer_by = NULL")
    assert (await admin.delete(deletion)).status_code == 204
    assert await seed.one("SELECT count(*) FROM firmware") == 0
    shown = (await admin.get(f"/api/v1/commands/{command['id']}")).json()["payload"]
    assert (shown["name"], shown["version"]) == ("RW-1 固件", "2.0.1")
    ((target, version),) = await seed.rows(
        "SELECT target, detail->>'version' FROM audit WHERE action = 'firmware.delete'"
    )
    assert (target, version) == ("RW-1 固件", "2.0.1")
    assert (await admin.post(PATH, params=NAMED, content=CONTENT)).status_code == 201  # the version is free again


async def test_a_file_goes_with_the_last_package_that_has_it(admin: httpx.AsyncClient, tmp_path: Path) -> None:
    file = tmp_path / "firmware" / hashlib.sha256(CONTENT).hexdigest()
    one = (await admin.post(PATH, params=NAMED, content=CONTENT)).json()
    other = (await admin.post(PATH, params=NAMED | {"version": "2.0.2"}, content=CONTENT)).json()
    await admin.delete(f"{PATH}/{one['id']}")
    assert file.read_bytes() == CONTENT
    await admin.delete(f"{PATH}/{other['id']}")
    assert not file.exists()


async def test_an_upload_that_is_not_taken_leaves_no_file(admin: httpx.AsyncClient, tmp_path: Path) -> None:
    await admin.post(PATH, params=NAMED, content=CONTENT)
    assert_problem(await admin.post(PATH, params=NAMED, content=b"other"), 409, "firmware-exists")
    assert [file.name for file in (tmp_path / "firmware").iterdir()] == [hashlib.sha256(CONTENT).hexdigest()]


async def test_what_a_crash_left_goes_with_the_next_upload(admin: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    folder.mkdir()
    old = {"upload-abc", hashlib.sha256(b"nobody's").hexdigest()}
    new = {"upload-def", hashlib.sha256(b"on its way").hexdigest()}
    for name in (*old, *new, "README"):
        (folder / name).write_bytes(b"x")
    for name in (*old, "README"):
        os.utime(folder / name, (0, 0))
    await admin.post(PATH, params=NAMED, content=CONTENT)
    assert {file.name for file in folder.iterdir()} == new | {"README", hashlib.sha256(CONTENT).hexdigest()}


async def test_a_package_is_not_deleted_under_a_command_that_is_being_given(
    admin: httpx.AsyncClient, seed: Seed, services: Services
) -> None:
    package = (await admin.post(PATH, params=NAMED, content=CONTENT)).json()
    vehicle_id = await seed.vehicle("辽A1")
    async with services.database.connection() as connection:
        assert await firmware.get(connection, package["id"], for_use=True) is not None
        deleting = asyncio.create_task(admin.delete(f"{PATH}/{package['id']}"))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        async with asyncio.timeout(60):
            while not await seed.one(waiting):  # noqa: ASYNC110 (it tells nobody)
                await asyncio.sleep(0.01)
        await commands.insert(
            connection, vehicle_id=vehicle_id, phone="1", kind="upgrade", created_by=None, expires_in_s=60,
            payload={"firmware_id": package["id"]},
        )  # fmt: skip
    assert_problem(await deleting, 409, "firmware-in-use")
