"""The generator's account held against the database: is everything that was answered stored, and once?

A link at a time, so that twenty minutes of load need no more memory than one minute.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from bench import frames
from bench.generator import FIRST_SERIAL_NO
from simulators.ledger import FixKey, Ledger, Verdict

EXAMPLES: Final = 100

# By vehicle, as the key of the positions begins: a terminal's rows alone would be looked for among all of them.
STORED: Final = (
    "SELECT (extract(epoch FROM p.time) * 1000000)::bigint, p.fix_hash"
    " FROM (SELECT DISTINCT b.terminal_id, b.vehicle_id FROM terminals t"
    " JOIN terminal_bindings b ON b.terminal_id = t.id WHERE t.phone = %s) AS was"
    " JOIN positions p ON p.vehicle_id = was.vehicle_id AND p.terminal_id = was.terminal_id"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One link of the account. Answers come in the order of the reports: the first `answered` are the answered ones."""

    link: int
    prepared: int
    last_time_s: int
    sent: int
    answered: int

    def keys(self) -> list[FixKey]:
        """Of all that was sent."""
        matrix = frames.contents(self.link, self.prepared, FIRST_SERIAL_NO, self.last_time_s, 0, self.sent)
        return frames.keys(matrix, self.link)


def lines(path: Path) -> Iterator[Line]:
    """The account that ``generator.run(account=...)`` wrote."""
    for text in path.read_text().splitlines():
        yield Line(*json.loads(text))


def read(path: Path) -> Ledger:
    """All of it as a ledger: for short runs."""
    ledger = Ledger()
    for line in lines(path):
        for number, key in enumerate(line.keys()):
            ledger.sent(key, number + FIRST_SERIAL_NO, 0.0)
            if number < line.answered:
                ledger.answered(key, 0.0)
    return ledger


def compare(path: Path, connection: psycopg.Connection) -> Verdict:
    """Every link's reports against the stored ones. Of what is wrong each link gives a hundred examples at most."""
    verdict = Verdict(0, 0, 0)
    for line in lines(path):
        phone = frames.phone(line.link)
        sent = line.keys()
        times = Counter((phone, time_us, fix_hash) for time_us, fix_hash in connection.execute(STORED, [phone]))
        verdict.sent += len(sent)
        verdict.answered += line.answered
        verdict.stored += len(times)
        if len(times) == len(sent) == times.total() and all(key in times for key in sent):
            continue
        verdict.lost_answered += [key for key in sent[: line.answered] if key not in times][:EXAMPLES]
        verdict.twice += [key for key, n in times.items() if n > 1][:EXAMPLES]
        verdict.unknown += list(times.keys() - set(sent))[:EXAMPLES]
    return verdict
