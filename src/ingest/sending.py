"""What the core has the gateway send: messages with serial numbers taken before, packages of long ones."""

from __future__ import annotations

from typing import Any

from ingest.counters import Counters
from ingest.links import TerminalLink
from ingest.sessions import Sessions
from jt808.errors import UsageError


class Sending:
    """The operations `prepare`, `send`, `room` and `packages` of `ingest.control`."""

    def __init__(self, sessions: Sessions[TerminalLink], counters: Counters) -> None:
        self._sessions = sessions
        self._counters = counters

    def _link(self, request: dict[str, Any]) -> TerminalLink | None:
        return self._sessions.get(str(request["phone"]))

    async def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take serial numbers that follow each other, as many as the message will have packages."""
        link = self._link(request)
        if link is None:
            return {"state": "offline"}
        connection = link.connection
        serial_no = connection.take_serial_no(int(request.get("count", 1)))
        return {"state": "ready", "serial_no": serial_no, "edition": str(connection.edition)}

    async def send(self, request: dict[str, Any]) -> dict[str, Any]:
        link = self._link(request)
        if link is None:
            return {"state": "offline"}
        body = bytes.fromhex(request["body"])
        try:
            serial_no = link.connection.send(int(request["message_id"]), body, request.get("serial_no"))
        except UsageError as error:
            return {"state": "refused", "reason": str(error)}
        link.flush()
        self._counters["messages_sent"] += 1
        return {"state": "sent", "serial_no": serial_no, "edition": str(link.connection.edition)}

    async def room(self, request: dict[str, Any]) -> dict[str, Any]:
        """Whether the link has taken what it was given last: a long message must not stop its answers."""
        link = self._link(request)
        if link is None:
            return {"state": "offline"}
        return {"state": "ready" if link.has_room else "busy"}

    async def packages(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send some packages of a message that is kept elsewhere."""
        link = self._link(request)
        if link is None:
            return {"state": "offline"}
        parts = {int(number): bytes.fromhex(part) for number, part in request["packages"].items()}
        message_id, serial_no = int(request["message_id"]), int(request["serial_no"])
        try:
            link.connection.send_packages(message_id, serial_no, int(request["total"]), parts)
        except UsageError:
            return {"state": "offline"}
        link.flush()
        self._counters["packages_sent"] += len(parts)
        return {"state": "ready"}
