"""The pages of security, each at every width and both schemes: signing in, who looked, other sites' records, keeping."""

import re

import pytest
from passlib.totp import TOTP
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    DESK,
    PASSWORD,
    PHONE,
    OpenPage,
    follow,
    running_record,
    say_birth_date,
    sent_link,
    sign_in,
)
from tests.browser.stack import Stack
from tests.browser.test_pages import faults_of, links, listed, see
from tests.browser.test_signin import hold_passkeys, sign_out

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
LOOKS = [(width, scheme) for width in (320, PHONE, DESK) for scheme in ("light", "dark")]
ACCOUNT = ("account", "change", "wan-register", "mf-recovery-codes", "verify", "wan-verify", "tf-setup")


def record_of_another_site(page: Page) -> tuple[str, str]:
    """Number and date of birth of a person of Laguna Hills, as the manager reads them."""
    for course in links(page, "/staff/courses", r"/staff/courses/\d+"):
        record = links(page, course, r"/staff/patients/\d+")[0]
        page.goto(record)
        words = page.locator("main").inner_text()
        number, born = re.search(r"Patients\s+(D-\d+)", words), re.search(r"Born (\w+ \d+, \d+)", words)
        if "Laguna Hills" in words and number and born:
            return number[1], born[1]
    raise AssertionError("nobody goes to Laguna Hills")


@pytest.mark.soak
def test_account_and_second_steps(open_page: OpenPage) -> None:
    page = open_page(DESK)
    page.goto("/staff/login")
    faults = list(faults_of(page, LOOKS))
    page.get_by_label("Email").fill("nobody@demo.example.org")
    page.get_by_label("Password", exact=True).fill("not this one")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("do not go together")
    faults += faults_of(page, LOOKS)
    faults += see(page, ["/staff/wan-signin"], LOOKS)
    sign_in(page, "therapist")
    faults += see(page, [f"/staff/{name}" for name in ACCOUNT], LOOKS)
    page.goto("/staff/mf-recovery-codes")
    page.locator("main form button").first.click()
    faults += faults_of(page, LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_a_code_from_an_app_or_a_recovery_code(stack: Stack, open_page: OpenPage) -> None:
    """A second step is set up, asked for, failed, replaced by a recovery code, and switched off again."""
    page = open_page(DESK, base_url=stack.url.replace("127.0.0.1", "localhost"))
    hold_passkeys(page)
    sign_in(page, "therapist")
    page.goto("/staff/tf-setup")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_alt_text("Code to scan")).to_have_css("background-color", "rgb(255, 255, 255)")
    app = TOTP(key=page.locator("b.id").inner_text().replace("-", ""))
    faults = list(faults_of(page, LOOKS))
    page.get_by_label(re.compile("code", re.IGNORECASE)).fill(app.generate().token)
    page.get_by_role("button", name="Switch it on").click()
    expect(page.locator("main")).to_contain_text("On: authenticator app")
    faults += faults_of(page, LOOKS)
    page.goto("/staff/wan-register")
    page.get_by_label(re.compile("name", re.IGNORECASE)).first.fill("Blue key")
    page.get_by_label("After my password, as the second step").check()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("region", name="Passkeys").locator("b")).to_be_visible()
    page.goto("/staff/mf-recovery-codes")
    page.get_by_role("button", name="Make new codes").click()
    code = page.locator("code.id").first.inner_text()
    faults += faults_of(page, LOOKS)

    sign_out(page)
    page.get_by_label("Email").fill("therapist@demo.example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/staff/tf-select"))
    faults += faults_of(page, LOOKS)
    page.get_by_label("A code from my authenticator app").check()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(re.compile(r"/staff/tf-validate"))
    faults += faults_of(page, LOOKS)
    page.get_by_label(re.compile("code", re.IGNORECASE)).fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#errors")).to_be_visible()
    faults += faults_of(page, LOOKS)
    page.get_by_role("link", name="Use a recovery code").click()
    faults += faults_of(page, LOOKS)
    for said in ("not-a-code", code):
        page.get_by_label(re.compile("code", re.IGNORECASE)).fill(said)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state()
        faults += faults_of(page, LOOKS)
    page.goto("/staff/tf-setup")
    faults += faults_of(page, LOOKS)
    page.get_by_label("Switch the second step off").check()
    page.get_by_role("button", name="Go on").click()
    page.goto("/staff/account")
    expect(page.locator("main")).to_contain_text("No authenticator app")
    page.get_by_role("button", name="Remove Blue key").click()
    expect(page.get_by_role("region", name="Passkeys").locator("b")).to_have_count(0)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_another_sites_record_and_who_looked(open_page: OpenPage) -> None:
    manager, nurse = open_page(DESK), open_page(DESK)
    sign_in(manager, "manager")
    number, born = record_of_another_site(manager)
    sign_in(nurse, "nurse")
    faults = see(nurse, ["/staff/patients/elsewhere"], LOOKS)
    nurse.get_by_role("button", name="Open the record").click()
    faults += faults_of(nurse, LOOKS)
    nurse.get_by_label("Record number, phone or email").fill(number)
    year = nurse.evaluate("text => new Date(`${text} UTC`).toISOString().slice(0, 10)", born)
    nurse.get_by_label("Date of birth").fill(year)
    nurse.get_by_label("The person is here, or on the phone").check()
    nurse.get_by_label("In a few words").fill("Called from the parking lot, cannot reach the other site")
    nurse.get_by_role("button", name="Open the record").click()
    expect(nurse.locator("main")).to_contain_text(number)
    faults += faults_of(nurse, LOOKS)  # with the banner
    opening = links(manager, "/staff/", r"/staff/(tasks|openings)/\d+")
    faults += see(manager, [one for one in opening if "opening" in one][:1] or ["/staff/openings/1"], LOOKS)
    manager.get_by_role("button", name="Noted").or_(manager.locator("main form button")).first.click()
    faults += faults_of(manager, LOOKS)
    faults += see(manager, ["/staff/reports/access", "/staff/reports/access?record=nobody"], LOOKS)
    assert not faults, listed(faults)


