"""With the keyboard alone: no trap, the skip link first, every step done without a pointer."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, OpenPage, sign_in
from tests.browser.intake import page_of

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
MOST_STOPS = 150  # a longer way than this is a trap
AT = """() => {
  const e = document.activeElement;
  return {name: e.name || '', value: e.value || '', type: e.type || '', id: e.id, words: (e.innerText || e.labels?.[0]?.innerText || '').trim(),
          href: e.getAttribute('href') || '', seen: !e.matches(':focus') || getComputedStyle(e).outlineStyle !== 'none' || !!e.closest('label, .choice')}
}"""


def tab_to(page: Page, **wanted: str) -> dict[str, str]:
    """Press Tab until the focus stands on what has all of these; whatever is passed shows its focus."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        at: dict[str, str] = page.evaluate(AT)
        assert at["seen"], f"the focus on {at} is not seen on {page.url}"
        if all(at[key] == value for key, value in wanted.items()):
            return at
    raise AssertionError(f"{wanted} is not reached on {page.url}")


def choose(page: Page, name: str, value: str) -> None:
    """Tab into a group of answers, then arrow to one."""
    at = tab_to(page, name=name)["value"]
    if at == value:
        page.keyboard.press("Space")
    while at != value:
        page.keyboard.press("ArrowDown")
        at = page.evaluate(AT)["value"]


def send(page: Page, words: str) -> None:
    """Tab to the button with these words and press it."""
    before = page.url
    tab_to(page, words=words)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: address != before)


@pytest.mark.parametrize("address", ["/", "/intake/start", "/treatments", "/staff/login"])
def test_the_skip_link_comes_first(open_page: OpenPage, address: str) -> None:
    page = open_page(DESK)
    page.goto(address)
    page.keyboard.press("Tab")
    assert page.evaluate(AT)["href"] == "#main"
    page.keyboard.press("Enter")
    page.wait_for_url("**#main")


def test_the_intake_begins_and_phq9_is_answered_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/intake/start")
    send(page, "Start")
    for name, text in (("given", "Robin"), ("family", "Okafor")):
        tab_to(page, name=name)
        page.keyboard.type(text)
    tab_to(page, name="birth_month")
    page.keyboard.type("May")
    tab_to(page, name="birth_day")
    page.keyboard.type("5")
    tab_to(page, name="birth_year")
    page.keyboard.type("1990")
    page.keyboard.press("Enter")
    page.wait_for_url("**/intake/contact")
    tab_to(page, name="email")
    page.keyboard.type("robin@example.org")
    page.keyboard.press("Enter")
    page.wait_for_url("**/intake/cover")
    page.goto("/intake/phq9-1")
    for n in range(1, 9):
        choose(page, "answer", "1")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/intake/phq9-{n + 1}")
    choose(page, "answer", "0")
    expect(page.locator("#safety")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#safety")).to_be_visible()
    assert page.evaluate(AT)["value"] == "1", "passing over an answer does not take the focus away"
    tab_to(page, href="tel:988")
    send(page, "Next")
    assert page_of(page) == "safety"


def test_a_decision_is_signed_and_a_course_is_booked_by_keyboard(open_page: OpenPage) -> None:
    doctor = open_page(DESK)
    sign_in(doctor, "prescriber")
    doctor.keyboard.press("g")
    doctor.keyboard.press("e")
    doctor.wait_for_url("**/staff/eligibility")
    row = doctor.locator("tr[data-row]", has_text="Likely eligible").filter(has_not_text="Urgent").first
    record = row.locator(".id").first.inner_text()
    row.get_by_role("link").last.focus()
    doctor.keyboard.press("Enter")
    doctor.wait_for_url("**/staff/eligibility/*")
    tab_to(doctor, name="decision")
    doctor.keyboard.press("Space")
    tab_to(doctor, words="Sign decision")
    doctor.keyboard.press("Enter")
    expect(doctor.locator("main")).to_contain_text("TMS: suits this patient")

    desk = open_page(DESK)
    sign_in(desk, "desk")
    desk.keyboard.press("/")
    desk.keyboard.type(record)
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/staff/patients/*")
    tab_to(desk, href=f"/staff/courses/new?patient={desk.url.rpartition('/')[2]}")
    desk.keyboard.press("Enter")
    desk.wait_for_url("**/staff/courses/new?*")
    tab_to(desk, name="protocol")
    desk.keyboard.type("10 Hz left DLPFC, standard")
    send(desk, "Find whole courses")
    expect(desk.get_by_role("radio")).to_have_count(3)
    desk.keyboard.press("2")
    expect(desk.get_by_role("radio").nth(1)).to_be_checked()
    send(desk, "Book all 36 sessions")
    expect(desk.get_by_role("heading", level=1)).to_contain_text("0 of 36 sessions done")
