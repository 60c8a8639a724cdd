"""Signing in and out."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

import store
from api import Services, ensure_admin
from api.users.passwords import Throttle
from tests.api.live import AwayDatabase
from tests.api.support import PASSWORD, Api, Seed, assert_problem


async def test_sign_in_who_am_i_sign_out(api: Api, seed: Seed) -> None:
    await seed.user("operator", "zhang", "张班")
    async with api.client() as client:
        answer = await client.post("/api/v1/sessions", json={"username": "zhang", "password": PASSWORD})
        assert answer.status_code == 201
        user = answer.json()
        assert (user["username"], user["display_name"], user["role"], user["disabled"]) == (
            "zhang", "张班", "operator", False,
        )  # fmt: skip
        cookie = answer.headers["set-cookie"]
        for attribute in ("roadwarden_session=", "HttpOnly", "SameSite=strict", "Path=/"):
            assert attribute in cookie
        assert "Secure" not in cookie
        token = client.cookies["roadwarden_session"]
        assert len(token) >= 32
        assert token.encode() not in b"".join(
            [row[0] for row in await seed.rows("SELECT token_hash FROM user_sessions")]
        )

        assert (await client.get("/api/v1/sessions/current")).json() == user
        assert (await client.delete("/api/v1/sessions/current")).status_code == 204
        client.cookies.set("roadwarden_session", token)
        assert_problem(await client.get("/api/v1/sessions/current"), 401, "not-signed-in")
    actions = await seed.rows("SELECT action, username, peer FROM audit ORDER BY id")
    assert actions == [("session.sign_in", "zhang", "192.0.2.7"), ("session.sign_out", "zhang", "192.0.2.7")]


async def test_the_cookie_is_secure_over_https(api: Api, seed: Seed) -> None:
    await seed.user("viewer", "zhang")
    async with api.client() as client:
        answer = await client.post(
            "https://centre.example/api/v1/sessions", json={"username": "zhang", "password": PASSWORD}
        )
    assert "Secure" in answer.headers["set-cookie"]


async def test_wrong_name_and_wrong_password_read_the_same(api: Api, seed: Seed) -> None:
    await seed.user("operator", "zhang")
    await seed.user("operator", "gone", disabled=True)
    bodies = set()
    async with api.client() as client:
        for username, password in (("zhang", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)):
            answer = await client.post("/api/v1/sessions", json={"username": username, "password": password})
            assert_problem(answer, 401, "wrong-sign-in")
            assert "set-cookie" not in answer.headers
            bodies.add(answer.text)
    assert len(bodies) == 1
    assert await seed.one("SELECT count(*) FROM audit WHERE action = 'session.refuse'") == 3


async def test_an_unknown_name_costs_a_hash_too(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    hasher = api.app.state.passwords._hasher
    monkeypatch.setattr(
        type(hasher), "verify", lambda self, stored, password: verified.append(stored) or True, raising=True
    )
    async with api.client() as client:
        answer = await client.post("/api/v1/sessions", json={"username": "nobody", "password": "x"})
    assert_problem(answer, 401, "wrong-sign-in")
    assert len(verified) == 1
    assert verified[0].startswith("$argon2id$")


async def test_after_five_failures_one_waits(api: Api, seed: Seed) -> None:
    await seed.user("operator", "zhang")
    now = [100.0]
    api.app.state.throttle = Throttle(clock=lambda: now[0])
    wrong = {"username": "zhang", "password": "wrong"}
    async with api.client() as client:
        for _ in range(5):
            assert (await client.post("/api/v1/sessions", json=wrong)).status_code == 401
        answer = await client.post("/api/v1/sessions", json={"username": "zhang", "password": PASSWORD})
        assert_problem(answer, 429, "too-many-sign-ins")
        assert answer.headers["retry-after"] == "1"
        other = await client.post("/api/v1/sessions", json={"username": "li", "password": "wrong"})
        assert other.status_code == 401  # another name is not held up
        now[0] += 1.0
        answer = await client.post("/api/v1/sessions", json={"username": "zhang", "password": PASSWORD})
        assert answer.status_code == 201


async def test_guesses_at_the_same_time_are_not_free(api: Api, seed: Seed) -> None:
    await seed.user("operator", "zhang")
    api.app.state.throttle = Throttle(clock=lambda: 100.0)
    wrong = {"username": "zhang", "password": "wrong"}
    async with api.client() as client:
        answers = await asyncio.gather(*[client.post("/api/v1/sessions", json=wrong) for _ in range(20)])
    assert Counter(answer.status_code for answer in answers) == {401: 5, 429: 15}


async def test_what_could_not_be_judged_is_no_wrong_guess(
    api: Api, seed: Seed, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await seed.user("operator", "zhang")
    right = {"username": "zhang", "password": PASSWORD}
    async with api.client() as client:
        with monkeypatch.context() as away:
            away.setattr(services, "database", AwayDatabase(services.database))
            services.database.is_away = True  # type: ignore[attr-defined]
            for _ in range(10):
                assert_problem(await client.post("/api/v1/sessions", json=right), 503, "database-away")
        assert (await client.post("/api/v1/sessions", json=right)).status_code == 201


def test_the_wait_doubles_to_a_minute_and_is_forgotten() -> None:
    now = [0.0]
    throttle = Throttle(clock=lambda: now[0])
    waits = []
    for _ in range(14):
        throttle.failed("zhang", "192.0.2.7")
        waits.append(throttle.wait_s("zhang", "192.0.2.7"))
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert throttle.wait_s("zhang", "192.0.2.8") == 0
    now[0] = 900.0
    assert throttle.wait_s("zhang", "192.0.2.7") == 0
    throttle.failed("zhang", "192.0.2.7")
    assert throttle.wait_s("zhang", "192.0.2.7") == 0  # counted from one again


def test_the_throttle_is_bounded() -> None:
    throttle = Throttle(capacity=10)
    for i in range(100):
        throttle.failed(f"user{i}", "192.0.2.7")
    assert len(throttle) == 10
    assert throttle.evicted == 90


async def test_a_session_slides_and_expires(api: Api, seed: Seed) -> None:
    user_id = await seed.user("viewer")
    token = await seed.session(user_id, lifetime_s=600)
    async with api.client(token) as client:
        assert (await client.get("/api/v1/sessions/current")).status_code == 200
        left = await seed.one("SELECT extract(epoch FROM expires_at - now())::float FROM user_sessions")
        assert 12 * 3600 - 60 < left <= 12 * 3600
        await seed.run("UPDATE user_sessions SET expires_at = now()")
        assert_problem(await client.get("/api/v1/sessions/current"), 401, "not-signed-in")


async def test_a_disabled_user_is_out_at_once(api: Api, seed: Seed) -> None:
    client = await api.signed_in("operator", "zhang")
    assert (await client.get("/api/v1/vehicles")).status_code == 200
    await seed.run("UPDATE users SET disabled = true")
    assert_problem(await client.get("/api/v1/vehicles"), 401, "not-signed-in")


async def test_change_own_password(api: Api, seed: Seed) -> None:
    client = await api.signed_in("viewer", "zhang")
    other = api.client(await seed.session(int(client.headers["x-user-id"])))
    path = "/api/v1/sessions/current/password"
    answer = await client.put(path, json={"current_password": "wrong", "new_password": "a new password"})
    assert_problem(answer, 422, "validation", "current_password")
    answer = await client.put(path, json={"current_password": PASSWORD, "new_password": "short"})
    assert_problem(answer, 422, "validation", "new_password")
    answer = await client.put(path, json={"current_password": PASSWORD, "new_password": "a new password"})
    assert answer.status_code == 204
    assert (await client.get("/api/v1/sessions/current")).status_code == 200
    assert (await other.get("/api/v1/sessions/current")).status_code == 401
    async with api.client() as fresh:
        body = {"username": "zhang", "password": "a new password"}
        assert (await fresh.post("/api/v1/sessions", json=body)).status_code == 201


async def test_the_first_administrator(postgresql_database: store.Database, api: Api, seed: Seed) -> None:
    generated = await ensure_admin(postgresql_database, None)
    assert generated is not None
    assert len(generated) >= 16
    assert await ensure_admin(postgresql_database, None) is None
    async with api.client() as client:
        answer = await client.post("/api/v1/sessions", json={"username": "admin", "password": generated})
        assert answer.json()["role"] == "admin"
        await seed.run("UPDATE users SET role = 'viewer', disabled = true")
        assert await ensure_admin(postgresql_database, "set by hand") is None
        assert (await client.get("/api/v1/sessions/current")).status_code == 401  # the old sign-ins ended
        answer = await client.post("/api/v1/sessions", json={"username": "admin", "password": "set by hand"})
        assert answer.json()["role"] == "admin"
        assert await ensure_admin(postgresql_database, "set by hand") is None
        assert (
            await client.get("/api/v1/sessions/current")
        ).status_code == 200  # nothing changed, nobody is thrown out


async def test_no_second_administrator_beside_other_users(postgresql_database: store.Database, seed: Seed) -> None:
    await seed.user("admin", "chief")
    assert await ensure_admin(postgresql_database, None) is None
    assert await seed.rows("SELECT username FROM users") == [("chief",)]
