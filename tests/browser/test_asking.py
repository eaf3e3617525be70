"""Questions that go to a patient and come back, a correction by staff, and what each page says to bad input."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clinic.intake import pages as intake_pages
from tests.browser.conftest import DESK, PHONE, OpenPage, person_on, sign_in
from tests.browser.stack import Stack, link_in
from tests.browser.test_intake import answer_by_keyboard, press_on
from tests.browser.test_keyboard import send, tab_to
from tests.browser.test_pages import ALL_LOOKS, LOOKS, POLICY, faults_of, lacking, links, listed, see

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]


def press(page: Page, name: str) -> None:
    page.set_viewport_size({"width": DESK, "height": 900})
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_load_state()


def type_birth_date(page: Page, month: str, day: str, year: str) -> None:
    """As `say_birth_date`, without a pointer."""
    for name, text in (("month", month), ("day", day), ("year", year)):
        tab_to(page, name=name)
        page.keyboard.type(text)
    send(page, "Continue")


def review_to_ask_from(desk: Page) -> str:
    """Open a review from which questions can be sent; answers the path of the person's record."""
    for review in links(desk, "/staff/eligibility", r"/staff/eligibility/\d+"):
        desk.goto(review)
        if desk.get_by_role("button", name="Send to the patient").count():
            found = re.search(r"/staff/patients/\d+", desk.content())
            assert found
            return found[0]
    raise AssertionError("no history of the demo lacks anything")


@pytest.mark.parametrize(
    ("looks", "language"),
    [(LOOKS[:1], "en"), *(pytest.param(ALL_LOOKS, each, marks=pytest.mark.soak) for each in ("en", "es"))],
    ids=["one look", "every look", "every look in Spanish"],
)
def test_questions_go_out_and_their_answers_come_back(
    stack: Stack, open_page: OpenPage, looks: Any, language: str
) -> None:
    """The person answers by keyboard alone, from the birth date to the last page."""
    desk, phone = open_page(DESK), open_page(PHONE)
    sign_in(desk, "prescriber")
    record = review_to_ask_from(desk)
    letters = len(stack.letters.all)
    press(desk, "Send to the patient")
    expect(desk.get_by_text("Waiting for the patient")).to_be_visible()
    desk.goto(record)
    email, born = person_on(desk)
    phone.goto(link_in(str(stack.mail(email, "", letters))))
    send(phone, phone.locator("main form .btn").first.inner_text())
    type_birth_date(phone, *born)
    phone.wait_for_url("**/questions/*/1")
    form = phone.url.rpartition("/")[0]
    faults = see(phone, [f"{form}/1?lang={language}", f"{form}/later", f"{form}/safety"], looks)
    phone.goto(f"{form}/1")
    while "/done" not in phone.url:
        faults += faults_of(phone, looks) if looks is ALL_LOOKS else []
        phone.set_viewport_size({"width": PHONE, "height": 844})
        answer_by_keyboard(phone, {})
        press_on(phone)
    faults += faults_of(phone, looks)
    phone.goto("/me?lang=en")
    desk.goto(record.replace("/patients/", "/eligibility/of/"))
    expect(desk.get_by_text("in the patient's own words")).to_be_visible()
    assert not faults, listed(faults)


@pytest.mark.soak
def test_a_correction_by_staff_page_by_page(open_page: OpenPage) -> None:
    """The copy is dropped at the end: nothing of it is used."""
    page = open_page(DESK)
    sign_in(page, "nurse")
    courses = links(page, "/staff/courses", r"/staff/courses/\d+")
    record = links(page, courses[-1], r"/staff/patients/\d+")[0]
    page.goto(f"{record}/intake/correct")
    press(page, "Open a copy")
    faults = list(faults_of(page, ALL_LOOKS))  # without a reason
    page.get_by_label("Why is it corrected?").fill("Told us on the phone, at length: " + "and so on, " * 40)
    press(page, "Open a copy")
    page.wait_for_url("**/staff/intakes/*")
    copy = page.url
    faults += faults_of(page, ALL_LOOKS)
    pages = [f"{copy}/form/{key}" for key in intake_pages.PAGES]
    faults += see(page, pages, LOOKS)
    medicines = links(page, f"{copy}/form/medicines", r".*/form/medicines/[^/]+/1")[:1]
    faults += see(page, [f"{copy}/form/medicines", *medicines], ALL_LOOKS)
    other = open_page(DESK)
    sign_in(other, "prescriber")
    faults += see(other, [copy], ALL_LOOKS, 409)  # the nurse holds the form
    page.goto(copy)
    press(page, "Drop it")
    assert not faults, listed(faults)


@pytest.mark.soak
def test_what_the_pages_of_a_history_say_to_bad_input(open_page: OpenPage) -> None:
    page, manager = open_page(DESK), open_page(DESK)
    sign_in(page, "prescriber")
    sign_in(manager, "manager")
    _, missing = lacking(page)
    record = links(page, links(page, "/staff/courses", r"/staff/courses/\d+")[-1], r"/staff/patients/\d+")[0]
    faults = see(page, dict.fromkeys(missing), LOOKS)  # every kind of question
    for address, button in (
        (missing[0], "Keep and assess again"),
        (f"{record}/scores?instrument=mdq", "Keep the score"),
    ):
        page.goto(address)
        press(page, button)
        expect(page.locator(".errors")).to_be_focused()
        faults += faults_of(page, ALL_LOOKS)
    manager.goto(f"/staff/settings/policies/{POLICY}")
    press(manager, "Switch on")
    expect(manager.locator(".errors")).to_be_focused()
    faults += faults_of(manager, ALL_LOOKS)
    assert not faults, listed(faults)
