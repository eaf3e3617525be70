"""The form on a phone, come what may: reload, back, a session that ended, a server that was killed; on a tablet; by keyboard."""

import json
import os
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from clinic.config import RUNNING_FILE
from clinic.intake import pages as intake_pages
from tests.browser.conftest import DESK, PHONE, OpenPage, follow, say_birth_date, sign_in
from tests.browser.intake import ANSWERS, MEDICINES, add_medicine, fill_until, go_on, page_of, put, settle
from tests.browser.stack import Stack, link_in, wait_for
from tests.browser.test_keyboard import choose, send, tab_to
from tests.browser.test_pages import ALL_LOOKS, LOOKS, faults_of, listed, see
from tests.clinic.intake import files

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
TWELVE = (
    "Prozac", "Zoloft", "Lexapro", "Wellbutrin XL", "Effexor XR", "Cymbalta",
    "Remeron", "Pamelor", "Trintellix", "Viibryd", "Abilify", "an herb from my aunt",
)  # fmt: skip
SHOWN = ("Prozac (fluoxetine)", "Zoloft (sertraline)", "Abilify (aripiprazole)", "an herb from my aunt")
STEPS = (
    {"dose": "50-100", "weeks": "4-7", "at_dose": "all"},
    {"use": "alone", "outcome": "none", "stopped": "inefficacy"},
    {"missed": "1", "this_episode": "not_sure", "papers": "none"},
)


HOLDS = "(e, v) => e.type === 'radio' ? !!document.querySelector(`[name='${e.name}'][value='${v}']:checked`) : e.value === v"


