"""Accounts, kept by administrators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api.deps import Admin, Operator, PasswordsDep, ServicesDep
from api.fields import PathId
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import ProblemError, conflict, not_found
from api.users.schemas import Colleague, NewUser, User, UserChange
from store.queries import users

router = APIRouter(prefix="/users", tags=["users"])


@router.get("", response_model=Page[User])
async def list_users(services: ServicesDep, actor: Admin, limit: Limit = 100, cursor: CursorText = None) -> Any:
    (after_id,) = decode_cursor(cursor, int) or (0,)
    async with services.database.connection() as connection:
        rows = await users.page(connection, after_id=after_id, limit=limit + 1)
    items, following = cut(rows, limit, "id")
    return {"items": items, "next": following}


@router.post("", status_code=201, response_model=User)
async def create_user(body: NewUser, services: ServicesDep, actor: Admin, passwords: PasswordsDep) -> Any:
    password_hash = await passwords.hash(body.password)
    fields = body.model_dump(exclude={"password"})
    async with services.database.connection() as connection:
        user_id = await users.insert(connection, **fields, password_hash=password_hash)
        if user_id is None:
            raise conflict("user-exists", f"There is already a user {body.username}.")
        await actor.record(connection, "user.create", body.username, role=body.role)
    return {"id": user_id, **fields}


@router.get("/desk", response_model=Page[Colleague])
async def list_desk(services: ServicesDep, actor: Operator) -> Any:
    """Who can handle alarms (转交 asks for it): names only, those in office only."""
    async with services.database.connection() as connection:
        rows = await users.desk(connection)
    return {"items": rows, "next": None}


@router.get("/{user_id}", response_model=User)
async def get_user(user_id: PathId, services: ServicesDep, actor: Admin) -> Any:
    async with services.database.connection() as connection:
        user = await users.get(connection, user_id)
    if user is None:
        raise not_found("user", user_id)
    return user


@router.patch("/{user_id}", response_model=User)
async def change_user(
    user_id: PathId, body: UserChange, services: ServicesDep, actor: Admin, passwords: PasswordsDep
) -> Any:
    password_hash = await passwords.hash(body.password) if body.password else None
    changes = body.model_dump(exclude_unset=True, exclude={"password"})
    async with services.database.connection() as connection:
        admins = await users.lock_admins(connection)
        user = await users.get(connection, user_id)
        if user is None:
            raise not_found("user", user_id)
        if admins == {user_id} and (body.disabled or body.role in ("viewer", "operator")):
            raise _last_admin()
        await users.update(connection, user_id, **changes, password_hash=password_hash)
        if password_hash or body.disabled:
            await users.end_sessions_of(connection, user_id, but=actor.token_hash)
        said = changes | ({"password": "changed"} if password_hash else {})
        await actor.record(connection, "user.update", user["username"], **said)
    return user | changes


@router.delete("/{user_id}", status_code=204)
async def delete_user(user_id: PathId, services: ServicesDep, actor: Admin) -> None:
    async with services.database.connection() as connection:
        admins = await users.lock_admins(connection)
        user = await users.get(connection, user_id)
        if user is None:
            raise not_found("user", user_id)
        if admins == {user_id}:
            raise _last_admin()
        if await users.has_history(connection, user_id):
            detail = f"{user['username']} has handled alarms or sent commands, and the record names them; disable them."
            raise conflict("user-has-history", detail)
        await users.delete(connection, user_id)
        await actor.record(connection, "user.delete", user["username"])


def _last_admin() -> ProblemError:
    return conflict("last-admin", "This is the last administrator; make another one first.")
