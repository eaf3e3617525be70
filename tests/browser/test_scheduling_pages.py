"""Every page of the scheduler at every width and in both schemes, patients' pages in both languages; outages by keyboard."""

import re
from collections.abc import Iterable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, PHONE, OpenPage, follow, running_record, say_birth_date, sent_link, sign_in
from tests.browser.stack import Stack
from tests.browser.test_keyboard import send, tab_to
from tests.browser.test_pages import faults_of, links, listed, offered, see

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
LOOKS = [(width, scheme) for width in (320, PHONE, DESK) for scheme in ("light", "dark")]
FAR = "2027-03-18"  # a Thursday on which no other test looks


def report(page: Page, on: str = FAR) -> None:
    """The busiest device of a site is down for a day."""
    sign_in(page, "desk")
    page.goto("/staff/outages/new/fullerton")
    form = page.locator("form[action$=device]")
    for name, value in (("from_day", on), ("from_time", "00:00"), ("to_day", on), ("to_time", "23:00")):
        form.locator(f"[name={name}]").fill(value)
    form.locator("[name=reason]").fill("coil")
    form.get_by_role("button", name="Show the plan").click()
    page.wait_for_url(re.compile(r"/staff/outages/\d+"))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_load_state()


def test_an_outage_is_reported_looked_at_and_taken_back_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    page.goto("/staff/outages/new/fullerton")
    for name, typed in (
        ("from_day", "03182027"),
        ("from_time", "0700AM"),
        ("to_day", "03182027"),
        ("to_time", "0900PM"),
    ):
        tab_to(page, name=name)
        page.keyboard.type(typed)
    tab_to(page, name="reason")
    page.keyboard.type("coil")
    send(page, "Show the plan")
    expect(page.locator("form[action$=apply] button")).to_be_visible()
    tab_to(page, words="Plan once more")
    tab_to(page, words="It did not happen")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Taken back")


@pytest.mark.soak
def test_those_who_wait_are_planned_together_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    page.goto("/staff/")
    page.locator(".task", has_text="Book a course").first.get_by_role("link").first.click()
    page.get_by_role("link", name="Book", exact=True).click()
    page.get_by_label("Protocol").select_option("itbs_left")
    page.get_by_label("Sessions after").select_option("1200")
    press(page, "Find whole courses")
    page.locator("form[action$=waitlist] input[name=after]").evaluate(
        "field => { field.value = '' }"
    )  # the wish is wider
    press(page, "Put on the waiting list")
    faults = list(faults_of(page, LOOKS))
    page.set_viewport_size({"width": DESK, "height": 900})
    tab_to(page, name="entry")
    page.keyboard.press("Space")
    send(page, "Plan those ticked")
    expect(page.get_by_role("heading", level=1)).to_contain_text("gets a whole course")
    tab_to(page, words="Hold and offer it for four hours")
    faults += faults_of(page, LOOKS)
    page.goto("/staff/waitlist")
    page.get_by_role("button", name="Take off", exact=True).first.click()
    page.wait_for_load_state()
    assert not faults, listed(faults)


