"""The first administrator."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from psycopg import AsyncConnection

from api.users.passwords import Passwords
from store import Database
from store.queries import audit, users

ADMIN = "admin"


def new_password() -> str:
    return secrets.token_urlsafe(12)


async def ensure_admin(
    database: Database,
    password: str | None,
    generate: Callable[[], str] = new_password,
    untold: str | None = None,
) -> str | None:
    """See to it that somebody can sign in.

    With a password: user ``admin`` exists, is an administrator and has it. Without: when there is no user at all,
    ``admin`` is created with a generated password.

    Args:     untold: one that was generated before and that perhaps nobody was shown.
    Returns:  the generated password, to be shown once, also an untold one that is still the administrator's; None:
              there is nothing to show.
    """
    passwords = Passwords()
    async with database.connection() as connection:
        admin = await users.credentials(connection, ADMIN)
        if password is None:
            if admin is not None or await users.any_user(connection):
                if admin is None or untold is None:
                    return None
                return untold if await passwords.verify(admin["password_hash"], untold) else None
            generated = generate()
            await _create(connection, await passwords.hash(generated))
            return generated
        if admin is None:
            await _create(connection, await passwords.hash(password))
        elif not await passwords.verify(admin["password_hash"], password):
            password_hash = await passwords.hash(password)
            await users.update(connection, admin["id"], role="admin", disabled=False, password_hash=password_hash)
            await users.end_sessions_of(connection, admin["id"])
            await audit.record(
                connection, user_id=None, username="", peer="", action="user.update", target=ADMIN,
                detail={"password": "set from the settings"},
            )  # fmt: skip
        elif admin["disabled"] or admin["role"] != "admin":
            await users.update(connection, admin["id"], role="admin", disabled=False)
        return None


async def _create(connection: AsyncConnection[Any], password_hash: str) -> None:
    await users.insert(
        connection, username=ADMIN, display_name="", role="admin", disabled=False, password_hash=password_hash
    )
    await audit.record(connection, user_id=None, username="", peer="", action="user.create", target=ADMIN)
