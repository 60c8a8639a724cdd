"""All superior platforms: who is enabled, the port for their sub links, the facts they share."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import Any, Final

import psycopg

from fleet import Bus, FleetChanged
from forward.config import ForwarderConfig
from forward.facts import Facts
from forward.link_log import LinkLog
from forward.links import Connection
from forward.platform import PlatformLink
from forward.rarely import Rarely
from jt809 import Cipher, Header, LinkSettings, SubLink, UsageError
from jt809.events import BadFrameReceived, BodyUnreadable, Event, LinkClosed, LoginAsked, OutOfPlace
from jt809.messages import DownConnectRequest
from store import Database
from store.queries import forwarding
from store.queries.forwarding import Platform

log = logging.getLogger("roadwarden.forward")

DOWN: Final[dict[str, Any]] = {
    "main": "down", "sub": "down", "since": None, "sent_live": 0, "sent_history": 0, "backlog": 0, "cursor": None,
}  # fmt: skip
"""Status of a platform whose link cannot even begin."""

COUNTS: Final = (
    "sub_links_refused",  # with a verify code that no platform gave
    "sub_links_too_many",  # pushed out by newer ones before they had logged in
    "sub_links_without_login",  # closed, by whomever, before they had logged in
    "sub_links_unreadable",  # frames and messages on them that could not be read, or not yet
    "link_log_dropped",
    "platform_failures",  # errors of ours that ended a platform's link; it was begun anew
)
MAX_UNREADABLE: Final = 8  # on a sub link that has not logged in; then it is closed


class Forwarder:
    """``await listen()``, then ``run()`` in a task; to end, cancel that, then ``await stop()``. Or ``start`` it."""

    def __init__(self, database: Database, bus: Bus, config: ForwarderConfig | None = None) -> None:
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        self._database = database
        self._bus = bus
        self._config = config or ForwarderConfig()
        self._facts = Facts(database, self._config.facts_every_s)
        self._platforms: dict[int, tuple[PlatformLink, asyncio.Task[None]]] = {}
        self._misconfigured: list[tuple[Platform, str]] = []  # and what is wrong
        self._unknown: dict[Connection, int] = {}  # sub links that have not logged in yet: how much was unreadable
        self._owners: dict[Connection, PlatformLink] = {}  # of those that have
        self._server: asyncio.Server | None = None
        self._running: asyncio.Task[None] | None = None
        self._link_log = LinkLog(database, self.counts, self._config.retry_s)
        self._rarely = Rarely(log)

    @property
    def port(self) -> int:
        """The port that sub links come to; only after ``listen``."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def listen(self) -> str:
        """Open the port for sub links (从链路); returns HOST:PORT. Raises: OSError: it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self._config.bind, self._config.port)
        host = self._server.sockets[0].getsockname()[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    async def start(self) -> None:
        """``listen`` and ``run`` in a task of our own."""
        if self._server is None:
            await self.listen()
        self._running = asyncio.create_task(self.run(), name="forwarder")

    async def stop(self) -> None:
        """End what ``start`` began, and close the port."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            for connection in (*self._unknown, *self._owners):
                connection.close("closed by us")
            await self._server.wait_closed()

    def status(self) -> list[dict[str, Any]]:
        """How each enabled platform stands; see ``PlatformLink.status``."""
        return [link.status() for link, _ in self._platforms.values()] + [
            DOWN | {"id": platform.id, "name": platform.name, "detail": f"配置有误 (configuration): {reason}"}
            for platform, reason in self._misconfigured
        ]

    async def run(self) -> None:
        """Keep the links of all enabled platforms; until cancelled."""
        assert self._server is not None, "listen() first"
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_platforms())
                group.create_task(self._link_log.run())
        finally:
            tasks = [task for _, task in self._platforms.values()]
            self._platforms.clear()
            await _end(tasks)
            await self._link_log.finish()

    async def _follow_platforms(self) -> None:
        with self._bus.subscribe("forwarder", FleetChanged, capacity=64) as subscription:
            while True:
                if await self._reload():
                    pause_s = self._config.reload_s
                else:
                    pause_s = self._config.retry_s
                until = time.monotonic() + pause_s
                while (rest_s := until - time.monotonic()) > 0:
                    try:
                        async with asyncio.timeout(rest_s):
                            event = await subscription.next()
                    except TimeoutError:
                        break
                    is_lost = subscription.take_lost() > 0  # then anything may have changed
                    what = event.what if isinstance(event, FleetChanged) else ""
                    if is_lost or what in ("vehicles", "terminals"):
                        self._facts.changed()
                    if is_lost or what == "platforms":
                        break

    async def _reload(self) -> bool:
        """Read the platforms; end, begin and replace links accordingly. False: the database is away."""
        try:
            async with self._database.connection() as connection:
                wanted = {row.id: row for row in await forwarding.enabled_platforms(connection)}
        except psycopg.OperationalError:
            return False
        changed = [id for id, (link, _) in self._platforms.items() if wanted.get(id) != link.platform]
        await _end([self._platforms.pop(id)[1] for id in changed])
        known = {platform for platform, _ in self._misconfigured}
        self._misconfigured.clear()
        for id, platform in wanted.items():
            if id not in self._platforms:
                try:
                    link = PlatformLink(
                        platform, self.port, self._database, self._bus, self._facts, self._config, self._link_log.add
                    )
                except UsageError as error:
                    self._misconfigured.append((platform, str(error)))
                    if platform not in known:
                        log.error("%s cannot be connected to: %s", platform.name, error)
                else:
                    self._platforms[id] = link, asyncio.create_task(self._keep(link), name=f"platform {platform.name}")
        return True

    async def _keep(self, link: PlatformLink) -> None:
        try:
            await link.run()
        except Exception:  # a bug of ours in one platform's link must not end the others
            self.counts["platform_failures"] += 1
            log.exception("the link to %s failed; it is begun anew", link.platform.name)
            await asyncio.sleep(self._config.backoff.first_s)
            del self._platforms[link.platform.id]  # the next reload makes it again
            self._bus.publish(FleetChanged("platforms"))

    # sub links

    def _accept(self) -> Connection:
        config = self._config
        settings = LinkSettings(silence_s=config.silence_s, login_timeout_s=config.login_timeout_s)
        now = asyncio.get_running_loop().time()
        link = SubLink(settings, now, self._cipher_of)
        return Connection(link, self._on_sub_event, config.write_buffer_bytes, self._connected)

    def _connected(self, connection: Connection) -> None:
        if len(self._unknown) >= self._config.max_unknown_links:
            # The oldest goes: who means it logs in at once, so idle strangers keep no superior platform out.
            oldest = next(iter(self._unknown))
            self._forget(oldest, "sub_links_too_many")
            oldest.close("too many sub links that do not log in")
        self._unknown[connection] = 0

    def _forget(self, connection: Connection, why: str) -> None:
        """A sub link that has not logged in is none of ours any more; counted once."""
        if self._unknown.pop(connection, None) is not None:
            self.counts[why] += 1

    def _on_sub_event(self, connection: Connection, event: Event) -> None:
        owner = self._owners.get(connection)
        match event:
            case LoginAsked():
                self._on_login(connection, event)
            case _ if owner is not None:
                owner.on_sub_event(connection, event)
            case BadFrameReceived(reason, raw):
                self._unreadable(connection, f"{reason} {raw[:64].hex()}")
            case BodyUnreadable(_, _, error):
                self._unreadable(connection, str(error))
            case OutOfPlace(header):
                self._unreadable(connection, f"0x{header.message_id:04X}")
            case LinkClosed():
                self._forget(connection, "sub_links_without_login")

    def _unreadable(self, connection: Connection, what: str) -> None:
        """Something else than a login on a new sub link."""
        self.counts["sub_links_unreadable"] += 1
        self._rarely.warn("unreadable", "sub link from %s says %s instead of logging in", connection.peer, what)
        if connection in self._unknown:
            self._unknown[connection] += 1
            if self._unknown[connection] >= MAX_UNREADABLE:
                connection.close("unreadable")

    def _on_login(self, connection: Connection, event: LoginAsked) -> None:
        link = connection.link
        assert isinstance(link, SubLink)
        assert isinstance(event.request, DownConnectRequest)
        owner = self._find(event.header.access_code, event.request.verify_code)
        if owner is None:
            self._forget(connection, "sub_links_refused")
            self._rarely.warn(
                "refused", "sub link from %s refused: no platform has given this verify code", connection.peer
            )
            link.refuse(connection.now)
            return
        self._unknown.pop(connection, None)
        self._owners[connection] = owner
        connection.closed.add_done_callback(lambda _: self._owners.pop(connection, None))
        owner.take_sub_link(connection)

    def _find(self, access_code: int, verify_code: int) -> PlatformLink | None:
        """Whose verify code it is. Some superiors repeat a code, so the access code in the header decides then."""
        links = [link for link, _ in self._platforms.values() if link.verify_code == verify_code]
        exact = [link for link in links if link.platform.access_code == access_code]
        return exact[0] if exact else links[0] if len(links) == 1 else None

    def _cipher_of(self, header: Header, body: bytes) -> Cipher | None:
        """Whose cipher makes one of our verify codes of an encrypted login; else the one agreed for the access code."""
        agreed: Cipher | None = None
        for link, _ in self._platforms.values():
            cipher = link.settings.cipher
            if cipher is None:
                continue
            if link.verify_code is not None and cipher.apply(body, header.key) == link.verify_code.to_bytes(4, "big"):
                return cipher
            if link.platform.access_code == header.access_code:
                agreed = cipher
        return agreed


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
