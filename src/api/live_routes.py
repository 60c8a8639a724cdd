"""The live stream's WebSocket: who may listen, and one console's life."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

import psycopg
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect

from api.deps import COOKIE, Hub, ServicesDep, find_actor, peer_of
from api.live import TOO_SLOW, Client
from api.middleware import is_same_origin
from api.services import Services

log = logging.getLogger(__name__)
router = APIRouter()

NOT_SIGNED_IN: Final = 4401
TRY_AGAIN: Final = 1013
CLOSE_WITHIN_S: Final = 5.0


@router.websocket("/live")
async def live(websocket: WebSocket, services: ServicesDep, hub: Hub) -> None:
    """A snapshot, then a delta a second. Closes: 4401 not signed in (any more), 4008 too slow, 1013 too many, or no
    database to ask who signs in."""
    if not is_same_origin(websocket, services.settings.allowed_origins):
        await websocket.close()  # before accepting: the handshake is answered 403
        return
    await websocket.accept()
    try:
        if not await _is_signed_in(websocket, services):
            await websocket.close(NOT_SIGNED_IN, "not signed in")
            return
    except psycopg.OperationalError:
        await websocket.close(TRY_AGAIN, "the database does not answer")
        return
    client = hub.attach()
    if client is None:
        await websocket.close(TRY_AGAIN, "too many consoles")
        return
    try:
        await _serve(websocket, services, client)
    finally:
        hub.detach(client)


async def _serve(websocket: WebSocket, services: Services, client: Client) -> None:
    """Until the first of: the console leaves, falls behind, is signed out."""
    jobs = {
        asyncio.create_task(_send(websocket, client)): None,  # ends only when the link is gone
        asyncio.create_task(client.overrun.wait()): TOO_SLOW,
        asyncio.create_task(_watch_session(websocket, services)): NOT_SIGNED_IN,
        asyncio.create_task(_drain(websocket)): None,
    }
    try:
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for job in jobs:
            job.cancel()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | RuntimeError | OSError):
                log.error("live stream failed", exc_info=result)
    code = jobs[done.pop()]
    if code is not None:
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await websocket.close(code)


async def _send(websocket: WebSocket, client: Client) -> None:
    while True:
        await websocket.send_text(await client.next())


async def _drain(websocket: WebSocket) -> None:
    """Consoles have nothing to say; reading notices when they leave."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _watch_session(websocket: WebSocket, services: Services) -> None:
    """Until the sign-in is gone. Watching counts as using it."""
    while True:
        await asyncio.sleep(services.settings.session_check_s)
        with suppress(psycopg.OperationalError):  # a database that is away signs nobody out
            if not await _is_signed_in(websocket, services):
                return


async def _is_signed_in(websocket: WebSocket, services: Services) -> bool:
    return await find_actor(services, websocket.cookies.get(COOKIE), peer_of(websocket)) is not None
