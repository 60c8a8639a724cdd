"""Reassembly of sub-packaged messages (分包) of one terminal.

Source: JT/T 808-2013 §4.4.3, §7.12; 2019 likewise (clauses not checked).

A message longer than one frame holds arrives as packages with consecutive serial numbers, so the serial number of the
first package is known from any of them: serial - (package number - 1). Message id and first serial name the set.

**When a package is answered.** Success is promised only for what is on disk, and a part of a message is of no use on
disk without the rest. So no package is answered until the whole message is stored; then each is. The standard lets the
receiver answer every package or the whole message once, so a terminal has to be content with that. Sets live in
memory: when the platform stops in the middle of one, nothing of it was answered and the terminal sends it again.

**Whose package it is.** Two messages may come under the same numbers: a terminal that restarts counts anew. Parts of
two must never be joined, and none may be answered for another. So a package that contradicts what is here of its set
(another total, another body under the same number) is the first of another message, and what was held goes; and after
a login only those sets stay whose terminal visibly goes on counting (`Reassembler.logged_in`).
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from jt808.header import Header

PACKAGE_OVERHEAD: Final = 128
"""Bytes a held package is counted with beside its body, so that a flood of empty ones meets the bound too."""

REMEMBERED_SETS: Final = 16
REMEMBERED_PACKAGES: Final = 8192
"""Completed sets remembered, to know their packages when they are sent again; and of how many packages in all, at four
bytes each: as many as a message of 4 MiB has at half a frame's length."""

STORED_WITHIN_S: Final = 30.0
"""A completed message that is not stored after so long was dropped on its way to the disk: it is taken once more."""

HEAD_BYTES: Final = 4
"""Of a completed message: what an answer to it has to name (the id of media data)."""

MAX_ASKED_AT_ONCE: Final = 125
"""Missing packages named at once; the count is a BYTE in the 2013 edition and the list stays in one frame."""

GOES_ON_WITHIN: Final = 4096
"""A terminal that logs in with a serial number so little ahead of the last package of a set goes on counting where it
was: a set of 4 MiB takes so many numbers at once. One that restarts begins near 0, behind nearly every set."""

Key = tuple[int, int]  # message id, serial number of the first package


class Budget:
    """Bytes that all links together may hold in incomplete sets.

    When it is used up the set that was begun first gives way, whosever it is: a set that is going to be completed is
    young, and whoever hoards parts loses their own first.
    """

    __slots__ = ("_begun", "free")

    def __init__(self, max_bytes: int) -> None:
        self.free = max_bytes
        self._begun: dict[tuple[int, Key], Reassembler] = {}  # the oldest first

    def begin(self, owner: Reassembler, key: Key) -> None:
        self._begun[id(owner), key] = owner

    def forget(self, owner: Reassembler, key: Key, size: int) -> None:
        self._begun.pop((id(owner), key), None)
        self.free += size

    def take(self, size: int, owner: Reassembler, key: Key) -> bool:
        """Bytes for one more package of this set; False: not even without all older sets."""
        while size > self.free:
            oldest = next(iter(self._begun), None)
            if oldest is None or oldest == (id(owner), key):
                return False
            self._begun[oldest].drop(oldest[1], "package_evicted")
        self.free -= size
        return True


class Outcome(Enum):
    """What became of a package that did not complete its message."""

    WAITING = "waiting"  # held until the others come
    DUPLICATE = "duplicate"  # held already, or its message is complete but not yet stored: stay silent
    STORED = "stored"  # its message was stored and answered before: answer again
    TOO_LARGE = "package_too_large"  # the message would exceed the bound; the set is gone


@dataclass(slots=True)
class Assembled:
    """A complete message: its bodies joined in order, and the serial number of each package."""

    body: bytes
    serial_no: int  # of the first package
    serials: tuple[int, ...]


@dataclass(slots=True)
class Missing:
    """Ask for these packages."""

    message_id: int
    serial_no: int  # of the first package
    package_nos: tuple[int, ...]
    first: bytes  # body of the first package; b"" when it is among the missing
    asked: int  # how often by now, since one came; this time included


@dataclass(slots=True)
class _Set:
    total: int
    begun: float
    arrived: float  # the latest package
    touched: float  # the same, or one that is here already, asked for the missing, the terminal's login
    parts: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    asked: int = 0  # since the latest package
    was_asked: bool = False
    is_carried: bool = False  # begun before the terminal's latest login


