"""The table of parameters, as forms need it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from downlink import KINDS
from downlink.terminal import ParametersSet
from jt808.header import Edition
from jt808.messages import encode_body
from jt808.messages.parameter_table import parameter_types


@pytest.fixture
async def catalogue(viewer: httpx.AsyncClient) -> dict[int, dict[str, Any]]:
    items = (await viewer.get("/api/v1/parameter-types")).json()["items"]
    return {item["id"]: item for item in items}


async def test_every_parameter_is_described(catalogue: dict[int, dict[str, Any]]) -> None:
    assert set(catalogue) == {row.id for row in parameter_types()}
    assert all(item["chinese"] and item["english"] for item in catalogue.values())
    assert catalogue[0x0055] | {} == {
        "id": 0x0055, "chinese": "最高速度", "english": "top speed", "unit": "km/h", "type": "integer", "minimum": 0,
        "maximum": 0xFFFFFFFF, "choices": None, "flags": None, "fields": None,
    }  # fmt: skip
    assert (catalogue[0x0013]["type"], catalogue[0x005B]["type"]) == ("text", "decimal")
    assert [choice["value"] for choice in catalogue[0x0020]["choices"]] == [0, 1, 2]
    assert {flag["value"] for flag in catalogue[0x0050]["flags"]} >= {0, 1, 2, 27, 28}
    assert [part["name"] for part in catalogue[0x0064]["fields"]] == [
        "interval", "is_large_unit", "upload_channels", "channels",
    ]  # fmt: skip
    assert catalogue[0x0076]["type"] == "opaque"


async def test_what_the_table_offers_can_be_set(catalogue: dict[int, dict[str, Any]]) -> None:
    """The lowest and the highest of every number, every choice and every part are taken by the command."""
    kind = KINDS["parameters_set"]
    for item in catalogue.values():
        values: list[Any] = (
            [item["minimum"], item["maximum"]] if item["type"] in ("integer", "decimal", "flags") else []
        )
        values = [int(value) if item["type"] != "decimal" else value for value in values]
        values += [choice["value"] for choice in item["choices"] or ()]
        if item["type"] == "text":
            values = ["辽B12345"]
        elif item["type"] == "record":
            sample = {"integer": 1, "decimal": 1.0, "boolean": True}
            values = [{part["name"]: sample[part["type"]] for part in item["fields"]}]
        for value in values:
            payload = kind.payload(kind="parameters_set", parameters=[{"id": item["id"], "value": value}])
            assert encode_body(payload.message(Edition.V2019), Edition.V2019), item


@pytest.mark.parametrize(
    ("parameter_id", "value", "why"),
    [
        (0x0013, "主机😀", "character 3, '😀' (U+1F600), has no place in GBK, which terminals speak"),
        (0x0013, "一" * 128, "is 256 bytes in GBK; 255 are the most"),
        (0x0013, "a\0b", "character 2 (U+0000) is not printable"),
        (0x0032, {"start_hour": 99, "start_minute": 50, "end_hour": 5, "end_minute": 0}, "start is no time of the day"),
        (0x0032, {"start_hour": 2, "start_minute": 0, "end_hour": 24, "end_minute": 1}, "end is no time of the day"),
        (0x0032, {"start_hour": -1, "start_minute": 0, "end_hour": 5, "end_minute": 0}, "start is no time of the day"),
    ],
)
def test_what_a_terminal_cannot_read_is_not_sent(parameter_id: int, value: Any, why: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ParametersSet.model_validate({"kind": "parameters_set", "parameters": [{"id": parameter_id, "value": value}]})
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("parameter_id", "value", "written"),
    [
        (0x0023, "", b""),  # empty: as the main server's
        (0x0083, "辽B12345", "辽B12345".encode("gbk")),
        (0x0032, {"start_hour": 22, "start_minute": 50, "end_hour": 24, "end_minute": 0}, b"\x16\x32\x18\x00"),
    ],
)
def test_what_it_can_read_is(parameter_id: int, value: Any, written: bytes) -> None:
    payload = ParametersSet.model_validate(
        {"kind": "parameters_set", "parameters": [{"id": parameter_id, "value": value}]}
    )
    body = encode_body(payload.message(Edition.V2019), Edition.V2019)
    assert body == b"\1" + parameter_id.to_bytes(4) + bytes((len(written),)) + written
