"""The released summary and the care plan in a real browser: every page looked at, and used with the keyboard alone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage, follow, say_birth_date, sent_link, sign_in
from tests.browser.stack import Stack
from tests.browser.test_pages import faults_of, in_spanish, listed, looks, see

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
__all__ = ["looks"]  # a fixture
RELEASED = "D-10014"


def record_of(page: Page) -> str:
    """Path of the record of someone whose summary the demo released."""
    page.goto(f"/staff/patients?q={RELEASED}")
    found = re.search(r"/staff/patients/\d+", page.url)
    assert found
    return found[0]


def patient_signed_in(stack: Stack, open_page: OpenPage) -> Page:
    """The phone of that person, signed in."""
    desk = open_page(DESK)
    sign_in(desk, "desk")
    record_of(desk)
    link, born = sent_link(stack, desk)
    phone = open_page(PHONE)
    follow(phone, link)
    say_birth_date(phone, *born)
    phone.wait_for_url("**/me")
    return phone


def test_public_pages_to_read(open_page: OpenPage, looks: Any) -> None:
    page, read = open_page(), ["/guide", "/treatments", "/sources"]
    faults = see(page, read, looks) + in_spanish(page, read, looks)
    assert not faults, listed(faults)


def test_pages_of_a_released_patient_and_a_question_by_keyboard(stack: Stack, open_page: OpenPage, looks: Any) -> None:
    phone = patient_signed_in(stack, open_page)
    own = ["/me", "/me/summary", "/me/options", "/me/plan", "/me/history"]
    faults = see(phone, own, looks) + in_spanish(phone, own, looks)
    phone.goto("/me/summary")
    phone.locator("summary", has_text="What comes next").focus()
    phone.keyboard.press("Enter")
    phone.keyboard.press("Tab")
    phone.keyboard.type("May I bring my sister?")
    phone.keyboard.press("Tab")
    phone.keyboard.press("Enter")
    expect(phone.get_by_text("Your team has your question")).to_be_visible()
    expect(phone.get_by_text("You asked about this on").first).to_be_visible()
    faults += faults_of(phone, looks)
    phone.goto("/me/plan")
    phone.get_by_role("button", name="I did this").first.focus()
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("button", name="Not done after all")).to_be_visible()
    faults += faults_of(phone, looks)
    assert not faults, listed(faults)


def test_pages_of_the_care_team(open_page: OpenPage, looks: Any) -> None:
    page = open_page(DESK)
    sign_in(page, "prescriber")
    record = record_of(page)
    pages = ["plan", "questions", "referrals", "summary", "summary/preview"]
    faults = see(page, [f"{record}/{name}" for name in pages], looks)
    page.goto(f"{record}/referrals")
    page.get_by_role("link", name="Letter", exact=True).first.click()
    faults += faults_of(page, looks)
    faults += see(page, ["/staff/reports/next-steps", "/staff/reports/outcomes"], looks)
    page.goto(f"{record}/plan")
    page.get_by_role("button", name="Add", exact=True).click()
    page.locator("#errors").wait_for()
    faults += faults_of(page, looks)
    page.goto(f"{record}/summary")
    page.get_by_label("Why, in plain words").first.fill("This medicine failed.")
    page.get_by_role("button", name="Save and preview").click()
    expect(page.get_by_text("is a word that lays it on the person")).to_be_visible()
    faults += faults_of(page, looks)
    page.get_by_role("link", name="Back to the draft").click()
    page.get_by_label("Why, in plain words").first.fill("It did not help enough.")
    page.get_by_role("button", name="Save and preview").click()
    page.get_by_role("button", name="Release to the patient").click()
    expect(page.get_by_text("Released. A link is on its way")).to_be_visible()
    assert not faults, listed(faults)


def test_pages_of_the_managers_notes(open_page: OpenPage, looks: Any) -> None:
    page = open_page(DESK)
    sign_in(page, "manager")
    faults = see(page, ["/staff/settings/options", "/staff/settings/options/tms/cost/en"], looks)
    page.get_by_label("What patients read").fill("About 300 a visit.")
    page.get_by_role("button", name="Save").click()
    page.locator("#errors").wait_for()
    faults += faults_of(page, looks)
    assert not faults, listed(faults)
