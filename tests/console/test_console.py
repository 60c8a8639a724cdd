"""The operator's seat in a real browser, against a real server with vehicles on the road."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, WebSocketRoute, expect

from tests.console.conftest import Console, Picture, online_vehicle, open_alarm, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.slow]


def test_a_wrong_password_is_said(page: Page, console: Console) -> None:
    page.goto(console.url)
    page.locator("[name=username]").fill(console.username)
    page.locator("[name=password]").fill("not the password")
    page.get_by_test_id("sign-in-submit").click()
    expect(page.get_by_role("alert")).to_have_text("用户名或密码不正确")
    expect(page.get_by_test_id("shell")).to_have_count(0)


def test_vehicles_appear_and_move_on_the_map(seat: Page, picture: Picture) -> None:
    expect(seat.get_by_test_id("online")).to_have_text(re.compile(r"[1-9]"))
    online_vehicle(seat).click()
    card = seat.get_by_test_id("vehicle-card")
    expect(card).to_be_visible()
    seat.get_by_test_id("state-moving").click()
    moving = seat.locator("[data-testid^=vehicle-][data-online=true]").first
    moving.click()
    place = card.locator("dd").first
    before = place.inner_text()
    expect(place).not_to_have_text(before)
    picture(seat, "vehicle")
    # The map itself: the same view, other pixels.
    seat.keyboard.press("Escape")
    expect(card).to_have_count(0)
    canvas = seat.get_by_test_id("map").locator("canvas")
    seen = canvas.screenshot()
    for _ in range(30):
        if canvas.screenshot() != seen:
            break
        seat.evaluate("() => new Promise((next) => requestAnimationFrame(next))")
    else:
        pytest.fail("nothing moves on the map")


@pytest.mark.usefixtures("alarms")
def test_an_alarm_is_claimed_and_handled(seat: Page, console: Console, picture: Picture) -> None:
    alarm = open_alarm(seat)
    name = str(alarm.get_attribute("data-testid")).removeprefix("alarm-")
    alarm.click()
    expect(seat.get_by_test_id("vehicle-card")).to_be_visible()
    seat.keyboard.press("c")
    expect(alarm).to_have_attribute("data-state", "claimed")
    expect(alarm.get_by_test_id("alarm-state")).to_have_text("我已认领")
    seat.get_by_role("button", name="全部车辆").click()
    if "ROADWARDEN_PICTURES" in os.environ:  # a machine that is busy never draws a map to its end
        seat.wait_for_function("() => document.querySelector('[data-testid=map]').dataset.resting === 'true'")
    picture(seat, "seat")
    seat.keyboard.press("h")
    dialog = seat.get_by_test_id("handle-dialog")
    expect(dialog).to_be_visible()
    seat.keyboard.press("2")
    expect(seat.get_by_test_id("code-driver_called")).to_have_attribute("aria-checked", "true")
    seat.get_by_test_id("handle-text").fill("已电话提醒，司机减速。")
    picture(seat, "alarm")
    seat.get_by_test_id("handle-submit").click()
    expect(dialog).to_have_count(0)
    stored = console.client.get(f"alarms/{name}")
    assert (stored["state"], stored["handle_code"]) == ("handled", "driver_called")
    assert stored["handle_text"] == "已电话提醒，司机减速。"
    assert [step["action"] for step in stored["steps"]] == ["claim", "handle"]
    # It leaves the queue, and is still there for those who ask.
    seat.mouse.move(5, 5)
    expect(alarm).to_have_count(0)


@pytest.mark.usefixtures("alarms")
def test_the_keyboard_takes_one_alarm_after_the_other(seat: Page) -> None:
    asked: list[str] = []
    seat.on("request", lambda request: asked.append(request.url) if request.url.endswith("/claim") else None)
    chosen = seat.locator("[data-testid^=alarm-][aria-current=true]")
    open_alarm(seat)
    for _ in range(2):
        seat.keyboard.press("c")  # none is chosen, or one that is dealt with: the most urgent one
        expect(chosen).to_have_attribute("data-state", "claimed")
        seat.keyboard.press("c")  # it is ours already
        seat.keyboard.press("h")
        expect(seat.get_by_test_id("handle-dialog")).to_be_visible()
        seat.keyboard.press("3")
        expect(seat.get_by_test_id("code-checked_normal")).to_have_attribute("aria-checked", "true")
        seat.keyboard.press("Control+Enter")
        expect(seat.get_by_test_id("handle-dialog")).to_have_count(0)
        seat.mouse.move(5, 5)
        expect(chosen).to_have_count(0)
    assert len(asked) == len(set(asked)) == 2


@pytest.mark.usefixtures("alarms")
def test_a_false_alarm_is_marked(seat: Page, console: Console) -> None:
    alarm = open_alarm(seat)
    name = str(alarm.get_attribute("data-testid")).removeprefix("alarm-")
    alarm.hover()
    alarm.get_by_test_id("false-alarm").click()
    expect(seat.get_by_test_id("code-false_alarm")).to_have_attribute("aria-checked", "true")
    seat.get_by_test_id("handle-submit").click()
    expect(seat.get_by_test_id("handle-dialog")).to_have_count(0)
    assert console.client.get(f"alarms/{name}")["state"] == "false"


def test_a_track_plays_back(seat: Page, picture: Picture) -> None:
    seat.get_by_test_id("state-moving").click()
    online_vehicle(seat).click()
    seat.keyboard.press("t")
    panel = seat.get_by_test_id("track-panel")
    expect(panel).to_have_attribute("data-points", re.compile(r"^([2-9]|\d\d)"))
    moment = seat.get_by_test_id("track-time")
    begin = moment.inner_text()
    seat.keyboard.press("[")
    seat.keyboard.press("Space")
    expect(moment).not_to_have_text(begin)
    picture(seat, "track")
    # The address carries it: a reload shows the same stretch.
    address = seat.url
    seat.reload()
    expect(panel).to_have_attribute("data-points", re.compile(r"^([2-9]|\d\d)"))
    assert seat.url == address
    seat.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(seat.get_by_test_id("vehicle-card")).to_be_visible()


def test_back_and_a_pasted_address_work(seat: Page, console: Console) -> None:
    row = online_vehicle(seat)
    number = str(row.get_attribute("data-testid")).removeprefix("vehicle-")
    row.click()
    expect(seat.get_by_test_id("vehicle-card")).to_be_visible()
    seat.go_back()
    expect(seat.get_by_test_id("vehicle-card")).to_have_count(0)
    seat.goto(f"{console.url}/?v={number}&tab=commands")
    expect(seat.get_by_test_id("vehicle-card")).to_be_visible()
    expect(seat.get_by_test_id("command-grid")).to_be_visible()


def test_language_and_theme_switch_and_stay(seat: Page, picture: Picture) -> None:
    expect(seat.get_by_test_id("tab-alarms")).to_contain_text("报警")
    seat.get_by_test_id("language").click()
    expect(seat.get_by_test_id("tab-alarms")).to_contain_text("Alarms")
    expect(seat.locator("html")).to_have_attribute("lang", "en")
    seat.get_by_test_id("theme").click()
    expect(seat.locator("html")).not_to_have_class("dark")
    picture(seat, "english-light")
    seat.reload()
    expect(seat.get_by_test_id("tab-alarms")).to_contain_text("Alarms")
    expect(seat.locator("html")).not_to_have_class("dark")


def test_the_bell_is_off_until_a_gesture_and_says_so(seat: Page) -> None:
    bar = seat.get_by_test_id("bar-sound")
    expect(bar).to_have_count(0)  # signing in was the gesture
    seat.reload()
    expect(bar).to_be_visible()
    seat.get_by_test_id("begin-shift").click()
    expect(bar).to_have_count(0)


def test_an_expired_sign_in_is_renewed_without_losing_the_page(seat: Page, console: Console) -> None:
    online_vehicle(seat).click()
    seat.get_by_test_id("send-text").click()
    seat.get_by_test_id("text-input").fill("登录过期也不丢")
    seat.context.clear_cookies()
    seat.get_by_test_id("text-submit").click()
    expired = seat.get_by_test_id("expired")
    expect(expired).to_be_visible()
    expired.locator("[name=password]").fill(console.password)
    expired.get_by_test_id("sign-in-submit").click()
    expect(expired).not_to_be_visible()
    expect(seat.get_by_test_id("card-commands").locator("li").first).to_contain_text("登录过期也不丢")


def test_a_gap_in_the_stream_asks_for_a_snapshot(page: Page, console: Console) -> None:
    connections: list[WebSocketRoute] = []

    def relay(socket: WebSocketRoute) -> None:
        connections.append(socket)
        server = socket.connect_to_server()
        passed = [0]

        def forward(message: str | bytes) -> None:
            passed[0] += 1
            if len(connections) > 1 or passed[0] != 3:  # the first connection loses its second delta
                socket.send(message)

        server.on_message(forward)

    page.route_web_socket(re.compile("/api/v1/live$"), relay)
    sign_in(page, console)
    expect(page.get_by_test_id("map")).to_have_attribute("data-vehicles", re.compile(r"^[1-9]"))
    until = time.monotonic() + 60
    while len(connections) < 2:
        assert time.monotonic() < until, "no second connection"
        page.wait_for_timeout(100)
    expect(page.get_by_test_id("bar-link")).to_have_count(0)
    assert len(connections) == 2


def test_a_silent_stream_is_a_red_bar(page: Page, console: Console) -> None:
    passed: list[Any] = []

    def relay(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def forward(message: str | bytes) -> None:
            passed.append(None)
            if len(passed) < 3:  # a snapshot and a delta, then nothing any more, however often it connects again
                socket.send(json.dumps(json.loads(message) | {"alarms": []}))

        server.on_message(forward)

    page.route_web_socket(re.compile("/api/v1/live$"), relay)
    sign_in(page, console)
    expect(page.locator("[data-testid=bar-stale], [data-testid=bar-link]")).to_be_visible()
    # Nobody looks at this tab, or at an empty queue, and thinks that all is well.
    expect(page).to_have_title(re.compile("^⚠ "))
    expect(page.get_by_test_id("alarm-queue")).to_contain_text("现在看不到有没有新报警")


def test_a_watch_that_cannot_know_does_not_say_that_all_is_well(page: Page, console: Console) -> None:
    told: dict[str, Any] = {}

    def relay(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def forward(message: str | bytes) -> None:
            said = json.loads(message) | {"alarms": []}
            said["stats"] |= {"alarms": dict.fromkeys("1234", 0), "notices": [], "journal_lag_s": 0.0} | told
            socket.send(json.dumps(said))

        server.on_message(forward)

    page.route_web_socket(re.compile("/api/v1/live$"), relay)
    sign_in(page, console)
    queue = page.get_by_test_id("alarm-queue")
    expect(queue).to_contain_text("没有待处理的报警")
    for trouble, bar in (
        ({"notices": [{"code": "gateway_away", "severity": "error", "detail": ""}]}, "gateway_away"),
        ({"notices": [{"code": "database_away", "severity": "error", "detail": ""}]}, "database_away"),
        ({"journal_lag_s": 25.0}, "pipeline_behind"),
    ):
        told |= trouble
        expect(page.get_by_test_id(f"notice-{bar}")).to_be_visible()
        expect(queue).to_contain_text("现在看不到有没有新报警")
        expect(page).to_have_title(re.compile("^⚠ "))
        expect(page.get_by_test_id("database")).to_have_class(re.compile("down" if bar == "database_away" else "up"))
        told.clear()
        expect(queue).to_contain_text("没有待处理的报警")


def test_lists_are_read_until_they_are_there(page: Page, console: Console, refusals: list[int]) -> None:
    refusals.append(503)
    asked: list[str] = []

    def fail_first(route: Route) -> None:
        asked.append(route.request.url)
        if len(asked) == 1:
            route.fulfill(status=503, json={"status": 503, "detail": "not yet"})
        else:
            route.continue_()

    page.route(re.compile(r"/api/v1/vehicles\?"), fail_first)
    sign_in(page, console)
    expect(online_vehicle(page)).to_be_visible()
    assert len(asked) > 1


@pytest.mark.usefixtures("alarms")
def test_alarms_behind_a_filter_are_counted(seat: Page) -> None:
    open_alarm(seat)
    seat.keyboard.press("4")  # overspeed is none of these
    hidden = seat.get_by_test_id("filtered-out")
    expect(hidden).to_contain_text(re.compile(r"隐藏了 \d+ 条"))
    hidden.click()
    expect(hidden).to_have_count(0)
    open_alarm(seat)


def test_without_webgl_the_vehicle_table_stands_in(page: Page, console: Console) -> None:
    page.add_init_script(
        "const get = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {"
        " return kind === 'webgl2' ? null : get.call(this, kind, ...rest) }"
    )
    sign_in(page, console)
    expect(page.get_by_test_id("map").get_by_test_id("vehicle-grid").locator(".line").first).to_be_visible()


def test_the_pages_of_the_management_open(seat: Page, picture: Picture) -> None:
    for name in (
        "vehicles", "terminals", "alarms", "media", "firmware", "geofences", "platforms", "users", "audit",
    ):  # fmt: skip
        seat.get_by_role("navigation").first.get_by_role("link", name="管理").click()
        seat.get_by_test_id(f"nav-{name}").click()
        expect(seat.locator("h1")).to_be_visible()
        picture(seat, f"manage-{name}")
    seat.keyboard.press("g")
    seat.keyboard.press("s")
    expect(seat.get_by_test_id("health")).to_contain_text("正常")
    picture(seat, "system")


def test_two_units_with_one_number_are_found_among_many(page: Page, console: Console) -> None:
    def twice(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        told["items"][-1]["duplicate_identity_at"] = datetime.now(UTC).isoformat()
        route.fulfill(response=answer, json=told)

    page.route(re.compile(r"/api/v1/terminals\?"), twice)
    sign_in(page, console, "/terminals")
    rows = page.locator(".el-table__body tr")
    expect(rows.first).to_contain_text("号码被两台设备同时使用")
    page.get_by_text("有异常 1").click()
    expect(rows).to_have_count(1)


def test_a_faulty_import_names_its_lines(seat: Page, console: Console, refusals: list[int]) -> None:
    refusals.append(422)
    seat.goto(f"{console.url}/vehicles")
    seat.get_by_test_id("vehicle-import").click()
    faulty = "车牌号,车牌颜色\n辽A00001,黄色\n辽A00002,没有这种颜色\n"
    choose = seat.get_by_test_id("import-file")
    choose.set_input_files({"name": "vehicles.csv", "mimeType": "text/csv", "buffer": faulty.encode()})
    expect(seat.get_by_test_id("import-faults")).to_contain_text("3")
    expect(seat.get_by_test_id("import-submit")).to_be_disabled()
    right = faulty.replace("没有这种颜色", "蓝色").encode()
    choose.set_input_files({"name": "vehicles.csv", "mimeType": "text/csv", "buffer": right})
    expect(seat.get_by_test_id("import-trial")).to_contain_text("新增 2 辆")
    with seat.expect_response(lambda response: "/vehicles/import" in response.url) as taken:
        seat.get_by_test_id("import-submit").click()
    assert taken.value.ok
    assert {item["plate"] for item in console.client.get("vehicles?q=A0000")["items"]} >= {"辽A00001", "辽A00002"}


def test_a_fence_is_drawn_on_the_map(seat: Page, console: Console) -> None:
    seat.goto(f"{console.url}/geofences")
    draw = seat.get_by_test_id("draw-polygon")
    expect(draw).to_be_enabled()
    draw.click()
    canvas = seat.locator("canvas")
    for x, y in ((200, 150), (400, 150), (300, 320)):
        canvas.click(position={"x": x, "y": y}, delay=20)
    seat.keyboard.press("Enter")
    seat.get_by_test_id("fence-name").fill("测试围栏")
    seat.get_by_test_id("fence-save").click()
    expect(seat.get_by_role("button", name="测试围栏")).to_be_visible()
    [fence] = [f for f in console.client.get("geofences")["items"] if f["name"] == "测试围栏"]
    assert (fence["shape"], len(fence["points"])) == ("polygon", 3)
    console.client.call("DELETE", f"geofences/{fence['id']}")


@pytest.mark.usefixtures("alarms")
def test_alarms_are_settled_together_and_filed(seat: Page, console: Console, picture: Picture) -> None:
    alarm = open_alarm(seat)
    name = str(alarm.get_attribute("data-testid")).removeprefix("alarm-")
    alarm.click()
    seat.keyboard.press("x")
    seat.locator("[data-testid^=alarm-][data-state=open]").nth(1).get_by_test_id("tick").click()
    expect(seat.get_by_test_id("batch")).to_contain_text("已勾选 2 条")
    seat.get_by_test_id("batch-claim").click()
    expect(alarm).to_have_attribute("data-state", "claimed")
    seat.keyboard.press("h")
    dialog = seat.get_by_test_id("handle-dialog")
    expect(dialog).to_contain_text("2 条报警")
    seat.keyboard.press("3")
    seat.get_by_test_id("handle-text").fill("同一路段限速有误")
    picture(seat, "alarms-together")
    seat.get_by_test_id("handle-submit").click()
    expect(dialog).to_have_count(0)
    settled = [
        item for item in console.client.get("alarms?state=handled")["items"] if "限速有误" in item["handle_text"]
    ]
    assert len(settled) == 2
    # Its story, and the end of it, in the records.
    seat.goto(f"{console.url}/alarms")
    seat.get_by_test_id(f"record-{name}").click()
    expect(seat.get_by_test_id("steps").locator("li")).to_have_count(2)
    seat.get_by_test_id("mode-close").click()
    seat.get_by_test_id("close-submit").click()
    expect(dialog).to_have_count(0)
    assert console.client.get(f"alarms/{name}")["state"] == "closed"


@pytest.mark.usefixtures("alarms")
def test_an_alarm_is_handed_over_and_who_was_faster_is_named(seat: Page, console: Console) -> None:
    colleague = {"username": "li", "password": console.password, "display_name": "李班", "role": "operator"}
    colleague_id = console.client.call("POST", "users", colleague)["id"]
    alarm = open_alarm(seat)
    name = str(alarm.get_attribute("data-testid")).removeprefix("alarm-")
    alarm.click()
    seat.keyboard.press("c")
    expect(alarm).to_have_attribute("data-state", "claimed")
    seat.keyboard.press("o")
    seat.get_by_test_id("mode-transfer").click()
    seat.get_by_test_id("transfer-to").click()
    seat.get_by_test_id(f"colleague-{colleague_id}").click()
    seat.get_by_test_id("transfer-text").fill("请继续联系司机")
    seat.get_by_test_id("transfer-submit").click()
    expect(alarm.get_by_test_id("alarm-state")).to_have_text("李班 认领")
    seat.keyboard.press("h")
    expect(seat.get_by_test_id("handle-dialog")).to_be_visible()
    console.client.call("POST", f"alarms/{name}/handle", {"code": "other", "text": "李班已处理"})
    expect(seat.get_by_test_id("handle-dialog").get_by_role("alert")).to_contain_text("已经处理了这条报警")


def test_a_viewer_looks_and_touches_nothing(page: Page, console: Console) -> None:
    watcher = {"username": "guest", "password": console.password, "role": "viewer"}
    console.client.call("POST", "users", watcher)
    sign_in(page, console, username="guest")
    online_vehicle(page).click()
    expect(page.get_by_test_id("vehicle-card")).to_be_visible()
    for name in ("send-text", "photo", "parameters", "more-commands", "tick", "claim", "handle", "send-many"):
        expect(page.get_by_test_id(name)).to_have_count(0)
    page.keyboard.press("m")
    expect(page.get_by_test_id("text-dialog")).to_have_count(0)


def test_ones_own_password(page: Page, console: Console, refusals: list[int]) -> None:
    refusals.append(422)
    console.client.call("POST", "users", {"username": "sun", "password": console.password, "role": "operator"})
    sign_in(page, console, username="sun")
    page.get_by_test_id("user").click()
    page.get_by_test_id("own-password").click()
    for field, value in (("current", "not this one"), ("next", "another long one"), ("again", "another long one")):
        page.get_by_test_id(f"password-{field}").fill(value)
    page.get_by_test_id("password-save").click()
    expect(page.get_by_test_id("password-dialog").get_by_role("alert")).to_contain_text("当前密码：不正确")
    page.get_by_test_id("password-current").fill(console.password)
    page.get_by_test_id("password-save").click()
    expect(page.get_by_test_id("password-dialog")).to_have_count(0)


def test_pickers_are_in_shanghai_wherever_the_machine_is(browser: Browser, console: Console) -> None:
    context = browser.new_context(locale="zh-CN", timezone_id="America/New_York")
    page = context.new_page()
    sign_in(page, console, "/alarms")
    page.locator(".el-date-editor input").first.click()
    with page.expect_request(re.compile(r"/api/v1/alarms\?.*from=")) as asked:
        page.get_by_text("最近 24 小时").click()
    begin = parse_qs(urlsplit(asked.value.url).query)["from"][0]
    age = datetime.now(UTC) - datetime.fromisoformat(begin)
    context.close()
    assert timedelta(hours=23) < age < timedelta(hours=25)


def test_what_is_wrong_with_the_server_is_said_until_it_is_cured(page: Page, console: Console) -> None:
    told: list[dict[str, str]] = [
        {"code": "journal_filling", "severity": "warning", "detail": "the journal is 87% full; at its bound no more"}
    ]

    def relay(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def forward(message: str | bytes) -> None:
            said = json.loads(message)
            said["stats"]["notices"] = list(told)
            socket.send(json.dumps(said))

        server.on_message(forward)

    page.route_web_socket(re.compile("/api/v1/live$"), relay)
    sign_in(page, console)
    bar = page.get_by_test_id("notice-journal_filling")
    expect(bar).to_contain_text("接收日志已占 87%")
    expect(bar.get_by_role("button")).to_have_count(0)
    told.clear()
    expect(bar).to_have_count(0)