@dataclass(slots=True)
class _Done:
    """A completed set: what its packages are known by when they come again."""

    at: float
    hashes: array[int]  # of each package's body, 32 bits
    head: bytes  # the first bytes of the message
    is_stored: bool = False  # not answered again before


class Reassembler:
    """The incomplete messages of one terminal.

    Bounds: `max_bytes` over all sets of this terminal, `max_sets` at once (the oldest gives way), `max_age_s` without a
    further package and `max_life_s` from the first; `budget` is shared by all terminals. After `ask_after_s` of silence
    the missing packages are asked for, the first time sooner (`ask_after_last_s`) when the last one is there; at most
    `max_asks` times unless a further one comes.
    """

    __slots__ = (
        "_ask_after_last_s",
        "_ask_after_s",
        "_budget",
        "_completed",
        "_max_age_s",
        "_max_asks",
        "_max_bytes",
        "_max_life_s",
        "_max_sets",
        "_sets",
        "_size",
        "dropped",
    )

    def __init__(
        self,
        *,
        max_bytes: int = 1 << 20,
        max_sets: int = 4,
        max_age_s: float = 300.0,
        max_life_s: float = 3600.0,
        ask_after_s: float = 10.0,
        ask_after_last_s: float = 2.0,
        max_asks: int = 3,
        budget: Budget | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_sets = max_sets
        self._max_age_s = max_age_s
        self._max_life_s = max_life_s
        self._ask_after_s = ask_after_s
        self._ask_after_last_s = ask_after_last_s
        self._max_asks = max_asks
        self._budget = budget if budget is not None else Budget(max_bytes)
        self._sets: OrderedDict[Key, _Set] = OrderedDict()
        self._size = 0
        self._completed: OrderedDict[Key, _Done] = OrderedDict()
        self.dropped: list[tuple[str, int, int]] = []
        """(reason, message id, packages held) of sets given up; the connection takes and clears them."""

    def __len__(self) -> int:
        return len(self._sets)

    def add(self, header: Header, body: bytes, now: float) -> Assembled | Outcome:
        """Take one package in: `header` as `parse_header` gives it, and `is_subpackaged`."""
        total, number = header.package_total, header.package_no
        first = (header.serial_no - (number - 1)) & 0xFFFF
        key = (header.message_id, first)
        if (done := self._completed.get(key)) is not None:
            if (outcome := self._known(done, total, number, body, now)) is not None:
                return outcome
            del self._completed[key]
        held = self._sets.get(key)
        if held is not None and (held.total != total or held.parts.get(number, body) != body):
            self.drop(key, "package_contradicted")
            held = None
        if held is None:
            held = self._begin(key, total, number, body, now)
        held.is_carried = False
        held.touched = now
        if number in held.parts:
            return Outcome.DUPLICATE
        size = len(body) + PACKAGE_OVERHEAD
        self._make_way(size)
        if self._size + size > self._max_bytes or not self._budget.take(size, self, key):
            self.drop(key, Outcome.TOO_LARGE.value)
            return Outcome.TOO_LARGE
        held.parts[number] = body
        held.size += size
        held.arrived = now
        held.asked = 0
        self._size += size
        return Outcome.WAITING if len(held.parts) < total else self._assemble(key, held, now)

    def _known(self, done: _Done, total: int, number: int, body: bytes, now: float) -> Outcome | None:
        """What becomes of a package under the numbers of a completed message; None: it is of another one."""
        if now - done.at > (self._max_age_s if done.is_stored else STORED_WITHIN_S):
            return None
        if not done.is_stored:  # of another one it may be: it has to wait, or the answer to the first would be for both
            return Outcome.DUPLICATE
        is_same = len(done.hashes) == total and done.hashes[number - 1] == hash(body) & 0xFFFFFFFF
        return Outcome.STORED if is_same else None

    def _assemble(self, key: Key, held: _Set, now: float) -> Assembled:
        self._forget(key)
        bodies = [held.parts[number] for number in range(1, held.total + 1)]
        whole = b"".join(bodies)
        hashes = array("I", [hash(body) & 0xFFFFFFFF for body in bodies])
        self._completed[key] = _Done(now, hashes, whole[:HEAD_BYTES])
        while len(self._completed) > REMEMBERED_SETS or self._remembered() > REMEMBERED_PACKAGES:
            self._completed.popitem(last=False)
        return Assembled(whole, key[1], tuple((key[1] + i) & 0xFFFF for i in range(held.total)))

    def _remembered(self) -> int:
        return sum(len(done.hashes) for done in self._completed.values())

    def stored(self, message_id: int, serial_no: int) -> None:
        """The completed message is on disk and answered: its packages, sent again, are answered again."""
        done = self._completed.get((message_id, serial_no))
        if done is not None:
            done.is_stored = True

    def head(self, message_id: int, serial_no: int) -> bytes:
        """The first bytes, at most `HEAD_BYTES`, of a completed message; b"" when none is remembered.

        Args:    serial_no: of its first package.
        """
        done = self._completed.get((message_id, serial_no))
        return b"" if done is None else done.head

    # ---- from one link of the terminal to its next

    def link_ended(self) -> None:
        """What is not whole may go on on the terminal's next link. What is whole is none of its business: it is
        answered where it came, or sent again."""
        self._completed.clear()

    def logged_in(self, serial_no: int, now: float) -> None:
        """The terminal has logged in with a message of this serial number, on a new link or once more on its own. Sets
        behind which it goes on counting stay, and what they lack is asked for as after any silence; from the others a
        restart, or another unit, lies between."""
        for key, held in list(self._sets.items()):
            if _goes_on(key[1] + max(held.parts) - 1, serial_no):
                held.touched = now
                held.asked = 0
                held.was_asked = False
                held.is_carried = True
            else:
                self.drop(key, "package_link_ended")
        for key, done in list(self._completed.items()):
            if not _goes_on(key[1] + len(done.hashes) - 1, serial_no):
                del self._completed[key]

    # ---- time

    def next_deadline(self) -> float | None:
        """When to call `on_time` next; None: nothing waits."""
        deadlines = [self._expires(held) for held in self._sets.values()]
        deadlines += [self._ask_at(held) for held in self._sets.values() if held.asked < self._max_asks]
        return min(deadlines, default=None)

    def _expires(self, held: _Set) -> float:
        return min(held.arrived + self._max_age_s, held.begun + self._max_life_s)

    def _ask_at(self, held: _Set) -> float:
        is_all_sent = held.total in held.parts and not held.was_asked
        return held.touched + (self._ask_after_last_s if is_all_sent else self._ask_after_s)

    def on_time(self, now: float) -> list[Missing]:
        """Give up what is too old; say what to ask for again."""
        self.expire(now)
        missing = []
        for key, held in self._sets.items():
            if held.asked < self._max_asks and now >= self._ask_at(held):
                held.asked += 1
                held.was_asked = True
                held.touched = now
                numbers = [i for i in range(1, held.total + 1) if i not in held.parts][:MAX_ASKED_AT_ONCE]
                missing.append(Missing(*key, tuple(numbers), held.parts.get(1, b""), held.asked))
        return missing

    def expire(self, now: float) -> None:
        """Give up what is too old."""
        for key, held in list(self._sets.items()):
            if now >= self._expires(held):
                self.drop(key, "package_expired")

    # ---- what goes

    def clear(self, reason: str = "package_link_ended") -> None:
        """Nobody will go on with it: give the memory back, and tell in `dropped` what was held."""
        for key in list(self._sets):
            self.drop(key, reason)

    def _begin(self, key: Key, total: int, number: int, body: bytes, now: float) -> _Set:
        if number == 1:
            self._drop_begun_anew(key[0], total, body)
        if len(self._sets) >= self._max_sets:
            self.drop(next(iter(self._sets)), "package_evicted")
        held = self._sets[key] = _Set(total, now, now, now)
        self._budget.begin(self, key)
        return held

    def _drop_begun_anew(self, message_id: int, total: int, body: bytes) -> None:
        """A terminal that does not go on after a login begins the same message anew, under other numbers."""
        for key, held in list(self._sets.items()):
            if held.is_carried and key[0] == message_id and held.total == total and held.parts.get(1) == body:
                self.drop(key, "package_link_ended")

    def _make_way(self, size: int) -> None:
        """What the terminal began before its login and has not gone on with must not keep out what it sends now."""
        for key, held in list(self._sets.items()):
            if held.is_carried and self._size + size > self._max_bytes:
                self.drop(key, "package_evicted")

    def drop(self, key: Key, reason: str) -> None:
        """Give a set up; it is told of in `dropped`."""
        self.dropped.append((reason, key[0], len(self._sets[key].parts)))
        self._forget(key)

    def _forget(self, key: Key) -> None:
        held = self._sets.pop(key)
        self._size -= held.size
        self._budget.forget(self, key, held.size)


def _goes_on(last: int, serial_no: int) -> bool:
    """Has whoever sent a package with the serial number `last` counted on from there to this one? Both may have run
    round."""
    return 0 < (serial_no - last) & 0xFFFF <= GOES_ON_WITHIN
