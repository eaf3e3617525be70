"""A check-in on the phone by keys alone and in Spanish, and what staff see of it; the room and the record of a session."""

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, OpenPage, follow, person_on, running_record, say_birth_date, sign_in
from tests.browser.stack import Stack, link_in
from tests.browser.test_pages import faults_of, links, listed, looks, see  # noqa: F401 - `looks` is a fixture

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
ASKED = ("PHQ-9", "Sleep", "Side effects (TMS)")


def test_what_staff_see_of_check_ins(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "prescriber")
    record = running_record(page)
    faults = see(page, [f"{record}/{part}" for part in ("check-ins", "progress")], looks)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_a_check_in_is_asked_for_answered_by_keys_in_spanish_and_shown(
    stack: Stack,
    open_page: OpenPage,
    looks: Any,  # noqa: F811
) -> None:
    nurse, phone = open_page(DESK), open_page(PHONE)
    sign_in(nurse, "nurse")
    record = running_record(nurse, 3)
    email, born = person_on(nurse)
    letters = len(stack.letters.all)
    nurse.goto(f"{record}/check-ins")
    for name in ASKED:
        nurse.get_by_label(name, exact=True).check()
    nurse.get_by_role("button", name="Open the check-in").click()
    expect(nurse.locator("tbody tr").first).to_contain_text("Asked by the clinic")
    faults = list(faults_of(nurse, looks))

    link = link_in(str(stack.mail(email, "", letters)))
    follow(phone, link)
    say_birth_date(phone, *born)
    phone.wait_for_url("**/surveys/*/1")
    phone.get_by_role("link", name="Español").click()
    expect(phone.locator("h1")).to_have_text("Poco interés o placer en hacer cosas")
    for number in range(1, 10):
        faults += faults_of(phone, looks) if number in (1, 9) else []
        phone.locator("#answer-1" if number < 9 else "#answer-0").focus()
        phone.keyboard.press("Space")
        phone.locator(".dock .btn.grow").focus()
        phone.keyboard.press("Enter")
        phone.wait_for_url(f"**/{number + 1}")
    phone.locator("#answer-0").focus()
    phone.keyboard.press("Space")
    phone.locator(".dock .btn.grow").focus()
    phone.keyboard.press("Enter")
    phone.wait_for_url("**/11")
    while "/send" not in phone.url:  # our own questions: each may stay open
        before = phone.url
        faults += faults_of(phone, looks)
        phone.set_viewport_size({"width": PHONE, "height": 844})
        phone.locator(".dock .btn.grow").focus()
        phone.keyboard.press("Enter")
        phone.wait_for_url(lambda url, before=before: url != before)
    faults += faults_of(phone, looks)
    phone.get_by_role("button", name="Enviar").press("Enter")
    phone.wait_for_url("**/done")
    faults += faults_of(phone, looks)
    phone.get_by_role("link", name="English").click()  # the person's own language, for whom it is read next
    expect(phone.locator("html")).to_have_attribute("lang", "en")

    nurse.reload()
    expect(nurse.locator("tbody tr").first).to_contain_text("Answered")
    faults += see(nurse, [f"{record}/progress", f"{record}/enrollment"], looks)
    open_ones = links(nurse, f"{record}/check-ins", r"/staff/check-ins/\d+/paper.*")
    faults += see(nurse, open_ones[:1], looks)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_the_room_and_the_records_of_sessions(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "prescriber")
    rooms = ["/staff/room?site=fullerton", "/staff/room?site=beverly-hills"]
    visits = [link for room in rooms for link in links(page, room, r"/staff/sessions/\d+/watch.*")]
    sessions = links(page, "/staff/day?site=fullerton", r"/staff/day/.*s=\d+.*")
    faults = see(page, [*rooms, *visits[:2]], looks)
    if visits:
        faults += see(page, [visits[0].partition("/watch")[0] + "/event"], looks)
        page.set_viewport_size({"width": DESK, "height": 900})
        page.goto(rooms[0])
        page.keyboard.press("b")
        page.wait_for_url("**/watch**")
    for link in sessions[:6]:
        number = re.search(r"[?&]s=(\d+)", link)
        assert number
        faults += see(page, [f"/staff/sessions/{number[1]}/record"], looks)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_outcomes_and_a_sites_certificate(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "manager")
    sites = links(page, "/staff/settings", r"/staff/settings/locations/\d+")
    faults = see(page, ["/staff/reports/outcomes", f"{sites[0]}/certification"], looks)
    assert not faults, listed(faults)
