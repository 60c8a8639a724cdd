"""Random values for hypothesis, taken from a message's own layout: what its fields can hold is what is drawn."""

from __future__ import annotations

from typing import Any

from construct import Bytes, Computed, Construct, FormatField, GreedyBytes, Prefixed, Rebuild, Renamed, Struct
from hypothesis import strategies as st

from jt808 import Edition, fields
from jt808.layouts import Counted, IfMore, Nothing, Record, Repeated, Window
from jt808.messages.registry import MessageType
from tests.jt808 import strategies as given

Strategy = st.SearchStrategy[Any]


def messages(row: MessageType, edition: Edition, **own: Strategy) -> Strategy:
    """Instances of a registered message; ``own``: the fields that their layout does not say enough of."""
    return records(row.body, row.layouts[edition], **own)


def records(body: type, layout: Struct, **own: Strategy) -> Strategy:
    """Instances of a dataclass that a Struct reads and writes."""
    drawn = {}
    for part in layout.subcons:
        if part.name in own:
            drawn[part.name] = own[part.name]
        elif part.name in body.__dataclass_fields__ and not isinstance(_bare(part), Computed | Rebuild):
            drawn[part.name] = values(part)
    return st.builds(body, **drawn)


def values(layout: Construct) -> Strategy:
    """Values of one field. Raises:  TypeError: a layout that is not known here; give the field's strategy yourself."""
    layout = _bare(layout)
    if isinstance(layout, Record):
        return records(layout.body, layout.layout)
    if isinstance(layout, Counted | Repeated):
        return st.lists(values(layout.item), max_size=4).map(tuple)
    if isinstance(layout, IfMore):
        return values(layout.subcon) | st.just(layout.absent)
    if isinstance(layout, Window):
        return values(layout.subcon)
    if isinstance(layout, Nothing):
        return st.none()
    if isinstance(layout, Bytes):
        return st.binary(min_size=layout.length, max_size=layout.length)
    if isinstance(layout, FormatField):
        return st.integers(0, 256**layout.length - 1)
    if layout is GreedyBytes or isinstance(layout, Prefixed):
        return st.binary(max_size=40)
    if isinstance(layout, fields._Padded):
        return given.texts(layout.length)
    for known, strategy in _KNOWN:
        if layout is known:
            return strategy
    raise TypeError(f"no strategy for {layout!r}")


_KNOWN: list[tuple[Construct, Strategy]] = [
    (fields.Text, given.texts(200)),
    (fields.TextByteLength, given.texts(255)),
    (fields.TextWordLength, given.texts(300)),
    (fields.BcdTime, given.times | st.none()),
    (fields.Tenths8, given.bytes_.map(lambda number: number / 10)),
    (fields.Tenths32, given.dwords.map(lambda number: number / 10)),
    (fields.Tenths16, given.words.map(lambda number: number / 10)),
]


def _bare(layout: Construct) -> Construct:
    while isinstance(layout, Renamed):
        layout = layout.subcon
    return layout


def is_text(layout: Construct) -> bool:
    """Whether this is text to the end of its field."""
    return _bare(layout) is fields.Text
