"""jt808.messages.regions and routes: attributes, hemispheres, times, and what an area cannot be."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest

from jt808 import BodyError, Edition, Message, UsageError, decode_body, encode_body
from jt808.explain import explain_body
from jt808.fields import CHINA_TIME
from jt808.messages import (
    AreasResponse,
    CircleArea,
    RectangleArea,
    RoutePoint,
    SetCircles,
    SetPolygon,
    SetRectangles,
    SetRoute,
    Vertex,
)

CIRCLE = CircleArea(1, 0, 31.0, 121.0, 500)


def circle(attributes: int, **more: Any) -> SetCircles:
    return SetCircles(1, (CircleArea(1, attributes, 31.0, 121.0, 500, **more),))


def read(message: Message, edition: Edition = Edition.V2013) -> Any:
    number = {SetCircles: 0x8600, SetRectangles: 0x8602, SetPolygon: 0x8604, SetRoute: 0x8606}[type(message)]
    return decode_body(number, edition, encode_body(message, edition))


def test_the_signs_of_coordinates_set_the_hemisphere() -> None:
    (area,) = read(SetCircles(1, (CircleArea(1, 0, -33.5, -70.5, 500),))).areas
    assert (area.attributes, area.latitude_deg, area.longitude_deg) == (0b1100_0000, -33.5, -70.5)
    (area,) = read(SetRectangles(1, (RectangleArea(1, 0, -33.0, 0.0, -34.0, 70.0),))).areas
    assert (area.attributes, area.top_latitude_deg, area.left_longitude_deg) == (0b0100_0000, -33.0, 0.0)
    polygon = read(SetPolygon(1, 0xC0, (Vertex(33.5, -70.5), Vertex(33.6, -70.5))))
    assert (polygon.attributes, polygon.vertices[1]) == (0x80, Vertex(33.6, -70.5))
    route = read(SetRoute(1, 0, (RoutePoint(1, 1, -33.5, 70.5, 20, 0), RoutePoint(2, 1, 33.5, -70.5, 20, 0))))
    assert [(point.attributes, point.latitude_deg) for point in route.points] == [(0b100, -33.5), (0b1000, 33.5)]


@pytest.mark.parametrize(
    ("moment", "raw"),
    [
        (datetime(2020, 7, 26, 15, 23, 59, tzinfo=UTC), "200726232359"),
        (time(8, 30, tzinfo=CHINA_TIME), "000000083000"),
        (time(0, 0, tzinfo=CHINA_TIME), "000000000000"),
        (bytes.fromhex("000015083000"), "000015083000"),
        (bytes.fromhex("000000240000"), "000000240000"),
        (bytes.fromhex("ffffffffffff"), "ffffffffffff"),
    ],
)
def test_times_of_an_area(moment: Any, raw: str) -> None:
    message = circle(1, start_time=moment, end_time=moment)
    body = encode_body(message, Edition.V2013)
    assert body[-12:].hex() == raw * 2
    assert decode_body(0x8600, Edition.V2013, body) == message


@pytest.mark.parametrize(
    "message",
    [
        circle(1),
        circle(1, start_time=datetime(2020, 7, 26), end_time=time(1)),
        circle(0, start_time=time(1), end_time=time(2)),
        circle(2),
        circle(0, max_speed_kmh=60),
        circle(2, max_speed_kmh=60, overspeed_duration_s=256),
        SetCircles(1, (CIRCLE,) * 256),
        SetCircles(1, (RectangleArea(1, 0, 1.0, 1.0, 0.0, 2.0),)),  # type: ignore[arg-type]
        SetRectangles(1, (RectangleArea(1, 0, 1.0, 1.0, -1.0, 2.0),)),
        SetPolygon(1, 0, (Vertex(1.0, 1.0), Vertex(1.0, -1.0))),
        SetPolygon(1, 0, (Vertex(5000.0, 1.0),)),
        SetRoute(1, 0, (RoutePoint(None, 1, 1.0, 1.0, 20, 0),)),
        SetRoute(1, 0, (RoutePoint(1, 1, 1.0, 1.0, 20, 1, max_time_s=1),)),
    ],
    ids=repr,
)
def test_what_an_area_cannot_be(message: Message) -> None:
    with pytest.raises(UsageError):
        encode_body(message, Edition.V2013)


def test_what_an_edition_does_not_have_is_not_sent() -> None:
    message = circle(2, max_speed_kmh=60, overspeed_duration_s=5, night_max_speed_kmh=40, name="环城")
    assert read(message, Edition.V2019) == message
    assert read(message) == circle(2, max_speed_kmh=60, overspeed_duration_s=5)


def test_2011_counts_what_is_here_and_what_there_is() -> None:
    message = SetCircles(1, (CIRCLE, CIRCLE), total=5)
    body = encode_body(message, Edition.V2011)
    assert body[:3] == bytes((1, 5, 2))
    assert decode_body(0x8600, Edition.V2011, body) == message
    assert decode_body(0x8600, Edition.V2013, body) == message  # no header tells 2011 from 2013


def test_a_body_of_2013_under_a_header_of_2019() -> None:
    message = SetCircles(1, (CIRCLE,))
    assert decode_body(0x8600, Edition.V2019, encode_body(message, Edition.V2013)) == message


def test_areas_come_back_as_messages_or_bare() -> None:
    named = CircleArea(1, 0, 31.0, 121.0, 500, name="a")
    for data in ((SetCircles(0, (named, named)), SetCircles(0, ())), (named, named)):
        message = AreasResponse(1, data)
        body = encode_body(message, Edition.V2019)
        assert decode_body(0x0608, Edition.V2019, body) == message


@pytest.mark.parametrize("message", [
    AreasResponse(5, ()),
    AreasResponse(3, (CIRCLE,)),
    AreasResponse(1, (CIRCLE, SetCircles(0, ()))),
    AreasResponse(1, (SetRectangles(0, ()),)),
])  # fmt: skip
def test_data_of_another_kind(message: AreasResponse) -> None:
    with pytest.raises(UsageError):
        encode_body(message, Edition.V2019)


def test_an_unknown_kind_of_area_is_an_error() -> None:
    with pytest.raises(BodyError, match="at byte 5: data: there is no kind 9"):
        decode_body(0x0608, Edition.V2019, bytes.fromhex("0900000001000000"))
    with pytest.raises(BodyError):
        decode_body(0x0608, Edition.V2019, bytes.fromhex("01ffffffff0000"))


def test_a_route_has_bits_of_its_own() -> None:
    body = encode_body(SetRoute(1, 0b1000010, ()), Edition.V2013)
    assert explain_body(0x8606, Edition.V2013, body).body["attribute_names"] == ["bit_1", "bit_6"]
    area = encode_body(SetPolygon(1, 0b1000000, ()), Edition.V2013)
    assert explain_body(0x8604, Edition.V2013, area).body["attribute_names"] == ["south"]
