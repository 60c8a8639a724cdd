"""Every counter of `/metrics` after a run, held against what the generator did: each has a reason, or stands out."""

from __future__ import annotations

from typing import Final

from bench import frames, generator
from bench.outcome import Outcome

PREFIX: Final = "roadwarden_"
OURS: Final = "http_requests_total"  # by method, operation and status: together as many as we asked


def expected(load: generator.Result) -> dict[str, tuple[float, str]]:
    """What has to be counted when all went well, and why; everything else has to be 0."""
    sent, links = load.sent, load.links
    records = sent + 3 * links + 1
    return {
        "gateway_messages_received_total": (sent, "reports sent"),
        "gateway_messages_answered_total": (sent + links, "reports and registrations, once on disk"),
        "gateway_journal_records_total": (records, "reports; registration, login, end of each link; one start"),
        "pipeline_records_total": (records, "what is in the journal"),
        "pipeline_stored_total": (sent, "reports sent"),
        "pipeline_fixes_total": (sent, "reports sent"),
        "pipeline_facts_total": (records - sent, "records that are no reports"),
        "gateway_registrations_total": (links, "links"),
        "gateway_authentications_total": (links, "links"),
        "gateway_links_made_total": (links, "links"),
        'gateway_links_ended_total{reason="closed_by_terminal"}': (links, "links"),
        'role_starts_total{role="gateway"}': (1, "never started again"),
        'role_starts_total{role="core"}': (1, "never started again"),
        "live_primed_total": (1, "the live picture was read once"),
    }


def explain(out: Outcome, metrics: dict[str, float], load: generator.Result, requests: int) -> None:
    """Add a check for each expected counter, and one for all that should be 0.

    Args:    requests: how many HTTP requests this benchmark had answered before it asked for these metrics.
    """
    counters = {
        name.removeprefix(PREFIX): value for name, value in metrics.items() if name.partition("{")[0].endswith("_total")
    }
    asked = sum(counters.pop(name) for name in list(counters) if name.startswith(OURS))
    out.expect(asked == requests, f"counter {OURS}: {asked:.0f} ({requests}: asked by this benchmark)")
    groups = counters.pop("gateway_journal_groups_total", 0)
    records = counters.get("gateway_journal_records_total", 0)
    out.expect(0 < groups <= records, f"counter gateway_journal_groups_total: {groups:.0f} (1 to {records:.0f})")
    octets = counters.pop("gateway_bytes_received_total", 0)
    least = load.sent * frames.FRAME
    most = round(1.3 * least) + load.links * 500  # escapes; registration and login
    out.expect(least < octets < most, f"counter gateway_bytes_received_total: {octets:.0f} ({least} to {most})")
    looks = counters.pop("gateway_examined_total", 0)
    most = 2 * load.links
    out.expect(0 < looks <= most, f"counter gateway_examined_total: {looks:.0f} (1 to {most}: a sample of the logins)")
    for name, (value, why) in expected(load).items():
        found = counters.pop(name, 0)
        out.expect(found == value, f"counter {name}: {found:.0f} ({value:.0f}: {why})")
    unexplained = {name: value for name, value in counters.items() if value}
    out.expect(not unexplained, f"unexplained counters: {unexplained or 'none'} ({len(counters)} others are 0)")
