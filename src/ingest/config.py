"""What can be set of a gateway."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """Everything that can be set. The bounds are meant to do no harm to any honest fleet."""

    data_dir: Path
    bind: str = "0.0.0.0"
    port: int = 6808  # TCP and UDP; 0: choose
    enrolment: str = "approve"  # approve | open: unknown terminals that register are taken in
    database_url: str | None = None  # None: the mirror of the terminals stays as it is
    journal_max_bytes: int = 20 << 30  # above it nothing is taken until the pipeline has caught up
    disk_low_bytes: int = 1 << 30  # with less free under the journal, operators are told
    journal_interval_s: float = 0.005  # between two groups, under load
    max_pending_bytes: int = 64 << 20  # what waits in memory for the journal
    max_connections_per_address: int = 20_000  # TCP and UDP; fleets come through one carrier's NAT; loopback: no limit
    max_udp_links: int = 50_000
    max_terminals: int = 1_000_000
    unauthenticated_s: float = 60.0
    unauthenticated_bytes: int = 64 * 1024
    idle_s: float = 900.0
    logins_per_minute: int = 60  # of one terminal, and registrations; 0: no limit
    auth_failures: int = 3  # then the link is closed
    junk_bytes: int = 64 * 1024  # of an authenticated terminal, without a good frame among them
    lost_messages: int = 16  # sub-packaged ones in a row that were begun and never completed
    messages_per_s: float = 500.0  # of one terminal, sustained; above it the link is read more slowly. 0: no limit
    burst: int = 2000  # ... and so many at once
    terminal_package_bytes: int = 4 << 20  # of incomplete sub-packaged messages of one terminal: photos, films
    package_bytes: int = 64 << 20  # ... of all links together
    write_high_water_bytes: int = 16 * 1024  # a link that does not read its answers is not read from
    write_max_bytes: int = 48 * 1024  # ... and closed above this,
    write_stall_s: float = 30.0  # ... or after this time
    max_displacements_per_minute: int = 6  # more: two units with one identity
    drain_s: float = 3.0  # at the end the links are closed over so long
    give_memory_back_s: float = 60.0  # freed memory goes back to the system this often
    tls_port: int | None = None  # None: no TLS listener; 0: choose
    tls_certificate: Path | None = None
    tls_key: Path | None = None  # None: it stands in the certificate's file
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()  # their TCP connections begin with a PROXY header
