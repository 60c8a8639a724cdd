"""Errors as RFC 9457 problem details: what happened, what it is about, which field."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
import psycopg
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 5
TYPE_PREFIX: Final = "urn:roadwarden:problem:"


class FieldError(BaseModel):
    """One thing wrong with the request. ``line`` (1-based) is set for files that were sent in."""

    field: str
    message: str
    place: str | None = None
    line: int | None = None
    column: str | None = None
    value: str | None = None


class Problem(BaseModel):
    """RFC 9457 problem details. ``type`` is stable and meant for programs, ``detail`` for people."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class ProblemError(HTTPException):
    """Raised anywhere below a route: becomes the answer.

    Args:
        status: HTTP status.
        kind: last part of the problem's ``type``, a stable key ("vehicle-exists").
        detail: a sentence for people that names what and where.
        errors: one entry per field or line.
        headers: of the answer, e.g. Retry-After.
        extra: further members of the problem document.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind
        self.errors = errors
        self.extra = extra


def not_found(what: str, key: object) -> ProblemError:
    return ProblemError(404, "not-found", f"There is no {what} {key}.")


def conflict(kind: str, detail: str, **extra: Any) -> ProblemError:
    return ProblemError(409, kind, detail, extra=extra)


def invalid(field: str, message: str) -> ProblemError:
    """422 for one field of the body that only the database could judge."""
    error = {"field": field, "place": "body", "message": message}
    return ProblemError(422, "validation", f"{field}: {message}", errors=[error])


def problem_response(error: ProblemError) -> Response:
    document: dict[str, Any] = {
        "type": TYPE_PREFIX + error.kind,
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
        "detail": error.detail,
    }
    if error.errors is not None:
        document["errors"] = list(error.errors)
    document.update(error.extra or {})
    body = orjson.dumps(document, default=str)
    return Response(body, error.status_code, dict(error.headers or {}), MEDIA_TYPE)


def _validation_problem(error: RequestValidationError) -> ProblemError:
    """Name the field and what is wrong with it; never echo the value, which may be a password."""
    errors = []
    for item in error.errors():
        place, *path = [str(part) for part in item["loc"]]
        if item["type"] == "json_invalid":
            reason = item.get("ctx", {}).get("error", "not JSON")
            return ProblemError(400, "bad-json", f"The body is not JSON: {reason} at character {'.'.join(path)}.")
        message = item["msg"].removeprefix("Value error, ")
        errors.append({"field": ".".join(path) or place, "place": place, "message": message})
    detail = "; ".join(f"{e['field']}: {e['message']}" for e in errors[:5])
    return ProblemError(422, "validation", detail, errors=errors[:100])


def database_away() -> ProblemError:
    return ProblemError(
        503,
        "database-away",
        "The database does not answer. Reports are kept and will be stored; try again in a few seconds.",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


def install(app: FastAPI) -> None:
    """Make every error of the application a problem document."""

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> Response:
        return problem_response(error)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        detail = str(error.detail)
        if error.status_code == 404:
            detail = f"There is nothing at {request.url.path}."
        elif error.status_code == 405:
            detail = f"{request.method} is not possible at {request.url.path}."
        return problem_response(ProblemError(error.status_code, kind, detail, headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def on_validation(request: Request, error: RequestValidationError) -> Response:
        return problem_response(_validation_problem(error))

    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(psycopg.InterfaceError)
    async def on_database(request: Request, error: psycopg.Error) -> Response:
        log.warning("%s %s: database away: %s", request.method, request.url.path, error)
        return problem_response(database_away())

    @app.exception_handler(psycopg.DataError)
    async def on_data(request: Request, error: psycopg.DataError) -> Response:
        log.warning("%s %s: the database refused a value: %s", request.method, request.url.path, error)
        return problem_response(
            ProblemError(422, "validation", f"A value cannot be stored: {error.diag.message_primary}.")
        )

    @app.exception_handler(Exception)
    async def on_bug(request: Request, error: Exception) -> Response:
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        detail = "The server failed to answer; the log says why. Nothing was changed."
        return problem_response(ProblemError(500, "internal", detail))
