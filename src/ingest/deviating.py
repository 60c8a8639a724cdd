"""How terminals deviate from the standard (`jt808.messages.deviations`), counted on a sample of what they send.

What deviates is read like anything else, so that nothing but these counts tells of it. Location reports are not looked
at: no other form of them is read, and they are nearly all that comes. Of each kind of deviation and message the first
that is met is logged, so that an operator has a terminal to look at.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.counters import Counters
from ingest.journal import Kind
from jt808.header import MAX_BODY_BYTES, Edition
from jt808.messages import deviations_of, message_type

if TYPE_CHECKING:  # the gateway needs nothing of what stands behind it
    from ingest.records import Records

log = logging.getLogger(__name__)

LOCATIONS: Final = (0x0200, 0x0704)
MOST_LOOKS: Final = 8
"""At messages of one transaction: a look takes some 0.1 ms, one at a long list some ms."""
MOST_BYTES: Final = MAX_BODY_BYTES
"""Of a body that is looked at: what came in packages may be a list of thousands."""


class Found:
    """What was met so far, for the log: no more than messages times kinds."""

    def __init__(self) -> None:
        self._told: set[tuple[int, str]] = set()

    def kinds(self, message_id: int, edition: Edition, body: bytes, phone: str) -> list[str]:
        """The kinds of deviation that a body has, each once. Never raises: what is only counted stops nothing."""
        try:
            details = dict(deviations_of(message_id, edition, body))
        except Exception:
            log.exception("a 0x%04X cannot be looked at", message_id)
            return []
        for kind, detail in details.items():
            if (message_id, kind) not in self._told:
                self._told.add((message_id, kind))
                log.info("terminal %s: 0x%04X: %s", phone, message_id, detail)
        return list(details)


class Sample:
    """Some of the messages of each transaction."""

    def __init__(self) -> None:
        self._found = Found()

    def look(self, records: Records, counts: Counter[str]) -> None:
        """At `MOST_LOOKS` of these, evenly over them."""
        headers = records.headers
        is_other = (headers["kind"] == Kind.MESSAGE) & ~np.isin(headers["message_id"], LOCATIONS)
        rows = np.flatnonzero(is_other & (headers["body_length"] <= MOST_BYTES))
        for i in rows[:: max(1, -(-len(rows) // MOST_LOOKS))].tolist():
            message_id = int(headers["message_id"][i])
            if message_type(message_id) is not None:
                counts["examined"] += 1
                for kind in self._found.kinds(message_id, records.edition(i), records.body(i), records.phone(i)):
                    counts[f"deviations_{kind}"] += 1


class LoginSample:
    """One message of an id in a second: thousands may log in at once, and the gateway has no time to spare."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._found = Found()
        self._looked_s: dict[int, int] = {}  # by message id: registration, authentication

    def look(self, message_id: int, edition: Edition, body: bytes, phone: str, now_us: int) -> None:
        """At a message that could be read."""
        now_s = now_us // 1_000_000
        if self._looked_s.get(message_id) == now_s:
            return
        self._looked_s[message_id] = now_s
        self._counters["examined"] += 1
        for kind in self._found.kinds(message_id, edition, body, phone):
            self._counters.count("deviations", kind)
