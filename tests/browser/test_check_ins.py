"""A check-in on the phone by keys alone and in Spanish, and what staff see of it; the room and the record of a session."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage, follow, person_on, running_record, say_birth_date, sign_in
from tests.browser.stack import Stack, link_in
from tests.browser.test_pages import ALL_LOOKS, faults_of, links, listed, looks, see  # noqa: F401 - `looks` is a fixture

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
    paper = links(nurse, f"{record}/check-ins", r"/staff/check-ins/\d+/paper.*")
    faults += see(nurse, paper[:1], looks)
    nurse.goto(f"{record}/check-ins")

    link = link_in(str(stack.mail(email, "", letters)))
    follow(phone, link)
    say_birth_date(phone, *born)
    phone.wait_for_url("**/surveys/*/1")
    phone.get_by_role("link", name="Español").click()
    expect(phone.locator("h1")).to_have_text("Poco interés o placer en hacer cosas")
    first = phone.url
    aside = ("1/medical", "safety", "more/1", "more/3")  # where some answers lead
    faults += see(phone, [f"{first.removesuffix('1')}{part}" for part in aside], looks)
    phone.goto(first)
    phone.set_viewport_size({"width": PHONE, "height": 844})
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
    assert not faults, listed(faults)


@pytest.mark.soak
def test_the_room_and_the_records_of_sessions(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "prescriber")
    rooms = ["/staff/room?site=fullerton", "/staff/room?site=beverly-hills"]
    visits = [link for room in rooms for link in links(page, room, r"/staff/sessions/\d+/watch.*")]
    sessions = [f"/staff/sessions/{number}/record" for number in sessions_of_today(page)]
    assert sessions
    faults = see(page, [*rooms, *visits[:2]], looks)
    if visits:
        faults += see(page, [visits[0].partition("/watch")[0] + "/event"], looks)
        page.set_viewport_size({"width": DESK, "height": 900})
        page.goto(rooms[0])
        page.keyboard.press("b")
        page.wait_for_url("**/watch**")
    faults += see(page, sessions[:6], looks)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_a_session_from_its_checks_to_the_hold_that_is_lifted(open_page: OpenPage) -> None:
    """Each step first left empty: what is missing is said, and the page holds."""
    page, prescriber = open_page(DESK), open_page(DESK)
    sign_in(page, "operator")
    record = session_here(page)
    faults = list(faults_of(page, ALL_LOOKS))

    def press(name: str) -> None:
        page.set_viewport_size({"width": DESK, "height": 900})
        page.get_by_role("button", name=name, exact=True).click()
        page.wait_for_load_state()

    press("Start the session")
    expect(page.locator("#errors")).to_be_focused()
    faults += faults_of(page, ALL_LOOKS)
    form = page.locator("form[action$=begin]")
    form.get_by_label("Hours of sleep").or_(form.locator("[name=sleep_hours]")).first.fill("7.5")
    for no in form.locator("label.choice:has([type=radio][value=no])").all():
        no.click()
    for box in form.locator("[type=checkbox]").all():
        box.check()
    form.locator("[name=threshold_percent]").fill("55")
    press("Start the session")
    expect(page.get_by_role("heading", level=1)).to_have_text("The session runs")
    expect(page.get_by_role("region", name="Motor threshold")).to_contain_text("55 %")
    faults += faults_of(page, ALL_LOOKS)
    press("Finish the session")
    expect(page.locator("#errors")).to_be_focused()
    faults += faults_of(page, ALL_LOOKS)
    for name, value in (("intensity_percent", "120"), ("pulses", "3000"), ("headache", "2"), ("scalp_pain", "3")):
        page.locator(f"[name={name}]").fill(value)
    page.locator("[name=note]").fill("Tolerated well. " * 20)
    press("Finish the session")
    expect(page.get_by_role("heading", level=1)).to_contain_text("was given")
    faults += faults_of(page, ALL_LOOKS)

    faults += see(page, [record.replace("/record", "/event")], ALL_LOOKS)
    press("Keep it")
    expect(page.locator("#errors")).to_be_focused()
    faults += faults_of(page, ALL_LOOKS)
    page.get_by_label("What happened").or_(page.locator("[name=kind]")).first.select_option("seizure")
    page.locator("label.choice:has([name=severity])").last.click()
    page.locator("[name=note]").fill("Thirty seconds, awake and oriented after two minutes. " * 6)
    press("Keep it")
    faults += faults_of(page, ALL_LOOKS)

    sign_in(prescriber, "prescriber")
    prescriber.goto(record)
    number = re.search(r"D-\d+", prescriber.locator(".crumbs").inner_text())
    assert number
    lift = links(prescriber, f"/staff/patients?q={number[0]}", r"/staff/holds/\d+/lift")
    faults += see(prescriber, [record, *lift], ALL_LOOKS)
    for reason in ("", "Reviewed with neurology on the phone; lower frequency from tomorrow on"):
        prescriber.set_viewport_size({"width": DESK, "height": 900})
        prescriber.locator("main [name=reason]").fill(reason)
        prescriber.get_by_role("button", name="Lift the hold").click()
        prescriber.wait_for_load_state()
        faults += faults_of(prescriber, ALL_LOOKS)
    expect(prescriber.get_by_text("The hold is lifted.")).to_be_visible()
    assert not faults, listed(faults)


def sessions_of_today(page: Page, states: str = "") -> list[str]:
    """Numbers of a site's sessions of the day, in the order of the board; in some states where they are named."""
    page.goto("/staff/day?site=fullerton")
    rows = page.locator("tr[data-s]").evaluate_all("all => all.map(row => [row.dataset.s, row.dataset.is])")
    return [number for number, state in rows if not states or state in states.split()]


def session_here(page: Page) -> str:
    """The person of the next TMS session arrives; opens its record and answers its path."""
    for number in sessions_of_today(page, "late planned arrived"):
        path = f"/staff/sessions/{number}/record"
        page.goto("/staff/day?site=fullerton")
        page.get_by_role("button", name="List").click()
        arrived = page.locator(f"tr[data-s='{number}']").get_by_role("button", name="Arrived")
        if arrived.count():
            arrived.click()
            page.wait_for_load_state()
        page.goto(path)
        if page.url.endswith(path):
            return path
    raise AssertionError("nobody comes for a session of TMS")


@pytest.mark.soak
def test_outcomes_and_a_sites_certificate(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "manager")
    sites = links(page, "/staff/settings", r"/staff/settings/locations/\d+")
    faults = see(page, ["/staff/reports/outcomes", f"{sites[0]}/certification"], looks)
    assert not faults, listed(faults)
