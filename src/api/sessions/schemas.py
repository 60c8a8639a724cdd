"""Signing in, on the wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.fields import Body, Line
from api.users.schemas import NewPassword


class SignIn(Body):
    username: Annotated[Line, Field(max_length=64)]
    password: Annotated[str, Field(max_length=1024)]


class PasswordChange(Body):
    current_password: Annotated[str, Field(max_length=1024)]
    new_password: NewPassword
