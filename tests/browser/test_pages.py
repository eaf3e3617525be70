"""Every page with the demo's people: no finding of axe, no sideways scrolling, no complaint in the console."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, repeat
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from clinic.intake import pages as intake_pages
from tests.browser import seen
from tests.browser.conftest import DESK, PHONE, OpenPage, follow, running_record, say_birth_date, sent_link, sign_in
from tests.browser.intake import put
from tests.browser.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
ROOT = Path(__file__).parents[2]
AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
LOOKS = [(PHONE, "light"), (DESK, "dark")]
ALL_LOOKS = [(width, scheme) for width in (320, 360, PHONE, 820, DESK, 1440) for scheme in ("light", "dark")]
POLICY = "cms_l37086_l37088_noridian"
RUN = "tags => axe.run(document, {runOnly: tags, resultTypes: ['violations']}).then(found => found.violations.map(v => [v.id, v.nodes.map(n => n.target.join(' '))]))"


@pytest.fixture(params=[LOOKS, pytest.param(ALL_LOOKS, marks=pytest.mark.soak)], ids=["two looks", "every look"])
def looks(request: pytest.FixtureRequest) -> list[tuple[int, str]]:
    """Widths and schemes at which each page is seen."""
    return list(request.param)


def faults_of(page: Page, looks: Iterable[tuple[int, str]]) -> Iterator[str]:
    """What is wrong with the page that is open; in the sample it is seen as on the device that shows it."""
    seen.looked_at.append(page.url)
    page.evaluate(AXE)
    if looks == LOOKS:
        looks = LOOKS[:1] if (page.viewport_size or {"width": DESK})["width"] <= PHONE else LOOKS[1:]
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        tall = page.evaluate(
            "document.documentElement.scrollHeight"
        )  # whatever stays at the window's foot covers nothing
        page.set_viewport_size({"width": width, "height": max(900, tall)})
        look = f"{page.url} {width} {scheme}"
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            yield f"{look}: {wide} px wide"
        for rule, places in page.evaluate(RUN, TAGS):
            yield f"{look}: {rule} at {places[:3]}"


def see(page: Page, addresses: Iterable[str], looks: Any, status: int = 200) -> list[str]:
    """Open each and answer all faults; in the sample each address is seen at one look, phone and desk in turn."""
    faults = []
    one_each = cycle([look] for look in LOOKS) if looks == LOOKS else repeat(looks)
    for address, looks_here in zip(dict.fromkeys(addresses), one_each, strict=False):
        answer = page.goto(address)
        assert answer
        if answer.status != status:
            faults.append(f"{address}: status {answer.status}")
        faults += faults_of(page, looks_here)
    return faults


def in_spanish(page: Page, addresses: Sequence[str], looks: list[tuple[int, str]]) -> list[str]:
    """The long run sees pages of patients in Spanish too; the person's language is as it was afterwards."""
    if len(looks) == len(LOOKS):
        return []
    page.goto(f"{addresses[0]}?lang=es")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    faults = see(page, addresses, looks)
    page.goto(f"{addresses[0]}?lang=en")
    return faults


def listed(faults: Iterable[str]) -> str:
    return "\n".join(["", *faults])


def links(page: Page, at: str, pattern: str) -> list[str]:
    """Paths on the page `at` that match, in order."""
    page.goto(at)
    found = page.locator("a[href]").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    return list(dict.fromkeys(x for x in found if re.fullmatch(pattern, x)))


def test_public_pages(open_page: OpenPage, looks: Any) -> None:
    page = open_page()
    sites = links(page, "/locations", r"/locations/[a-z-]+")
    assert len(sites) == 4
    public = ["/", "/treatments", "/locations", *sites, "/intake/start", "/link", "/staff/login", "/dev/outbox"]
    public += ["/dev/components"] if len(looks) > len(LOOKS) else []
    faults = see(page, public, looks) + in_spanish(page, public[: public.index("/staff/login")], looks)
    assert not faults, listed(faults)


