"""numpy columns as array parameters of a statement: ``execute("... unnest(%s, %s) ...", (Int4(a), Float8(b)))``."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.adapt import Dumper
from psycopg.pq import Format

from store.copy_binary import EPOCH_2000_US, Column, encode_array


class _Array:
    """A column on its way to the server; ``present`` False means NULL."""

    dtype: ClassVar[str]
    element_oid: ClassVar[int]
    array_oid: ClassVar[int]

    def __init__(self, values: NDArray[Any], present: NDArray[np.bool_] | None = None) -> None:
        self.column = Column(self.dtype, values, present)


class Int4(_Array):
    dtype, element_oid, array_oid = ">i4", 23, 1007


class Int8(_Array):
    dtype, element_oid, array_oid = ">i8", 20, 1016


class Float4(_Array):
    dtype, element_oid, array_oid = ">f4", 700, 1021


class Float8(_Array):
    dtype, element_oid, array_oid = ">f8", 701, 1022


class Timestamptz(_Array):
    """Of microseconds since 1970 UTC."""

    dtype, element_oid, array_oid = ">i8", 1184, 1185

    def __init__(self, values: NDArray[np.int64], present: NDArray[np.bool_] | None = None) -> None:
        super().__init__(values - EPOCH_2000_US, present)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Array) -> bytes:
        return encode_array(obj.column, obj.element_oid)


for _array in (Int4, Int8, Float4, Float8, Timestamptz):
    psycopg.adapters.register_dumper(
        _array, type(f"{_array.__name__}Dumper", (_ArrayDumper,), {"oid": _array.array_oid})
    )
