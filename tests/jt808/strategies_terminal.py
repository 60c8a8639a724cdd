"""Random messages about the terminal, its driver, regions and routes, as each edition has them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from jt808 import Edition, decode_body, encode_body
from jt808 import messages as m
from jt808.fields import CHINA_TIME
from jt808.messages.registry import MessageType
from tests.jt808 import from_layout
from tests.jt808.strategies import bytes_, dwords, locations, texts, times, words

Strategy = st.SearchStrategy[Any]

area_times = (
    times
    | st.times().map(lambda moment: moment.replace(microsecond=0, tzinfo=CHINA_TIME))
    | st.binary(min_size=6, max_size=6).filter(lambda raw: raw[0] > 0x99)
)
utc_times = times.map(lambda time: time + timedelta(hours=8))  # of the same digits
dates = st.dates(date(1, 1, 1), date(9999, 12, 31)) | st.none()
receive_times = st.builds(
    lambda moment, ms: moment.replace(microsecond=ms * 1000), st.times(), st.integers(0, 999)
) | st.binary(min_size=5, max_size=5).filter(lambda raw: raw[0] > 0x99)


def tuples(one: Strategy, max_size: int = 4) -> Strategy:
    return st.lists(one, max_size=max_size).map(tuple)


parameters = tuples(st.builds(m.Parameter, dwords, st.binary(max_size=30)), 6)
magnitudes = st.integers(0, 180_000_000).map(lambda number: number / 1_000_000)


def _total(edition: Edition, entries: tuple[Any, ...], largest: int) -> Strategy:
    """2011 may say that there are more than are here; equal numbers are None."""
    if edition != Edition.V2011:
        return st.none()
    return st.none() | st.integers(0, largest).filter(lambda total: total != len(entries))


@st.composite
def _with_total(draw: st.DrawFn, message: Strategy, name: str, edition: Edition, largest: int = 255) -> Any:
    drawn = draw(message)
    return replace(drawn, total=draw(_total(edition, getattr(drawn, name), largest)))


@st.composite
def _action_lists(draw: st.DrawFn, body: Any, entry: Strategy, edition: Edition) -> Any:
    """Lists behind an action; without a count for "delete all", or with one that is 0."""
    action, entries = draw(st.integers(0, 4)), draw(tuples(entry))
    total = draw(_total(edition, entries, 255))
    if not action and not entries:
        total = draw(st.none() | st.just(0))
    return body(action, entries, total)


@st.composite
def _limits(draw: st.DrawFn, attributes: int, edition: Edition, *, is_named: bool = True) -> dict[str, Any]:
    """What the attributes of an area ask for."""
    found: dict[str, Any] = {}
    if attributes & 1:
        found |= {"start_time": draw(area_times), "end_time": draw(area_times)}
    if attributes & 2:
        found |= {"max_speed_kmh": draw(words), "overspeed_duration_s": draw(bytes_)}
        if edition == Edition.V2019:
            found["night_max_speed_kmh"] = draw(words)
    if is_named and edition == Edition.V2019:
        found["name"] = draw(texts(40))
    return found


@st.composite
def _signed(draw: st.DrawFn, attributes: int, south_bit: int, count: int) -> list[float]:
    """Latitude and longitude in turn, in the hemispheres that the attributes say."""
    signs = [-1 if attributes >> (south_bit + at % 2) & 1 else 1 for at in range(count)]
    return [sign * draw(magnitudes) for sign in signs]


@st.composite
def circles(draw: st.DrawFn, edition: Edition) -> m.CircleArea:
    attributes = draw(words)
    latitude, longitude = draw(_signed(attributes, 6, 2))
    limits = draw(_limits(attributes, edition))
    return m.CircleArea(draw(dwords), attributes, latitude, longitude, draw(dwords), **limits)


@st.composite
def rectangles(draw: st.DrawFn, edition: Edition) -> m.RectangleArea:
    attributes = draw(words)
    return m.RectangleArea(
        draw(dwords), attributes, *draw(_signed(attributes, 6, 4)), **draw(_limits(attributes, edition))
    )


@st.composite
def polygons(draw: st.DrawFn, edition: Edition) -> m.SetPolygon:
    attributes = draw(words)
    vertices = tuple(m.Vertex(*draw(_signed(attributes, 6, 2))) for _ in range(draw(st.integers(0, 4))))
    return m.SetPolygon(draw(dwords), attributes, vertices, **draw(_limits(attributes, edition)))


@st.composite
def points(draw: st.DrawFn, edition: Edition) -> m.RoutePoint:
    attributes = draw(bytes_)
    limits = draw(_limits(attributes & 2, edition, is_named=False))
    if attributes & 1:
        limits["max_time_s"] = draw(words)
        if edition != Edition.V2011:
            limits["min_time_s"] = draw(words)
    point_id = None if edition == Edition.V2011 else draw(dwords)
    return m.RoutePoint(point_id, draw(dwords), *draw(_signed(attributes, 2, 2)), draw(bytes_), attributes, **limits)


@st.composite
def routes(draw: st.DrawFn, edition: Edition) -> m.SetRoute:
    attributes = draw(words)
    limits = draw(_limits(attributes & 1, edition))
    return m.SetRoute(draw(dwords), attributes, draw(tuples(points(edition))), **limits)


def _set_circles(edition: Edition) -> Strategy:
    return _with_total(st.builds(m.SetCircles, bytes_, tuples(circles(edition))), "areas", edition)


def _set_rectangles(edition: Edition) -> Strategy:
    return _with_total(st.builds(m.SetRectangles, bytes_, tuples(rectangles(edition))), "areas", edition)


def _areas_responses(edition: Edition) -> Strategy:
    kinds = (
        (1, _set_circles(edition)),
        (1, circles(edition)),
        (2, _set_rectangles(edition)),
        (2, rectangles(edition)),
        (3, polygons(edition)),
        (4, routes(edition)),
    )
    return st.one_of(
        [
            st.builds(m.AreasResponse, st.just(kind), st.lists(one, min_size=1, max_size=3).map(tuple))
            for kind, one in kinds
        ]
    )


@st.composite
def _drivers(draw: st.DrawFn, edition: Edition) -> m.DriverIdentity:
    card = {"driver_name": draw(texts(20)), "certificate_no": draw(texts(20)), "authority": draw(texts(40))}
    if edition == Edition.V2011:
        return m.DriverIdentity(**card, identity_no=draw(texts(20)))
    if edition == Edition.V2019:
        card["identity_no"] = draw(texts(20))
    head = m.DriverIdentity(draw(st.integers(1, 2)), draw(times))
    if draw(st.booleans()):
        return head
    head = replace(head, card_result=draw(bytes_))
    return replace(head, **card, valid_until=draw(dates)) if draw(st.booleans()) else head


def _events(edition: Edition) -> Strategy:
    return _action_lists(m.SetEvents, st.builds(m.Event, bytes_, texts(30)), edition)


def _informations(edition: Edition) -> Strategy:
    return _action_lists(m.SetInformationMenu, st.builds(m.InformationItem, bytes_, texts(300)), edition)


def _phone_books(edition: Edition) -> Strategy:
    return _action_lists(m.SetPhoneBook, st.builds(m.Contact, bytes_, texts(20), texts(20)), edition)


def _services(edition: Edition) -> Strategy:
    return st.builds(m.InformationService, bytes_, texts(300))


def _controls(edition: Edition) -> Strategy:
    if edition != Edition.V2019:
        return st.builds(m.VehicleControl, bytes_)
    doors = tuples(st.builds(m.ControlItem, st.just(1), st.binary(min_size=1, max_size=1)))
    own = tuples(st.builds(m.ControlItem, st.integers(2, 0xFFFF), st.binary(max_size=8)), 1)
    return st.builds(lambda first, last: m.VehicleControl(items=first + last), doors, own)


def _uploads(edition: Edition) -> Strategy:
    blocks = st.binary(max_size=40)
    if edition != Edition.V2011:
        return st.builds(m.TachographUpload, words, bytes_, blocks.map(lambda block: b"\x55\x7a" + block))
    return st.builds(m.TachographUpload, st.none(), bytes_, blocks, st.none() | st.integers(41, 0xFFFF))


def _attributes(edition: Edition) -> Strategy:
    model, terminal = (30, 30) if edition == Edition.V2019 else (20, 7)
    digits = st.binary(min_size=10, max_size=10).map(bytes.hex)

    def narrow_or_wide(wide: bool) -> Strategy:
        return st.builds(
            m.TerminalAttributes, words, texts(11 if wide else 5), texts(model), texts(terminal), digits, texts(30),
            texts(30), bytes_, bytes_, st.just(wide),
        )  # fmt: skip

    def is_told(message: m.TerminalAttributes) -> bool:
        """Both widths can fit by chance; then the standard's is read."""
        again = decode_body(0x0107, edition, encode_body(message, edition))
        return isinstance(again, m.TerminalAttributes) and again.has_wide_manufacturer_id

    return narrow_or_wide(False) | narrow_or_wide(True).filter(is_told)


