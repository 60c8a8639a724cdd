"""Who is on-line: the one link that speaks for each terminal."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ingest.counters import Counters

log = logging.getLogger(__name__)

WINDOW_S: Final = 60.0

Link = TypeVar("Link")


class Sessions(Generic[Link]):
    """Phone -> link. The newest authenticated link wins; whom it displaces is handed back to be closed.

    Two units with one identity displace each other for ever; that is flagged (counter, one warning a minute) when it
    happens more than `max_displacements` times within a minute.
    """

    def __init__(self, counters: Counters, *, max_displacements: int = 6) -> None:
        self._links: dict[str, Link] = {}
        self._counters = counters
        self._max_displacements = max_displacements
        self._displaced_at: dict[str, deque[float]] = {}
        self._swept_at = 0.0

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def links(self) -> list[Link]:
        return list(self._links.values())

    def get(self, phone: str) -> Link | None:
        return self._links.get(phone)

    def begin(self, phone: str, link: Link, now: float) -> Link | None:
        """This link speaks for the terminal from now on; gives the one that did before."""
        displaced = self._links.get(phone)
        self._links[phone] = link
        if displaced is None or displaced is link:
            return None
        self._counters["sessions_displaced"] += 1
        self._note_displacement(phone, now)
        return displaced

    def end(self, phone: str, link: Link) -> bool:
        """This link speaks for nobody any more. False: it had been displaced already."""
        if self._links.get(phone) is not link:
            return False
        del self._links[phone]
        return True

    def _note_displacement(self, phone: str, now: float) -> None:
        times = self._displaced_at.setdefault(phone, deque(maxlen=self._max_displacements + 1))
        times.append(now)
        if len(times) > self._max_displacements and now - times[0] <= WINDOW_S:
            self._counters["duplicate_identities"] += 1
            log.warning(
                "terminal %s: %d logins displaced one another within a minute; two units share this identity",
                phone,
                len(times),
            )
            times.clear()
        if now - self._swept_at > WINDOW_S:  # who displaced nobody for a minute is forgotten
            self._swept_at = now
            self._displaced_at = {p: t for p, t in self._displaced_at.items() if t and now - t[-1] <= WINDOW_S}
