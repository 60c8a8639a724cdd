"""What routes ask for, as ``Annotated`` aliases: the services, who is signed in, with which role."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie
from psycopg import AsyncConnection
from starlette.requests import HTTPConnection

from api.live import LiveHub
from api.metrics import Metrics
from api.problems import ProblemError
from api.services import Services
from api.users.passwords import Passwords, Throttle
from store.queries import audit, users

COOKIE: Final = "roadwarden_session"
ROLES: Final = ("viewer", "operator", "admin")  # each may do what those before it may

_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Set by `POST /api/v1/sessions`.")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the signed-in user, and from where."""

    user_id: int
    username: str
    display_name: str
    role: str
    peer: str
    token_hash: bytes
    dangerous_commands: bool = False

    @property
    def shown_name(self) -> str:
        return self.display_name or self.username

    @property
    def may_danger(self) -> bool:
        """Whether this user may give and confirm dangerous commands."""
        return self.role == "admin" or (self.role == "operator" and self.dangerous_commands)

    async def record(self, connection: AsyncConnection[Any], action: str, target: object = "", **detail: Any) -> None:
        """Write the audit row of what this user does, in the transaction of the change."""
        await audit.record(
            connection, user_id=self.user_id, username=self.username, peer=self.peer,
            action=action, target=str(target), detail=detail,
        )  # fmt: skip


def get_services(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services


def get_hub(connection: HTTPConnection) -> LiveHub:
    hub: LiveHub = connection.app.state.hub
    return hub


def get_passwords(request: Request) -> Passwords:
    passwords: Passwords = request.app.state.passwords
    return passwords


def get_throttle(request: Request) -> Throttle:
    throttle: Throttle = request.app.state.throttle
    return throttle


def get_metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


def peer_of(connection: HTTPConnection) -> str:
    return connection.client.host if connection.client else ""


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


async def find_actor(services: Services, token: str | None, peer: str) -> Actor | None:
    """Who is signed in with this cookie, or None."""
    if not token:
        return None
    token_hash = hash_token(token)
    async with services.database.connection() as connection:
        user = await users.session_user(connection, token_hash, lifetime_s=services.settings.session_lifetime_s)
    if user is None:
        return None
    return Actor(
        user["id"], user["username"], user["display_name"], user["role"], peer, token_hash, user["dangerous_commands"]
    )


def signed_in(role: str) -> Callable[..., Awaitable[Actor]]:
    """A dependency: the signed-in user, who has at least this role.

    Raises:  ProblemError: 401 not signed in; 403 the role does not suffice.
    """

    async def dependency(
        request: Request,
        services: Annotated[Services, Depends(get_services)],
        token: Annotated[str | None, Depends(_cookie)],
    ) -> Actor:
        actor = await find_actor(services, token, peer_of(request))
        if actor is None:
            raise ProblemError(401, "not-signed-in", "Not signed in, or the sign-in has expired.")
        if ROLES.index(actor.role) < ROLES.index(role):
            detail = f"This needs the role {role}; {actor.username} is {actor.role}."
            raise ProblemError(403, "role", detail)
        return actor

    return dependency


ServicesDep = Annotated[Services, Depends(get_services)]
Hub = Annotated[LiveHub, Depends(get_hub)]
PasswordsDep = Annotated[Passwords, Depends(get_passwords)]
MetricsDep = Annotated[Metrics, Depends(get_metrics)]
ThrottleDep = Annotated[Throttle, Depends(get_throttle)]
Viewer = Annotated[Actor, Depends(signed_in("viewer"))]
Operator = Annotated[Actor, Depends(signed_in("operator"))]
Admin = Annotated[Actor, Depends(signed_in("admin"))]
