"""Random values for hypothesis: texts, times, items, messages, frames."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from jt808 import (
    AdditionalItem,
    BulkLocationReport,
    Edition,
    Heartbeat,
    LocationQuery,
    LocationQueryResponse,
    LocationReport,
    Message,
    PlatformGeneralResponse,
    RegisterResponse,
    TerminalAuthentication,
    TerminalGeneralResponse,
    TerminalRegister,
    TerminalUnregister,
    TextMessage,
    UnknownMessage,
    UnreadItem,
)
from jt808.fields import is_utf8

bytes_ = st.integers(0, 0xFF)
words = st.integers(0, 0xFFFF)
dwords = st.integers(0, 0xFFFFFFFF)
times = st.integers(-8 * 3600, int((datetime(2100, 1, 1) - datetime(2000, 1, 1)).total_seconds()) - 8 * 3600 - 1).map(
    lambda second: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)

# A 00 is no character of a text; the fields take 00s and spaces around a text for padding.
_characters = st.one_of(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0 "),
    st.sampled_from("京津沪渝粤辽A18-"),
)


def texts(max_bytes: int) -> st.SearchStrategy[str]:
    """Texts of the standard's GBK; not those whose bytes are taken for UTF-8."""

    def is_plain(text: str) -> bool:
        raw = text.encode("gb18030")
        return len(raw) <= max_bytes and not is_utf8(raw)

    return st.text(_characters, max_size=max_bytes).filter(is_plain)


items = st.builds(AdditionalItem, bytes_, st.binary(max_size=12)) | st.builds(
    AdditionalItem,
    st.sampled_from([0x01, 0x02, 0x03, 0x04, 0x06, 0x11, 0x12, 0x13, 0x14, 0x18, 0x25, 0x2A, 0x2B, 0x30, 0x31]),
    st.binary(min_size=1, max_size=7),
)
remainders = (
    st.just(b"") | st.binary(min_size=1, max_size=1) | st.binary(max_size=3).map(lambda tail: b"\xe1\x09" + tail)
)


@st.composite
def locations(draw: st.DrawFn) -> LocationReport:
    latitude = draw(st.integers(-0xFFFFFFFF, 0xFFFFFFFF) | st.integers(-91_000_000, 91_000_000))
    longitude = draw(st.integers(-0xFFFFFFFF, 0xFFFFFFFF) | st.integers(-181_000_000, 181_000_000))
    status = draw(dwords)
    for degrees, bit in ((latitude, 2), (longitude, 3)):
        if degrees:
            status = status | 1 << bit if degrees < 0 else status & ~(1 << bit)
    return LocationReport(
        alarm_flags=draw(dwords),
        status_flags=status,
        latitude_deg=latitude / 1_000_000,
        longitude_deg=longitude / 1_000_000,
        altitude_m=draw(words),
        speed_kmh=draw(words) / 10,
        heading_deg=draw(words),
        time=draw(times | st.none()),
        items=tuple(draw(st.lists(items, max_size=8))),
        remainder=draw(remainders),
    )


_bulk_items = st.lists(
    locations() | st.builds(UnreadItem, st.binary(min_size=1, max_size=27), st.just("short")), min_size=1
)

_register_sizes = {Edition.V2011: (5, 8, 7, 11), Edition.V2013: (5, 20, 7, 40), Edition.V2019: (11, 30, 30, 40)}


def registrations(edition: Edition) -> st.SearchStrategy[TerminalRegister]:
    manufacturer, model, terminal, plate = _register_sizes[edition]
    return st.builds(
        TerminalRegister, words, words, texts(manufacturer), texts(model), texts(terminal), bytes_, texts(plate)
    )


def messages(edition: Edition) -> st.SearchStrategy[Message]:
    """Any message this library writes, as that edition has it."""
    is_2019 = edition == Edition.V2019
    authentication: Any = (
        st.builds(TerminalAuthentication, texts(255), texts(15), texts(20))
        if is_2019
        else st.builds(TerminalAuthentication, texts(255))
    )
    has_time = locations().filter(lambda report: report.time is not None)
    return st.one_of(
        st.builds(TerminalGeneralResponse, words, words, bytes_),
        st.builds(PlatformGeneralResponse, words, words, bytes_),
        st.just(Heartbeat()),
        st.just(TerminalUnregister()),
        st.just(LocationQuery()),
        registrations(edition),
        st.builds(RegisterResponse, words, st.just(0), texts(64))
        | st.builds(RegisterResponse, words, st.integers(1, 255)),
        authentication,
        locations(),
        st.builds(LocationQueryResponse, st.none() if edition == Edition.V2011 else words, has_time),
        st.builds(BulkLocationReport, bytes_, _bulk_items.map(tuple)),
        st.builds(TextMessage, bytes_, texts(200), bytes_ if is_2019 else st.none()),
        st.builds(UnknownMessage, st.integers(0xF000, 0xFFFF), st.binary(max_size=40)),
    )
