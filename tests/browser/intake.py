"""Filling the intake as a person would: one page after another, until the review."""

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.stack import wait_for

Answers = Mapping[str, Mapping[str, Any]]

PHQ9 = {f"phq9-{n}": {"answer": value} for n, value in enumerate("22332221", 1)} | {"phq9-9": {"answer": "0"}}
ANSWERS: dict[str, dict[str, Any]] = {
    "about": {
        "given": "Rowan",
        "family": "Adeyemi-Castellanos",
        "birth_month": "3",
        "birth_day": "5",
        "birth_year": "1981",
        "sex": "male",
    },
    "contact": {"email": "rowan@example.org", "phone": "(714) 555-0177", "language": "en"},
    "cover": {"payer": "Sunrise Health Plan"},
    "brings": {"reason": "Low for a long time.", "diagnosis": "mdd", "onset_month": "1", "onset_year": "2026"},
    **PHQ9,
    "therapy": {"had": "no"},
    "consents": {"care_team": "yes", "records": "yes"},
    "times": {"when": "some", "windows": [f"{day}-afternoon" for day in range(5)]},
    "messages": {"email": "yes", "sms": "yes", "style": "each"},
}
MEDICINES = (
    (
        "Zoloft",
        {"dose": "150", "weeks": "12", "at_dose": "all"},
        {"from_month": "2", "from_year": "2026", "to_month": "5", "to_year": "2026", "use": "alone", "outcome": "none", "stopped": "inefficacy"},
        {"missed": "0", "this_episode": "yes", "papers": "none"},
    ),
    (
        "Effexor XR",
        {"dose": "225", "weeks": "14", "at_dose": "all"},
        {"from_month": "6", "from_year": "2026", "to_month": "10", "to_year": "2026", "use": "alone", "outcome": "partial", "stopped": "inefficacy"},
        {"missed": "0", "this_episode": "yes", "papers": "none"},
    ),
)  # fmt: skip


def page_of(page: Page) -> str:
    """The form's page that is open, as `about` or `phq9-3`."""
    return page.url.partition("/intake/")[2].partition("?")[0]


def put(page: Page, values: Mapping[str, Any]) -> None:
    """Give these answers on the page that is open."""
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            box = page.locator(f"#answers [name='{name}']")
            kind = box.first.evaluate("e => e.type")
            if kind in ("radio", "checkbox"):
                page.locator(f"label.choice:has([name='{name}'][value='{one}'])").click()
            elif kind == "select-one":
                box.select_option(one)
            else:
                box.fill(one)


def say_no(page: Page) -> None:
    """ "No" to every yes or no question of the page."""
    for row in page.locator("#answers label.choice:has([type='radio'][value='no'])").all():
        row.click()


def go_on(page: Page) -> None:
    """Press the button below the last question and wait for the next page."""
    before = page.url
    page.locator(".dock .btn.grow").click()
    page.wait_for_url(lambda address: address != before)


def settle(page: Page) -> None:
    """Wait until the server has every answer of the page that is open."""
    expect(page.locator("#saved")).to_have_attribute("data-is", "good")
    kept = "[...Object.keys(localStorage), ...Object.keys(sessionStorage)].filter((key) => key.startsWith('daybreak:')).length"
    wait_for(lambda: page.evaluate(kept) == 0, "the answers to be saved")


def add_medicines(page: Page) -> None:
    """Both medicines, from the list and back to it."""
    for name, *steps in MEDICINES:
        add_medicine(page, name)
        for answers in steps:
            put(page, answers)
            go_on(page)
        expect(page.locator("#list")).to_contain_text(name)


def add_medicine(page: Page, name: str) -> None:
    """From the list to the first page of a new medicine."""
    box = page.locator("#answers [name='drug']")
    box.fill(name)
    box.blur()  # the suggestions lie over the button until then
    page.get_by_role("button", name="Add this medicine").click()
    page.wait_for_url("**/intake/medicines/*/1")


def fill_until(page: Page, last: str, answers: Answers) -> None:
    """From the page that is open up to, and without, the page `last`."""
    for _ in range(90):
        now = page_of(page)
        if now == last:
            return
        if now == "medicines":
            add_medicines(page)
        elif now == "places":
            page.get_by_label("Fullerton").first.check()
        elif now in answers:
            put(page, answers[now])
        else:
            say_no(page)
        go_on(page)
    raise AssertionError(f"never came to {last}: {page.url}")
