"""Commands from the seat in a real browser, to simulated terminals: given, confirmed, answered, refused."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from tests.console.conftest import Console, Picture, all_vehicles, online_vehicle

pytestmark = [pytest.mark.browser, pytest.mark.postgres, pytest.mark.slow]


def test_a_text_is_acknowledged(seat: Page, picture: Picture) -> None:
    online_vehicle(seat).click()
    seat.keyboard.press("m")
    seat.get_by_test_id("text-input").fill("请减速慢行。")
    seat.get_by_test_id("text-submit").click()
    sent = seat.get_by_test_id("card-commands").locator("li").first
    expect(sent).to_have_attribute("data-state", "acknowledged")
    seat.get_by_test_id("tab-commands").click()
    expect(seat.get_by_test_id("command-grid").locator("[data-state=acknowledged]").first).to_contain_text(
        "请减速慢行。"
    )
    picture(seat, "text")


def test_unsent_text_survives_a_reload(seat: Page) -> None:
    online_vehicle(seat).click()
    seat.get_by_test_id("send-text").click()
    seat.get_by_test_id("text-input").fill("写到一半")
    seat.reload()
    seat.get_by_test_id("send-text").click()
    expect(seat.get_by_test_id("text-input")).to_have_value("写到一半")


def test_a_failure_is_said_and_loses_nothing(seat: Page, refusals: list[int]) -> None:
    refusals.append(503)

    def fail(route: Route) -> None:
        route.fulfill(status=503, json={"title": "Service Unavailable", "status": 503, "detail": "数据库暂时不可用"})

    online_vehicle(seat).click()
    seat.get_by_test_id("send-text").click()
    seat.get_by_test_id("text-input").fill("发不出去")
    seat.route("**/api/v1/commands", fail)
    seat.get_by_test_id("text-submit").click()
    expect(seat.get_by_test_id("text-dialog").get_by_role("alert")).to_contain_text("数据库暂时不可用")
    expect(seat.get_by_test_id("text-input")).to_have_value("发不出去")


def test_a_photo_comes_to_the_card(seat: Page, picture: Picture) -> None:
    online_vehicle(seat).click()
    seat.keyboard.press("p")
    seat.get_by_test_id("command-submit").click()
    media = seat.get_by_test_id("card-media").locator("[data-testid^=media-]").first
    expect(media).to_be_visible()
    media.click()
    viewer = seat.get_by_test_id("viewer")
    expect(viewer.locator("img")).to_have_js_property("complete", True)
    assert viewer.locator("img").evaluate("image => image.naturalWidth") > 0
    picture(seat, "photo")
    seat.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    sent = seat.get_by_test_id("card-commands").locator("[data-kind=photo]").first
    expect(sent).to_have_attribute("data-state", re.compile("acknowledged|answered"))
    sent.click()
    expect(seat.get_by_test_id("command-story").locator("[data-testid^=media-]").first).to_be_visible()


def test_parameters_are_read_changed_and_read_again(seat: Page, picture: Picture) -> None:
    online_vehicle(seat).click()
    seat.get_by_test_id("parameters").click()
    speed = seat.get_by_test_id("parameter-0x0055")
    expect(speed).to_contain_text("km/h")
    field = speed.get_by_role("spinbutton")
    field.fill("87")
    field.press("Tab")
    expect(speed).to_have_class(re.compile("changed"))
    picture(seat, "parameters")
    seat.get_by_test_id("parameters-submit").click()
    expect(seat.get_by_test_id("parameters-sent")).to_contain_text("终端已确认")
    expect(speed).to_contain_text("87 km/h")
    expect(speed).not_to_have_class(re.compile("changed"))


def test_a_dangerous_command_asks_for_the_plate_again(seat: Page, picture: Picture) -> None:
    online_vehicle(seat).click()
    plate = str(seat.get_by_test_id("vehicle-card").get_attribute("aria-label"))
    seat.get_by_test_id("more-commands").click()
    seat.get_by_test_id("kind-oil_power").click()
    seat.get_by_test_id("command-submit").click()
    submit = seat.get_by_test_id("confirm-submit")
    expect(submit).to_be_disabled()
    seat.get_by_test_id("confirm-input").fill("辽A00000")
    expect(submit).to_be_disabled()
    seat.get_by_test_id("confirm-input").fill(plate)
    picture(seat, "confirm")
    submit.click()
    expect(seat.get_by_test_id("confirm-dialog")).to_have_count(0)
    sent = seat.get_by_test_id("card-commands").locator("[data-kind=oil_power]").first
    expect(sent).to_have_attribute("data-state", re.compile("acknowledged|answered|refused"))


def test_a_text_goes_to_many(seat: Page, picture: Picture) -> None:
    online = seat.locator("[data-testid^=vehicle-][data-online=true]")
    for i in range(2):
        online.nth(i).get_by_role("checkbox").check()
    seat.get_by_test_id("send-many").click()
    seat.get_by_test_id("send-many-menu").get_by_test_id("kind-text").click()
    expect(seat.get_by_test_id("group-target")).to_contain_text("2")
    seat.get_by_test_id("text-input").fill("前方大雾，请减速慢行。")
    seat.get_by_test_id("text-submit").click()
    group = seat.locator("[data-testid=group-grid] .line").first
    expect(group).to_have_attribute("data-state", "done")
    expect(group).to_contain_text("成功 2")
    picture(seat, "group")
    group.get_by_test_id("group-details").click()
    expect(seat.get_by_test_id("group-member")).to_have_count(2)


def test_what_the_server_refuses_is_said_in_words_of_the_watch(seat: Page, refusals: list[int]) -> None:
    refusals.append(409)

    def refuse(route: Route) -> None:
        kind = "urn:roadwarden:problem:no-terminal"
        route.fulfill(
            status=409, json={"type": kind, "status": 409, "title": "Conflict", "detail": "in the server's words"}
        )

    online_vehicle(seat).click()
    seat.get_by_test_id("send-text").click()
    seat.get_by_test_id("text-input").fill("发不出去")
    seat.route("**/api/v1/commands", refuse)
    seat.get_by_test_id("text-submit").click()
    said = seat.get_by_test_id("text-dialog").get_by_role("alert")
    expect(said).to_contain_text("没有已批准的终端")
    expect(said.locator("small")).to_have_text("in the server's words")


def test_a_dangerous_choice_is_not_remembered(seat: Page) -> None:
    online_vehicle(seat).click()
    for _ in range(2):
        seat.get_by_test_id("more-commands").click()
        seat.get_by_test_id("kind-oil_power").click()
        dialog = seat.get_by_test_id("command-dialog")
        expect(dialog.get_by_role("radio", name="恢复油电")).to_be_checked()
        dialog.get_by_text("断油断电", exact=True).last.click()
        expect(dialog.get_by_role("radio", name="断油断电")).to_be_checked()
        seat.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_areas_are_stored_in_a_terminal_and_told_as_a_table(seat: Page, console: Console) -> None:
    fence = {
        "name": "测试港区",
        "shape": "circle",
        "center": [41.8, 123.4],
        "radius_m": 3000,
        "points": [],
        "trigger": "both",
    }
    fence_id = console.client.call("POST", "geofences", fence)["id"]
    able = next(
        one["id"] for one in all_vehicles(console) if one["terminals"] and one["terminals"][0]["edition"] == "2019"
    )
    seat.goto(f"{console.url}/?v={able}")
    sent = seat.get_by_test_id("card-commands")
    seat.get_by_test_id("more-commands").click()
    seat.get_by_test_id("kind-area_set").click()
    seat.get_by_test_id("field-geofence_id").locator(".el-select").click()
    seat.locator(".el-select-dropdown__item:visible", has_text="测试港区").click()
    seat.get_by_test_id("command-submit").click()
    expect(sent.locator("[data-kind=area_set]")).to_have_attribute("data-state", "acknowledged")
    seat.get_by_test_id("more-commands").click()
    seat.get_by_test_id("kind-area_query").click()
    seat.get_by_test_id("field-shape").get_by_text("圆形").click()
    seat.get_by_test_id("command-submit").click()
    asked = sent.locator("[data-kind=area_query]")
    expect(asked).to_have_attribute("data-state", "answered")
    asked.click()
    answer = seat.get_by_test_id("answer")
    expect(answer.get_by_role("columnheader", name="半径 m")).to_be_visible()
    expect(answer.get_by_role("row").nth(1)).to_contain_text("测试港区")
    expect(answer).not_to_contain_text("latitude")
    console.client.call("DELETE", f"geofences/{fence_id}")


def test_firmware_is_uploaded_and_listed(seat: Page, console: Console) -> None:
    seat.goto(f"{console.url}/firmware")
    seat.get_by_test_id("firmware-new").click()
    package: FilePayload = {"name": "T808-2.1.bin", "mimeType": "application/octet-stream", "buffer": bytes(4000)}
    seat.get_by_test_id("firmware-file").set_input_files(package)
    seat.get_by_test_id("firmware-version").fill("V2.1.0")
    seat.get_by_test_id("firmware-submit").click()
    expect(seat.get_by_test_id("firmware-list")).to_contain_text("V2.1.0")
    [stored] = console.client.get("firmware")["items"]
    assert (stored["name"], stored["size_bytes"]) == ("T808-2.1", 4000)
