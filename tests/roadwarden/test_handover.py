"""What the supervisor tells the gateway is what the settings say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from roadwarden.handover import HANDED_OVER, GatewaySettings
from roadwarden.serve import Supervisor
from roadwarden.settings import load_settings


def test_what_is_handed_over_arrives(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path, database_url="postgresql://user:secret@host/x", jt808_port=1234, log_level="DEBUG",
        jt808_tls_port=0, jt808_tls_certificate=tmp_path / "server.pem", jt808_proxies="10.0.0.7, fe80::/64",
    )  # fmt: skip
    sent = GatewaySettings.of(settings)
    assert GatewaySettings.from_text(sent.to_text()) == sent
    assert sent.config.database_url == "postgresql://user:secret@host/x"


def test_ports_and_database_are_those_that_were_chosen(tmp_path: Path) -> None:
    supervisor = Supervisor(load_settings(data_dir=tmp_path, jt808_port=0, bind="127.0.0.1", enrolment="open"))
    supervisor._environment |= {"ROADWARDEN_DATABASE_URL": "postgresql:///made", "ROADWARDEN_JT808_PORT": "4321"}
    gateway, core = supervisor._roles
    told = GatewaySettings.from_text(supervisor._environment_of(gateway)[HANDED_OVER])
    assert (told.config.port, told.config.database_url) == (4321, "postgresql:///made")
    assert (told.config.enrolment, told.config.bind, told.run_dir) == ("open", "127.0.0.1", tmp_path / "run")
    assert HANDED_OVER not in supervisor._environment_of(core)


def test_the_gateway_loads_nothing_that_it_does_not_need() -> None:
    """After a crash each second of its start is one of refused terminals."""
    program = "import roadwarden.roles, ingest.gateway, sys; print(*{name.split('.')[0] for name in sys.modules})"
    listing = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(listing.stdout.split())
    heavy = {
        "fastapi", "starlette", "uvicorn", "pydantic", "pydantic_settings", "psycopg", "store", "api", "forward",
        "alarms", "jt809",
    }  # fmt: skip
    assert not heavy & loaded
    assert {"ingest", "jt808"} <= loaded
