"""What /metrics tells: our own requests, and what gateway, pipeline, links and live hub count."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_NAME = re.compile(r"([A-Za-z_:][A-Za-z0-9_:.]*)(?:\{(.*)\})?")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="?([^",}]*)"?')
_NOT_NAME = re.compile(r"[^A-Za-z0-9_:]")


class Metrics:
    """The registry of one application. Nothing global, so that two applications do not count together."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._requests = Counter(
            "roadwarden_http_requests", "Answered requests", ["method", "operation", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "roadwarden_http_request_seconds", "Time to answer", ["method", "operation"], registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
        )  # fmt: skip

    def observe(self, method: str, operation: str, status: int, seconds: float) -> None:
        """``operation`` is a name from a small set, so that the labels stay few."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, operation, str(status)).inc()
        self._seconds.labels(method, operation).observe(seconds)

    def render(self, values: Mapping[str, Any]) -> bytes:
        """The registry, and numbers of other parts by name (``gateway_frames_total``), as Prometheus text."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Numbers(values))
        return generate_latest(self.registry) + generate_latest(registry)


class _Numbers(Collector):
    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for name, labels, value in _samples(self.values):
            full = f"roadwarden_{_NOT_NAME.sub('_', name)}"
            if full not in families:
                counts = full.endswith("_total")
                families[full] = (CounterMetricFamily if counts else GaugeMetricFamily)(full, name.replace("_", " "))
            families[full].add_sample(full, labels, value)
        return families.values()


def _samples(values: Mapping[str, Any]) -> Iterable[tuple[str, dict[str, str], float]]:
    """(name, labels, value) of ``{"frames_total": 1, "bad_total{reason=check}": 2, "lost_total": {"full": 3}}``.

    What is not a number is left out; a nested mapping holds numbers by ``reason``.
    """
    for key, value in values.items():
        match = _NAME.fullmatch(key)
        if match is None:
            continue
        name, labels = match[1], dict(_LABEL.findall(match[2] or ""))
        if isinstance(value, Mapping):
            for reason, number in value.items():
                if isinstance(number, int | float):
                    yield name, labels | {"reason": str(reason)}, float(number)
        elif isinstance(value, int | float):
            yield name, labels, float(value)
