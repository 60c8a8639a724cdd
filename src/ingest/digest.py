"""From journal groups to what one transaction stores: records are sorted by what they are, fixes become columns.

Pure but for the directory it reads; the pipeline calls it and then judges, commits and publishes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import jt808
from fleet import (
    CommandAnswer,
    PositionBatch,
    Quarantined,
    RefusedRegistration,
    Registration,
    SessionChange,
    TerminalMessage,
)
from ingest.directory import Directory
from ingest.journal import EDITION_NAMES, Group, Kind
from ingest.journal.facts import GatewayStarted, Unregistered, decode_fact
from jt808.columns import LocationColumns, decode_locations, split_bulk
from jt808.explain import explain_frame

LOCATION, LOCATION_ANSWER, BULK = 0x0200, 0x0201, 0x0704
BLIND_AREA = 1
OFF_EARTH = ("latitude", "longitude")  # stored all the same, and counted: docs/decisions/0003
COLUMNS = (
    "time_us", "latitude_deg", "longitude_deg", "altitude_m", "speed_kmh", "heading_deg", "alarm_flags",
    "status_flags", "fix_hash",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plausible:
    """Which device times are believed (design §5)."""

    ahead_us: int = 600 * 1_000_000
    oldest_us: int = 1_262_275_200 * 1_000_000  # 2010-01-01 00:00 GMT+8


@dataclass(slots=True)
class Digest:
    """What a run of groups said, by kind. Facts are in the order they were journaled."""

    first_offset: int
    offset: int
    records: int
    newest_received_us: int
    positions: PositionBatch = field(default_factory=PositionBatch.empty)
    is_blind: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    quarantined: list[Quarantined] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    refused: list[RefusedRegistration] = field(default_factory=list)
    unregistered: list[tuple[str, int]] = field(default_factory=list)  # phone, time_us
    sessions: list[SessionChange] = field(default_factory=list)
    answers: list[CommandAnswer] = field(default_factory=list)
    messages: list[TerminalMessage] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Records:
    """Several groups as one: headers in a numpy structured array, bodies in one buffer."""

    headers: NDArray[np.void]
    bodies: bytes
    starts: NDArray[np.int64]  # of each record's body in ``bodies``

    @classmethod
    def of(cls, groups: list[Group]) -> Records:
        headers = np.concatenate([group.headers for group in groups])
        bases = np.cumsum([0] + [len(group.bodies) for group in groups[:-1]])
        starts = headers["body_offset"].astype(np.int64) + np.repeat(bases, [len(group) for group in groups])
        return cls(headers, b"".join(group.bodies for group in groups), starts)

    def body(self, i: int) -> bytes:
        start = int(self.starts[i])
        return self.bodies[start : start + int(self.headers["body_length"][i])]


class Digester:
    """Reads groups. ``directory`` is looked up, never changed."""

    def __init__(self, directory: Directory, plausible: Plausible | None = None) -> None:
        self.directory = directory
        self.plausible = plausible or Plausible()
        # Uplink messages that something of ours reads; all others are kept verbatim.
        self._readers: dict[int, Callable[[Records, int, Digest], None]] = {
            0x0001: self._read_general_response,
            LOCATION_ANSWER: self._read_location_answer,
        }

    def facts(self, groups: list[Group]) -> Digest:
        """Everything but the positions: they need the terminals that these facts may bring."""
        records = Records.of(groups)
        digest = Digest(
            first_offset=groups[0].offset,
            offset=groups[-1].offset,
            records=len(records.headers),
            newest_received_us=int(records.headers["received_us"].max(initial=0)),
        )
        headers = records.headers
        is_message = headers["kind"] == Kind.MESSAGE
        is_fix = np.isin(headers["message_id"], (LOCATION, BULK))
        for i in np.flatnonzero(~(is_message & is_fix)):
            if is_message[i]:
                message_id = int(headers["message_id"][i])
                self._readers.get(message_id, self._keep_message)(records, int(i), digest)
            else:
                self._read_fact(records, int(i), digest)
        return digest

    def positions(self, groups: list[Group], digest: Digest) -> None:
        """Decode the fixes of the groups into ``digest.positions``; what cannot be one goes to quarantine."""
        records = Records.of(groups)
        headers = records.headers
        message_id = headers["message_id"]
        is_message = headers["kind"] == Kind.MESSAGE
        plain = np.flatnonzero(is_message & (message_id == LOCATION))
        source = [plain]
        offsets = [records.starts[plain]]
        lengths = [headers["body_length"][plain].astype(np.int64)]
        blind = [np.zeros(len(plain), bool)]
        # 0x0201 is the answered serial number, then a report; 0x0704 holds many.
        for i in np.flatnonzero(is_message & ((message_id == LOCATION_ANSWER) | (message_id == BULK))):
            if message_id[i] == LOCATION_ANSWER:
                kind, pieces = 0, [(2, max(int(headers["body_length"][i]) - 2, 0))]
            else:
                try:
                    kind, pieces = split_bulk(records.body(int(i)))
                except jt808.PeerError as error:
                    digest.quarantined.append(self._quarantined(records, int(i), "undecodable", str(error)))
                    continue
            source.append(np.full(len(pieces), i, np.int64))
            offsets.append(records.starts[i] + np.array([offset for offset, _ in pieces], np.int64))
            lengths.append(np.array([length for _, length in pieces], np.int64))
            blind.append(np.full(len(pieces), kind == BLIND_AREA, bool))
        rows = np.concatenate(source).astype(np.int64)
        if not len(rows):
            return
        order = np.argsort(rows, kind="stable")  # as journaled
        rows, begins, sizes = rows[order], np.concatenate(offsets)[order], np.concatenate(lengths)[order]
        columns = decode_locations(records.bodies, begins, sizes)
        phone_fields = np.ascontiguousarray(headers["phone"][rows])
        terminal_id, vehicle_id = self.directory.resolve(phone_fields, columns.time_us)
        received_us = headers["received_us"][rows].astype(np.int64)
        bad = self._judge(columns, received_us, terminal_id, vehicle_id)
        digest.counts["out_of_range"] += sum(fault in OFF_EARTH for fault in columns.errors.values())
        for row, (reason, detail) in bad.items():
            body = records.bodies[int(begins[row]) : int(begins[row] + sizes[row])]
            digest.quarantined.append(self._quarantined(records, int(rows[row]), reason, detail, body))
        good = np.ones(len(rows), bool)
        good[list(bad)] = False
        plain_columns: dict[str, Any] = {name: getattr(columns, name) for name in COLUMNS}
        batch = PositionBatch(
            terminal_id=terminal_id,
            vehicle_id=vehicle_id,
            received_us=received_us,
            late=np.concatenate(blind)[order],
            message_id=message_id[rows].astype(np.int32),
            items=columns.items,
            present=columns.present,
            other_items=columns.other_items,
            **plain_columns,
        )
        digest.positions = batch if not bad else batch.take(good)
        digest.is_blind = digest.positions.late.copy()

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
            reason = "unknown_terminal" if terminal_id[row] < 0 else "no_vehicle"
            bad[int(row)] = (reason, "the terminal is in no vehicle that we know")
        ahead = columns.time_us - received_us > self.plausible.ahead_us
        for row in np.flatnonzero(is_readable & (ahead | (columns.time_us < self.plausible.oldest_us))):
            bad[int(row)] = ("implausible_time", "ahead of our clock" if ahead[row] else "before the oldest year")
        for unreadable, fault in columns.errors.items():
            if fault not in OFF_EARTH:
                bad[unreadable] = ("undecodable", fault)
        return bad

    def quarantine_all(self, groups: list[Group], reason: str, detail: str) -> list[Quarantined]:
        """Every uplink message of the groups with its bytes: the last resort when something of ours failed on them."""
        records = Records.of(groups)
        return [
            self._quarantined(records, int(i), reason, detail)
            for i in np.flatnonzero(records.headers["kind"] == Kind.MESSAGE)
        ]

    def _quarantined(
        self, records: Records, i: int, reason: str, detail: str, body: bytes | None = None
    ) -> Quarantined:
        header = records.headers[i]
        return Quarantined(
            received_us=int(header["received_us"]),
            phone=self.directory.phone(header["phone"].tobytes()),
            edition=EDITION_NAMES[int(header["edition"])],
            message_id=int(header["message_id"]),
            serial_no=int(header["serial_no"]),
            body=records.body(i) if body is None else body,
            reason=reason,
            detail=detail,
        )

    def _read_fact(self, records: Records, i: int, digest: Digest) -> None:
        header = records.headers[i]
        fact = decode_fact(int(header["kind"]), records.body(i))
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

    def _read_general_response(self, records: Records, i: int, digest: Digest) -> None:
        header = records.headers[i]
        try:
            message = jt808.decode_body(0x0001, jt808.Edition(EDITION_NAMES[int(header["edition"])]), records.body(i))
        except jt808.PeerError as error:
            digest.quarantined.append(self._quarantined(records, i, "undecodable", str(error)))
            return
        assert isinstance(message, jt808.TerminalGeneralResponse)
        digest.answers.append(
            CommandAnswer(
                received_us=int(header["received_us"]),
                phone=self.directory.phone(header["phone"].tobytes()),
                request_serial_no=message.answered_serial_no,
                request_message_id=message.answered_message_id,
                message_id=0x0001,
                result=int(message.result),
                answer=None,
            )
        )

    def _read_location_answer(self, records: Records, i: int, digest: Digest) -> None:
        """0x0201: the command's answer; the fix in it is stored with the others."""
        header = records.headers[i]
        body = records.body(i)
        if len(body) < 2:
            return  # too short for its fix as well: positions() quarantines it
        edition = jt808.Edition(EDITION_NAMES[int(header["edition"])])
        explained = explain_frame(jt808.build_frame(0x0201, "0", 0, body, edition), edition).as_json()["body"]
        digest.answers.append(
            CommandAnswer(
                received_us=int(header["received_us"]),
                phone=self.directory.phone(header["phone"].tobytes()),
                request_serial_no=int.from_bytes(body[:2], "big"),
                request_message_id=None,
                message_id=0x0201,
                result=None,
                answer=explained,
            )
        )

    def _keep_message(self, records: Records, i: int, digest: Digest) -> None:
        header = records.headers[i]
        digest.messages.append(
            TerminalMessage(
                received_us=int(header["received_us"]),
                phone=self.directory.phone(header["phone"].tobytes()),
                edition=EDITION_NAMES[int(header["edition"])],
                message_id=int(header["message_id"]),
                serial_no=int(header["serial_no"]),
                body=records.body(i),
            )
        )
