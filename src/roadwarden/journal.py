"""`roadwarden journal`: what is in the journal, how far it is stored, and its records as JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from fleet import CHINA, canonical_phone
from ingest.journal import EDITION_NAMES, Group, JournalError, Kind, journal_path
from ingest.journal.inspect import JournalInspector, Waiting
from jt808 import Edition
from jt808.explain import explain_body
from roadwarden.settings import Settings
from store import EmbeddedPostgres, StoreError
from store.errors import in_short

CONNECT_S: Final = 3


def when(time_us: int | None) -> str:
    """A time for people, on China's clock."""
    if time_us is None:
        return ""
    return datetime.fromtimestamp(time_us / 1e6, CHINA).isoformat(" ", "milliseconds")


def iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stored_offset(settings: Settings, name: str) -> int:
    """How far the database has this journal. A database that does not run is not started for it.

    Raises:  StoreError, psycopg.Error: it is not there.
    """
    url = settings.database_url
    dsn = url.get_secret_value() if url is not None else EmbeddedPostgres(settings.data_dir / "postgres").dsn
    with psycopg.connect(dsn, connect_timeout=CONNECT_S) as connection:
        row = connection.execute('SELECT "offset" FROM journal_offsets WHERE journal = %s', (name,)).fetchone()
    return int(row[0]) if row is not None else 0


def info(settings: Settings, as_json: bool) -> int:
    try:
        inspector = JournalInspector(journal_path(settings.data_dir))
    except JournalError as error:
        print(f"roadwarden: {error}", file=sys.stderr)
        return 1
    try:
        facts = inspector.info()
        offset, waiting, problem = None, None, ""
        try:
            offset = stored_offset(settings, facts.name)
            waiting = inspector.waiting(offset)
        except (StoreError, psycopg.Error) as error:
            problem = in_short(error)
    finally:
        inspector.close()
    if as_json:
        told = asdict(facts) | {
            "path": str(inspector.path), "stored": offset, "waiting": waiting and asdict(waiting),
            "database_error": problem or None,
        }  # fmt: skip
        print(json.dumps(told, ensure_ascii=False))
        return 0
    rows = [
        ("journal", f"{inspector.path}  ({facts.name})"),
        ("size", f"{facts.file_bytes:,} bytes on disk; {facts.payload_bytes:,} bytes of records"),
        ("holds", f"{facts.records:,} records in {facts.groups:,} groups"),
    ]
    for name, edge in (("oldest", facts.oldest), ("newest", facts.newest)):
        if edge is not None:
            rows.append((name, f"group {edge.offset:,}, written {when(edge.closed_us)}"))
    rows.append(("released", f"up to group {facts.released:,}"))
    rows.append(("stored", f"unknown: {problem}" if offset is None else f"up to group {offset:,}"))
    if waiting is not None:
        rows.append(("waiting", _waiting(waiting)))
    for name, text in rows:
        print(f"{name:<9} {text}")
    return 0


def _waiting(waiting: Waiting) -> str:
    if not waiting.groups:
        return "nothing: the database has it all"
    return f"{waiting.records:,} records in {waiting.groups:,} groups, the oldest from {when(waiting.oldest_us)}"


def record_json(group: Group, i: int) -> dict[str, Any]:
    """One record, a message as `roadwarden decode --json` shows it."""
    header = group.headers[i]
    kind, edition = int(header["kind"]), EDITION_NAMES.get(int(header["edition"]))
    told: dict[str, Any] = {
        "offset": group.offset,
        "received_at": iso(int(header["received_us"])),
        "kind": Kind(kind).name.lower() if kind in set(Kind) else kind,
    }
    body = group.body(i)
    if kind != Kind.MESSAGE or edition is None:
        try:
            fact = json.loads(body)
        except ValueError:
            fact = {"raw": body.hex()}
        return told | {"phone": group.phone(i), "body": fact}
    explained = explain_body(
        int(header["message_id"]), Edition(edition), body, phone=group.phone(i), serial_no=int(header["serial_no"])
    )
    return told | explained.as_json() | {"header": None}


def records(inspector: JournalInspector, after: int, phone: str | None) -> Iterator[dict[str, Any]]:
    wanted = None if phone is None else canonical_phone(phone)
    for group in inspector.groups(after):
        for i in range(len(group)):
            if wanted is None or group.phone(i) == wanted:
                yield record_json(group, i)


def dump(settings: Settings, after: int, limit: int, phone: str | None) -> int:
    try:
        inspector = JournalInspector(journal_path(settings.data_dir))
    except JournalError as error:
        print(f"roadwarden: {error}", file=sys.stderr)
        return 1
    try:
        for number, told in enumerate(records(inspector, after, phone)):
            if number == limit:
                break
            print(json.dumps(told, ensure_ascii=False))
    finally:
        inspector.close()
    return 0
