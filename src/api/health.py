"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from api.deps import Hub, MetricsDep, ServicesDep
from api.metrics import CONTENT_TYPE

log = logging.getLogger(__name__)
router = APIRouter(tags=["health"])

_PATIENCE_S: Final = 3.0


@router.get("/livez")
async def get_liveness() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"description": "Some part is not ready; the body says which."}})
async def get_readiness(response: Response, services: ServicesDep) -> dict[str, Any]:
    """Every part can do its work; 503 with the reason by part when one cannot."""
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
    return {"status": "ready" if is_ready else "not ready", "parts": parts}


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(services: ServicesDep, metrics: MetricsDep, hub: Hub) -> Response:
    """Prometheus text."""
    gateway: Mapping[str, Any] = {}
    reachable = 1
    try:
        async with asyncio.timeout(_PATIENCE_S):
            gateway = await services.gateway_stats()
    except (OSError, TimeoutError) as error:
        log.warning("the gateway tells no statistics: %s", error)
        reachable = 0
    links: dict[str, float] = {}
    for status in services.link_status():
        label = f"{{platform={status['id']}}}"
        links[f"main_up{label}"] = status.get("main") == "up"
        links[f"sub_up{label}"] = status.get("sub") == "up"
        links[f"sent_live_total{label}"] = status.get("sent_live", 0)
        links[f"sent_history_total{label}"] = status.get("sent_history", 0)
        links[f"backlog{label}"] = status.get("backlog", 0)
    text = metrics.render(
        {
            "gateway": {"up": reachable, **gateway},
            "pipeline": {"journal_lag_seconds": services.journal_lag_s(), **services.pipeline_stats()},
            "platform": links,
            "live": hub.counters(),
            "bus": {f"lost_total{{listener={s.name}}}": s.lost for s in services.bus.subscriptions},
            "database": {"up": services.database.is_up},
        }
    )
    return Response(text, media_type=CONTENT_TYPE)
