"""What one command and many have in common: who may give it, what the server fills in, what the edition lacks."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from pydantic import BaseModel

from api.deps import Actor
from api.problems import ProblemError, conflict, invalid
from api.services import Services
from downlink import KINDS, CommandError, Kind, compose, lacking
from jt808.header import Edition
from store.queries import firmware, geofences

_ALERTS = {"enter": ["enter_driver", "enter_platform"], "leave": ["leave_driver", "leave_platform"]}


def check_permission(actor: Actor, kind: Kind) -> None:
    """Raises:  ProblemError: 403, the user may not give or confirm such a command."""
    if kind.admin_only and actor.role != "admin":
        raise ProblemError(403, "role", f"{kind.name} commands need the role admin; {actor.username} is {actor.role}.")
    if kind.dangerous and not actor.may_danger:
        detail = f"{kind.name} is a dangerous command: {actor.username} lacks the permission dangerous_commands."
        raise ProblemError(403, "dangerous-command", detail)


async def payload_of(connection: AsyncConnection[Any], services: Services, body: BaseModel) -> dict[str, Any]:
    """What is stored of a request: the members of its kind, with what only the server knows.

    Raises:  ProblemError: 422, a fence or a firmware is not there, or does not fit.
    """
    kind = KINDS[body.kind]  # type: ignore[attr-defined]
    names = set(kind.payload.model_fields) - {"kind"}
    payload = body.model_dump(mode="json", include=names, exclude_none=True)
    if kind.name == "area_set" and "geofence_id" in payload:
        await _add_fence(connection, payload)
    elif kind.name == "upgrade":
        await _add_firmware(connection, services, payload)
    return payload


async def _add_fence(connection: AsyncConnection[Any], payload: dict[str, Any]) -> None:
    """Take the fence over as it is now: a later change of it is another command."""
    fence_id = payload["geofence_id"]
    if "area" in payload:
        raise invalid("area", "geofence_id or area, not both")
    fence = await geofences.get(connection, fence_id)
    if fence is None:
        raise invalid("geofence_id", f"there is no geofence {fence_id}")
    if fence["shape"] == "circle":
        latitude, longitude = fence["center"]
        payload["area"] = {"shape": "circle", "latitude_deg": latitude, "longitude_deg": longitude,
                           "radius_m": max(round(fence["radius_m"]), 1)}  # fmt: skip
    else:
        payload["area"] = {"shape": "polygon", "points": fence["points"]}
    payload.setdefault("area_id", fence_id)
    payload.setdefault("name", fence["name"])
    if "alerts" not in payload:
        triggers = ("enter", "leave") if fence["trigger"] == "both" else (fence["trigger"],)
        payload["alerts"] = [alert for trigger in triggers for alert in _ALERTS[trigger]]


async def _add_firmware(connection: AsyncConnection[Any], services: Services, payload: dict[str, Any]) -> None:
    if services.settings.firmware_dir is None:
        raise conflict("no-firmware-store", "This server keeps no firmware.")
    package = await firmware.get(connection, payload["firmware_id"], for_use=True)
    if package is None:
        raise invalid("firmware_id", f"there is no firmware {payload['firmware_id']}")
    for name in ("upgrade_type", "manufacturer_id", "version"):
        payload.setdefault(name, package[name])
    payload |= {name: package[name] for name in ("name", "size_bytes", "sha256")}


def refusals(kind: Kind, payload: dict[str, Any]) -> dict[str, str]:
    """Edition -> why its terminals cannot do this; those that can are not in it."""
    found: dict[str, str] = {}
    for edition in Edition:
        if why := lacking(kind, edition):
            found[edition.value] = why
        elif kind.name != "upgrade":
            try:
                compose(kind.name, payload, edition)
            except CommandError as error:
                found[edition.value] = str(error)
    return found


def check_edition(kind: Kind, payload: dict[str, Any], edition: str) -> None:
    """``edition``: of the terminal, "" while it is not known.

    Raises:  ProblemError: 422, the terminal's edition (or every one) has no such command.
    """
    refused = refusals(kind, payload)
    why = refused.get(edition) if edition else None
    if len(refused) == len(Edition):
        why = why or next(iter(refused.values()))
    if why:
        raise ProblemError(422, "edition", why, errors=[{"field": "kind", "place": "body", "message": why}])


def confirm_in_s(kind: Kind, services: Services) -> float | None:
    """How long a command of that kind waits for its second word; None: it needs none."""
    return services.settings.command_confirm_s if kind.dangerous else None


def expires_in_s(kind: Kind, asked: float | None, services: Services) -> float:
    return asked or kind.expires_in_s or services.settings.command_expires_in_s


def check_second_person(actor: Actor, created_by: int | None, services: Services) -> None:
    """Raises:  ProblemError: 403, it has to be another person than who gave the command."""
    if services.settings.command_two_persons and actor.user_id == created_by:
        detail = "A dangerous command has to be confirmed by another person than who gave it."
        raise ProblemError(403, "second-person", detail)