def test_every_page_of_the_intake(open_page: OpenPage, looks: Any) -> None:
    page = open_page()
    page.goto("/intake/start")
    page.get_by_role("button", name="Start").click()
    put(page, {"given": "Maximiliana-Josephine", "family": "von Hohenberg-Montgomery-Castellanos"})
    page.goto("/intake/therapy")
    put(page, {"had": "yes", "kinds": ["cbt", "other"]})
    page.locator(".dock .btn.grow").click()
    page.goto("/intake/medicines")
    page.locator("#drug").fill("Zoloft")
    page.get_by_role("button", name="Add this medicine").click()
    page.wait_for_url("**/medicines/*/1")
    medicine = page.url.removesuffix("1")
    rest = [f"/intake/{key}" for key in intake_pages.PAGES]
    faults = see(page, [f"{medicine}1", f"{medicine}2", *rest, "/intake/later", "/intake/safety"], looks)
    page.goto("/intake/phq9-9")
    put(page, {"answer": "2"})
    page.locator("#safety").wait_for()
    faults += faults_of(page, looks)
    faults += see(page, ["/intake/review"], looks)
    page.goto("/intake/about")
    put(page, {"given": "", "birth_year": "80"})
    page.locator(".dock .btn.grow").click()
    page.locator("#errors").wait_for()
    faults += faults_of(page, looks)
    assert not faults, listed(faults)


def test_pages_of_a_patient(stack: Stack, open_page: OpenPage, looks: Any) -> None:
    desk = open_page(DESK)
    sign_in(desk, "desk")
    running_record(desk)
    link, born = sent_link(stack, desk)
    phone = open_page(PHONE)
    faults = see(phone, [link], looks)
    follow(phone, link)
    faults += faults_of(phone, looks)
    say_birth_date(phone, *born)
    phone.wait_for_url("**/me")
    own = ["/me", "/me/dates", "/surveys", "/me/messages", "/me/tell"]
    rest = ["/me/papers", "/me/consents", "/me/summary", "/me/options", "/me/history"]  # nothing is released
    faults += see(phone, own + rest, looks) + in_spanish(phone, own + rest, looks)
    for survey in links(phone, "/surveys", r"/surveys/\d+")[:1]:
        faults += see(phone, [survey, f"{survey}/9", f"{survey}/safety", f"{survey}/more/1", f"{survey}/send"], looks)
    phone.goto(link)
    faults += list(faults_of(phone, looks))
    assert not faults, listed(faults)


def offered(stack: Stack) -> list[str]:
    """An offer's page, and of the person to whom it goes: the record, the offer, and a new time of a visit."""
    command = [sys.executable, "-m", "tests.browser.offering", str(stack.instance)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")}
    made = subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120
    )
    return made.stdout.split()[-4:]


@pytest.mark.soak
def test_places_that_are_held(stack: Stack, open_page: OpenPage, looks: Any) -> None:
    """The page of an offer, open and answered; nothing is asked before it opens."""
    place, phone = offered(stack)[0], open_page(PHONE)
    faults = see(phone, [place], looks)
    expect(phone.locator("main form button")).to_have_count(2)
    phone.locator("main form button").last.click()
    phone.wait_for_load_state()
    faults += faults_of(phone, looks)
    assert not faults, listed(faults)


