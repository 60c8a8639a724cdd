"""Query parameters that may be given several times or as a comma list."""

from __future__ import annotations

from api.problems import ProblemError


def choices(name: str, given: list[str] | None, known: tuple[str, ...]) -> list[str] | None:
    """``state=open&state=claimed`` or ``state=open,claimed`` -> ["open", "claimed"]; None when not given.

    Raises:  ProblemError: 422, one of them does not exist.
    """
    wanted = [part.strip() for text in given or () for part in text.split(",") if part.strip()]
    for part in wanted:
        if part not in known:
            message = f"{part!r} is none of {', '.join(known)}"
            errors = [{"field": name, "place": "query", "message": message}]
            raise ProblemError(422, "validation", f"{name}: {message}", errors=errors)
    return wanted or None
