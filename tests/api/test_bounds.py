"""What happens at the bounds of the API stands in /metrics."""

from __future__ import annotations

from api.users.passwords import Throttle
from tests.api.support import Api


async def test_wrong_passwords_that_are_remembered_no_more_are_counted(api: Api) -> None:
    throttle = api.app.state.throttle = Throttle(capacity=3)
    for number in range(5):
        throttle.failed(f"guess-{number}", "192.0.2.7")
    async with api.client() as client:
        lines = (await client.get("/metrics")).text.splitlines()
    assert "roadwarden_sign_in_failures_forgotten_total 2.0" in lines


async def test_who_is_turned_away_because_too_many_sign_in_is_counted(api: Api) -> None:
    passwords = api.app.state.passwords
    passwords._waiting = 64
    async with api.client() as client:
        answer = await client.post("/api/v1/sessions", json={"username": "zhang", "password": "wrong"})
        assert answer.status_code == 503
        text = (await client.get("/metrics")).text
    assert 'roadwarden_http_requests_total{method="POST",operation="sign_in",status="503"} 1.0' in text.splitlines()
