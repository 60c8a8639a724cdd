"""Users and their sign-ins."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

_COLUMNS = "id, username, display_name, role, disabled, dangerous_commands"


async def page(connection: AsyncConnection[Any], *, after_id: int, limit: int) -> list[dict[str, Any]]:
    """Users in order of id, from behind ``after_id`` on."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_COLUMNS} FROM users WHERE id > %s ORDER BY id LIMIT %s", (after_id, limit))
    return await cursor.fetchall()


async def get(connection: AsyncConnection[Any], user_id: int) -> dict[str, Any] | None:
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_COLUMNS} FROM users WHERE id = %s", (user_id,))
    return await cursor.fetchone()


async def desk(connection: AsyncConnection[Any]) -> list[dict[str, Any]]:
    """Those who can handle alarms and are not disabled: id and the name they are shown by, in order of the name."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "SELECT id, coalesce(nullif(display_name, ''), username) AS name, role FROM users"
        " WHERE NOT disabled AND role <> 'viewer' ORDER BY name, id"
    )
    return await cursor.fetchall()


async def credentials(connection: AsyncConnection[Any], username: str) -> dict[str, Any] | None:
    """The user with ``password_hash``, by name; for sign-in."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(f"SELECT {_COLUMNS}, password_hash FROM users WHERE username = %s", (username,))
    return await cursor.fetchone()


async def insert(
    connection: AsyncConnection[Any],
    *,
    username: str,
    display_name: str,
    role: str,
    disabled: bool,
    password_hash: str,
    dangerous_commands: bool = False,
) -> int | None:
    """The new user's id; None when the name is taken."""
    cursor = await connection.execute(
        "INSERT INTO users (username, display_name, role, disabled, password_hash, dangerous_commands)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (username) DO NOTHING RETURNING id",
        (username, display_name, role, disabled, password_hash, dangerous_commands),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def update(
    connection: AsyncConnection[Any],
    user_id: int,
    *,
    display_name: str | None = None,
    role: str | None = None,
    disabled: bool | None = None,
    password_hash: str | None = None,
    dangerous_commands: bool | None = None,
) -> None:
    """Change what is not None."""
    await connection.execute(
        "UPDATE users SET display_name = coalesce(%s, display_name), role = coalesce(%s, role),"
        " disabled = coalesce(%s, disabled), password_hash = coalesce(%s, password_hash),"
        " dangerous_commands = coalesce(%s, dangerous_commands) WHERE id = %s",
        (display_name, role, disabled, password_hash, dangerous_commands, user_id),
    )


async def delete(connection: AsyncConnection[Any], user_id: int) -> None:
    """The user goes, with the sign-ins; what was done under the name stays in the audit."""
    await connection.execute("DELETE FROM users WHERE id = %s", (user_id,))


async def has_history(connection: AsyncConnection[Any], user_id: int) -> bool:
    """Whether alarms or commands name this user: then the name must stay."""
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM alarm_steps WHERE user_id = %(id)s)"
        " OR EXISTS (SELECT FROM alarms WHERE claimed_by = %(id)s)"  # handed over to them: no step of theirs
        " OR EXISTS (SELECT FROM commands WHERE %(id)s IN (created_by, confirmed_by))"
        " OR EXISTS (SELECT FROM command_groups WHERE %(id)s IN (created_by, confirmed_by))",
        {"id": user_id},
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def lock_admins(connection: AsyncConnection[Any]) -> set[int]:
    """Ids of the administrators that can sign in, locked, so that two changes cannot remove the last two."""
    cursor = await connection.execute(
        "SELECT id FROM users WHERE role = 'admin' AND NOT disabled ORDER BY id FOR UPDATE"
    )
    return {row[0] for row in await cursor.fetchall()}


async def any_user(connection: AsyncConnection[Any]) -> bool:
    cursor = await connection.execute("SELECT EXISTS (SELECT FROM users)")
    row = await cursor.fetchone()
    return bool(row and row[0])


async def start_session(
    connection: AsyncConnection[Any], *, token_hash: bytes, user_id: int, lifetime_s: float, peer: str
) -> None:
    """Remember a sign-in; forget those that ended."""
    await connection.execute("DELETE FROM user_sessions WHERE expires_at < now()")
    await connection.execute(
        "INSERT INTO user_sessions (token_hash, user_id, expires_at, peer)"
        " VALUES (%s, %s, now() + make_interval(secs => %s), %s)",
        (token_hash, user_id, lifetime_s, peer),
    )


async def session_user(
    connection: AsyncConnection[Any], token_hash: bytes, *, lifetime_s: float
) -> dict[str, Any] | None:
    """Who is signed in with this token, or None. Using a session moves its end, written at most once a minute."""
    cursor = connection.cursor(row_factory=dict_row)
    await cursor.execute(
        "SELECT u.id, u.username, u.display_name, u.role, u.disabled, u.dangerous_commands,"
        " s.expires_at < now() + make_interval(secs => %s) AS is_stale"
        " FROM user_sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.token_hash = %s AND s.expires_at > now() AND NOT u.disabled",
        (lifetime_s - 60, token_hash),
    )
    row = await cursor.fetchone()
    if row and row.pop("is_stale"):
        await connection.execute(
            "UPDATE user_sessions SET expires_at = now() + make_interval(secs => %s) WHERE token_hash = %s",
            (lifetime_s, token_hash),
        )
    return row


async def end_session(connection: AsyncConnection[Any], token_hash: bytes) -> None:
    await connection.execute("DELETE FROM user_sessions WHERE token_hash = %s", (token_hash,))


async def end_sessions_of(connection: AsyncConnection[Any], user_id: int, *, but: bytes = b"") -> None:
    """Sign the user out everywhere, but for one session."""
    await connection.execute("DELETE FROM user_sessions WHERE user_id = %s AND token_hash <> %s", (user_id, but))
