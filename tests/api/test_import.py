"""The bulk import: what the file says, and what becomes of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.vehicles.sheet import MAX_ROWS, parse
from tests.api.support import Seed, assert_problem

PATH = "/api/v1/vehicles/import"
CSV = {"content-type": "text/csv"}


def faults(content: str | bytes) -> list[tuple[int, str, str]]:
    sheet = parse(content.encode() if isinstance(content, str) else content)
    return [(error.line, error.column, error.message) for error in sheet.errors]


def values(content: str | bytes) -> list[dict[str, Any]]:
    sheet = parse(content.encode() if isinstance(content, str) else content)
    assert sheet.errors == []
    return [row.values for row in sheet.rows]


CHINESE = (
    "车牌号,车牌颜色,终端手机号,所属企业,车辆类型,VIN,限速\n辽B12345,黄色,013912345678,大连公司,重型货车,LFV1,80\n"
)
READ = [
    {
        "plate": "辽B12345", "plate_color": 2, "phone": "13912345678", "organization": "大连公司",
        "vehicle_type": "重型货车", "vin": "LFV1", "speed_limit_kmh": 80.0,
    }
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_and_separators(encoding: str, separator: str, newline: str) -> None:
    assert values(CHINESE.replace(",", separator).replace("\n", newline).encode(encoding)) == READ


def test_english_headings_any_order_and_blank_lines() -> None:
    text = "\nspeed_limit_kmh, Plate ,PLATE_COLOR\n\n,辽A1,blue\n80,辽A2,93\n,,\n"
    assert values(text) == [
        {"plate": "辽A1", "plate_color": 1}, {"plate": "辽A2", "plate_color": 93, "speed_limit_kmh": 80.0},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code"), [("2", 2), ("黄", 2), ("黄牌", 2), ("黄色", 2), ("Yellow", 2), ("渐变绿", 94), ("农黄色", 91)]
)
def test_colours(text: str, code: int) -> None:
    assert values(f"plate,plate_color\n辽A1,{text}\n")[0]["plate_color"] == code


def test_quoted_cells() -> None:
    text = 'plate,plate_color,vehicle_type\n辽A1,2,"大, ""中"" 型"\n'
    assert values(text)[0]["vehicle_type"] == '大, "中" 型'


def test_every_fault_is_named_by_line_and_column() -> None:
    text = (
        "车牌号,车牌颜色,终端手机号,限速\n"
        "辽A1,2,13900000001,80\n"
        "辽A2,紫色,139x,fast\n"
        ",2,,\n"
        "辽A1,2,013900000001,\n"
        "辽A3,,,0\n"
        "辽A4,2,,,extra\n"
    )
    found = faults(text)
    assert [(line, column) for line, column, _ in found] == [
        (3, "车牌颜色"), (3, "终端手机号"), (3, "限速"), (4, "车牌号"), (5, "车牌号"), (5, "终端手机号"), (6, "限速"),
        (6, "车牌颜色"), (7, ""),
    ]  # fmt: skip
    messages = {(line, column): message for line, column, message in found}
    assert "no plate colour" in messages[3, "车牌颜色"]
    assert messages[5, "车牌号"] == "stands in line 2 already"
    assert "5 cells under 4 headings" in messages[7, ""]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "empty"),
        (b"\n \n", 1, "empty"),
        (b"plate,plate_color\n", 2, "no vehicle"),
        (b"plate\nA1\n", 1, "plate_color"),
        (b"colour,plate,plate_color\n", 1, "is no column"),
        (b"plate,plate_color,plate\n", 1, "twice"),
        (b"plate,,plate_color\n", 1, "without a heading"),
        (b"plate,plate_color\nA1,2\n\x81", 3, "neither UTF-8 nor GB18030"),
        (b"plate,plate_color\nA\x001,2\n", 2, "zero byte"),
        ("车牌号".encode("utf-16"), 1, "UTF-16"),
        (b"PK\x03\x04abc", 1, "xlsx"),
        (b'plate,plate_color\n"A1,2\n', 2, "not CSV"),
        (b'plate,plate_color\n"A1"x,2\n', 2, "not CSV"),
    ],
)
def test_files_that_are_none(content: bytes, line: int, words: str) -> None:
    found = faults(content)
    assert found[0][0] == line
    assert words in found[0][2]


def test_too_many_rows() -> None:
    text = "plate,plate_color\n" + "".join(f"A{i},2\n" for i in range(MAX_ROWS + 1))
    assert faults(text) == [(MAX_ROWS + 2, "", f"more than {MAX_ROWS} vehicles; cut the file in parts")]


def test_a_cell_over_several_lines_keeps_the_count() -> None:
    text = 'plate,plate_color,vehicle_type\n辽A1,2,"a\nb"\n辽A2,紫,\n'
    assert [(line, column) for line, column, _ in faults(text)] == [(2, "vehicle_type"), (4, "plate_color")]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    sheet = parse(b"plate,plate_color\n" + content)
    assert sheet.rows or sheet.errors


async def test_create_update_unchanged(operator: httpx.AsyncClient, seed: Seed) -> None:
    known = await seed.vehicle("辽A1", speed_limit_kmh=60, note="kept")
    await seed.vehicle("辽A2", vehicle_type="客车")
    text = "plate,plate_color,phone,organization,vehicle_type,speed_limit_kmh\n" + (
        "辽A1,2,13900000001,大连公司,,80\n辽A2,2,,,客车,\n辽A3,1,13900000003,大连公司,,\n"
    )
    expected = {"created": 1, "updated": 1, "unchanged": 1, "organizations_created": ["大连公司"], "dry_run": True}
    dry = await operator.post(PATH, params={"dry_run": "true"}, content=text.encode(), headers=CSV)
    assert (dry.status_code, dry.json()) == (200, expected)
    assert await seed.one("SELECT count(*) FROM vehicles") == 2
    assert await seed.one("SELECT count(*) FROM organizations") == 0
    assert await seed.one("SELECT count(*) FROM audit") == 0

    real = await operator.post(PATH, content=text.encode("gb18030"), headers=CSV)
    assert (real.status_code, real.json()) == (200, expected | {"dry_run": False})
    vehicle = (await operator.get(f"/api/v1/vehicles/{known}")).json()
    assert (vehicle["phone"], vehicle["organization"], vehicle["speed_limit_kmh"], vehicle["note"]) == (
        "13900000001", "大连公司", 80.0, "kept",
    )  # fmt: skip
    assert await seed.one("SELECT count(*) FROM terminal_bindings") == 2
    again = await operator.post(PATH, content=text.encode(), headers=CSV)
    assert again.json() == {
        "created": 0, "updated": 0, "unchanged": 3, "organizations_created": [], "dry_run": False,
    }  # fmt: skip
    assert await seed.rows("SELECT action FROM audit") == [("vehicle.import",), ("vehicle.import",)]


async def test_all_or_nothing(operator: httpx.AsyncClient, seed: Seed) -> None:
    owner = await seed.vehicle("辽A9")
    await seed.terminal("13900000009", owner)
    await seed.terminal("13900000008", standing="blocked")
    text = "plate,plate_color,phone,organization\n辽A1,2,13900000009,新公司\n辽A2,2,13900000008,\n辽A3,2,,\n"
    problem = assert_problem(await operator.post(PATH, content=text.encode(), headers=CSV), 422, "import", "2 faults")
    assert [(e["line"], e["column"], e["value"]) for e in problem["errors"]] == [
        (2, "phone", "13900000009"), (3, "phone", "13900000008"),
    ]  # fmt: skip
    assert "辽A9" in problem["errors"][0]["message"]
    assert await seed.one("SELECT count(*) FROM vehicles") == 1
    assert await seed.one("SELECT count(*) FROM organizations") == 0


async def test_a_form_with_a_file(operator: httpx.AsyncClient) -> None:
    answer = await operator.post(PATH, files={"file": ("vehicles.csv", CHINESE.encode(), "text/csv")})
    assert answer.json()["created"] == 1
    assert_problem(await operator.post(PATH, data={"file": "text"}, files={}), 415, "not-csv")
    assert_problem(await operator.post(PATH, files={"a": (None, "no file")}), 400, "no-file")


async def test_what_is_no_csv(operator: httpx.AsyncClient) -> None:
    assert_problem(await operator.post(PATH, json={"plate": "x"}), 415, "not-csv", "application/json")
    too_large = b"x" * (10 * 1024 * 1024 + 1)
    assert_problem(await operator.post(PATH, content=too_large, headers=CSV), 413, "too-large")
    broken = {"content-type": "multipart/form-data; boundary=x"}
    answer = await operator.post(PATH, content=b"--x\r\nnonsense", headers=broken)
    assert answer.status_code == 400


async def test_a_large_file(operator: httpx.AsyncClient, seed: Seed) -> None:
    rows = "".join(f"辽T{i:05},2,{13_900_000_000 + i}\n" for i in range(5000))
    answer = await operator.post(PATH, content=("plate,plate_color,phone\n" + rows).encode(), headers=CSV)
    assert answer.json()["created"] == 5000
    assert await seed.one("SELECT count(*) FROM terminals WHERE vehicle_id IS NOT NULL") == 5000
