"""The settings: one typed class, read from ``ROADWARDEN_*`` in the environment, then from ``roadwarden.toml``.

Every field has a default that works, its unit in the name and a sentence; the table in the README is printed from it
(`roadwarden settings`). A wrong value, or an unknown key in the file, is an error that names the key; an unknown
``ROADWARDEN_*`` in the environment is only a warning, since container platforms put such names there by themselves.
"""

from __future__ import annotations

import os
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import pydantic_settings
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from downlink import MAX_FIRMWARE_BYTES

PREFIX = "ROADWARDEN_"
FILE = "roadwarden.toml"
Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """A setting is unknown or wrong; the message names it and says what is allowed."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid")

    data_dir: Path = Field(Path("var/data"), description="where the journal, the embedded database and secrets live")
    database_url: SecretStr | None = Field(
        None, description="a PostgreSQL server to use, e.g. `postgresql://user:password@host/name`; absent: embedded"
    )
    postgres_bin: Path | None = Field(
        None, description="bin directory of the PostgreSQL to embed; absent: the one that came with the installation"
    )
    bind: str = Field("127.0.0.1", description="address to listen on; `0.0.0.0` opens the server to the network")
    jt808_port: Port = Field(6808, description="terminals, TCP and UDP; 0 chooses a free port")
    jt808_tls_port: Port | None = Field(
        None, description="terminals that speak TLS; absent: none; 0 chooses a free port"
    )
    jt808_tls_certificate: Path | None = Field(None, description="its certificate chain, PEM; needed with the port")
    jt808_tls_key: Path | None = Field(None, description="its private key, PEM; absent: in the certificate's file")
    jt808_proxies: str = Field(
        "",
        description="balancers, addresses or networks with commas between, whose connections to the 808 port begin "
        "with a PROXY protocol header (version 1 or 2) that names the terminal's own address",
    )
    jt808_idle_s: float = Field(
        900.0, ge=10, le=86400, description="a terminal that sends no whole message for so long is disconnected"
    )
    jt808_messages_per_s: float = Field(
        500.0,
        ge=0,
        le=100_000,
        description="a terminal that sends more, after a burst of 2000, is read more slowly; 0: never",
    )
    jt808_packages_max_bytes: int = Field(
        4 * 1024**2,
        ge=64 * 1024,
        le=32 * 1024**2,
        description="largest message in sub-packages (a photo, a film) that is taken from a terminal",
    )
    jt808_connections_per_address: int = Field(
        20_000, ge=1, description="more links from one address, TCP and UDP together, are refused; loopback: no limit"
    )
    jt808_drain_s: float = Field(
        3.0, ge=0, le=60, description="when the server is stopped, terminals are sent away spread over so long"
    )
    http_port: Port = Field(8080, description="console and API; 0 chooses a free port")
    jt809_port: Port = Field(6809, description="sub links of superior platforms; 0 chooses a free port")
    admin_password: SecretStr | None = Field(
        None, description="password of the user `admin`; absent: generated and printed once, at the first start"
    )
    enrolment: Literal["open", "approve"] = Field(
        "approve", description="`open` takes in every terminal that registers; `approve` lists unknown ones to approve"
    )
    center_name: str = Field("道路运输车辆监控中心", description="name of the monitoring centre, shown in the console")
    allowed_origins: list[str] = Field(
        [], description="JSON list of further origins the console is served from, when a proxy rewrites Host"
    )
    map_tiles_url: str | None = Field(
        None, description="XYZ map tiles, e.g. `https://tiles.example/{z}/{x}/{y}.png`; absent: the built-in map"
    )
    map_tiles_gcj02: bool = Field(False, description="the tiles are in GCJ-02 (maps published in China usually are)")
    map_tiles_attribution: str = Field("", description="the credit that the tile source asks for")
    speed_limit_kmh: float = Field(100.0, gt=0, le=250, description="platform overspeed: limit without one of its own")
    overspeed_duration_s: float = Field(30.0, ge=0, le=3600, description="platform overspeed: longer than this rings")
    offline_after_s: float = Field(600.0, ge=30, le=86400, description="off-line alarm: silent this long with ACC on")
    future_tolerance_s: float = Field(
        600.0, ge=0, le=86400, description="a fix further ahead of its receipt than this goes to quarantine"
    )
    oldest_year: int = Field(2010, ge=2000, le=2100, description="a fix older than this year goes to quarantine")
    journal_max_bytes: int = Field(
        20 * 1024**3, ge=1024**2, description="above this size of the journal reports are no longer taken"
    )
    disk_low_bytes: int = Field(1024**3, ge=0, description="with less free on the journal's disk operators are warned")
    media_max_bytes: int = Field(
        20 * 1024**3, ge=1024**2, description="photos, sounds and films: above this size the oldest are deleted"
    )
    media_keep_days: int = Field(
        190, ge=1, le=3660, description="photos, sounds and films received longer ago than this are deleted"
    )
    retention_days: int = Field(190, ge=1, le=3660, description="positions older than this are dropped (law: 6 months)")
    log_retention_days: int = Field(
        190, ge=1, le=3660, description="links, quarantine, messages without a reader: older rows are dropped"
    )
    log_max_rows: int = Field(
        10_000_000, ge=1000, description="of each of those tables; the oldest rows beyond are dropped, and counted"
    )
    record_retention_days: int = Field(
        1100, ge=0, le=36600, description="ended alarms, commands, audit: older are dropped (law: 3 years); 0: never"
    )
    command_timeout_s: float = Field(10.0, gt=0, le=600, description="first wait for a terminal's answer to a command")
    command_attempts: int = Field(3, ge=1, le=10, description="how often a command is sent before it has timed out")
    command_two_persons: bool = Field(
        False, description="a dangerous command has to be confirmed by another person than who gave it"
    )
    command_group_per_s: float = Field(
        50.0, ge=0.1, le=1000, description="pace of a command to many vehicles that names no other"
    )
    upgrade_bytes_per_s: int = Field(
        16384, ge=1024, le=10_000_000, description="pace at which one terminal is sent its firmware"
    )
    firmware_max_bytes: int = Field(
        32 * 1024**2, ge=1, le=MAX_FIRMWARE_BYTES, description="larger firmware packages are not taken"
    )
    forward_barrier_s: float = Field(
        10.0, ge=1, le=60, description="809: while data flow, ask this often whether the superior platform has them"
    )
    forward_history_per_s: int = Field(2000, ge=1, description="809: pace of the catch-up after a broken link")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="what is logged, to stderr")

    @field_validator("database_url")
    @classmethod
    def _can_be_read(cls, value: SecretStr | None) -> SecretStr | None:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            conninfo_to_dict(value.get_secret_value() if value is not None else "")
        except ProgrammingError:  # its text may hold the password
            raise ValueError("is no PostgreSQL address: write postgresql://user:password@host/name") from None
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _are_origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            parts = urlsplit(origin)
            if origin != f"{parts.scheme}://{parts.netloc}" or parts.scheme not in ("http", "https"):
                raise ValueError(f"{origin!r} is no origin: write it as browsers do, https://centre.example")
        return value

    @field_validator("jt808_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for part in value.split(","):
            if part.strip():
                ip_network(part.strip())
        return value

    @field_validator("jt808_tls_certificate")
    @classmethod
    def _is_there_with_the_port(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None and info.data.get("jt808_tls_port") is not None:
            raise ValueError(f"{PREFIX}JT808_TLS_PORT needs it")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = Path(os.environ.get(f"{PREFIX}CONFIG") or FILE)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @property
    def run_dir(self) -> Path:
        """Small files of the running server: pids, locks, the ports it chose."""
        return self.data_dir / "run"


NOT_SETTINGS = {f"{PREFIX}{name}" for name in ("CONFIG", "PARENT_PID", "GATEWAY", "TEST_REQUIRE", "TIMESCALEDB_DIR")}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; ``overrides`` win over environment and file.

    Raises:  SettingsError: a key is unknown, a value is not allowed, the file cannot be read.
    """
    config = os.environ.get(f"{PREFIX}CONFIG")
    if config and not Path(config).is_file():
        raise SettingsError(f"{PREFIX}CONFIG={config}: no such file")
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            name = str(problem["loc"][0]) if problem["loc"] else "?"
            given = problem.get("input")
            value = "" if name in ("admin_password", "database_url") else f"={given!r}"
            says = "there is no such setting" if problem["type"] == "extra_forbidden" else problem["msg"]
            problems.append(f"{PREFIX}{name.upper()}{value}: {says.removeprefix('Value error, ')}")
        raise SettingsError("; ".join(problems)) from error
    except pydantic_settings.SettingsError as error:  # a list in the environment that is no JSON: there is only this
        example = '["https://centre.example"]'
        raise SettingsError(f"{PREFIX}ALLOWED_ORIGINS: is no JSON list, write it so: {example}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{config or FILE}: {error}") from error
    return settings.model_copy(update={"data_dir": settings.data_dir.absolute()})


def unknown_environment() -> list[str]:
    """``ROADWARDEN_*`` names in the environment that no setting has: misspelt, most likely."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | NOT_SETTINGS
    return sorted(key for key in os.environ if key.startswith(PREFIX) and key not in known)


def settings_table() -> str:
    """The README's table of settings, as Markdown."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines)
