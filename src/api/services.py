"""What the wiring hands to the API: the other parts as plain callables, and the API's settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from fleet import Bus
from store import Database
from store.media_store import MediaStore


class LinkStatus(TypedDict, total=False):
    """The JT/T 809 link to one superior platform, as the forwarder sees it. ``id`` is ``platforms.id``."""

    id: int
    main: str  # "up" | "down"
    sub: str
    since: Any  # datetime, ISO text or None: when the main link came to its present state
    detail: str
    sent_live: int
    sent_history: int
    backlog: int  # positions stored but not yet there
    cursor: int


@dataclass(frozen=True, slots=True)
class MapSettings:
    """Where the console takes its base map from. The default ships with the package and asks no other origin."""

    tiles_url: str = ""  # XYZ template of another source, {z} {x} {y}; "" = the base map of the package
    tiles_kind: str = "raster"  # or "vector" (MVT)
    datum: str = "wgs84"  # the coordinates the source draws in; or "gcj02"
    attribution: str = ""
    max_zoom: int = 18
    center: tuple[float, float] = (41.3, 122.9)  # latitude, longitude in degrees; Liaoning
    zoom: float = 6.5


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of the API, with defaults and units."""

    centre_name: str = "Roadwarden"  # shown in the console's title (监控中心 name)
    version: str = ""
    data_edition: str = ""  # edition of the packaged base map's data, for display
    session_lifetime_s: float = 12 * 3600  # sliding: each use moves the end
    map: MapSettings = field(default_factory=MapSettings)
    allowed_origins: frozenset[str] = frozenset()  # beside our own host, e.g. "https://centre.example"
    max_live_clients: int = 500
    session_check_s: float = 60.0  # how often an open live stream makes sure that its user is still signed in
    live_client_queue: int = 30  # frames (one a second) that wait for a slow client before it is cut off
    command_expires_in_s: float = 300.0  # when the request does not say
    command_confirm_s: float = 300.0  # a dangerous command waits so long for its second word
    command_two_persons: bool = False  # the second word must be another person's
    command_group_per_s: float = 50.0  # pace of a command to many, when the request does not say
    firmware_dir: Path | None = None  # None: no firmware is kept
    max_firmware_bytes: int = 32 << 20
    max_body_bytes: int = 1 << 20  # of a request; imports have their own limit


async def _no_stats() -> Mapping[str, Any]:
    return {}


async def _ready() -> Mapping[str, bool | str]:
    return {}


@dataclass(slots=True)
class Services:
    """Everything the application needs; a part that is not there keeps its default.

    ``gateway_stats`` and ``core_stats`` (of what runs beside the API in its process) give counters and gauges by name,
    ``gateway_frames_total`` or ``gateway_bad_frames_total{reason=bad_check}``; {} when the part is away.
    ``notices`` is what operators have to be told of the server itself: ``code``, ``severity`` ("warning", "error") and
    ``detail``, a sentence; the worst first.
    ``readiness`` gives for each part True when it is ready, else False or the reason in words; it must not raise.
    """

    database: Database
    bus: Bus = field(default_factory=Bus)
    settings: ApiSettings = field(default_factory=ApiSettings)
    link_status: Callable[[], list[LinkStatus]] = list
    gateway_stats: Callable[[], Awaitable[Mapping[str, Any]]] = _no_stats
    core_stats: Callable[[], Mapping[str, float]] = dict
    journal_lag_s: Callable[[], float] = lambda: 0.0
    notices: Callable[[], list[dict[str, str]]] = list
    media: MediaStore | None = None  # without it there are no files
    readiness: Callable[[], Awaitable[Mapping[str, bool | str]]] = _ready
