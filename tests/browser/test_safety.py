"""The loop of a safety answer: card on the phone, banner on every open staff page, acknowledged by name, closed."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage, sign_in
from tests.browser.intake import put
from tests.browser.stack import ON_CALL, Stack
from tests.browser.test_pages import faults_of, listed, looks  # noqa: F401 - `looks` is a fixture

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]


def answer_item_9(page: Page, answer: str) -> None:
    page.goto("/intake/start")
    page.get_by_role("button", name="Start").click()
    page.goto("/intake/phq9-9")
    put(page, {"answer": answer})


def alerts(page: Page) -> int:
    """How many stand on the page that is open."""
    page.wait_for_load_state()
    return page.locator("#alerts li").count()


def newest(page: Page) -> Any:
    """The alert without a record: the person of this test gave no name."""
    return page.locator("#alerts li", has_text="no record yet").last


def test_from_the_answer_to_the_closed_alert(stack: Stack, open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    desk, nurse, phone = open_page(DESK), open_page(DESK), open_page(PHONE)
    sign_in(desk, "desk")
    sign_in(nurse, "nurse")
    letters = len(stack.letters.all)
    before = {page: alerts(page) for page in (desk, nurse)}

    answer_item_9(phone, "2")
    card = phone.locator("#safety")
    expect(card).to_be_visible()
    expect(card.get_by_role("link", name="Call 988")).to_be_visible()
    faults = list(faults_of(phone, looks))
    phone.set_viewport_size({"width": PHONE, "height": 844})
    phone.locator(".dock .btn.grow").click()
    phone.wait_for_url("**/intake/safety**")
    for words in ("Veterans: press 1", "oprima 2", "I would rather talk to a person"):
        expect(phone.locator("main")).to_contain_text(words)
    faults += faults_of(phone, looks)
    assert "Worklist" in stack.mail(ON_CALL, "safety", letters)

    # Both pages were open before: the alert comes to them by itself, and is said once.
    for page in (nurse, desk):
        expect(page.locator("#alerts li")).to_have_count(before[page] + 1, timeout=45_000)
        expect(newest(page)).to_contain_text(
            re.compile(r"Safety, call by .*open for \d+ min, nobody has acknowledged it", re.S)
        )
        expect(page.locator("#alerts-said")).to_contain_text("Safety, call by")
    expect(newest(desk).get_by_role("button")).to_have_count(0)
    faults += faults_of(nurse, looks)
    faults += faults_of(desk, looks)

    nurse.set_viewport_size({"width": DESK, "height": 900})
    newest(nurse).get_by_role("button", name="Acknowledge").click()
    nurse.wait_for_url("**/staff/tasks/*")
    expect(newest(nurse)).to_contain_text(re.compile(r"acknowledged by \S+ \S+.* at \d\d:\d\d"))
    expect(newest(nurse).get_by_role("button")).to_have_count(0)
    expect(nurse.locator("main")).to_contain_text("PHQ-9 item 9: 2")
    faults += faults_of(nurse, looks)
    desk.goto("/staff/patients")
    expect(newest(desk)).to_contain_text("acknowledged by")
    assert "PHQ" not in desk.locator("main").inner_text()
    desk.wait_for_timeout(800)
    expect(desk.locator("#alerts-said")).to_have_text("")  # it was said in this tab before

    nurse.set_viewport_size({"width": DESK, "height": 900})
    nurse.get_by_label("What came of it?").fill("Called at 10:05, spoke with the person.")
    nurse.get_by_role("button", name="Close", exact=True).click()
    expect(nurse.locator("#alerts li")).to_have_count(before[nurse])
    assert not faults, listed(faults)


def test_the_packet_pages_hold_axe(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "prescriber")
    page.goto("/staff/eligibility")
    review = page.locator("main a[href^='/staff/eligibility/']").first.get_attribute("href")
    faults = []
    for address in (f"{review}/packet", f"{review}/packet/cms_l37086_l37088_noridian"):
        page.goto(address)
        faults += faults_of(page, looks)
        page.set_viewport_size({"width": DESK, "height": 900})
    page.get_by_role("button", name="Issue packet").click()
    expect(page.locator("#issued")).to_contain_text("Packet")
    with page.expect_download() as loading:
        page.locator("#issued a").first.click()
    assert re.fullmatch(r"D-\d+-packet-\d+\.pdf", loading.value.suggested_filename)
    assert not faults, listed(faults)
