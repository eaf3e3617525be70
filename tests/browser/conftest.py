"""One real clinic, one real Chromium, and browsers that notice every complaint of a page."""

import re
from collections.abc import Callable, Generator, Iterator
from datetime import datetime

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.browser import seen
from tests.browser.stack import Stack, link_in

START = datetime.fromisoformat("2027-03-01T10:00:00-08:00")  # a Monday; the clocks change within the course
PHONE, DESK = 390, 1280
PASSWORD = "daybreak-demo"
OpenPage = Callable[..., Page]
SAMPLES = ("two looks", "one look")  # of a long run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Function) -> Generator[None, object, object]:
    """A run that is whole looked at every page that it promises."""
    seen.looked_at.clear()
    result = yield
    if not any(sample in item.name for sample in SAMPLES):
        assert seen.missed(item.originalname, seen.looked_at) == set(), "promised in tests/browser/seen.py"
    return result


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo clinic, running."""
    with Stack(tmp_path_factory.mktemp("clinic") / "instance") as running:
        running.start(START)
        yield running


@pytest.fixture
def open_page(chromium: Browser, stack: Stack) -> Iterator[OpenPage]:
    """`open_page(width, scheme)` opens a browser of its own; its console must have stayed silent at the end."""
    complaints: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        is_status = "the server responded with a status of 4" in message.text  # what the test itself asks for
        is_down = stack.was_killed and "net::ERR_" in message.text  # nobody answers a draft that is kept just then
        if message.type in ("error", "warning") and not is_status and not is_down:
            complaints.append(f"{message.location.get('url')}: {message.text}")

    def do(width: int = PHONE, scheme: str = "light", **more: object) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 844 if width < 600 else 900},
            color_scheme=scheme,  # type: ignore[arg-type]
            has_touch=width < 600,
            reduced_motion="reduce",
            **{"base_url": stack.url, **more},  # type: ignore[arg-type]
        )
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        return page

    stack.was_killed = False
    yield do
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(["", *dict.fromkeys(complaints)])


def sign_in(page: Page, who: str) -> None:
    """As one of the demo's staff."""
    page.goto("/staff/login")
    page.get_by_label("Email").fill(f"{who}@demo.example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "login" not in address)


def follow(page: Page, link: str) -> None:
    """Open a link out of a message and go on."""
    page.goto(link)
    page.get_by_role("button", name="Continue").click()


def say_birth_date(page: Page, month: str, day: str, year: str) -> None:
    """Before anything about health is shown."""
    page.get_by_label("Month").select_option(label=month)
    page.get_by_label("Day").fill(day)
    page.get_by_label("Year").fill(year)
    page.get_by_role("button", name="Continue").click()


def running_record(desk: Page, nth: int = 0) -> str:
    """Open the record of somebody whose course runs; answers its address.

    nth: who gets a link in a test is that test's own person, since links are sent sparingly.
    """
    desk.goto("/staff/courses")
    desk.locator("tr[data-row]", has_text="Running").nth(nth).get_by_role("link").first.click()
    desk.get_by_role("link", name="Open the record").click()
    return desk.url


def person_on(record: Page) -> tuple[str, tuple[str, ...]]:
    """Email, and month, day and year of birth, of whom an open record is about."""
    words = record.locator("main").inner_text()
    born, email = re.search(r"Born (\w+) (\d+), (\d+)", words), re.search(r"\S+@demo\.example\.org", words)
    assert born
    assert email
    return email[0], born.groups()


def sent_link(stack: Stack, record: Page) -> tuple[str, tuple[str, ...]]:
    """The sign-in link that the desk sends from an open record, and the birth date that it asks for."""
    email, born = person_on(record)
    letters = len(stack.letters.all)
    record.get_by_role("button", name="Send a sign-in link").click()
    return link_in(stack.mail(email, "your link|su enlace", letters)), born
