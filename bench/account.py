"""The generator's account held against the database: is everything that was answered stored, and once?"""

from __future__ import annotations

import json
from pathlib import Path

import psycopg

from bench import frames
from simulators.ledger import Ledger, Verdict


def read(path: Path) -> Ledger:
    """The account that ``generator.run(account=...)`` wrote: per link ``[index, prepared, last time, sent, answered]``.

    Answers come in the order of the reports, so the first ``answered`` of a link are the answered ones.
    """
    ledger = Ledger()
    for line in path.read_text().splitlines():
        link, prepared, last_time, sent, answered = json.loads(line)
        keys = frames.keys(frames.contents(link, prepared, 2, last_time)[:sent], link)
        for number, key in enumerate(keys):
            ledger.sent(key, number + 2, 0.0)
            if number < answered:
                ledger.answered(key, 0.0)
    return ledger


def compare(path: Path, connection: psycopg.Connection) -> Verdict:
    rows = connection.execute(
        "SELECT t.phone, (extract(epoch FROM p.time) * 1000000)::bigint, p.fix_hash"
        " FROM positions p JOIN terminals t ON t.id = p.terminal_id"
    )
    return read(path).compare(rows)