def database(stack: Stack) -> psycopg.Connection[Any]:
    """A connection to the clinic's own database."""
    lines = (stack.instance / RUNNING_FILE).read_text().splitlines()
    address = next(line.partition("=")[2] for line in lines if line.startswith("CLINIC_DATABASE_URL="))
    return psycopg.connect(address.strip("'\"").replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def end_sessions(stack: Stack) -> None:
    """Every patient session is over, as after twelve hours."""
    with database(stack) as connection:
        connection.execute("UPDATE patient_sessions SET expires_at = created_at WHERE ended_at IS NULL")


def kill_web(stack: Stack) -> None:
    """The web server and its workers, killed hard; the supervisor starts it again."""
    assert stack._process
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
    ours = [pid for pid, parent in parents.items() if parent == stack._process.pid and "gunicorn" in command(pid)]
    assert ours
    stack.was_killed = True
    for pid in [*ours, *(pid for pid, parent in parents.items() if parent in ours)]:
        os.kill(pid, signal.SIGKILL)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def begin(page: Page, email: str) -> None:
    """The first two pages: from here on a link leads back."""
    page.goto("/intake/start")
    page.get_by_role("button", name="Start").click()
    put(page, ANSWERS["about"])
    go_on(page)
    put(page, {"email": email, "language": "en"})
    go_on(page)


class Mishaps:
    """What happens to the phone or to the clinic in the middle of a page; each leads back to that page."""

    def __init__(self, page: Page, stack: Stack, email: str) -> None:
        self.page, self.stack, self.email = page, stack, email

    def reload(self) -> None:
        settle(self.page)
        self.page.reload()

    def back(self) -> None:
        settle(self.page)
        self.page.go_back()
        self.page.go_forward()

    def closed_at_once(self) -> None:
        """Left before anything was sent: what was typed lies on the phone."""
        here = self.page.url
        self.page.goto("/intake/start")
        self.page.goto(here)

    def killed(self) -> None:
        here = self.page.url
        kill_web(self.stack)
        self.page.locator(".dock .btn.grow").click()  # the send that nobody hears
        wait_for(lambda: self.stack._is_ready(Path(os.devnull)), "the web server to be back")
        self.page.goto(here)

    def expired(self) -> None:
        here, letters = self.page.url, len(self.stack.letters.all)
        settle(self.page)
        end_sessions(self.stack)
        self.page.goto(here)
        self.page.wait_for_url(lambda address: "/link" in address)
        self.page.get_by_label("Email").fill(self.email)
        self.page.locator("main form button.btn").first.click()
        follow(self.page, link_in(self.stack.mail(self.email, "link", letters)))
        if "birth-date" in self.page.url or self.page.get_by_label("Year").count():
            say_birth_date(self.page, "March", "5", "1981")
        self.page.goto("/intake")
        if "birth-date" in self.page.url:
            say_birth_date(self.page, "March", "5", "1981")
        self.page.goto(here)


@pytest.mark.parametrize(
    ("count", "seed"),
    [(5, 1), *(pytest.param(12, seed, marks=pytest.mark.soak) for seed in range(1, 7))],
    ids=lambda number: f"{number}",
)
def test_twelve_medicines_and_none_is_lost(stack: Stack, open_page: OpenPage, count: int, seed: int) -> None:
    """The sample has five of them, and every mishap."""
    draw, names = random.Random(seed), (*TWELVE[: count - 3], *TWELVE[-3:])
    email = f"twelve{count}-{seed}@example.org"
    phone = open_page(PHONE)
    begin(phone, email)
    phone.goto("/intake/medicines")
    mishaps = Mishaps(phone, stack, email)
    hit: dict[tuple[int, int], Callable[[], None]] = {}
    kinds = [mishaps.reload, mishaps.back, mishaps.closed_at_once, mishaps.killed, mishaps.expired]
    places = draw.sample([(n, step) for n in range(1, count) for step in range(3)], len(kinds))
    hit.update(zip(places, kinds, strict=True))
    for n, name in enumerate(names):
        add_medicine(phone, name)
        for step, answers in enumerate(STEPS):
            put(phone, answers)
            if (n, step) in hit:
                hit[n, step]()
                for field, value in answers.items():
                    box = phone.locator(f"#answers [name='{field}']").first
                    wait_for(partial(box.evaluate, HOLDS, value), f"{field} after {hit[n, step].__name__}", 10)
            go_on(phone)
    rows = phone.locator("#list li")
    expect(rows).to_have_count(count)
    for name, row in zip(names, rows.all(), strict=True):
        expect(row).to_contain_text(name)
        expect(row).not_to_contain_text("not done yet")
    for shown in SHOWN:
        expect(phone.locator("#list")).to_contain_text(shown)
    phone.goto("/intake/review")
    phone.get_by_role("button", name="Send my answers").dblclick()
    expect(phone.get_by_role("heading", level=1)).to_have_text("Thank you. We have your answers.")
    with database(stack) as connection:
        sent = connection.execute(
            "SELECT count(DISTINCT i.id), count(t.id) FROM intakes i JOIN intake_trials t ON t.intake_id = i.id "
            "WHERE i.patient_id = (SELECT max(patient_id) FROM intakes WHERE state = 'submitted')"
        ).fetchone()
    assert sent == (1, count)


def test_what_a_phone_keeps_of_unsent_answers_is_sealed_until_its_person_is_back(open_page: OpenPage) -> None:
    phone = open_page(PHONE)
    begin(phone, "sealed@example.org")
    phone.goto("/intake/medicines")
    add_medicine(phone, "Sertraline")
    save = phone.locator("form[data-autosave]").get_attribute("data-autosave")
    phone.route(f"**{save}", lambda route: route.fulfill(status=429))  # the server takes nothing just now
    box = phone.locator("#answers input[type='text']").first
    box.fill("187")
    kept = "Object.entries(localStorage).filter(([key]) => key.startsWith('daybreak:')).map(([, value]) => value)"
    wait_for(lambda: len(phone.evaluate(kept)) == 1, "the answers to be kept")
    assert set(json.loads(phone.evaluate(kept)[0])) == {"at", "iv", "sealed"}
    assert phone.evaluate("document.body.dataset.drafts") is None  # the key is out of reach of whoever opens the tab
    phone.reload()
    wait_for(lambda: box.input_value() == "187", "the answer to be back")


def test_a_file_is_checked_before_it_is_sent_and_after(open_page: OpenPage, tmp_path: Path) -> None:
    phone = open_page(PHONE)
    begin(phone, "files@example.org")
    phone.goto("/intake/thyroid")
    put(phone, {"tested": "yes"})
    phone.get_by_role("button", name="Add a paper or photo").click()
    phone.wait_for_url("**/intake/files*")
    (tmp_path / "scan.pdf").write_bytes(files.pdf() + b"x" * 13_500_000)
    phone.set_input_files("#file", str(tmp_path / "scan.pdf"))
    expect(phone.locator("#file-error")).to_have_text(
        "This file is 14 MB; the limit is 10 MB. A photo of the list works too."
    )
    (tmp_path / "words.pdf").write_text("Zoloft 50 mg")
    phone.set_input_files("#file", str(tmp_path / "words.pdf"))
    phone.get_by_role("button", name="Add it").click()
    expect(phone.locator("#file-error")).to_contain_text("We cannot read words.pdf")
    (tmp_path / "lab.png").write_bytes(files.png())
    phone.set_input_files("#file", str(tmp_path / "lab.png"))
    phone.get_by_role("button", name="Add it").click()
    expect(phone.get_by_text("lab.png").first).to_be_visible()
    phone.get_by_role("button", name="Remove lab.png").click()
    phone.get_by_role("button", name="Undo lab.png").click()
    expect(phone.get_by_text("lab.png").first).to_be_visible()
    phone.get_by_role("link", name="Back to the form").click()
    expect(phone.locator("[name='tested'][value='yes']")).to_be_checked()


def test_without_script_a_file_is_sent_too(chromium: Browser, stack: Stack, tmp_path: Path) -> None:
    context = chromium.new_context(
        base_url=stack.url, java_script_enabled=False, viewport={"width": PHONE, "height": 844}
    )
    page = context.new_page()
    page.goto("/intake/start")
    page.get_by_role("button", name="Start").click()
    page.goto("/intake/files?page=medicines")
    (tmp_path / "list.png").write_bytes(files.png())
    page.set_input_files("#file", str(tmp_path / "list.png"))
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("list.png").first).to_be_visible()
    (tmp_path / "bad.pdf").write_text("no")
    page.set_input_files("#file", str(tmp_path / "bad.pdf"))
    page.get_by_role("button", name="Add it").click()
    expect(page.get_by_text("We cannot read bad.pdf").first).to_be_visible()
    context.close()


