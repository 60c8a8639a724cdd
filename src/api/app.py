"""The application: routes, what wraps them, and the life of the live hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware import Middleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from api import console_files, document, health, live_routes, problems
from api.alarms.routes import router as alarms_router
from api.audit.routes import router as audit_router
from api.command_groups.routes import router as command_groups_router
from api.commands.routes import kinds_router
from api.commands.routes import router as commands_router
from api.firmware.routes import router as firmware_router
from api.geofences.routes import router as geofences_router
from api.live import LiveHub
from api.media.routes import router as media_router
from api.metrics import Metrics
from api.middleware import BodyLimit, Counting, OriginCheck, SecurityHeaders, content_security_policy
from api.organizations.routes import router as organizations_router
from api.parameters.routes import router as parameters_router
from api.platforms.routes import router as platforms_router
from api.positions.routes import router as positions_router
from api.services import Services
from api.sessions.routes import router as sessions_router
from api.settings.routes import router as settings_router
from api.terminals.routes import router as terminals_router
from api.users.passwords import Passwords, Throttle
from api.users.routes import router as users_router
from api.vehicles.importing import MAX_BYTES
from api.vehicles.routes import router as vehicles_router

PREFIX = "/api/v1"
PACKED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/tiff", "application/octet-stream")  # parts of it are asked for, too
_FORM_OVERHEAD = 64 << 10


def create_app(services: Services, *, console: Path = console_files.BUILT) -> FastAPI:
    """The ASGI application. Its lifespan runs the live hub; the database is opened and closed by the caller.

    Args:  console: the folder of the built console; without an index.html in it, ``/`` says how to build it.
    """
    settings = services.settings
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.hub.start()
        yield
        await app.state.hub.stop()

    app = FastAPI(
        title="Roadwarden",
        version="1",
        description=document.DESCRIPTION,
        docs_url=None,  # the stock pages load their script from another origin
        redoc_url=None,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        separate_input_output_schemas=False,
        redirect_slashes=False,
        middleware=[
            Middleware(Counting, metrics=metrics),
            Middleware(SecurityHeaders, policy=content_security_policy(settings.map)),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5, exclude_content_types=PACKED),
            Middleware(OriginCheck, allowed=settings.allowed_origins),
            Middleware(
                BodyLimit,
                limit=settings.max_body_bytes,
                limits={
                    f"{PREFIX}/vehicles/import": MAX_BYTES + _FORM_OVERHEAD,
                    f"{PREFIX}/firmware": settings.max_firmware_bytes,
                },
            ),
        ],
    )
    app.state.services = services
    app.state.metrics = metrics
    app.state.hub = LiveHub(services)
    app.state.passwords = Passwords()
    app.state.throttle = Throttle()
    problems.install(app)
    document.install(app)

    api = APIRouter(prefix=PREFIX)
    for router in (
        sessions_router, users_router, organizations_router, vehicles_router, terminals_router, positions_router,
        alarms_router, commands_router, media_router, geofences_router, platforms_router, audit_router, settings_router,
        live_routes.router, kinds_router, command_groups_router, firmware_router, parameters_router,
    ):  # fmt: skip
        api.include_router(router)
    app.include_router(api, responses=document.PROBLEM_RESPONSES)
    app.include_router(health.router)
    console_files.install(app, console)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
