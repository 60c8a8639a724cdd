"""The HTTP face: REST under ``/api/v1``, the live stream, health, metrics and the console's files.

``create_app(services)`` builds the application from what the wiring hands in; nothing here is global.
"""

from __future__ import annotations

from api.app import create_app
from api.services import ApiSettings, LinkStatus, MapSettings, Services
from api.users.accounts import ensure_admin

__all__ = ["ApiSettings", "LinkStatus", "MapSettings", "Services", "create_app", "ensure_admin"]