_OWN: dict[type, Callable[[Edition], Strategy]] = {
    m.ServerTimeResponse: lambda edition: st.builds(m.ServerTimeResponse, utc_times | st.none()),
    m.TerminalAttributes: _attributes,
    m.TrackingControl: lambda edition: st.builds(m.TrackingControl, words, dwords | st.none()),
    m.SetParameters: lambda edition: _with_total(st.builds(m.SetParameters, parameters), "parameters", edition),
    m.ParametersResponse: lambda edition: _with_total(
        st.builds(m.ParametersResponse, words, parameters), "parameters", edition
    ),
    m.SetEvents: _events,
    m.SetInformationMenu: _informations,
    m.InformationService: _services,
    m.SetPhoneBook: _phone_books,
    m.VehicleControl: _controls,
    m.VehicleControlResponse: lambda edition: st.builds(m.VehicleControlResponse, words, locations()),
    m.SetCircles: _set_circles,
    m.SetRectangles: _set_rectangles,
    m.SetPolygon: lambda edition: _with_total(polygons(edition), "vertices", edition, 0xFFFF),
    m.SetRoute: lambda edition: _with_total(routes(edition), "points", edition, 0xFFFF),
    m.AreasResponse: _areas_responses,
    m.TachographUpload: _uploads,
    m.DriverIdentity: _drivers,
    m.CanData: lambda edition: st.builds(
        m.CanData, receive_times, tuples(st.builds(m.CanItem, dwords, st.binary(min_size=8, max_size=8)))
    ),
}


def instances(row: MessageType, edition: Edition) -> Strategy:
    """Any instance of a message of these families."""
    own = _OWN.get(row.body)
    return own(edition) if own is not None else from_layout.messages(row, edition)
