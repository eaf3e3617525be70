"""From the first tap on a phone to the score on the chart, every part running: mail and texts go over real sockets."""

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, START, OpenPage, follow, say_birth_date, sign_in
from tests.browser.intake import ANSWERS, fill_until, go_on, put
from tests.browser.stack import ON_CALL, Stack, link_in, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("main_job")]
LA = ZoneInfo("America/Los_Angeles")
EMAIL, PHONE_NUMBER = "rowan@example.org", "+17145550177"


class Told:
    """What the steps tell each other."""

    record: str
    course: str
    starts: list[datetime]


@pytest.fixture(scope="session")
def told() -> Told:
    return Told()


def record_number(text: str) -> str:
    found = re.search(r"D-\d+", text)
    assert found, text
    return found[0]


def session_start(cell: str) -> datetime:
    """From a row of the course page, as `Tue, Mar 2, 12:00`; the course lies within one year."""
    wall = f"{cell.partition('–')[0]} {START.year}"
    return datetime.strptime(wall, "%a, %b %d, %H:%M %Y").replace(tzinfo=LA)


def words(at: datetime) -> str:
    """As messages name a visit: `Tue, Mar 2, 12:00 pm`."""
    return f"{at:%a, %b} {at.day}, {at.hour % 12 or 12}:{at:%M} {'am' if at.hour < 12 else 'pm'}"


def test_1_a_history_is_sent_once_from_two_phones(stack: Stack, open_page: OpenPage) -> None:
    phone = open_page(PHONE)
    phone.goto("/")
    phone.get_by_role("link", name="Start with your history").first.click()
    phone.get_by_role("button", name="Start").click()
    fill_until(phone, "phq9-9", ANSWERS)

    help_card = phone.locator("#safety")
    expect(help_card).to_be_hidden()
    put(phone, {"answer": "2"})
    expect(help_card).to_be_visible()
    expect(help_card.get_by_role("link", name="Call 988")).to_be_in_viewport()
    go_on(phone)
    expect(phone.get_by_role("heading", level=1)).to_contain_text("Thank you for telling us")
    phone.get_by_text("I would rather talk to a person").click()
    go_on(phone)
    assert "Worklist" in stack.mail(ON_CALL, "safety")

    fill_until(phone, "therapy", ANSWERS)
    phone.get_by_role("button", name="Stop, come back later").click()
    phone.get_by_role("button", name="Send me the link").click()
    link = link_in(stack.mail(EMAIL, "link"))
    assert link_in(stack.text(PHONE_NUMBER, "link"))

    other = open_page(PHONE)
    follow(other, link)
    say_birth_date(other, "March", "5", "1981")
    assert other.url.endswith("/intake/therapy")
    fill_until(other, "review", ANSWERS)
    for text in ("Rowan Adeyemi-Castellanos", "Zoloft", "Effexor XR", "225"):
        expect(other.locator("main")).to_contain_text(text)
    phone.goto("/intake/review")
    other.get_by_role("button", name="Send my answers").dblclick()
    expect(other.get_by_role("heading", level=1)).to_have_text("Thank you. We have your answers.")
    phone.get_by_role("button", name="Send my answers").click()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Thank you. We have your answers.")


def test_2_the_assessment_waits_for_a_prescriber(stack: Stack, open_page: OpenPage, told: Told) -> None:
    page = open_page(DESK)
    sign_in(page, "prescriber")
    page.goto("/staff/eligibility")
    row = page.locator("tr[data-row]", has_text=re.compile(r"RA\s+D-"))
    wait_for(lambda: page.reload() and row.count(), "the assessment on the worklist")
    expect(row).to_have_count(1)
    told.record = record_number(row.inner_text())
    row.get_by_role("link", name="Review").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("R.A.'s history meets the criteria: 2 trials count")


def test_3_a_prescriber_decides(stack: Stack, open_page: OpenPage, told: Told) -> None:
    page = open_page(DESK)
    sign_in(page, "prescriber")
    page.goto("/staff/eligibility")
    page.locator("tr[data-row]", has_text=told.record).get_by_role("link", name="Review").click()
    decision = page.locator("#decide")
    decision.get_by_text(re.compile("^TMS")).first.click()
    decision.get_by_text(re.compile("^Suits this patient")).first.click()
    page.get_by_role("button", name="Sign decision").click()
    expect(page.locator("main")).to_contain_text("TMS: suits this patient")
    page.goto("/staff/eligibility")
    expect(page.locator("tr[data-row]", has_text=told.record)).to_have_count(0)