def test_pages_of_the_desk(open_page: OpenPage, looks: Any) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    tasks = links(page, "/staff/", r"/staff/tasks/\d+")[:2]
    courses = links(page, "/staff/courses", r"/staff/courses/\d+")
    records = [links(page, course, r"/staff/patients/\d+")[0] for course in courses[:1]]
    moves = links(page, courses[-1], r"/staff/sessions/\d+/move")[:1]
    messages = links(page, "/staff/messages", r"/staff/messages/\d+")[:1]
    page.goto("/staff/")
    assert tasks
    assert moves
    assert messages
    fixed = [
        "/staff/",
        "/staff/courses",
        "/staff/waitlist",
        "/staff/day?site=fullerton",
        "/staff/day?site=south-pasadena",
    ]
    on = page.goto("/staff/day?site=fullerton") and page.url.rpartition("/")[2]
    chosen = page.locator("tr[data-s]").first.get_attribute("data-s")
    fixed += [f"/staff/{view}/fullerton/{on}" for view in ("week", "month")]
    fixed += [f"/staff/day/fullerton/{on}/run-sheet", f"/staff/day/fullerton/{on}?s={chosen}"]
    fixed += ["/staff/patients", "/staff/patients?q=D-10020", "/staff/patients?q=nobody", "/staff/messages"]
    about = [f"{records[0]}/contacts", records[0].replace("/patients/", "/courses/new?patient=")]
    faults = see(page, [*fixed, *tasks, courses[0], courses[-1], *moves, *messages, *records, *about], looks)
    faults += see(page, ["/staff/nowhere"], looks, 404)
    faults += see(page, ["/staff/eligibility"], looks, 403)
    assert not faults, listed(faults)


def test_three_proposals(open_page: OpenPage, looks: Any) -> None:
    page = open_page(DESK)
    sign_in(page, "desk")
    page.locator(".task", has_text="Book a course").first.get_by_role("link").first.click()
    page.get_by_role("link", name="Book", exact=True).click()
    page.get_by_label("Protocol").select_option("tms_10hz_left_standard")
    page.get_by_role("button", name="Find whole courses").click()
    page.wait_for_url("**/courses/choose*")
    expect(page.get_by_role("radio")).to_have_count(3)
    faults = list(faults_of(page, looks))
    assert not faults, listed(faults)


def test_pages_of_clinicians(open_page: OpenPage, looks: Any) -> None:
    page = open_page(DESK)
    sign_in(page, "prescriber")
    reviews = links(page, "/staff/eligibility", r"/staff/eligibility/\d+")[:4]
    courses = links(page, "/staff/courses", r"/staff/courses/\d+")
    records = [links(page, course, r"/staff/patients/\d+")[0] for course in courses[-1:]]
    more = [f"{records[0]}/log", f"{records[0]}/intake"]
    faults = see(page, ["/staff/", "/staff/eligibility", *reviews, *records, *more, "/staff/account"], looks)
    rules = links(page, reviews[0], r"/staff/eligibility/rules/.+")
    review, missing = lacking(page)
    about = ("scores?instrument=mdq", "intake/versions", "intake/correct", "attachments")
    behind = [f"{review}/packet/{POLICY}", missing[0], rules[0], *(f"{records[0]}/{name}" for name in about)]
    faults += see(page, behind, looks)
    if len(looks) > len(LOOKS):
        faults += see(page, [*rules[1:3], f"{records[0]}/scores"], looks)
    assert not faults, listed(faults)


def lacking(page: Page) -> tuple[str, list[str]]:
    """A review of a history that lacks something, and the pages on which what is missing can be entered."""
    for review in links(page, "/staff/eligibility", r"/staff/eligibility/\d+"):
        if missing := links(page, review, r"/staff/eligibility/\d+/facts.+"):
            return review, missing
    raise AssertionError("every history of the demo is whole")


def test_pages_of_the_manager(open_page: OpenPage, looks: Any) -> None:
    page = open_page(DESK)
    sign_in(page, "manager")
    sites = links(page, "/staff/settings", r"/staff/settings/locations/\d+")
    whose = ["/staff/reports/access", "/staff/records/due", "/staff/patients/5/keeping", "/staff/patients/elsewhere"]
    faults = see(page, ["/staff/", "/staff/settings", *sites[:1], "/staff/change", *whose], looks)
    faults += see(page, ["/staff/settings/policies", f"/staff/settings/policies/{POLICY}"], looks)
    assert not faults, listed(faults)
