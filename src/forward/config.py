"""How the forwarder works; the wiring fills it from the settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from jt809 import BackoffPolicy


@dataclass(frozen=True, slots=True)
class ForwarderConfig:
    """Settings of the forwarder, with defaults and units.

    Attributes:
        bind, port:          where superior platforms connect their sub links (从链路) to; port 0 chooses one.
        barrier_s:           while data flow, ask this often (0x1005) whether all was received, and save the cursor.
        first_barrier_s:     ask so soon on a new link; each pause after that is twice as long, up to ``barrier_s``.
        history_per_s:       pace of the catch-up (0x1203), positions a second and platform.
        window_rows:         positions of the catch-up held in memory at a time; a window takes at least one commit.
        queue_batches:       stored batches that wait in memory for a slow link; more are read from the database later.
        write_buffer_bytes:  bytes that wait in a socket before sending pauses.
        connect_timeout_s:   give up a TCP connection that does not come.
        heartbeat_s, silence_s, login_timeout_s: as in ``jt809.LinkSettings``.
        backoff:             pauses between the tries of the main link.
        retry_s:             pause before the database is asked again while it is away.
        failed_s:            pause after an error of ours: what was not confirmed is sent again after each.
        facts_every_s:       vehicles and terminals that changed are read again at most this often.
        reload_s:            platforms are read again at least this often, even without a notification.
        max_unknown_links:   connections on the sub link port that have not logged in yet.
    """

    bind: str = "127.0.0.1"
    port: int = 6809
    barrier_s: float = 10.0
    first_barrier_s: float = 1.0
    history_per_s: float = 2000.0
    window_rows: int = 20_000
    queue_batches: int = 32
    write_buffer_bytes: int = 256 * 1024
    connect_timeout_s: float = 15.0
    heartbeat_s: float = 60.0
    silence_s: float = 180.0
    login_timeout_s: float = 30.0
    backoff: BackoffPolicy = field(default_factory=BackoffPolicy)
    retry_s: float = 1.0
    failed_s: float = 10.0
    facts_every_s: float = 5.0
    reload_s: float = 60.0
    max_unknown_links: int = 32
