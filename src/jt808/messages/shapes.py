"""Shapes that several bodies share: fields a bit asks for, degrees whose hemisphere is a bit, forms told apart by fit.

2011 lets a long list go out as several messages: its bodies say how many entries there are in all and how many of them
here. A ``total`` is None when all of them are here; so it is in the other editions, which have one count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from typing import Any, Final

from construct import Byte, Computed, Construct, ConstructError, Int32ub, Rebuild, Struct, ValidationError

from jt808.header import Edition
from jt808.layouts import Counted, Repeated, end_of, read_values

OTHER_FORMS: Final = {
    Edition.V2011: (Edition.V2013,),
    Edition.V2013: (Edition.V2011,),
    Edition.V2019: (Edition.V2013, Edition.V2011),
}
"""Editions whose form a body may have instead: no header tells 2011 from 2013, and units that set the version bit of
2019 are seen to send older bodies. No implementation known to us writes the forms that only the 2011 text has."""


def fits(layout: Struct, body: bytes) -> bool:
    """Whether a layout reads a body to its last byte."""
    stream = BytesIO(body)
    try:
        read_values(layout, stream)
    except ConstructError:
        return False
    return stream.tell() == len(body)


def by_fit(layouts: Mapping[Edition, Struct]) -> Callable[[Edition, bytes], Edition]:
    """A ``choose`` for the registry: the header's edition if its layout fits, else the first other that does."""

    def choose(edition: Edition, body: bytes) -> Edition:
        tried: list[Struct] = []
        for candidate in (edition, *OTHER_FORMS[edition]):
            layout = layouts[candidate]
            if layout not in tried and fits(layout, body):
                return candidate
            tried.append(layout)
        return edition

    return choose


def by_edition(layout: Callable[[Edition], Struct]) -> dict[Edition, Struct]:
    """The layouts of a message that 2019 has as 2013 did, and 2011 in its own way."""
    since_2013 = layout(Edition.V2013)
    return {Edition.V2011: layout(Edition.V2011), Edition.V2013: since_2013, Edition.V2019: since_2013}


class When(Construct):  # type: ignore[misc]
    """A field that is there if the fields before it say so; otherwise it is None, and must be."""

    def __init__(self, condition: Callable[[Any], bool], subcon: Construct) -> None:
        super().__init__()
        self.condition = condition
        self.subcon = subcon

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        return self.subcon._parsereport(stream, context, path) if self.condition(context) else None

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if self.condition(context):
            return self.subcon._build(obj, stream, context, path)
        if obj is not None:
            raise ValidationError(f"{obj!r} has no place here: the fields before it say there is none", path=path)
        return obj


class Degrees(Construct):  # type: ignore[misc]
    """DWORD, × 10⁻⁶, the sign in the attributes. ``flags`` finds these; ``negative_bit`` of them is the sign.

    When writing, a sign that this bit does not have is an error: an area lies in one hemisphere.
    """

    def __init__(self, negative_bit: int, flags: Callable[[Any], int]) -> None:
        super().__init__()
        self.mask = 1 << negative_bit
        self.flags = flags

    def _parse(self, stream: Any, context: Any, path: str) -> float:
        magnitude: int = Int32ub._parsereport(stream, context, path)
        return (-magnitude if self.flags(context) & self.mask else magnitude) / 1_000_000

    def _build(self, obj: float, stream: Any, context: Any, path: str) -> Any:
        if obj and (obj < 0) != bool(self.flags(context) & self.mask):
            raise ValidationError(f"{obj} lies in another hemisphere than the rest", path=path)
        Int32ub._build(round(abs(obj) * 1_000_000), stream, context, path)
        return obj


def with_signs(flags: int, south_bit: int, latitudes: Iterable[float], longitudes: Iterable[float]) -> int:
    """``flags`` with the hemisphere bits (south, and west above it) of the first coordinates that are not 0."""
    for bit, degrees in ((south_bit, latitudes), (south_bit + 1, longitudes)):
        if sign := next((one for one in degrees if one), 0):
            flags = flags | 1 << bit if sign < 0 else flags & ~(1 << bit)
    return flags


def listed(name: str, item: Construct, edition: Edition, count: Construct = Byte) -> tuple[Construct, ...]:
    """The parts of a list with its count; in 2011 with both counts. Read exactly as long as the count says."""
    if edition != Edition.V2011:
        return (name / Counted(count, item),)
    return ("declared_total" / declared(name, count), name / Counted(Byte, item), "total" / total_of(name))


def listed_to_the_end(name: str, item: Construct, edition: Edition) -> tuple[Construct, ...]:
    """The same, but read to the end of the body whatever the count says; a count that is wrong is kept as total."""
    items = name / Repeated(item)
    if edition != Edition.V2011:
        return ("count" / declared(name, Byte), items, "total" / total_of(name, "count"))
    here = Rebuild(Byte, lambda context: len(context[name]))
    return ("declared_total" / declared(name, Byte), "count" / here, items, "total" / total_of(name))


def listed_for_action(name: str, item: Construct, edition: Edition) -> tuple[Construct, ...]:
    """The parts behind an ``action``: as :func:`listed`, or nothing at all for action 0, delete all.

    A count of 0 that stands behind action 0 is kept as total 0.
    """
    count, items = "count" / _ActionCount(name), name / _Following(item)
    if edition != Edition.V2011:
        return (count, items, "total" / Computed(lambda context: _action_total(context, name, "count")))
    total = "total" / Computed(lambda context: _action_total(context, name, "declared_total"))
    return ("declared_total" / _ActionCount(name, is_total=True), count, items, total)


def declared(name: str, count: Construct) -> Construct:
    """How many the message says there are in all."""
    return Rebuild(count, lambda context: len(context[name]) if context["total"] is None else context["total"])


def total_of(name: str, count: str = "declared_total") -> Construct:
    """What the part ``count`` says, where it is not what is there."""
    return Computed(lambda context: None if context[count] == len(context[name]) else context[count])


def _action_total(context: Any, name: str, count: str) -> int | None:
    total: int | None = context[count]
    is_plain = total == len(context[name]) and (total or context["action"])
    return None if is_plain else total


class _ActionCount(Construct):  # type: ignore[misc]
    """BYTE, left out to delete all. Then it is None."""

    def __init__(self, name: str, *, is_total: bool = False) -> None:
        super().__init__()
        self.list_name = name
        self.is_total = is_total
        self.flagbuildnone = True

    def _parse(self, stream: Any, context: Any, path: str) -> int | None:
        if not context["action"] and stream.tell() == end_of(stream):
            return None
        count: int = Byte._parsereport(stream, context, path)
        return count

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        total, here = context["total"], len(context[self.list_name])
        if total is None and not here and not context["action"]:
            return None
        return Byte._build(total if self.is_total and total is not None else here, stream, context, path)


class _Following(Construct):  # type: ignore[misc]
    """As many as the count says. None when that is left out."""

    def __init__(self, item: Construct) -> None:
        super().__init__()
        self.item = item

    def _parse(self, stream: Any, context: Any, path: str) -> tuple[Any, ...]:
        count = context["count"] or 0
        return tuple(self.item._parsereport(stream, context, path) for _ in range(count))

    def _build(self, obj: tuple[Any, ...], stream: Any, context: Any, path: str) -> Any:
        for entry in obj:
            self.item._build(entry, stream, context, path)
        return obj
