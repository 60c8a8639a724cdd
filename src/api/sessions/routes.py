"""Sign in (a cookie comes back), who am I, sign out, change one's own password."""

from __future__ import annotations

import math
import secrets
from typing import Any

from fastapi import APIRouter, Request, Response

from api.deps import COOKIE, PasswordsDep, ServicesDep, ThrottleDep, Viewer, hash_token, peer_of
from api.problems import ProblemError, invalid
from api.services import Services
from api.sessions.schemas import PasswordChange, SignIn
from api.users.passwords import Passwords, Throttle
from api.users.schemas import User
from store.queries import audit, users

router = APIRouter(prefix="/sessions", tags=["sessions"])


@router.post("", status_code=201, response_model=User)
async def sign_in(
    body: SignIn,
    request: Request,
    response: Response,
    services: ServicesDep,
    passwords: PasswordsDep,
    throttle: ThrottleDep,
) -> Any:
    """Sign in. The answer to a wrong name and to a wrong password is the same, and takes the same time."""
    peer = peer_of(request)
    user = await _proven(services, passwords, throttle, body.username, peer, body.password)
    if user is None:
        async with services.database.connection() as connection:
            await audit.record(connection, user_id=None, username=body.username, peer=peer, action="session.refuse")
        raise ProblemError(401, "wrong-sign-in", "User name or password is wrong.")

    token = secrets.token_urlsafe(32)
    async with services.database.connection() as connection:
        await users.start_session(
            connection, token_hash=hash_token(token), user_id=user["id"], peer=peer,
            lifetime_s=services.settings.session_lifetime_s,
        )  # fmt: skip
        if passwords.is_outdated(user["password_hash"]):
            await users.update(connection, user["id"], password_hash=await passwords.hash(body.password))
        await audit.record(
            connection, user_id=user["id"], username=user["username"], peer=peer, action="session.sign_in"
        )
    response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return user


@router.get("/current", response_model=User)
async def get_current_user(actor: Viewer) -> Any:
    return {
        "id": actor.user_id, "username": actor.username, "display_name": actor.display_name, "role": actor.role,
        "disabled": False, "dangerous_commands": actor.dangerous_commands,
    }  # fmt: skip


@router.delete("/current", status_code=204)
async def sign_out(response: Response, request: Request, services: ServicesDep, actor: Viewer) -> None:
    async with services.database.connection() as connection:
        await users.end_session(connection, actor.token_hash)
        await actor.record(connection, "session.sign_out")
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https")


@router.put("/current/password", status_code=204)
async def change_own_password(
    body: PasswordChange,
    services: ServicesDep,
    actor: Viewer,
    passwords: PasswordsDep,
    throttle: ThrottleDep,
) -> None:
    """Change one's own password; every other sign-in of this user ends."""
    if await _proven(services, passwords, throttle, actor.username, actor.peer, body.current_password) is None:
        raise invalid("current_password", "is wrong")
    password_hash = await passwords.hash(body.new_password)
    async with services.database.connection() as connection:
        await users.update(connection, actor.user_id, password_hash=password_hash)
        await users.end_sessions_of(connection, actor.user_id, but=actor.token_hash)
        await actor.record(connection, "user.change_own_password", actor.username)


async def _proven(
    services: Services, passwords: Passwords, throttle: Throttle, username: str, peer: str, password: str
) -> dict[str, Any] | None:
    """The user of this name whose password this is; None: there is none, or they are disabled.

    Raises:  ProblemError: 429, too many were wrong.
    """
    if wait_s := throttle.wait_s(username, peer):
        seconds = math.ceil(wait_s)
        detail = f"Too many wrong passwords; try again in {seconds} s."
        raise ProblemError(429, "too-many-sign-ins", detail, headers={"Retry-After": str(seconds)})
    throttle.failed(username, peer)  # until it is known better: those that come at the same time must not all go free
    try:
        async with services.database.connection() as connection:
            user = await users.credentials(connection, username)
        is_right = await passwords.verify(user["password_hash"] if user else None, password)
    except Exception:  # no database, or too much to do: it was not judged
        throttle.take_back(username, peer)
        raise
    if user is None or not is_right or user["disabled"]:
        return None
    throttle.succeeded(username, peer)
    return user