LONG = "Maximiliana-Josephine von Hohenberg-Montgomery-Castellanos y Rodríguez de la Torre"


def test_a_colleague_is_invited_and_chooses_a_password(stack: Stack, open_page: OpenPage) -> None:
    desk, phone = open_page(DESK), open_page(PHONE)
    letters = len(stack.letters.all)
    sign_in(desk, "manager")
    desk.goto("/staff/people")
    desk.get_by_role("link", name="Invite someone").click()
    desk.get_by_label("Name", exact=True).fill(LONG)
    desk.get_by_label("Email").fill("long.name.of.a.colleague@demo.example.org")
    desk.get_by_label("Nurse").check()
    desk.get_by_label("Every site, later ones too").check()
    desk.get_by_role("button", name="Invite").click()
    expect(desk.get_by_role("heading", level=1)).to_have_text(LONG)
    mail = stack.mail("long.name.of.a.colleague@demo.example.org", "account", letters)
    phone.goto(re.findall(r"https?://\S+/staff/welcome/[\w-]+", mail)[0])
    faults = list(faults_of(phone, [(320, "light")]))
    for label in ("New password", "The same once more"):
        phone.get_by_label(label).fill("seven quiet herons wade")
    phone.get_by_role("button", name="Set it").click()
    phone.wait_for_url("**/staff/login")
    desk.reload()
    expect(desk.locator("dl.facts").first).to_contain_text("Open")
    faults += faults_of(desk, [(320, "dark")])
    faults += see(desk, ["/staff/people?q=long.name"], [(PHONE, "light")])
    assert not faults, listed(faults)


@pytest.mark.soak
def test_people_who_work_here(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "manager")
    faults = see(page, ["/staff/people", "/staff/people?q=nobody+at+all", "/staff/people?state=closed"], LOOKS)
    faults += see(page, ["/staff/welcome/unknown"], LOOKS, status=410)
    page.goto("/staff/people/invite")
    page.get_by_role("button", name="Invite").click()  # empty: every message stands
    faults += faults_of(page, LOOKS)
    page.goto("/staff/people?q=nurse@demo")
    page.get_by_role("link", name="Open").first.click()
    faults += faults_of(page, LOOKS)
    page.get_by_role("button", name="Lock", exact=True).click()  # without a reason
    faults += faults_of(page, LOOKS)
    page.get_by_label("Why").fill("Lost the badge")
    page.get_by_role("button", name="Lock", exact=True).click()
    faults += faults_of(page, LOOKS)
    page.get_by_label("Why").fill("Found again")
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("dl.facts").first).to_contain_text("Open")
    assert not faults, listed(faults)


@pytest.mark.soak
def test_how_long_a_record_is_kept(open_page: OpenPage) -> None:
    page = open_page(DESK)
    sign_in(page, "manager")
    faults = see(page, ["/staff/records/due", "/staff/patients/5/keeping"], LOOKS)
    page.get_by_role("button", name=re.compile("hold", re.IGNORECASE)).first.click()  # without a reason
    faults += faults_of(page, LOOKS)
    page.get_by_label(re.compile("why", re.IGNORECASE)).first.fill("A letter of a lawyer of March 1")
    page.get_by_role("button", name=re.compile("hold", re.IGNORECASE)).first.click()
    faults += faults_of(page, LOOKS)
    faults += see(page, ["/staff/patients/5", "/staff/patients/5/log"], LOOKS)
    assert not faults, listed(faults)


@pytest.mark.soak
def test_a_patient_reads_who_looked(stack: Stack, open_page: OpenPage) -> None:
    desk, phone = open_page(DESK), open_page(PHONE)
    sign_in(desk, "desk")
    running_record(desk, 3)
    link, born = sent_link(stack, desk)
    follow(phone, link)
    phone.get_by_label("Year").fill("1901")
    phone.get_by_role("button", name="Continue").click()
    faults = list(faults_of(phone, LOOKS))
    say_birth_date(phone, *born)
    phone.wait_for_url("**/me")
    faults += see(phone, ["/me/access", "/me/access?lang=es", "/me/access?lang=en"], LOOKS)
    assert not faults, listed(faults)