@pytest.mark.soak
def test_an_outage_from_the_report_to_the_answers(open_page: OpenPage) -> None:
    page = open_page(DESK)
    report(page)
    faults = list(faults_of(page, LOOKS))
    faults += see(page, ["/staff/outages", "/staff/outages/new/fullerton", f"/staff/day/fullerton/{FAR}"], LOOKS)
    page.goto("/staff/outages")
    page.locator("tr[data-row]", has_text="Mar 18").get_by_role("link", name="Review").click()
    page.locator("form[action$=apply] button").click()
    expect(page.locator(".toast")).to_contain_text("Applied")
    faults += faults_of(page, LOOKS)
    page.goto("/staff/outages/new/fullerton")
    page.locator("form[action$=device]").get_by_role("button", name="Show the plan").click()
    page.locator("#errors").wait_for()
    faults += faults_of(page, LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_lists_plans_and_capacity(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    course = links(page, "/staff/courses", r"/staff/courses/\d+")[0]
    record = links(page, course, r"/staff/patients/\d+")[0]
    on = page.goto("/staff/day?site=fullerton") and page.url.rpartition("/")[2]
    pages: Iterable[str] = [
        course,
        f"{record}/authorisations",
        record.replace("/patients/", "/courses/new?patient="),
        *(f"/staff/{view}/fullerton/{on}" for view in ("day", "week", "month")),
        f"/staff/day/fullerton/{on}/run-sheet",
        "/staff/day/fullerton/2027-03-07",
        "/staff/day?site=beverly-hills",
        "/staff/capacity/fullerton",
        "/staff/capacity/beverly-hills",
        "/staff/starts",
        "/staff/starts?after=1260&before=1290",
        "/staff/waitlist",
    ]
    faults = see(page, pages, LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_a_visit_from_the_wish_to_the_reason(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    record = links(page, links(page, "/staff/courses", r"/staff/courses/\d+")[0], r"/staff/patients/\d+")[0]
    faults = see(page, [f"{record}/visits/new"], LOOKS)
    page.get_by_label("Day", exact=True).fill(FAR)
    page.get_by_role("button", name="Show free times").click()
    page.wait_for_url(f"**on={FAR}")
    asked = page.url
    faults += faults_of(page, LOOKS)
    page.locator("#time").fill("23:00")
    page.get_by_role("button", name="Take this time").click()
    page.locator("#reason[required]").wait_for()
    faults += faults_of(page, LOOKS)
    wrong = page.url.replace("minutes=30", "minutes=7")
    faults += see(page, [wrong], LOOKS, 422)
    page.goto(asked)
    page.locator("section[aria-labelledby=times] form button").first.click()
    page.wait_for_url("**/staff/day/**")
    visit = links(page, page.url, r"/staff/visits/\d+/move.*")[0]
    faults += see(page, [visit], LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_new_times_and_a_course_that_came_free(stack: Stack, open_page: OpenPage) -> None:
    """Both wait for the person's answer, and are over once it is given."""
    _, record, *own = offered(stack)
    desk, phone = open_page(DESK), open_page(PHONE)
    sign_in(desk, "desk")
    desk.goto(record)
    link, born = sent_link(stack, desk)
    follow(phone, link)
    say_birth_date(phone, *born)
    phone.wait_for_url("**/me")
    faults = [fault for lang in ("en", "es") for fault in see(phone, [f"/me?lang={lang}", *own], LOOKS)]
    phone.goto("/me?lang=en")
    for page in own:
        phone.goto(page)
        phone.locator("main form button").last.click()
        phone.wait_for_load_state()
        faults += faults_of(phone, LOOKS)
        faults += see(phone, [page], LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_three_plans_side_by_side_by_keyboard(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    page.locator(".task", has_text="Book a course").first.get_by_role("link").first.click()
    page.get_by_role("link", name="Book", exact=True).click()
    page.wait_for_url("**/courses/new?*")
    faults = list(faults_of(page, LOOKS))
    page.set_viewport_size({"width": DESK, "height": 900})
    tab_to(page, name="protocol")
    page.keyboard.type("10 Hz left DLPFC, standard")
    expect(page.get_by_label("Protocol")).to_have_value("tms_10hz_left_standard")
    send(page, "Find whole courses")
    for n in (1, 2, 3):
        page.keyboard.press(str(n))
        expect(page.get_by_role("radio").nth(n - 1)).to_be_checked()
    page.keyboard.press("h")
    expect(page.locator("[data-hold-words]")).to_contain_text("Held for you")
    tab_to(page, words="Show plan 2 day by day")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Plan 2, day by day")).to_be_visible()
    page.wait_for_load_state()
    faults += faults_of(page, LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_settings_of_a_site(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "manager")
    page.goto("/staff/settings")
    site = page.locator("tr[data-row]", has_text="Fullerton").get_by_role("link").get_attribute("href") or ""
    device = links(page, f"{site}/devices", r".*/devices/\d+")[0]
    shifts = links(page, f"{site}/rota", r".*/rota/\d+")
    calendars = ["/staff/calendars/fullerton", "/staff/starts?what_if=1"]
    faults = see(page, [site, f"{site}/devices", device, f"{site}/rota", *calendars, shifts[0]], LOOKS)
    page.set_viewport_size({"width": DESK, "height": 900})
    for shift in shifts:  # the first ones may be missed by nobody
        page.goto(shift)
        press(page, "End the shift")
        page.wait_for_load_state()
        if "booked appointment" in page.get_by_role("heading", level=1).inner_text():
            break
    expect(page.get_by_role("heading", level=1)).to_contain_text("booked appointment")
    faults += faults_of(page, LOOKS)
    page.goto(f"{site}/rota")
    press(page, "Put on the rota")
    faults += faults_of(page, LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
@pytest.mark.parametrize(("lang", "nth"), [("en", 1), ("es", 2)])
def test_a_patients_dates(stack: Stack, open_page: OpenPage, lang: str, nth: int) -> None:
    desk = open_page(DESK)
    sign_in(desk, "desk")
    running_record(desk, nth)
    link, born = sent_link(stack, desk)
    phone = open_page(PHONE)
    follow(phone, link)
    say_birth_date(phone, *born)
    phone.wait_for_url("**/me")
    phone.goto(f"/me?lang={lang}")
    expect(phone.locator("html")).to_have_attribute("lang", lang)
    other = links(phone, "/me/dates", r"/me/visits/\d+/cannot-come")[:1]
    assert other
    faults: list[Any] = see(phone, ["/me", "/me/dates", "/me/dates?view=month", *other, "/me/calendar"], LOOKS)
    phone.goto("/me/calendar")
    phone.locator("main form button").first.click()
    phone.wait_for_load_state()
    faults += faults_of(phone, LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
@pytest.mark.parametrize("lang", ["en", "es"])
def test_when_a_course_could_start_in_public(open_page: OpenPage, lang: str) -> None:
    page = open_page()
    pages = [f"/locations?zip={code}&lang={lang}" for code in ("92831", "00000", "9")]
    faults = see(page, [f"/?lang={lang}", f"/locations?lang={lang}", f"/locations/fullerton?lang={lang}"], LOOKS)
    for address in pages:
        page.goto(address)
        faults += faults_of(page, LOOKS)
    assert not faults, listed(faults)
