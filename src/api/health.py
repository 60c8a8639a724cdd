"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from api.deps import Hub, MetricsDep, ServicesDep, ThrottleDep
from api.metrics import CONTENT_TYPE
from api.services import LinkStatus

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

_PATIENCE_S: Final = 3.0


@router.get("/livez")
async def get_liveness() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Some part is not ready; the body says which."}})
async def get_readiness(response: Response, services: ServicesDep) -> dict[str, Any]:
    """Every part can do its work; 503 with the reason by part when one cannot. ``notices``: what operators are told."""
    parts: dict[str, bool | str]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            parts = dict(await services.readiness())
    except TimeoutError:
        parts = {"readiness": f"no answer within {_PATIENCE_S:g} s"}
    parts.setdefault("database", services.database.is_up or "the database does not answer")
    is_ready = all(state is True for state in parts.values())
    if not is_ready:
        response.status_code = 503
    return {"status": "ready" if is_ready else "not ready", "parts": parts, "notices": services.notices()}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(services: ServicesDep, metrics: MetricsDep, hub: Hub, throttle: ThrottleDep) -> Response:
    """Prometheus text."""
    gateway: Mapping[str, Any] = {}
    try:
        async with asyncio.timeout(_PATIENCE_S):
            gateway = await services.gateway_stats()
    except (OSError, TimeoutError) as error:
        log.warning("the gateway tells no statistics: %s", error)
    values: dict[str, Any] = {
        "database_up": services.database.is_up,
        "gateway_up": bool(gateway),
        "core_asyncio_tasks": len(asyncio.all_tasks()),
        "pipeline_journal_lag_seconds": services.journal_lag_s(),
        "sign_in_failures_forgotten_total": throttle.evicted,
    }
    values |= gateway
    values |= services.core_stats()
    values |= {f"live_{name}": value for name, value in hub.counters().items()}
    values |= {f"bus_lost_total{{listener={one.name}}}": one.lost for one in services.bus.subscriptions}
    for status in services.link_status():
        values |= _of_platform(status)
    return Response(metrics.render(values), media_type=CONTENT_TYPE)


def _of_platform(status: LinkStatus) -> dict[str, Any]:
    """Everything countable in a link's status: its gauges, and the rest as totals since the start."""
    label = f"{{platform={status['id']}}}"
    values: dict[str, Any] = {f"platform_{link}_up{label}": status.get(link) == "up" for link in ("main", "sub")}
    for name, value in status.items():
        if name in ("backlog", "cursor"):
            values[f"platform_{name}{label}"] = value
        elif name != "id" and isinstance(value, int | Mapping):
            values[f"platform_{name}_total{label}"] = value
    return values
