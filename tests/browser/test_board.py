"""The day board in a real browser: keys alone, drag, and two people at once."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import DESK, START, OpenPage, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
TOMORROW = START.date().replace(day=2).isoformat()


def board(page: Page, who: str, on: str = TOMORROW) -> Locator:
    """The blocks of the board, by time."""
    sign_in(page, who)
    page.goto(f"/staff/day/fullerton/{on}")
    blocks = page.locator("[data-slot]")
    expect(blocks.nth(1)).to_be_visible()
    return blocks


def test_a_session_is_moved_by_keys_and_taken_back(open_page: OpenPage) -> None:
    page = open_page(DESK)
    blocks = board(page, "desk")
    blocks.first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-panel]")).to_be_visible()
    moved = page.locator("[data-slot][aria-current]")
    before = moved.inner_text()
    page.keyboard.press("m")
    expect(page.locator("[data-moving]")).to_be_visible()
    page.keyboard.press("ArrowDown")
    wanted = page.evaluate("document.activeElement.textContent").split()[0].lstrip("0")
    page.keyboard.press("Enter")
    expect(moved).to_contain_text(f"{wanted} to")
    expect(page.locator("[data-slot]:focus")).to_have_count(1)  # the focus is on the block again
    page.keyboard.press("z")
    expect(moved).to_have_text(before, use_inner_text=True)


def test_escape_keeps_the_session_where_it_is(open_page: OpenPage) -> None:
    page = open_page(DESK)
    blocks = board(page, "desk")
    before = blocks.all_inner_texts()
    blocks.first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-panel]")).to_be_focused()
    page.keyboard.press("m")
    expect(page.locator("[data-moving]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-panel]")).to_be_visible()
    assert blocks.all_inner_texts() == before


def drag(page: Page, block: Locator, down: int) -> None:
    block.scroll_into_view_if_needed()
    box = block.bounding_box()
    assert box
    page.mouse.move(box["x"] + 40, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + 40, box["y"] + 20, steps=4)
    page.mouse.move(box["x"] + 40, box["y"] + 8 + down, steps=6)
    page.mouse.up()


def test_a_drag_to_a_taken_place_springs_back_with_the_reason(open_page: OpenPage) -> None:
    page = open_page(DESK)
    blocks = board(page, "desk")
    before = blocks.all_inner_texts()
    first, second = blocks.first.bounding_box(), blocks.nth(1).bounding_box()
    assert first
    assert second
    drag(page, blocks.first, int(second["y"] - first["y"]))
    expect(page.locator("#problem")).to_contain_text("another session is on this device then")
    expect(blocks).to_have_count(len(before))
    assert blocks.all_inner_texts() == before


def test_two_people_see_each_others_changes_within_two_seconds(open_page: OpenPage) -> None:
    desk, operator = open_page(DESK), open_page(DESK)
    blocks = board(desk, "desk")
    seen = board(operator, "operator")
    seen.filter(has_text="/36").last.click()
    note = operator.locator("[data-elsewhere]")
    expect(note).to_be_hidden()
    blocks.filter(has_text="/36").last.click()
    desk.keyboard.press("m")
    expect(desk.locator("[data-moving]")).to_be_visible()
    desk.keyboard.press("Enter")
    expect(desk.locator(".toast")).to_be_visible()
    expect(note).to_contain_text("moved by Dana Whitfield", timeout=2500)
    expect(operator.locator("#board-said")).to_contain_text("moved by Dana Whitfield")
    desk.keyboard.press("z")
    expect(desk.locator(".toast")).to_contain_text("is back at")


def test_the_day_can_be_done_from_the_list_too(open_page: OpenPage) -> None:
    page = open_page(390)
    sign_in(page, "desk")
    page.goto(f"/staff/day/fullerton/{START.date()}")
    expect(page.locator("#calendar")).to_be_hidden()
    row = page.locator("tr[data-s][data-ahead]").last
    row.get_by_role("button", name=re.compile("Arrived")).click()
    expect(page.locator(".toast")).to_contain_text("Arrived.")
    changed = page.locator("tr[data-s][data-is=arrived]")
    expect(changed).to_have_count(1)
    page.get_by_role("button", name="Undo").click()
    expect(changed).to_have_count(0)
