"""Users on the wire."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from api.fields import Body, Line, left_out

Role = Literal["viewer", "operator", "admin"]
Username = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w.@-]+$")]
NewPassword = Annotated[str, Field(min_length=8, max_length=256)]
DisplayName = Annotated[Line, Field(max_length=100)]


class User(BaseModel):
    """A user (操作员). ``dangerous_commands``: an operator who may give and confirm dangerous commands; administrators
    may anyhow."""

    id: int
    username: str
    display_name: str
    role: Role
    disabled: bool
    dangerous_commands: bool


class Colleague(BaseModel):
    """Somebody at the desk, as colleagues know them."""

    id: int
    name: str
    role: Role


class NewUser(Body):
    username: Username
    password: NewPassword
    display_name: DisplayName = ""
    role: Role = "operator"
    disabled: bool = False
    dangerous_commands: bool = False


class UserChange(Body):
    """What is left out stays."""

    display_name: DisplayName = left_out()
    role: Role = left_out()
    disabled: bool = left_out()
    dangerous_commands: bool = left_out()
    password: NewPassword = left_out()
