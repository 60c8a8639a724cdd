"""What holds for every route: errors, origins, limits, headers, health, metrics."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest

import store
from api import ApiSettings, MapSettings, Services, create_app
from api.metrics import Metrics
from api.middleware import content_security_policy
from tests.api.support import PASSWORD, T0, Api, Seed, assert_problem, batch


async def test_what_is_not_there(viewer: httpx.AsyncClient) -> None:
    assert_problem(await viewer.get("/api/v1/nothing"), 404, "not-found", "/api/v1/nothing")
    assert_problem(await viewer.get("/api/v1/vehicles/"), 404, "not-found")
    assert_problem(await viewer.put("/api/v1/vehicles"), 405, "method-not-allowed", "PUT")
    assert_problem(await viewer.get("/api/v1/vehicles/none"), 422, "validation", "vehicle_id")
    assert_problem(await viewer.get("/docs"), 404, "not-found")


async def test_bad_bodies(operator: httpx.AsyncClient) -> None:
    as_json = {"content-type": "application/json"}
    for content in (b"{", b"", b"\xff\xfe", b'{"plate": "A1"} x'):
        answer = await operator.post("/api/v1/vehicles", content=content, headers=as_json)
        assert answer.status_code in (400, 422), content
        assert answer.headers["content-type"] == "application/problem+json"
    assert_problem(await operator.post("/api/v1/vehicles", content=b"{", headers=as_json), 400, "bad-json")
    assert_problem(await operator.post("/api/v1/vehicles", json=[]), 422, "validation")
    assert_problem(await operator.post("/api/v1/vehicles", content=b'{"plate": "A1"}'), 422, "validation")
    deep = b"[" * 100_000
    answer = await operator.post("/api/v1/vehicles", content=deep, headers=as_json)
    assert answer.status_code in (400, 422)
    surrogate = b'{"plate": "\\ud800"}'
    assert_problem(await operator.post("/api/v1/vehicles", content=surrogate, headers=as_json), 422, "validation")


async def test_a_body_that_is_too_large(operator: httpx.AsyncClient, api: Api) -> None:
    large = b'{"plate": "' + b"x" * (1 << 20) + b'"}'
    as_json = {"content-type": "application/json"}
    assert_problem(await operator.post("/api/v1/vehicles", content=large, headers=as_json), 413, "too-large")

    async def pieces() -> AsyncIterator[bytes]:  # sent without saying how long it is
        for _ in range(20):
            yield b"x" * 100_000

    assert_problem(await operator.post("/api/v1/vehicles", content=pieces(), headers=as_json), 413, "too-large")
    wrong = as_json | {"content-length": "many"}
    assert_problem(await operator.post("/api/v1/vehicles", content=b"{}", headers=wrong), 413, "too-large")


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({}, True),
        ({"origin": "http://centre.example"}, True),
        ({"origin": "http://centre.example:80"}, True),
        ({"origin": "http://trusted.example"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://centre.example:8080"}, False),
        ({"origin": "http://centre.example.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[broken"}, False),
        ({"origin": "http://centre.example:port"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
async def test_only_our_own_pages_change_things(headers: dict[str, str], is_taken: bool) -> None:
    services = Services(store.Database(""), settings=ApiSettings(allowed_origins=frozenset({"http://trusted.example"})))
    app = create_app(services)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://centre.example", headers=headers) as client:
        answer = await client.post("/api/v1/sessions", json={"username": 1})
        if is_taken:
            assert_problem(answer, 422, "validation")
        else:
            assert_problem(answer, 403, "origin")
        assert (await client.get("/livez")).status_code == 200  # reading is free; the browser guards the answer


async def test_security_headers(viewer: httpx.AsyncClient) -> None:
    for path in ("/api/v1/vehicles", "/livez", "/", "/nothing"):
        headers = (await viewer.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "default-src 'self'" in headers["content-security-policy"]
    assert (await viewer.get("/api/v1/vehicles")).headers["cache-control"] == "no-store"


def test_the_policy_names_the_tiles_and_nothing_else() -> None:
    assert "http" not in content_security_policy(MapSettings())
    policy = content_security_policy(MapSettings(tiles_url="https://tiles.example:8443/{z}/{x}/{y}.png?k=1"))
    assert re.findall(r"https?://\S+?(?=[; ]|$)", policy) == ["https://tiles.example:8443"] * 2
    assert "img-src 'self' data: blob: https://tiles.example:8443;" in policy
    assert "https://*.tiles.example" in content_security_policy(MapSettings(tiles_url="https://{s}.tiles.example/{z}"))


async def test_settings_are_public_and_hold_no_secret(api: Api, services: Services) -> None:
    services.settings = ApiSettings(centre_name="大连监控中心", version="0.1.0")
    async with api.client() as nobody:
        answer = await nobody.get("/api/v1/settings")
        assert answer.status_code == 200
        assert answer.json() == {
            "centre_name": "大连监控中心", "version": "0.1.0", "data_edition": "", "session_lifetime_s": 43200.0,
            "map": {"tiles": None, "center": [41.3, 122.9], "zoom": 6.5},
        }  # fmt: skip
        services.settings = ApiSettings(map=MapSettings(tiles_url="https://t.example/{z}/{x}/{y}", datum="gcj02"))
        tiles = (await nobody.get("/api/v1/settings")).json()["map"]["tiles"]
        assert (tiles["url"], tiles["datum"]) == ("https://t.example/{z}/{x}/{y}", "gcj02")


async def test_health(api: Api, services: Services) -> None:
    async with api.client() as client:
        assert (await client.get("/livez")).json() == {"status": "alive"}
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            200, {"status": "ready", "parts": {"database": True}, "notices": []},
        )  # fmt: skip

        async def readiness() -> Mapping[str, bool | str]:
            return {"gateway": "no link to the gateway", "pipeline": True}

        services.readiness = readiness
        notice = {"code": "gateway_away", "severity": "error", "detail": "no terminal can report"}
        services.notices = lambda: [notice]
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "not ready",
             "parts": {"gateway": "no link to the gateway", "pipeline": True, "database": True},
             "notices": [notice]},
        )  # fmt: skip


async def test_metrics(api: Api, services: Services) -> None:
    async def gateway_stats() -> dict[str, Any]:
        return {
            "gateway_frames_total": 12, "gateway_bad_frames_total{reason=bad_check}": 3,
            'gateway_bad_frames_total{reason="junk"}': 1, "gateway_refused_total": {"unknown": 2},
            "gateway_sessions": 5, "gateway_version": "text is no number", "bad key": 1,
        }  # fmt: skip

    services.gateway_stats = gateway_stats
    services.journal_lag_s = lambda: 1.5
    services.link_status = lambda: [{"id": 4, "main": "up", "sub": "down", "sent_live": 9, "backlog": 1}]
    services.core_stats = lambda: {"pipeline_rows_total": 7.0}
    client = await api.signed_in("viewer")
    await client.get("/api/v1/vehicles/77")
    await client.get("/api/v1/vehicles/78")
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    for line in (
        'roadwarden_http_requests_total{method="GET",operation="get_vehicle",status="404"} 2.0',
        "roadwarden_gateway_up 1.0",
        "roadwarden_gateway_frames_total 12.0",
        'roadwarden_gateway_bad_frames_total{reason="bad_check"} 3.0',
        'roadwarden_gateway_bad_frames_total{reason="junk"} 1.0',
        'roadwarden_gateway_refused_total{reason="unknown"} 2.0',
        "roadwarden_gateway_sessions 5.0",
        "roadwarden_pipeline_journal_lag_seconds 1.5",
        "roadwarden_pipeline_rows_total 7.0",
        'roadwarden_platform_main_up{platform="4"} 1.0',
        'roadwarden_platform_sent_live_total{platform="4"} 9.0',
        "roadwarden_live_clients 0.0",
        'roadwarden_bus_lost_total{listener="live"} 0.0',
        "roadwarden_database_up 1.0",
    ):
        assert line in lines, line
    assert "text is" not in answer.text


async def test_metrics_without_the_gateway(api: Api, services: Services) -> None:
    async def gateway_stats() -> dict[str, Any]:
        raise ConnectionRefusedError("no gateway")

    services.gateway_stats = gateway_stats
    async with api.client() as client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200
    assert "roadwarden_gateway_up 0.0" in answer.text


def test_odd_methods_and_paths_do_not_grow_the_metrics() -> None:
    metrics = Metrics()
    for i in range(100):
        metrics.observe(f"VERB{i}", "other", 404, 0.1)
    assert metrics.render({}).count(b"roadwarden_http_requests_total{") == 1


async def test_long_answers_are_packed(viewer: httpx.AsyncClient, seed: Seed) -> None:
    vehicle_id = await seed.vehicle("辽A1")
    await seed.positions(batch(*[(vehicle_id, T0, float(i)) for i in range(100)]))
    params = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
    answer = await viewer.get(f"/api/v1/vehicles/{vehicle_id}/track", params=params)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["items"]) == 100


async def test_a_bug_is_a_problem_too(api: Api, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await api.signed_in("viewer")

    def broken() -> Any:
        raise ZeroDivisionError("secret detail")

    services.link_status = broken
    transport = httpx.ASGITransport(api.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://centre.example", cookies=client.cookies
    ) as other:
        answer = await other.get("/api/v1/platforms")
    problem = assert_problem(answer, 500, "internal")
    assert "secret detail" not in problem["detail"]


async def test_without_a_database(postgresql_dsn: str) -> None:
    database = store.Database(postgresql_dsn.replace("/test_", "/gone_"), timeout_s=0.2)
    await database.open(wait=False)
    try:
        app = create_app(Services(database))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://centre.example", cookies={"roadwarden_session": "x"}
        ) as client:
            for answer in (
                await client.get("/api/v1/vehicles"),
                await client.post("/api/v1/sessions", json={"username": "a", "password": PASSWORD}),
            ):
                assert_problem(answer, 503, "database-away")
                assert answer.headers["retry-after"] == "5"
            assert (await client.get("/livez")).status_code == 200
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["parts"]["database"] == "the database does not answer"
            assert "roadwarden_database_up 0.0" in (await client.get("/metrics")).text
    finally:
        await database.close()