def test_a_tablet_is_handed_over_and_back(stack: Stack, open_page: OpenPage) -> None:
    tablet = open_page(820, "dark")
    sign_in(tablet, "desk")
    tablet.goto("/staff/patients")
    tablet.get_by_role("button", name="New person: fill in on this tablet").click()
    tablet.wait_for_url("**/intake/about")
    assert tablet.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(238, 243, 245)", "light"
    assert tablet.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") > 18
    put(tablet, {"given": "Nadia", "family": "Example"})
    faults = list(faults_of(tablet, [(820, "dark"), (PHONE, "light")]))
    tablet.set_viewport_size({"width": 820, "height": 1100})
    settle(tablet)
    tablet.get_by_role("button", name="Stop and hand back the tablet").click()
    tablet.wait_for_url("**/kiosk/over")
    faults += list(faults_of(tablet, [(820, "light")]))
    assert not faults, listed(faults)
    tablet.go_back()
    expect(tablet.locator("body")).not_to_contain_text("Nadia")
    assert tablet.locator("[value='Nadia']").count() == 0
    tablet.goto("/staff/")
    assert "login" in tablet.url
    assert tablet.evaluate("localStorage.length + sessionStorage.length") == 0


def test_a_tablet_left_alone_asks_and_then_ends(stack: Stack, open_page: OpenPage) -> None:
    tablet = open_page(820)
    sign_in(tablet, "desk")
    tablet.goto("/staff/patients")
    tablet.clock.install()
    tablet.get_by_role("button", name="New person: fill in on this tablet").click()
    tablet.wait_for_url("**/intake/about")
    idle = tablet.locator("#idle")
    tablet.clock.fast_forward("07:55")
    expect(idle).to_be_hidden()
    tablet.clock.run_for("00:10")
    expect(idle).to_be_visible()
    faults = list(faults_of(tablet, [(820, "light")]))
    assert not faults, listed(faults)
    tablet.get_by_role("button", name="I am still here").click()
    expect(idle).to_be_hidden()
    tablet.clock.fast_forward("09:30")
    tablet.clock.run_for("00:40")
    tablet.wait_for_url("**/kiosk/over")