def test_4_the_whole_course_is_booked_by_one_of_three_proposals(stack: Stack, open_page: OpenPage, told: Told) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    page.locator(".task", has_text=told.record).filter(has_text="Book a course").get_by_role("link").first.click()
    page.get_by_role("link", name="Book", exact=True).click()
    page.get_by_label("Protocol").select_option("tms_10hz_left_standard")
    page.get_by_label("First session from").fill(str(START.date() + timedelta(days=2)))
    page.get_by_role("button", name="Find whole courses").click()
    plans = page.get_by_role("radio")
    expect(plans).to_have_count(3)
    plans.nth(1).check()
    page.get_by_role("button", name="Book all 36 sessions").dblclick()
    page.wait_for_url(re.compile(r"/staff/courses/\d+$"))
    told.course = page.url
    expect(page.get_by_role("heading", level=1)).to_contain_text("0 of 36 sessions done at Fullerton")
    rows = page.locator("tr[data-row] td.nowrap").all_inner_texts()
    told.starts = [session_start(row) for row in rows]
    assert len(told.starts) == 36
    assert told.starts == sorted(told.starts)
    assert all(start.weekday() < 5 for start in told.starts)
    assert min(start.hour for start in told.starts) >= 12, "the patient can come in the afternoon"
    first, last = told.starts[0], told.starts[-1]

    mail = stack.mail(EMAIL, "your visits are booked")
    assert f"36 in all, from {words(first)}" in mail
    assert words(last) in mail
    assert "36 in all" in stack.text(PHONE_NUMBER, "your visits are booked")
    page.goto("/staff/courses")
    expect(page.locator("tr", has_text=told.record)).to_have_count(1)


def test_5_reminders_arrive_in_time_and_are_answered(stack: Stack, open_page: OpenPage, told: Told) -> None:
    first = told.starts[0]
    stack.start_again(datetime.combine(first.date() - timedelta(days=1), time(16, 1), LA))
    mail, text = stack.mail(EMAIL, "your first visit is on"), stack.text(PHONE_NUMBER, "your first visit is")
    for words_of_visit in (mail, text):
        assert f"our first visit is {words(first)}" in words_of_visit
        assert not re.search("TMS|session|depress|treatment", words_of_visit, re.IGNORECASE)
    phone = open_page(PHONE)
    phone.goto(link_in(text))
    phone.get_by_role("button", name="I'll be there").first.click()
    expect(phone.locator("main")).to_contain_text("You said that you'll be there")

    letters, texts = len(stack.letters.all), len(stack.gateway.requests)
    stack.start_again(first - timedelta(hours=1, minutes=58))
    assert words(first) in stack.mail(EMAIL, "your visit at", letters)
    assert words(first) in stack.text(PHONE_NUMBER, "your next visit is", texts)
    desk = open_page(DESK)
    sign_in(desk, "desk")
    desk.goto(told.course)
    expect(desk.locator("tr[data-row]").first).to_contain_text("Confirmed")


def test_6_sessions_are_delivered_and_a_check_in_shows_on_the_chart(
    stack: Stack, open_page: OpenPage, told: Told
) -> None:
    stack.start_again(told.starts[4] + timedelta(minutes=45))
    operator = open_page(DESK)
    sign_in(operator, "operator")
    for start in told.starts[:5]:
        operator.goto(f"/staff/day/fullerton/{start.date()}")
        operator.get_by_role("button", name="List").click()
        row = operator.locator("tr[data-row]", has_text=told.record)
        for word in ("Arrived", "Start", "Done"):
            row.get_by_role("button", name=word).click()
        expect(row.get_by_role("button")).to_have_count(0)
        expect(row).to_contain_text("Done")
    operator.goto(told.course)
    expect(operator.get_by_role("heading", level=1)).to_contain_text("5 of 36 sessions done")

    phone = open_page(PHONE)
    text = stack.text(PHONE_NUMBER, "your short check-in is ready")
    assert link_in(stack.mail(EMAIL, "your short check-in"))
    follow(phone, link_in(text))
    say_birth_date(phone, "March", "5", "1981")
    for answer in "1110110000":  # nine items and how hard they made things
        put(phone, {"answer": answer})
        go_on(phone)
    while not phone.url.endswith("/send"):  # our own questions: each may stay open
        go_on(phone)
    phone.get_by_role("button", name="Send").click()
    expect(phone.get_by_role("heading", level=1)).to_contain_text("Your answers are with your care team")

    nurse = open_page(DESK)
    sign_in(nurse, "nurse")
    nurse.get_by_role("searchbox", name="Find a patient").fill(told.record)
    nurse.keyboard.press("Enter")
    scores = nurse.locator("section[aria-labelledby='chart-scores']")
    expect(scores).to_contain_text("19 at baseline, 5 after 5 sessions: 73.7 % lower")
    expect(scores.get_by_text("Response", exact=True)).to_be_visible()
    expect(scores.locator("svg").last).to_be_visible()


def test_a_digest_on_sunday_names_the_week(stack: Stack, open_page: OpenPage, told: Told) -> None:
    letters = len(stack.letters.all)
    sunday = told.starts[4].date() + timedelta(days=(6 - told.starts[4].weekday()) % 7)
    stack.start_again(datetime.combine(sunday, time(17, 1), LA))

    def digests() -> set[str]:
        return {x["To"] for x in stack.letters.all[letters:] if "your visits this week" in x["Subject"]}

    wait_for(digests, "a weekly digest")
    assert EMAIL not in digests(), "who wants each has no digest"
