"""Kinds of parameters on the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class ParameterChoice(BaseModel):
    """A value and what it means."""

    value: int
    chinese: str
    english: str


class ParameterField(BaseModel):
    """A part of a parameter that has several."""

    name: str
    chinese: str
    unit: str
    type: Literal["integer", "decimal", "boolean"]


class ParameterType(BaseModel):
    """A row of the table of parameters (终端参数项), JT/T 808, JT/T 1078-2016, T/JSATL 12-2017.

    ``minimum`` and ``maximum`` are of the standard where it gives them, else what the wire has room for. ``choices``:
    the only values there are; ``flags``: what the bits of a number mean; ``fields``: of a ``record``. An ``opaque`` one
    is shown, but set as bytes only.
    """

    id: int
    chinese: str
    english: str
    unit: str
    type: Literal["integer", "decimal", "text", "flags", "record", "opaque"]
    minimum: float | None = None
    maximum: float | None = None
    choices: list[ParameterChoice] | None = None
    flags: list[ParameterChoice] | None = None
    fields: list[ParameterField] | None = None
