"""The table of parameters, as forms need it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from downlink import KINDS
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
