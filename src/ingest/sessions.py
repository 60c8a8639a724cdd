"""Who is on-line: the one link that speaks for each terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from ingest.counters import Counters

log = logging.getLogger(__name__)

WINDOW_S: Final = 60.0
CONTESTED_S: Final = 600.0

Link = TypeVar("Link")


class Sessions(Generic[Link]):
    """Phone -> link. The newest authenticated link wins; whom it displaces is handed back to be closed.

    Two units with one identity displace each other for ever. When that happens more than `max_displacements` times
    within a minute the identity is *contested* for ten minutes: counted, one warning, and whoever holds it keeps it as
    long as it speaks (see `ingest.login`), so that one of the two works and nothing flaps.
    """

    def __init__(self, counters: Counters, *, max_displacements: int = 6) -> None:
        self._links: dict[str, Link] = {}
        self._counters = counters
        self._max_displacements = max_displacements
        self._displaced: dict[str, tuple[float, int]] = {}  # since when, and how often; of the last minute
        self._contested: dict[str, float] = {}  # until when
        self._swept_at = 0.0

    def __len__(self) -> int:
        return len(self._links)

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def links(self) -> list[Link]:
        return list(self._links.values())

    def get(self, phone: str) -> Link | None:
        return self._links.get(phone)

    def is_contested(self, phone: str, now: float) -> bool:
        """Do two units use this identity, as it seems?"""
        until = self._contested.get(phone)
        return until is not None and now < until

    def contested(self, now: float) -> int:
        """How many identities two units use."""
        self._sweep(now)
        return len(self._contested)

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
        if now - self._swept_at > WINDOW_S:
            self._sweep(now)
        since, count = self._displaced.get(phone, (now, 0))
        if now - since > WINDOW_S:
            since, count = now, 0
        self._displaced[phone] = since, count + 1
        if count + 1 > self._max_displacements:
            del self._displaced[phone]
            self._contested[phone] = now + CONTESTED_S
            self._counters["duplicate_identities"] += 1
            log.warning(
                "terminal %s: %d logins displaced one another within a minute; two units share this identity",
                phone,
                count + 1,
            )

    def _sweep(self, now: float) -> None:
        """Forget who displaced nobody for a minute, and what is contested no more."""
        self._swept_at = now
        self._displaced = {p: noted for p, noted in self._displaced.items() if now - noted[0] <= WINDOW_S}
        self._contested = {p: until for p, until in self._contested.items() if now < until}