def test_a_medicine_by_keyboard_alone(open_page: OpenPage) -> None:
    page = open_page()
    page.goto("/intake/start")
    send(page, "Start")
    page.goto("/intake/medicines")
    tab_to(page, name="drug")
    page.keyboard.type("Pamelor")
    page.keyboard.press("Escape")
    send(page, "Add this medicine")
    tab_to(page, name="dose")
    page.keyboard.type("75")
    choose(page, "level", "yes")
    tab_to(page, name="weeks")
    page.keyboard.type("10")
    choose(page, "at_dose", "changed")
    send(page, "Save and go on")
    assert page.url.endswith("/4")
    tab_to(page, name="step1_dose")
    page.keyboard.type("25")
    tab_to(page, name="step1_weeks")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/2")
    choose(page, "stopped", "side_effects")
    send(page, "Save and go on")
    tab_to(page, name="side_effects")
    page.keyboard.type("Dry mouth")
    choose(page, "missed", "0")
    send(page, "Save and go on")
    assert page_of(page) == "medicines"
    expect(page.locator("#list")).to_contain_text("Pamelor (nortriptyline)")
    page.goto("/intake/taking")
    tab_to(page, name="drug")
    page.keyboard.type("fish oil")
    page.keyboard.press("Escape")
    tab_to(page, words="Add it")
    page.keyboard.press("Enter")
    expect(page.locator("#list")).to_contain_text("fish oil")
    page.goto("/intake/consents")
    choose(page, "care_team", "yes")
    choose(page, "records", "no")
    send(page, "Save and go on")
    assert page_of(page) == "messages"


GROUPS = """() => [...new Map([...document.querySelectorAll('#answers :is(input, select, textarea)[name]:not([type=hidden])')]
  .filter((e) => e.checkVisibility()).map((e) => [e.name, e.type])).entries()]"""


def answer_by_keyboard(page: Page, answers: dict[str, Any]) -> None:
    """These answers in the order of the page, "no" where they say nothing of a yes or no question."""
    done: set[str] = set()
    while groups := [(name, kind) for name, kind in page.evaluate(GROUPS) if name not in done]:
        name, kind = groups[0]
        done.add(name)
        value = answers.get(name)
        if value is None and kind == "radio" and page.locator(f"[name='{name}'][value='no']").count():
            value = "no"
        if value is None:
            continue
        if kind == "radio":
            choose(page, name, value)
        elif kind == "checkbox":
            for each in value if isinstance(value, list) else [value]:
                tab_to(page, name=name, value=each)
                page.keyboard.press("Space")
        elif kind == "select-one":
            tab_to(page, name=name)
            page.keyboard.type(page.locator(f"[name='{name}'] option[value='{value}']").inner_text())
        else:
            tab_to(page, name=name)
            page.keyboard.type(value)


def press_on(page: Page) -> None:
    """Tab to the button below the last question and press it."""
    send(page, page.locator(".dock .btn.grow").inner_text())


@pytest.mark.soak
@pytest.mark.parametrize("language", ["en", "es"])
def test_the_whole_form_by_keyboard_alone(open_page: OpenPage, language: str) -> None:
    """Every page once, to the end, without a pointer; every stop on the way shows its focus."""
    page = open_page(DESK)
    page.goto(f"/intake/start?lang={language}")
    send(page, page.locator("main form .btn").first.inner_text())
    answers = ANSWERS | {"contact": {"email": f"keys-{language}@example.org", "language": language}, "places": {}}
    for _ in range(90):
        now = page_of(page)
        if now == "review":
            break
        if now == "medicines":
            for name, *steps in MEDICINES:
                tab_to(page, name="drug")
                page.keyboard.type(name)
                page.keyboard.press("Escape")
                send(page, page.locator("button[name='add']").inner_text())
                for step in steps:
                    answer_by_keyboard(page, step)
                    press_on(page)
        else:
            answer_by_keyboard(page, answers.get(now, {}))
        press_on(page)
    press_on(page)
    expect(page.locator("main")).to_contain_text({"en": "Thank you", "es": "Gracias"}[language])


