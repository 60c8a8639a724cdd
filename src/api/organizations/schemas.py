"""Organizations on the wire."""

from __future__ import annotations

from pydantic import BaseModel

from api.fields import Body, Id, Name, left_out


class Organization(BaseModel):
    """A company (所属企业), perhaps part of another."""

    id: int
    name: str
    parent_id: int | None
    vehicles: int


class NewOrganization(Body):
    name: Name
    parent_id: Id | None = None


class OrganizationChange(Body):
    name: Name = left_out()
    parent_id: Id | None = None
