"""Organizations: a tree by name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from psycopg import AsyncConnection

from api.deps import Operator, ServicesDep, Viewer
from api.fields import PathId
from api.organizations.schemas import NewOrganization, Organization, OrganizationChange
from api.paging import CursorText, Limit, Page, cut, decode_cursor
from api.problems import conflict, invalid, not_found
from store.queries import organizations

router = APIRouter(prefix="/organizations", tags=["organizations"])


@router.get("", response_model=Page[Organization])
async def list_organizations(
    services: ServicesDep, actor: Viewer, limit: Limit = 100, cursor: CursorText = None
) -> Any:
    (after_id,) = decode_cursor(cursor, int) or (0,)
    async with services.database.connection() as connection:
        rows = await organizations.page(connection, after_id=after_id, limit=limit + 1)
    items, following = cut(rows, limit, "id")
    return {"items": items, "next": following}


@router.post("", status_code=201, response_model=Organization)
async def create_organization(body: NewOrganization, services: ServicesDep, actor: Operator) -> Any:
    async with services.database.connection() as connection:
        await organizations.lock(connection)
        await _check_parent(connection, None, body.parent_id)
        organization_id = await organizations.insert(connection, name=body.name, parent_id=body.parent_id)
        if organization_id is None:
            raise conflict("organization-exists", f"There is already an organization {body.name}.")
        await actor.record(connection, "organization.create", body.name)
        return await organizations.get(connection, organization_id)


@router.get("/{organization_id}", response_model=Organization)
async def get_organization(organization_id: PathId, services: ServicesDep, actor: Viewer) -> Any:
    async with services.database.connection() as connection:
        return await _existing(connection, organization_id)


@router.patch("/{organization_id}", response_model=Organization)
async def change_organization(
    organization_id: PathId, body: OrganizationChange, services: ServicesDep, actor: Operator
) -> Any:
    changes = body.model_dump(exclude_unset=True)
    async with services.database.connection() as connection:
        await organizations.lock(connection)
        old = await _existing(connection, organization_id)
        await _check_parent(connection, organization_id, changes.get("parent_id"))
        if not await organizations.update(
            connection, organization_id, **({"name": old["name"], "parent_id": old["parent_id"]} | changes)
        ):
            raise conflict("organization-exists", f"There is already an organization {changes['name']}.")
        await actor.record(connection, "organization.update", old["name"], **changes)
        return await organizations.get(connection, organization_id)


@router.delete("/{organization_id}", status_code=204)
async def delete_organization(organization_id: PathId, services: ServicesDep, actor: Operator) -> None:
    async with services.database.connection() as connection:
        await organizations.lock(connection)
        old = await _existing(connection, organization_id)
        if use := await organizations.use_of(connection, organization_id):
            raise conflict("organization-in-use", f"{old['name']} still has {use}.")
        await organizations.delete(connection, organization_id)
        await actor.record(connection, "organization.delete", old["name"])


async def _existing(connection: AsyncConnection[Any], organization_id: int) -> dict[str, Any]:
    organization = await organizations.get(connection, organization_id)
    if organization is None:
        raise not_found("organization", organization_id)
    return organization


async def _check_parent(connection: AsyncConnection[Any], organization_id: int | None, parent_id: int | None) -> None:
    if parent_id is None:
        return
    ancestors = await organizations.ancestors(connection, parent_id)
    if not ancestors:
        raise invalid("parent_id", f"there is no organization {parent_id}")
    if organization_id in ancestors:
        raise invalid("parent_id", f"organization {parent_id} is part of this one")