@pytest.mark.parametrize(
    ("looks", "language"),
    [
        (LOOKS, "en"),
        pytest.param(ALL_LOOKS, "en", marks=pytest.mark.soak),
        pytest.param(ALL_LOOKS, "es", marks=pytest.mark.soak),
    ],
    ids=["two looks", "every look", "every look in Spanish"],
)
def test_pages_beside_the_plain_ones(
    stack: Stack, open_page: OpenPage, tmp_path: Path, looks: Any, language: str
) -> None:
    page = open_page()
    page.goto("/intake/start?lang=en")
    page.get_by_role("button", name="Start").click()
    put(page, ANSWERS["about"] | {"given": "Maximiliana-Josephine", "family": "von Hohenberg-Montgomery-Castellanos"})
    go_on(page)
    put(page, {"email": "long@example.org"})
    go_on(page)
    page.goto("/intake/therapy")
    put(page, {"had": "yes", "kinds": ["cbt", "other"], "other_kind": "Acceptance and commitment therapy in a group"})
    go_on(page)
    page.goto("/intake/ptsd")
    put(page, {"gate": "1"})
    go_on(page)
    page.goto("/intake/medicines")
    add_medicine(page, "Celebrex")
    page.goto("/intake/medicines")
    add_medicine(page, "Effexor")
    medicine = page.url.removesuffix("1")
    put(page, {"at_dose": "changed"})
    go_on(page)
    page.goto(f"{medicine}2")
    put(page, {"stopped": "side_effects"})
    go_on(page)
    page.goto("/intake/taking")
    put(page, {"drug": "A vitamin of a very long name that somebody wrote here in full"})
    page.get_by_role("button", name="Add it").click()
    page.goto("/intake/files")
    (tmp_path / "A very long name of a file from a phone 2027-03-01 10.41.22.png").write_bytes(files.png())
    page.set_input_files("#file", [str(each) for each in tmp_path.iterdir()])
    page.get_by_role("button", name="Add it").click()
    page.get_by_text("A very long name").first.wait_for()
    page.goto(f"/intake/start?lang={language}")
    own = [f"{medicine}{step}" for step in (1, 4, 2, 3)] + ["/intake/files", "/intake/files?big=31", "/intake/review"]
    own += [f"/intake/{key}" for key in ("taking", "therapy-other", "ptsd", "ptsd-1", "consents")]
    every = [f"/intake/{key}" for key in intake_pages.PAGES] if looks is ALL_LOOKS else []
    faults = see(page, [*own, *every], looks)
    assert not faults, listed(faults)


@pytest.mark.soak  # the main job sends a whole form in every run
def test_the_whole_form_by_a_phone(open_page: OpenPage) -> None:
    """Every page once, in order, to the end; the staff then read it with its files and consents."""
    phone = open_page(PHONE)
    phone.goto("/intake/start")
    phone.get_by_role("button", name="Start").click()
    fill_until(phone, "review", ANSWERS | {"contact": {"email": "whole@example.org", "language": "en"}})
    phone.get_by_role("button", name="Send my answers").click()
    expect(phone.locator("main")).to_contain_text("It is on our list for")
    faults = list(faults_of(phone, ALL_LOOKS))
    desk = open_page(DESK)
    sign_in(desk, "prescriber")
    desk.goto("/staff/patients?q=whole@example.org")
    desk.get_by_role("link", name="Open").first.click()
    expect(desk.locator("#consents")).to_contain_text("text 2026-11")
    faults += faults_of(desk, [(PHONE, "dark"), (DESK, "light")])
    files_of = desk.url.rstrip("/") + "/attachments"
    faults += see(desk, [files_of], [(PHONE, "light"), (DESK, "dark")])
    assert not faults, listed(faults)
