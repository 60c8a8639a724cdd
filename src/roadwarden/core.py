"""The core role: everything behind the journal, wired together in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import version
from typing import Any, Final, cast

import psycopg
import uvicorn

import store
from alarms import AlarmEngine
from api import ApiSettings, LinkStatus, MapSettings, Services, create_app, ensure_admin
from fleet import Bus, FleetChanged
from forward import Forwarder, ForwarderConfig
from ingest.commands import CommandDesk, DeskLimits
from ingest.control import ControlClient, control_path
from ingest.digest import Digester
from ingest.directory import Directory
from ingest.journal import SqliteJournalReader, journal_path
from ingest.media_janitor import MediaJanitor
from ingest.pipeline import Pipeline
from ingest.preview import Preview
from ingest.status import wall_clock_us
from roadwarden.first_password import FirstPassword
from roadwarden.parts import engine_defaults, firmware_folder, media_path, plausible
from roadwarden.process import CannotStart, tell_parent
from roadwarden.retention import Retention
from roadwarden.settings import Settings
from roadwarden.status import Notice, Seen, crash_loops, notices, read_roles
from store.errors import in_short
from store.media_store import MediaStore

log = logging.getLogger("roadwarden.core")

FLEET_CHANNEL: Final = "roadwarden_fleet"
COMMAND_CHANNEL: Final = "roadwarden_commands"
RETRY_S: Final = 0.5
MIGRATE_AGAIN_S: Final = 5.0
NO_SCHEMA: Final = "the schema is not there yet"
PING_S: Final = 2.0
LOOK_EVERY_S: Final = 2.0
DRAIN_S: Final = 1.0  # to store what is in the journal, before the end
READY_WAIT_S: Final = 30.0  # the ready line waits so long for a database; a migration, an outage may take longer
READY_POLL_S: Final = 0.1


class Core:
    """Owns the parts of the core and their tasks. ``run`` until told to stop; a part that fails ends the process, and
    the supervisor starts it again from what is stored."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None  # the supervisor names the embedded one
        self._settings = settings
        self._dsn = settings.database_url.get_secret_value()
        self.bus = Bus()
        self.database = store.Database(self._dsn)
        # Its own: requests that wait for one another's locks must not take the connections reports are stored by.
        self.web_database = store.Database(self._dsn, name="roadwarden web")
        self.control = ControlClient(control_path(settings.data_dir))
        self.journal = SqliteJournalReader(journal_path(settings.data_dir), wake=self.control.journal_wake)
        digester = Digester(Directory(), plausible(settings))
        self.media = MediaStore(media_path(settings), self.database)
        self.janitor = MediaJanitor(
            self.media,
            self.database,
            max_bytes=settings.media_max_bytes,
            keep_days=settings.media_keep_days,
            clock_us=wall_clock_us,
        )
        self.pipeline = Pipeline(
            self.journal,
            self.database,
            lambda: AlarmEngine(engine_defaults(settings)),
            self.bus,
            digester,
            media=self.media,
        )
        self.preview = Preview(self.journal, digester, self.bus, self.pipeline.status)
        self.commands = CommandDesk(
            self.database,
            self.control,
            self.bus,
            DeskLimits(
                timeout_s=settings.command_timeout_s,
                attempts=settings.command_attempts,
                upgrade_bytes_per_s=settings.upgrade_bytes_per_s,
                firmware_dir=firmware_folder(settings),
            ),
        )
        self.forwarder = Forwarder(
            self.database,
            self.bus,
            ForwarderConfig(
                bind=settings.bind,
                port=settings.jt809_port,
                barrier_s=settings.forward_barrier_s,
                history_per_s=settings.forward_history_per_s,
            ),
        )
        self._schema_problem = NO_SCHEMA
        self._retention = Retention(self.database, settings)
        self._notices: list[Notice] = []
        self._journal_failing = False

    async def run(self, stop: asyncio.Event) -> None:
        try:
            web_socket = listen(self._settings.bind, self._settings.http_port)
            jt809_address = await self.forwarder.listen()
        except OSError as error:
            raise CannotStart(str(error)) from error
        web = uvicorn.Server(uvicorn_config(create_app(self._services())))
        web.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        telling = asyncio.create_task(
            self._tell_when_ready({"http": address_of(web_socket), "jt809": jt809_address}), name="ready line"
        )
        parts: dict[str, Coroutine[Any, Any, Any]] = {
            "web": serve_web(web, web_socket),
            "control": self.control.run(),
            "look": self._look(),
            "behind the journal": self._behind_the_journal(),
        }
        tasks = {asyncio.create_task(part, name=name) for name, part in parts.items()}
        stopping = asyncio.create_task(stop.wait(), name="stop")
        done, _ = await asyncio.wait(tasks | {stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stopping in done:
            await self._drain()
        web.should_exit = True
        for task in tasks:
            if task.get_name() != "web":
                task.cancel()
        telling.cancel()
        await asyncio.wait(tasks | {telling}, timeout=2.5)
        await self.forwarder.stop()
        await self.web_database.close()
        await self.database.close()
        for task in done - {stopping}:
            if not task.cancelled() and task.exception() is not None:
                raise RuntimeError(f"{task.get_name()} failed") from task.exception()

    async def _tell_when_ready(self, addresses: Mapping[str, str]) -> None:
        """The ready line says that the API can be used. Without a database it is said late, not never: terminals
        are answered all the same."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_WAIT_S):
                while not all(part is True for part in (await self._readiness()).values()):  # noqa: ASYNC110 (asked)
                    await asyncio.sleep(READY_POLL_S)
        tell_parent(ready=dict(addresses))

    async def _drain(self) -> None:
        """Store what is in the journal by now, as far as time allows; the rest is stored after the next start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                last = await self.journal.last_offset() if self.pipeline.status.running else 0
                while self.pipeline.status.offset < last and await self._answers():  # noqa: ASYNC110 (tells nobody)
                    await asyncio.sleep(0.02)

    async def _look(self) -> None:
        """Keep what operators are to be told up to date."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)  # at first too: the gateway is being connected to
            gateway = await self.control.stats()
            self._journal_failing = bool(gateway.get("gateway_journal_failing"))
            seen = Seen(
                is_database_up=await self._answers(),
                lag_s=self.pipeline.status.lag_s(wall_clock_us()),
                gateway=gateway,
                roles=read_roles(self._settings.run_dir),
                unfiled_bytes=self.media.unfiled_bytes,
                is_media_failing=self.media.is_failing,
            )
            self._notices = notices(seen, time.time())

    async def _behind_the_journal(self) -> None:
        """All that needs the schema: it waits for the database, then runs."""
        await self._prepare_database()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pipeline.run())
            group.create_task(self.preview.run())
            group.create_task(self.commands.run())
            group.create_task(self._listen())
            group.create_task(self._retention.run())
            group.create_task(self.forwarder.run())
            group.create_task(self.janitor.run())

    async def _prepare_database(self) -> None:
        """Bring schema and first administrator about, for as long as it takes: reports wait in the journal."""
        first = FirstPassword(self._settings.run_dir)
        password = self._settings.admin_password
        while True:
            try:
                await asyncio.to_thread(store.migrate, self._dsn)
                for database in (self.database, self.web_database):
                    await database.open(wait=False)  # waiting would close it for good, were the database gone again
                to_show = await ensure_admin(
                    self.database, password.get_secret_value() if password else None, first.make, first.untold()
                )
                break
            except psycopg.OperationalError as error:
                self._no_schema(f"waiting for the database: {in_short(error)}")
                await asyncio.sleep(RETRY_S)
            except store.MigrationError as error:
                self._no_schema(f"{error}. Settle it with `roadwarden migrate`; reports wait in the journal")
                await asyncio.sleep(MIGRATE_AGAIN_S)
        self._schema_problem = ""
        if to_show is not None:
            tell_parent(admin_password=to_show)
        else:
            first.shown()

    def _no_schema(self, problem: str) -> None:
        if problem != self._schema_problem:
            log.warning("%s", problem)
        self._schema_problem = problem

    async def _listen(self) -> None:
        """What changed in the database, as events on the bus."""

        async def heard(channel: str, payload: str) -> None:
            if channel == COMMAND_CHANNEL:
                self.commands.wake()
            else:
                self.pipeline.fleet_changed(payload)
                self.bus.publish(FleetChanged(payload))

        async def connected() -> None:  # notifications may have been missed: everything may have changed
            self.commands.wake()
            for what in ("vehicles", "terminals", "geofences", "platforms"):
                await heard(FLEET_CHANNEL, what)

        listener = store.Listener(self._dsn, (FLEET_CHANNEL, COMMAND_CHANNEL), heard, connected)
        await listener.run()

    def _services(self) -> Services:
        settings = self._settings
        return Services(
            database=self.web_database,
            bus=self.bus,
            settings=ApiSettings(
                centre_name=settings.center_name,
                version=version("roadwarden"),
                command_two_persons=settings.command_two_persons,
                command_group_per_s=settings.command_group_per_s,
                firmware_dir=firmware_folder(settings),
                max_firmware_bytes=settings.firmware_max_bytes,
                allowed_origins=frozenset(settings.allowed_origins),
                map=MapSettings(
                    tiles_url=settings.map_tiles_url or "",
                    datum="gcj02" if settings.map_tiles_gcj02 else "wgs84",
                    attribution=settings.map_tiles_attribution,
                ),
            ),
            link_status=lambda: cast(list[LinkStatus], self.forwarder.status()),
            gateway_stats=self.control.stats,
            core_stats=self._stats,
            journal_lag_s=lambda: self.pipeline.status.lag_s(wall_clock_us()),
            media=self.media,
            readiness=self._readiness,
            notices=lambda: self._notices,
        )

    def _stats(self) -> Mapping[str, float]:
        status = self.pipeline.status
        counts = {f"pipeline_{name}_total": float(count) for name, count in status.counts.items()}
        failures = {
            f"alarm_rule_failures_total{{rule={name}}}": float(n) for name, n in self.pipeline.rule_failures().items()
        }
        ignored = {
            f"alarm_reports_ignored_total{{reason={why}}}": float(n) for why, n in self.pipeline.not_judged().items()
        }
        sent = {f"commands_{name}_total": float(count) for name, count in self.commands.counts.items()}
        forwarded = {f"forward_{name}_total": float(count) for name, count in self.forwarder.counts.items()}
        starts = {
            f"role_starts_total{{role={name}}}": float(role["starts"])
            for name, role in read_roles(self._settings.run_dir).items()
        }
        return (
            self._retention.metrics()
            | self.janitor.metrics()
            | starts
            | sent
            | forwarded
            | counts
            | failures
            | ignored
            | {"pipeline_journal_offset": float(status.offset)}
        )

    async def _answers(self) -> bool:
        """Whether the database answers now, not when it was last used."""
        try:
            async with asyncio.timeout(PING_S):
                await self.database.ping()
        except (psycopg.OperationalError, TimeoutError):
            return False
        return True

    def _stores(self) -> bool | str:
        """A database may answer and take nothing: its disk is full, it was left read-only by a fail-over."""
        if not self.pipeline.status.running:
            return "the pipeline has not started"
        return self.pipeline.status.database_up or "reports cannot be stored; they wait in the journal"

    async def _readiness(self) -> Mapping[str, bool | str]:
        return {
            "database": await self._answers() or "the database is away; reports wait in the journal",
            "schema": not self._schema_problem or self._schema_problem,
            "pipeline": self._stores(),
            "gateway": self.control.is_connected or "the gateway process does not answer",
            "journal": not self._journal_failing or "the journal cannot be written; no report is answered",
            **crash_loops(read_roles(self._settings.run_dir), time.time()),
        }


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises OSError with the address in its text."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.listen(256)
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def uvicorn_config(app: Callable[..., Any]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=65536,
        ws_per_message_deflate=False,  # it would compress the same delta once for every console
        timeout_graceful_shutdown=1,
        server_header=False,
    )


async def serve_web(server: uvicorn.Server, listener: socket.socket) -> None:
    await server.serve(sockets=[listener])
