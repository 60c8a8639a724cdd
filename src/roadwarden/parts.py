"""Settings as the parts take them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from alarms import EngineDefaults
from fleet import CHINA
from ingest.plausible import Plausible
from roadwarden.settings import Settings


def engine_defaults(settings: Settings) -> EngineDefaults:
    return EngineDefaults(
        speed_limit_kmh=settings.speed_limit_kmh,
        overspeed_duration_s=settings.overspeed_duration_s,
        offline_after_s=settings.offline_after_s,
    )


def media_path(settings: Settings) -> Path:
    """Where the photos, sounds and films of terminals are."""
    return settings.data_dir / "media"


def firmware_folder(settings: Settings) -> Path:
    """Where firmware packages are, a file named by its content each."""
    return settings.data_dir / "firmware"


def plausible(settings: Settings) -> Plausible:
    oldest = datetime(settings.oldest_year, 1, 1, tzinfo=CHINA).timestamp()
    return Plausible(ahead_us=int(settings.future_tolerance_s * 1e6), oldest_us=int(oldest * 1e6))
