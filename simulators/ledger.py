"""The simulator's own account: every fix it sent, and whether and when the platform said success."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

FixKey = tuple[str, int, int]
"""(phone without padding, device time in microseconds UTC, fix hash)"""

_SHOWN: Final = 5


@dataclass(slots=True)
class Entry:
    """One fix. Times are seconds since 1970; ``serial_no`` is of the message that carried it last."""

    serial_no: int
    sent_at: float
    times_sent: int = 1
    answered_at: float | None = None


@dataclass(slots=True)
class Verdict:
    """What the platform stored against what was sent and answered."""

    sent: int
    answered: int
    stored: int  # distinct fixes
    lost_answered: list[FixKey] = field(default_factory=list)  # answered success and not stored: a broken promise
    twice: list[FixKey] = field(default_factory=list)  # stored more than once
    unknown: list[FixKey] = field(default_factory=list)  # stored and never sent

    @property
    def is_right(self) -> bool:
        return not (self.lost_answered or self.twice or self.unknown)

    def __str__(self) -> str:
        out = [f"{self.sent} fixes sent, {self.answered} answered, {self.stored} stored"]
        for name in ("lost_answered", "twice", "unknown"):
            keys: list[FixKey] = getattr(self, name)
            examples = ", ".join(map(str, keys[:_SHOWN])) + (", ..." if len(keys) > _SHOWN else "")
            out.append(f"{name} {len(keys)}" + (f" ({examples})" if keys else ""))
        return "; ".join(out)


class Ledger:
    """Keeps the account in memory, and in a file of JSON lines when one is given.

    Args:
        path:      appended to; a line ``["s", phone, time_us, fix_hash, serial_no, at]`` for each sending and
                   ``["a", phone, time_us, fix_hash, at]`` for the first success.
        capacity:  how many answered fixes to keep in memory, the oldest go first (``forgotten`` counts them); None:
                   all. Fixes without an answer are always kept. A comparison needs an account that forgot nothing.
    """

    def __init__(self, path: Path | None = None, *, capacity: int | None = None) -> None:
        self.entries: dict[FixKey, Entry] = {}
        self.counts: Counter[str] = Counter()
        """Events of the links, by name: ``sent``, ``resent``, ``answered``, ``refused``, ``registered``, ..."""
        self.forgotten = 0
        self._capacity = capacity
        self._answered: dict[FixKey, None] = {}
        self._file: IO[str] | None = path.open("a", encoding="ascii") if path else None

    def sent(self, key: FixKey, serial_no: int, at: float) -> None:
        """A message with this fix goes out; also when it goes out again."""
        entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = Entry(serial_no, at)
            self.counts["fixes"] += 1
        else:
            entry.serial_no = serial_no
            entry.times_sent += 1
        if self._file:
            self._file.write(json.dumps(["s", *key, serial_no, round(at, 3)]) + "\n")

    def answered(self, key: FixKey, at: float) -> None:
        """The platform said success (0x8001 result 0) to a message with this fix."""
        entry = self.entries.get(key)
        if entry is None or entry.answered_at is not None:
            return
        entry.answered_at = at
        self.counts["answered"] += 1
        if self._file:
            self._file.write(json.dumps(["a", *key, round(at, 3)]) + "\n")
        if self._capacity is not None:
            self._answered[key] = None
            while len(self._answered) > self._capacity:
                oldest = next(iter(self._answered))
                del self._answered[oldest], self.entries[oldest]
                self.forgotten += 1

    @property
    def unanswered(self) -> list[FixKey]:
        return [key for key, entry in self.entries.items() if entry.answered_at is None]

    def compare(self, stored: Iterable[FixKey]) -> Verdict:
        """Hold the account against what the platform stored.

        Raises: ValueError: this account forgot fixes, so it cannot say what is unknown.
        """
        if self.forgotten:
            raise ValueError(f"{self.forgotten} answered fixes are no longer in this account (capacity)")
        times = Counter(iter(stored))
        answered = {key for key, entry in self.entries.items() if entry.answered_at is not None}
        return Verdict(
            sent=len(self.entries),
            answered=len(answered),
            stored=len(times),
            lost_answered=sorted(answered - times.keys()),
            twice=sorted(key for key, n in times.items() if n > 1),
            unknown=sorted(times.keys() - self.entries.keys()),
        )

    def summary(self) -> str:
        """One line for people."""
        c = self.counts
        waiting = c["fixes"] - c["answered"]
        events = " ".join(f"{name}={n}" for name, n in sorted(c.items()) if name not in ("fixes", "answered"))
        return f"fixes sent={c['fixes']} answered={c['answered']} unanswered={waiting} | {events}"

    def flush(self) -> None:
        if self._file:
            self._file.flush()

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @classmethod
    def read(cls, path: Path) -> Self:
        """The account a file tells; a torn last line (the writer was killed) is left out.

        Raises: ValueError: another line is no line of a ledger; the message names it.
        """
        ledger = cls()
        lines = path.read_text("ascii").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                kind, phone, time_us, fix_hash, *rest = json.loads(line)
                if kind == "s":
                    ledger.sent((phone, time_us, fix_hash), *rest)
                elif kind == "a":
                    ledger.answered((phone, time_us, fix_hash), *rest)
                else:
                    raise ValueError(f"kind {kind!r}")
            except (ValueError, TypeError) as error:
                if number == len(lines):
                    break
                raise ValueError(f"{path}, line {number}: no line of a ledger: {error}") from error
        return ledger
