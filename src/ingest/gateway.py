"""The gateway process: terminals on TCP and UDP, their reports into the journal, answers when these are on disk.

    bytes -> TerminalConnection (frames, header, session) -> journal.append -> group on disk -> 0x8001

It needs nothing but the disk: who may log in stands in a mirror of its own (`ingest.identities`), and what happened
goes to the database by way of the journal, read by the pipeline in another process.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from ingest.addresses import Addresses
from ingest.certificates import Certificate
from ingest.config import GatewayConfig
from ingest.control import ControlServer, control_path
from ingest.counters import Counters
from ingest.cut_uploads import CutUploads
from ingest.datagrams import UdpEndpoint
from ingest.deadlines import Deadlines
from ingest.draining import close_spread
from ingest.identities import Identities, IdentityFile
from ingest.journal import GroupCommitWriter, JournalFile, journal_path
from ingest.links import TcpLink, TerminalLink, TlsLink, peer_text
from ingest.listening import Acceptor, bind_both, bind_tcp, raise_file_limit
from ingest.login import LoginDesk
from ingest.memory import give_back_for_ever, settle
from ingest.proxying import ProxyPreface
from ingest.sending import Sending
from ingest.session_desk import SessionDesk
from ingest.turns import Turns
from jt808.connection import ConnectionLimits
from jt808.errors import Result
from jt808.events import (
    AuthRequested,
    BadFrameReceived,
    HeartbeatReceived,
    LinkEnded,
    MessageReceived,
    PackageRepeated,
    PackagesAsked,
    PackagesDropped,
    Refused,
    RegisterRequested,
    TimeQueried,
    UnregisterRequested,
)
from jt808.subpackage import Budget

if TYPE_CHECKING:
    from ingest.identity_sync import IdentitySync

__all__ = ["Gateway", "GatewayConfig", "control_path", "run_gateway"]

log = logging.getLogger(__name__)

SHUTDOWN_FLUSH_S: Final = 2.0


class Gateway:
    """Owns journal, mirror, sessions and links. `start`, then `close`."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config = config
        self.counters = Counters()
        self.link_limits = ConnectionLimits(
            unauthenticated_s=config.unauthenticated_s,
            unauthenticated_bytes=config.unauthenticated_bytes,
            idle_s=config.idle_s,
            auth_failures=config.auth_failures,
            junk_bytes=config.junk_bytes,
            lost_messages=config.lost_messages,
            package_bytes=config.terminal_package_bytes,
        )
        self.package_budget = Budget(config.package_bytes)
        self.is_pressed = False  # the journal cannot keep up, reading is paused
        self.loop: asyncio.AbstractEventLoop
        self.deadlines = Deadlines()
        self.turns = Turns(self.counters)
        self.tls_address: str | None = None  # HOST:PORT, once it listens
        self._links: set[TcpLink] = set()
        self.addresses = Addresses(config.max_connections_per_address)
        self._is_closed = False
        self._hasten = asyncio.Event()
        self._certificate: Certificate | None = None
        self._journal = GroupCommitWriter(
            JournalFile(journal_path(config.data_dir), config.journal_max_bytes),
            on_stored=self._stored,
            on_pressure=self._press,
            counters=self.counters,
            max_pending_bytes=config.max_pending_bytes,
            min_interval_s=config.journal_interval_s,
            disk_low_bytes=config.disk_low_bytes,
        )
        self.append = self._journal.append  # the hot call, without a detour
        self._identities = Identities(
            IdentityFile(config.data_dir / "identities.sqlite"), on_changed=lambda phone: desk.identity_changed(phone)
        )
        self._cut_uploads = CutUploads(self.counters, self.deadlines)
        self._desk = desk = SessionDesk(
            self._identities,
            self.append,
            self.counters,
            self.link_limits,
            self._cut_uploads,
            max_displacements=config.max_displacements_per_minute,
        )
        self.sessions = desk.sessions
        self.end_session = desk.end
        self._login = LoginDesk(
            desk,
            self._identities,
            self.counters,
            is_open=config.enrolment == "open",
            max_terminals=config.max_terminals,
            logins_per_minute=config.logins_per_minute,
        )
        self._sending = Sending(self.sessions, self.counters)
        self._control = ControlServer(
            control_path(config.data_dir),
            {
                "prepare": self._sending.prepare,
                "send": self._sending.send,
                "room": self._sending.room,
                "packages": self._sending.packages,
                "stats": self._stats,
            },
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._acceptors: list[Acceptor] = []
        self._udp: UdpEndpoint | None = None

    # ---- begin and end

    async def start(self) -> str:
        """Open everything and listen; returns HOST:PORT. Close it afterwards, also when this fails.

        Raises:  JournalError, sqlite3.Error: the data directory cannot be used. OSError: a port or the certificate
                 cannot be had.
        """
        config = self.config
        if config.tls_certificate is not None:
            self._certificate = Certificate(config.tls_certificate, config.tls_key, self.counters)
            self._spawn(self._certificate.watch(), "certificate")
        self.loop = asyncio.get_running_loop()
        self.deadlines.open(self.loop)
        raise_file_limit()
        self.config.data_dir.mkdir(parents=True, exist_ok=True)
        await self._journal.open()
        await self._identities.open()
        self._desk.gateway_started()
        await self._control.open()
        if self.config.database_url is not None:
            self._spawn(self._synchronise(self.config.database_url), "identity sync")
        self._spawn(give_back_for_ever(self.config.give_memory_back_s), "give memory back")
        return await self._listen()

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have it run beside everything else. That it failed is said at once, not when the gateway ends."""

        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s has failed", name, exc_info=error)

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        self._tasks.append(task)

    async def _synchronise(self, dsn: str) -> None:
        """The database's client takes a quarter of all the time that there is to load: terminals do not wait for it."""

        def load() -> type[IdentitySync]:
            from ingest.identity_sync import IdentitySync

            return IdentitySync

        await (await asyncio.to_thread(load))(dsn, self._identities).run()

    async def _listen(self) -> str:
        config = self.config
        link_class = ProxyPreface if config.proxies else TcpLink
        tcp, udp = bind_both(config.bind, config.port)
        self._acceptors.append(Acceptor(tcp, lambda: link_class(self), self.counters))
        _, self._udp = await self.loop.create_datagram_endpoint(lambda: UdpEndpoint(self), sock=udp)
        if config.tls_port is not None and (certificate := self._certificate) is not None:
            tls = bind_tcp(config.bind, config.tls_port)
            self._acceptors.append(
                Acceptor(
                    tls,
                    lambda: TlsLink(self),
                    self.counters,
                    tls=lambda: certificate.context,
                    handshake_s=config.unauthenticated_s,
                )
            )
            self.tls_address = peer_text(tls.getsockname())
            log.info("terminals with TLS: %s", self.tls_address)
        return peer_text(tcp.getsockname())

    def reload(self) -> None:
        """Read the certificate again (SIGHUP)."""
        if self._certificate is not None:
            self._certificate.look(asked=True)

    def hasten(self) -> None:
        """Close what is left of the links at once; before `close` it means that none shall be spread."""
        self._hasten.set()

    async def close(self) -> None:
        """Take no new links, answer what is in the journal, log everybody off a few at a time, close. Twice is once."""
        if self._is_closed:
            return
        self._is_closed = True
        for acceptor in self._acceptors:
            acceptor.close()
        if self._udp is not None:
            self._udp.is_closing = True
        links = [*self._links, *(self._udp.links() if self._udp else ())]
        await close_spread(links, self.config.drain_s, self._hasten, self._flush, "gateway_stopped")
        for link in list(self._links):  # what was in its handshake when the listener closed
            link.end("gateway_stopped")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._identities.close()  # what registers in this moment is journaled still
        await self._flush()
        await self._journal.close()
        await self._control.close()
        if self._udp is not None:
            self._udp.close()
        self.deadlines.close()

    async def _flush(self) -> None:
        if self._journal.is_failing:
            return
        try:
            async with asyncio.timeout(SHUTDOWN_FLUSH_S / 2):
                await self._journal.flush()
        except TimeoutError:
            log.error("the journal did not take what waits within %.0f s", SHUTDOWN_FLUSH_S / 2)

    # ---- links

    def link_made(self, link: TcpLink) -> bool:
        """A terminal has connected; False: too many from its address."""
        self.counters["links_made"] += 1
        self._links.add(link)
        link.is_counted = True
        if not self.addresses.enter(link.host_address):
            self.counters.count("links_refused", "address_full")
            return False
        return True

    def link_lost(self, link: TcpLink) -> None:
        self._links.discard(link)

    def _press(self, paused: bool) -> None:
        self.is_pressed = paused
        for link in self._links:
            link.press(paused)

    # ---- what happens on them

    def handle_event(self, link: TerminalLink, event: Any, now_us: int) -> None:
        """All events but MessageReceived."""
        connection = link.connection
        match event:
            case HeartbeatReceived():
                self.counters["heartbeats"] += 1
                connection.reply_general(event, Result.OK)
            case AuthRequested():
                self._login.authenticate(link, event, now_us)
            case RegisterRequested():
                self._login.register(link, event, now_us)
            case UnregisterRequested():
                self._login.unregister(link, event, now_us)
            case TimeQueried():
                connection.reply_time(event, now_us / 1e6)
            case Refused():
                self.counters.count("messages_refused", event.reason)
                log.debug("%s: 0x%04X refused: %s", link.peer, event.header.message_id, event.reason)
            case BadFrameReceived():
                self.counters.count("frames_bad", event.reason)
                if log.isEnabledFor(logging.DEBUG):  # hostile links send very many
                    log.debug("%s: %s: %s", link.peer, event.reason, event.raw[:64].hex())
            case PackagesDropped():
                self.counters.count("packages_dropped", event.reason, event.packages)
            case PackageRepeated():
                self.counters["packages_repeated"] += 1
            case PackagesAsked():
                self.counters["packages_asked"] += 1
                self.counters["packages_sent_again"] += event.sent
                if event.body:  # the core may have them: the request goes the way of all messages
                    self.append(0, now_us, link.phone10, link.edition_code, 0x0005, event.serial_no, event.body)
            case LinkEnded():
                link.end(event.reason)

    def _stored(self, offset: int, tokens: Sequence[tuple[TerminalLink, Any]]) -> None:
        """A group is on disk: now its terminals may know."""
        waiting: list[TerminalLink] = []
        for link, what in tokens:
            try:
                if type(what) is MessageReceived:
                    link.connection.reply_stored(what)
                else:
                    what()
            except Exception:  # a bug of ours on one link must not cost the others of the group their answers
                log.exception("terminal at %s could not be answered", link.peer)
                self.counters["answer_failures"] += 1
            if not link.has_answers:
                link.has_answers = True
                waiting.append(link)
        self.counters["messages_answered"] += len(tokens)
        for link in waiting:
            link.has_answers = False
            link.flush()
        self._desk.tell_what_was_lost()
        self._control.wake_readers()

    # ---- what the core asks for (see ingest.control)

    async def _stats(self, request: dict[str, Any]) -> dict[str, Any]:
        watch, udp = self._journal.watch, self._udp
        gauges = {
            "gateway_sessions": len(self.sessions),
            "gateway_links{transport=tcp}": len(self._links),
            "gateway_links{transport=udp}": len(udp) if udp is not None else 0,
            "gateway_datagrams_dropped_total{reason=buffer_full}": udp.dropped_by_kernel() if udp is not None else 0,
            "gateway_identities_contested": self.sessions.contested(self.loop.time()),
            "gateway_uploads_cut": len(self._cut_uploads),
            "gateway_terminals": len(self._identities),
            "gateway_paused": int(self.is_pressed),
            "gateway_asyncio_tasks": len(asyncio.all_tasks()),
            "gateway_journal_failing": int(self._journal.is_failing),
            "gateway_journal_pending_bytes": self._journal.pending_bytes,
            "gateway_journal_offset": self._journal.last_offset,
            "gateway_journal_size_bytes": watch.space.used,
            "gateway_journal_bound_bytes": watch.space.bound,
            "gateway_journal_level": watch.level,
            "gateway_disk_free_bytes": watch.space.free,
            "gateway_disk_low": int(watch.is_disk_low),
        }
        return {"stats": self.counters.metrics("gateway") | gauges}


async def run_gateway(
    config: GatewayConfig,
    on_ready: Callable[..., None] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Run until `stop` is set; without one, until SIGTERM or SIGINT, of which a second one hastens the end. SIGHUP has
    the TLS certificate read again.

    Args:    on_ready: called with HOST:PORT once terminals can connect, and with the TLS listener's, if there is one.
    """
    gateway = Gateway(config)
    if stop is None:
        stop = asyncio.Event()
        _heed_signals(gateway, stop)
    try:
        address = await gateway.start()
        settle()
        if on_ready is not None:
            on_ready(address, *([gateway.tls_address] if gateway.tls_address else ()))
        await stop.wait()
    finally:
        await gateway.close()


def _heed_signals(gateway: Gateway, stop: asyncio.Event) -> None:
    def end() -> None:
        if stop.is_set():
            gateway.hasten()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, gateway.reload)
