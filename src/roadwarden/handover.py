"""What the gateway is told by the supervisor, so that it need not read the settings: to load what reads them costs it a
third of its start, and after a crash that is time of refused terminals."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ingest.config import GatewayConfig
from ingest.proxying import parse_networks

if TYPE_CHECKING:
    from roadwarden.settings import Settings

HANDED_OVER: Final = "ROADWARDEN_GATEWAY"
"""In the child's environment, as text."""

_PATHS: Final = ("data_dir", "tls_certificate", "tls_key")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    config: GatewayConfig
    run_dir: Path
    log_level: str

    @classmethod
    def of(cls, settings: Settings) -> GatewaySettings:
        return cls(
            GatewayConfig(
                data_dir=settings.data_dir,
                bind=settings.bind,
                port=settings.jt808_port,
                enrolment=settings.enrolment,
                database_url=settings.database_url.get_secret_value() if settings.database_url else None,
                journal_max_bytes=settings.journal_max_bytes,
                max_connections_per_address=settings.jt808_connections_per_address,
                terminal_package_bytes=settings.jt808_packages_max_bytes,
                idle_s=settings.jt808_idle_s,
                messages_per_s=settings.jt808_messages_per_s,
                tls_port=settings.jt808_tls_port,
                tls_certificate=settings.jt808_tls_certificate,
                tls_key=settings.jt808_tls_key,
                disk_low_bytes=settings.disk_low_bytes,
                drain_s=settings.jt808_drain_s,
                proxies=parse_networks(settings.jt808_proxies),
            ),
            settings.run_dir,
            settings.log_level,
        )

    def to_text(self) -> str:
        config = dataclasses.asdict(self.config)
        config["proxies"] = ",".join(map(str, self.config.proxies))
        return json.dumps({"config": config, "run_dir": self.run_dir, "log_level": self.log_level}, default=str)

    @classmethod
    def from_text(cls, text: str) -> GatewaySettings:
        values: dict[str, Any] = json.loads(text)
        config = values["config"]
        config["proxies"] = parse_networks(config["proxies"])
        for name in _PATHS:
            config[name] = None if config[name] is None else Path(config[name])
        return cls(GatewayConfig(**config), Path(values["run_dir"]), values["log_level"])
