"""What one transaction of the pipeline stores: everything that a run of journal groups said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fleet.alarms import AlarmChange, RuleState
from fleet.media import Media, MediaReport
from fleet.positions import PositionBatch


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record, or a fix inside one, that could not become a position: kept with its bytes and the reason."""

    received_us: int
    phone: str
    edition: str  # "2011" | "2013" | "2019"
    message_id: int
    serial_no: int
    body: bytes
    reason: str  # bounded vocabulary, also the metric label: implausible_time, undecodable, unknown_terminal, ...
    detail: str


@dataclass(frozen=True, slots=True)
class Registration:
    """A terminal registered (终端注册) and the gateway took it in."""

    received_us: int
    phone: str
    edition: str
    province_id: int
    city_id: int
    manufacturer_id: str
    terminal_model: str
    terminal_id: str  # the maker's id (终端 ID), not our key
    plate_color: int
    plate: str  # or the VIN, when the vehicle has no plate yet
    auth_code_hash: bytes  # sha256
    auth_issued_us: int


@dataclass(frozen=True, slots=True)
class RefusedRegistration:
    """A terminal asked to register and is not known: listed for approval."""

    received_us: int
    phone: str
    edition: str
    manufacturer_id: str
    terminal_model: str
    terminal_id: str
    plate_color: int
    plate: str
    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionChange:
    """A terminal logged in or its link ended.

    With an empty ``phone`` (and ``online`` False) it speaks of all: the gateway began anew, no link of before is alive.
    """

    received_us: int
    phone: str
    online: bool
    peer: str  # HOST:PORT
    transport: str  # "tcp" | "udp"
    edition: str
    reason: str  # of the end; "" for a begin
    imei: str = ""
    software_version: str = ""


@dataclass(frozen=True, slots=True)
class CommandAnswer:
    """A terminal answered one of our messages: 0x0001, or the dedicated answer, decoded.

    With a 0x0005 it asks for packages of one: ``answer`` has their ``package_nos``.
    """

    received_us: int
    phone: str
    request_serial_no: int | None  # None: a dedicated answer that does not say it
    request_message_id: int | None  # None: the dedicated answer does not name it
    message_id: int  # of the answer
    result: int | None  # of a 0x0001: 0 done, 1 failed, 2 wrong, 3 unsupported
    answer: dict[str, Any] | None  # the decoded body of a dedicated answer
    refusal: str = ""  # a dedicated answer says that it was not done, and why, in words


@dataclass(frozen=True, slots=True)
class TerminalMessage:
    """Any other uplink message: kept verbatim until a part of ours has use for it."""

    received_us: int
    phone: str
    edition: str
    message_id: int
    serial_no: int
    body: bytes


@dataclass(slots=True)
class Commit:
    """One transaction. ``offset`` is its last journal group, stored with the data so that a replay repeats nothing.

    ``after`` is what has to be stored before it: how far the journal was stored when these groups were read. None: any
    offset before ``offset`` will do.
    """

    journal: str
    offset: int
    positions: PositionBatch = field(default_factory=PositionBatch.empty)
    alarm_changes: list[AlarmChange] = field(default_factory=list)
    rule_states: list[RuleState] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    sessions: list[SessionChange] = field(default_factory=list)
    answers: list[CommandAnswer] = field(default_factory=list)
    messages: list[TerminalMessage] = field(default_factory=list)
    media: list[Media] = field(default_factory=list)
    media_reports: list[MediaReport] = field(default_factory=list)
    after: int | None = None
