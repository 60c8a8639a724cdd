"""From journal groups to what one transaction stores: records are sorted by what they are, fixes become columns.

Pure but for the directory it reads; the pipeline calls it and then judges, commits and publishes. What becomes no
position goes to quarantine as a whole message body (an item of a 0x0704 as a 0x0704 of that item alone), so that it can
be explained, and put through here again, like any other.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import jt808
from fleet import (
    CommandAnswer,
    Media,
    MediaReport,
    PositionBatch,
    Quarantined,
    RefusedRegistration,
    Registration,
    SessionChange,
    TerminalMessage,
)
from ingest.answers import ANSWERS, GENERAL_RESPONSE, PACKAGES_REQUEST, read_answer
from ingest.deviating import Sample
from ingest.directory import Directory
from ingest.journal import EDITION_NAMES, Group, JournalError, Kind
from ingest.journal.facts import GatewayStarted, Unregistered, decode_fact
from ingest.media import REPORT, UPLOAD, read_media
from ingest.plausible import Plausible
from ingest.records import BULK, LOCATION, LOCATION_ANSWER, Pieces, Records, spans_of
from jt808.columns import LocationColumns, decode_locations
from store.partitions import US_PER_DAY

OFF_EARTH = ("latitude", "longitude")  # stored all the same, and counted: docs/decisions/0003
MAX_DAYS = 400
"""Different days of one transaction, the newest count: each is a table to be made and locked. Only a terminal whose
clock is broken says more than a year at once."""
COLUMNS = (
    "time_us", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh", "heading_deg", "alarm_flags",
    "status_flags", "fix_hash",
)  # fmt: skip


@dataclass(slots=True)
class Digest:
    """What a run of groups said, by kind. Facts are in the order they were journaled."""

    first_offset: int
    offset: int
    records: Records
    positions: PositionBatch = field(default_factory=PositionBatch.empty)
    is_blind: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    quarantined: list[Quarantined] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    refused: list[RefusedRegistration] = field(default_factory=list)
    unregistered: list[tuple[str, int]] = field(default_factory=list)  # phone, time_us
    sessions: list[SessionChange] = field(default_factory=list)
    answers: list[CommandAnswer] = field(default_factory=list)
    messages: list[TerminalMessage] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    media_reports: list[MediaReport] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def enrols(self) -> bool:
        """Whether it says something about who is a terminal."""
        return bool(self.registrations or self.refused or self.unregistered)

    @property
    def read(self) -> int:
        """How many records were read; those left out for a bug of ours are not among them."""
        return len(self.records)

    def enrolled_phones(self) -> list[str]:
        """The terminals whose rows those facts change."""
        phones = {fact.phone for fact in self.registrations} | {fact.phone for fact in self.refused}
        return sorted(phones | {phone for phone, _ in self.unregistered})

    @property
    def newest_received_us(self) -> int:
        return int(self.records.headers["received_us"].max(initial=0))


class Digester:
    """Reads groups. ``directory`` is looked up, never changed."""

    def __init__(self, directory: Directory, plausible: Plausible | None = None) -> None:
        self.directory = directory
        self.plausible = plausible or Plausible()
        self._deviations = Sample()
        # Uplink messages that something of ours reads; all others are kept verbatim.
        self._readers: dict[int, Callable[[Records, int, Digest], None]] = {
            **dict.fromkeys((GENERAL_RESPONSE, PACKAGES_REQUEST), self._read_answer),
            LOCATION_ANSWER: self._read_location_answer,
            **dict.fromkeys(ANSWERS, self._read_and_keep_answer),
            **dict.fromkeys((REPORT, UPLOAD), self._leave),  # media() reads them
        }

    def facts(self, groups: Sequence[Group], without: NDArray[np.intp] | None = None) -> Digest:
        """Everything but the positions: they need the terminals that these facts may bring.

        ``without``: rows of the groups' records to leave out (see ``poison``); they go to quarantine as they are.
        """
        records = Records.of(groups)
        digest = Digest(groups[0].offset, groups[-1].offset, records)
        if without is not None and len(without):
            digest.quarantined += self._keep_all(records.take(without), "digest_failed")
            digest.records = records = records.take(np.setdiff1d(np.arange(len(records)), without))
        headers = records.headers
        is_message = headers["kind"] == Kind.MESSAGE
        is_fix = np.isin(headers["message_id"], (LOCATION, BULK))
        for i in np.flatnonzero(~(is_message & is_fix)).tolist():
            if is_message[i]:
                self._readers.get(int(headers["message_id"][i]), self._keep_message)(records, i, digest)
            else:
                self._read_fact(records, i, digest)
        self._deviations.look(records, digest.counts)
        return digest

    def positions(self, digest: Digest) -> None:
        """Decode the fixes into ``digest.positions``, as journaled; those of one message in the order of their time.
        What cannot be a position goes to quarantine."""
        records, headers = digest.records, digest.records.headers
        pieces = self._pieces(digest)
        digest.counts["fixes"] += len(pieces.record)
        if not len(pieces.record):
            return
        columns = decode_locations(records.bodies, pieces.start, pieces.length)
        terminal_id, vehicle_id = self.directory.resolve(headers["phone"][pieces.record], columns.time_us)
        received_us = headers["received_us"][pieces.record].astype(np.int64)
        bad = self._judge(columns, received_us, terminal_id, vehicle_id)
        for row, (reason, detail) in sorted(bad.items()):
            i = int(pieces.record[row])
            digest.quarantined.append(self._quarantined(records, i, reason, detail, pieces.message(records, row)))
        digest.counts["out_of_range"] += sum(
            fault in OFF_EARTH and row not in bad for row, fault in columns.errors.items()
        )
        if columns.other_items:
            digest.counts["other_items"] += len(columns.other_items) - columns.other_items.count(None)
        plain_columns: dict[str, Any] = {name: getattr(columns, name) for name in COLUMNS}
        batch = PositionBatch(
            terminal_id=terminal_id,
            vehicle_id=vehicle_id,
            received_us=received_us,
            late=pieces.is_blind,
            message_id=headers["message_id"][pieces.record].astype(np.int32),
            items=columns.items,
            present=columns.present,
            other_items=columns.other_items,
            **plain_columns,
        )
        is_good = np.ones(len(batch), bool)
        is_good[list(bad)] = False
        if (pieces.record[1:] == pieces.record[:-1]).any():
            order = np.lexsort((columns.time_us, pieces.record))
            batch = batch.take(order[is_good[order]])
        elif bad:
            batch = batch.take(is_good)
        digest.positions, digest.is_blind = batch, batch.late.copy()

    def media(self, digest: Digest) -> None:
        """Read what terminals say and send of their recordings; they, too, need the terminals that the facts bring."""
        records, headers = digest.records, digest.records.headers
        is_media = (headers["kind"] == Kind.MESSAGE) & np.isin(headers["message_id"], (REPORT, UPLOAD))
        rows = np.flatnonzero(is_media).tolist()
        if rows:
            read = read_media(records, rows, self.directory, self.plausible)
            digest.media, digest.media_reports = read.uploads, read.reports
            digest.quarantined += [self._quarantined(records, *unread) for unread in read.unread]

    def _pieces(self, digest: Digest) -> Pieces:
        """Where the 0x0200 bodies are: plain reports, the report in a 0x0201, the items of a 0x0704."""
        records, headers = digest.records, digest.records.headers
        message_id = headers["message_id"]
        is_message = headers["kind"] == Kind.MESSAGE
        plain = np.flatnonzero(is_message & (message_id == LOCATION))
        lengths = headers["body_length"][plain].astype(np.int64)
        parts = [Pieces(plain, records.starts[plain], lengths, np.zeros(len(plain), bool))]
        for i in np.flatnonzero(is_message & ((message_id == LOCATION_ANSWER) | (message_id == BULK))).tolist():
            try:
                is_blind, spans = spans_of(int(message_id[i]), records.edition(i), records.body(i))
            except jt808.PeerError as error:
                digest.quarantined.append(self._quarantined(records, i, "undecodable", str(error)))
                continue
            starts, lengths = np.array(spans, np.int64).T
            count = len(spans)
            parts.append(Pieces(np.full(count, i), records.starts[i] + starts, lengths, np.full(count, is_blind)))
        return Pieces.joined(parts)

    def poison(self, groups: Sequence[Group]) -> NDArray[np.intp]:
        """Rows of the groups' records on which a bug of ours raises, found by halving: one record costs itself only."""
        records = Records.of(groups)
        found: list[int] = []
        waiting = [np.arange(len(records))]
        while waiting:
            rows = waiting.pop()
            if not len(rows) or self._digests(records.take(rows)):
                continue
            if len(rows) == 1:
                found.append(int(rows[0]))
            else:
                waiting += [rows[: len(rows) // 2], rows[len(rows) // 2 :]]
        return np.array(sorted(found), np.intp)

    def _digests(self, records: Records) -> bool:
        group = Group(1, 0, records.headers.copy(), memoryview(records.bodies))
        group.headers["body_offset"] = records.starts
        try:
            digest = self.facts([group])
            self.positions(digest)
            self.media(digest)
        except Exception:
            return False
        return True

    def _judge(
        self,
        columns: LocationColumns,
        received_us: NDArray[np.int64],
        terminal_id: NDArray[np.int32],
        vehicle_id: NDArray[np.int32],
    ) -> dict[int, tuple[str, str]]:
        """Rows that cannot be stored as positions, with reason and detail."""
        bad: dict[int, tuple[str, str]] = {}
        is_readable = np.ones(len(received_us), bool)
        is_readable[[row for row, fault in columns.errors.items() if fault not in OFF_EARTH]] = False
        for row in np.flatnonzero(vehicle_id < 0):
            known = terminal_id[row] >= 0
            bad[int(row)] = (
                ("no_vehicle", "the terminal was in no vehicle at that time")
                if known
                else ("unknown_terminal", "no terminal has this phone number")
            )
        ahead = columns.time_us - received_us > self.plausible.ahead_us
        for row in np.flatnonzero(is_readable & (ahead | (columns.time_us < self.plausible.oldest_us))):
            bad[int(row)] = ("implausible_time", "ahead of our clock" if ahead[row] else "before the oldest year")
        for unreadable, fault in columns.errors.items():
            if fault not in OFF_EARTH:
                bad[unreadable] = ("undecodable", fault)
        if int(np.ptp(columns.time_us)) > MAX_DAYS * US_PER_DAY:
            is_readable[list(bad)] = False
            days = columns.time_us // US_PER_DAY
            surplus = np.unique(days[is_readable])[:-MAX_DAYS]
            for row in np.flatnonzero(is_readable & np.isin(days, surplus)):
                bad[int(row)] = ("implausible_time", f"of more than {MAX_DAYS} different days at once")
        return bad

    def kept(self, groups: Sequence[Group], reason: str) -> Digest:
        """A digest that only keeps every record with its bytes: the last resort when something of ours failed on them.
        Of a fact the bytes are JSON; who is on-line is still said, when it can be read."""
        records = Records.of(groups)
        digest = Digest(groups[0].offset, groups[-1].offset, records)
        with contextlib.suppress(Exception):
            digest.sessions = self.facts(groups).sessions
        digest.quarantined = self._keep_all(records, reason)
        return digest

    def _keep_all(self, records: Records, reason: str) -> list[Quarantined]:
        detail = "see the server's log of that time"
        return [self._quarantined(records, i, reason, detail) for i in range(len(records))]

    def _quarantined(
        self, records: Records, i: int, reason: str, detail: str, body: bytes | None = None
    ) -> Quarantined:
        header = records.headers[i]
        return Quarantined(
            received_us=int(header["received_us"]),
            phone=records.phone(i),
            edition=EDITION_NAMES.get(int(header["edition"]), ""),
            message_id=int(header["message_id"]),
            serial_no=int(header["serial_no"]),
            body=records.body(i) if body is None else body,
            reason=reason,
            detail=detail,
        )

    def _read_fact(self, records: Records, i: int, digest: Digest) -> None:
        header = records.headers[i]
        try:
            fact = decode_fact(int(header["kind"]), records.body(i))
        except JournalError as error:  # written by a newer version of ours, most likely
            digest.quarantined.append(self._quarantined(records, i, "undecodable", str(error)))
            return
        match fact:
            case Registration():
                digest.registrations.append(fact)
            case RefusedRegistration():
                digest.refused.append(fact)
            case SessionChange():
                digest.sessions.append(fact)
            case Unregistered():
                digest.unregistered.append((fact.phone, fact.received_us))
            case GatewayStarted():  # a change without a phone speaks of all terminals
                digest.sessions.append(SessionChange(fact.received_us, "", False, "", "", "", "gateway started"))

    def _read_location_answer(self, records: Records, i: int, digest: Digest) -> None:
        """0x0201: the command's answer; the fix in it is stored with the others."""
        if records.headers["body_length"][i] >= 2:  # else positions() puts it into quarantine
            self._read_answer(records, i, digest)

    def _leave(self, records: Records, i: int, digest: Digest) -> None:
        """Something else reads it."""

    def _read_and_keep_answer(self, records: Records, i: int, digest: Digest) -> None:
        """A dedicated answer: the command's, and kept verbatim, since it may be no command's (a driver's card)."""
        self._read_answer(records, i, digest)
        self._keep_message(records, i, digest)

    def _read_answer(self, records: Records, i: int, digest: Digest) -> None:
        header = records.headers[i]
        message_id = int(header["message_id"])
        try:
            said = read_answer(message_id, records.edition(i), records.body(i))
        except jt808.PeerError as error:
            digest.quarantined.append(self._quarantined(records, i, "undecodable", str(error)))
            return
        digest.answers.append(
            CommandAnswer(
                received_us=int(header["received_us"]),
                phone=records.phone(i),
                message_id=message_id,
                **said._asdict(),
            )
        )

    def _keep_message(self, records: Records, i: int, digest: Digest) -> None:
        header = records.headers[i]
        digest.messages.append(
            TerminalMessage(
                received_us=int(header["received_us"]),
                phone=records.phone(i),
                edition=records.edition(i).value,
                message_id=int(header["message_id"]),
                serial_no=int(header["serial_no"]),
                body=records.body(i),
            )
        )
