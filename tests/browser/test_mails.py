"""Every mail as a phone shows it and every text, in both languages. PICTURES=FOLDER keeps what was seen there."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from clinic.reminders import wording
from clinic.reminders.mail_html import as_html
from clinic.reminders.purposes import TRAITS, Purpose
from clinic.reminders.sms_text import segments
from clinic.reminders.wording import Content, Place, Text, When
from tests.browser.conftest import PHONE
from tests.browser.test_pages import AXE, RUN, TAGS

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
LOS_ANGELES = "America/Los_Angeles"
SHORT = ("Harbor", [Place("Fullerton", "1 Main Street, Fullerton", LOS_ANGELES)])
LONG = (
    "Rancho Palos Verdes Wellness",
    [
        Place(
            "Rancho Santa Margarita - San Juan Capistrano", "31105 Rancho Viejo Road, Suite C-17, CA 92675", LOS_ANGELES
        ),
        Place("Laguna Hills", "23141 Moulton Parkway, Building 2, Laguna Hills, CA 92653", LOS_ANGELES),
    ],
)
KEYS = [key for key in wording.catalog("en")["texts"] if not key.startswith("reply")]
FEW, WEEK, COURSE = 1, 5, 36
PHONE_NUMBER = "(714) 555-0100"
MORNING = [
    "Fullerton: 42 visits, 38 confirmed",
    "Rancho Santa Margarita - San Juan Capistrano: 1 visit, 0 confirmed",
    "Safety: 1 waiting",
    "7 tasks waiting, 2 past the time",
    "3 messages could not be delivered: call these people",
]


def purpose_of(key: str) -> Purpose:
    if key == "freed_course":
        return Purpose.FREED_SLOT
    return next(purpose for purpose in sorted(Purpose, key=len, reverse=True) if key.startswith(purpose))


def said(key: str, language: str, channel: str, at: tuple[str, list[Place]]) -> Text:
    """The message as it is composed, with as many visits as it tells of."""
    clinic, places = at
    count = COURSE if key in ("course_booked", "freed_course") else WEEK if key.endswith(("many", "digest")) else FEW
    purpose, first = purpose_of(key), datetime(2026, 9, 23, 17, 50, tzinfo=UTC)
    visits = [When(first + timedelta(days=n), places[n % len(places)], is_video=n == 3) for n in range(count)]
    base = "https://harbor.example.org"
    mails_end = purpose not in (Purpose.LINK, Purpose.ON_CALL, Purpose.RECORD_OPENED, Purpose.STAFF_LINK)
    made = Content(
        purpose=purpose,
        language=language,
        clinic=clinic,
        phone=PHONE_NUMBER,
        home=f"{base}/me",
        url=f"{base}/r/AAAAAA.{'x' * 16}",
        unsubscribe=f"{base}/unsubscribe/AAAAAA.{'x' * 16}" if mails_end and channel == "email" else "",
        visits=() if TRAITS[purpose].to_staff else visits,
        was=When(first - timedelta(days=1), places[-1]),
        until=first - timedelta(hours=3),
        tz=LOS_ANGELES,
        record="Record D-10012",
        count=12 if purpose is Purpose.AUTHORIZATION_ENDING else None,
        minutes=5,
        lines=MORNING if purpose is Purpose.STAFF_DIGEST else (),
    )
    return wording.fill(wording.default_parts(key, language), made, channel, language)


def as_page(key: str, mail: Text, language: str) -> str:
    foot = ("unsubscribe/" in mail.body) + (not TRAITS[purpose_of(key)].to_staff)
    return as_html(mail.body, language, foot=foot)


def words(text: str) -> list[str]:
    """Without addresses of pages and marks of lists."""
    return re.findall(r"\w+", re.sub(r": https?://\S+", "", text))


@pytest.fixture
def sheet(chromium: Browser) -> Iterator[Page]:
    """A phone that shows a mail."""
    context = chromium.new_context(viewport={"width": PHONE, "height": 700}, has_touch=True)
    yield context.new_page()
    context.close()


@pytest.fixture
def keep(tmp_path: Path) -> Any:
    """`keep(page, name)` takes a picture of the whole page."""
    folder = Path(os.environ.get("PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        assert (folder / f"{name}.png").stat().st_size > 1000

    return take


def faults_in(page: Page, mail: Text) -> list[str]:
    """What is wrong with the mail that is shown."""
    found = []
    if (wide := page.evaluate("document.documentElement.scrollWidth")) > page.viewport_size["width"]:  # type: ignore[index]
        found.append(f"{wide} px wide")
    page.evaluate(AXE)
    found += [f"{rule} at {places[:3]}" for rule, places in page.evaluate(RUN, TAGS[:-1])]
    low = page.locator(".press").evaluate_all("all => all.map(a => a.getBoundingClientRect().height)")
    if any(height < 44 for height in low):
        found.append(f"buttons {low} px high")
    if words(page.locator("body").inner_text()) != words(mail.body):
        found.append("other words than in the plain text")
    return found


def see_mails(page: Page, keys: list[str], language: str, scheme: Any, at: Any, keep: Any) -> list[str]:
    faults = []
    page.emulate_media(color_scheme=scheme)
    for key in keys:
        mail = said(key, language, "email", at)
        page.set_content(as_page(key, mail, language))
        faults += [f"{key}: {fault}" for fault in faults_in(page, mail)]
        keep(page, f"mail-{key}-{language}-{scheme}{'-long' if at is LONG else ''}")
    return faults


def test_a_mail_on_a_phone(sheet: Page, keep: Any) -> None:
    assert see_mails(sheet, ["session_moved_many"], "es", "dark", LONG, keep) == []


@pytest.mark.soak
@pytest.mark.parametrize("at", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_every_mail_on_a_phone(sheet: Page, keep: Any, language: str, scheme: str, at: Any) -> None:
    assert see_mails(sheet, KEYS, language, scheme, at, keep) == []


@pytest.mark.soak
@pytest.mark.parametrize("at", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_every_text_on_a_phone(sheet: Page, keep: Any, language: str, at: Any) -> None:
    facts = {"clinic": at[0], "phone": PHONE_NUMBER, "when": "Wed, Sep 23, 10:50 am"}
    texts = {key: said(key, language, "sms", at).body for key in KEYS}
    texts |= {
        key: wording.reply(key, language, facts) for key in wording.catalog("en")["texts"] if key.startswith("reply")
    }
    bubbles = [
        f'<p style="color:#555;margin:14px 4px 2px">{key}, {segments(body)}</p>'
        f'<p style="background:#e8e8ea;border-radius:18px;padding:10px 14px;margin:0 40px 0 0;overflow-wrap:anywhere">{escape(body)}</p>'
        for key, body in texts.items()
    ]
    sheet.set_content(f'<body style="font:16px/1.4 system-ui;margin:8px">{"".join(bubbles)}')
    keep(sheet, f"texts-{language}{'-long' if at is LONG else ''}")
    most = {key: 3 if key == "weekly_digest" else 2 for key in texts}
    assert {key: segments(body) for key, body in texts.items() if at is SHORT and segments(body) > most[key]} == {}
