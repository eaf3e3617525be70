"""Passkeys, being signed out without losing a form, and what the logs say of people. A real Chromium on a real clinic."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import DESK, OpenPage, sign_in
from tests.browser.logs import lines_that_name_someone
from tests.browser.stack import Stack
from tests.browser.test_pages import LOOKS, faults_of, listed

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]


@pytest.fixture
def here(stack: Stack, open_page: OpenPage) -> Page:
    """A browser that holds passkeys; they need a name in place of an address of numbers."""
    page = open_page(DESK, base_url=stack.url.replace("127.0.0.1", "localhost"))
    hold_passkeys(page)
    return page


def hold_passkeys(page: Page) -> None:
    """The device of this browser keeps passkeys, and its person touches it at once."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devtools.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": options | {"isUserVerified": True, "automaticPresenceSimulation": True}},
    )


def sign_out(page: Page) -> None:
    menu = page.locator("details.menu")
    menu.locator("summary").click()
    menu.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(re.compile("/staff/login"))


def test_a_passkey_in_place_of_the_password(here: Page) -> None:
    sign_in(here, "nurse")
    here.goto("/staff/account")
    here.get_by_role("link", name="Add a passkey").click()
    here.get_by_label("Nickname").or_(here.get_by_label("Name")).first.fill("Blue key")
    here.get_by_role("button", name="Go on").click()
    expect(here.get_by_role("region", name="Passkeys").locator("b")).to_be_visible()
    sign_out(here)
    here.get_by_role("button", name="Sign in with a passkey").click()
    here.wait_for_url("**/staff/")
    here.goto("/staff/account")
    expect(here.get_by_role("row", name=re.compile("This one"))).to_contain_text("passkey")
    assert listed(faults_of(here, LOOKS)) == ""
    here.get_by_role("button", name="Remove Blue key").click()
    expect(here.get_by_role("region", name="Passkeys").locator("b")).to_have_count(0)


def test_a_stopped_passkey_says_so(here: Page) -> None:
    here.context.new_cdp_session(here)
    here.goto("/staff/wan-signin")
    here.get_by_role("button", name="Go on").click()
    expect(here.locator("#passkey-said")).to_contain_text("did not work")
    assert listed(faults_of(here, LOOKS)) == ""


def test_who_was_away_finds_what_was_typed_and_the_same_field(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(DESK)
    page.clock.install()
    sign_in(page, "desk")
    page.goto("/staff/patients?q=D-10005")
    page.goto(page.url if "/patients/" in page.url else "/staff/patients/5")
    page.get_by_role("link", name="Change").first.click()
    page.get_by_label("Payer").fill("Blue Shield of the Hills")
    page.get_by_label("Time zone").fill("America/Denver")
    page.get_by_label("Payer").focus()
    page.clock.run_for(28 * 60 * 1000 + 30_000)
    expect(page.get_by_role("alertdialog", name="Are you still there?")).to_be_visible()
    page.clock.run_for(100_000)
    page.wait_for_url(re.compile("/staff/login"))
    page.get_by_label("Email").fill("desk@demo.example.org")
    page.get_by_label("Password", exact=True).fill("daybreak-demo")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(re.compile("/contacts$"))
    expect(page.get_by_label("Payer")).to_have_value("Blue Shield of the Hills")
    expect(page.get_by_label("Time zone")).to_have_value("America/Denver")
    expect(page.get_by_label("Payer")).to_be_focused()
    expect(page.get_by_text("What you typed is back")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Payer")).not_to_have_value("Blue Shield of the Hills")


def test_still_here_keeps_the_page(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(DESK)
    page.clock.install()
    sign_in(page, "desk")
    page.clock.run_for(28 * 60 * 1000 + 30_000)
    page.get_by_role("button", name="I am still here").click()
    page.clock.run_for(120_000)
    assert page.url.endswith("/staff/")


def test_pages_of_sign_in_have_no_finding(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(DESK)
    page.goto("/staff/login")
    faults = list(faults_of(page, LOOKS))
    sign_in(page, "desk")
    for address in (
        "/staff/account",
        "/staff/wan-register",
        "/staff/mf-recovery-codes",
        "/staff/verify",
        "/staff/wan-verify",
        "/staff/tf-setup",
    ):
        page.goto(address)
        faults += faults_of(page, LOOKS)
    assert listed(faults) == ""


def test_no_line_of_any_log_names_a_person(stack: Stack, open_page: OpenPage) -> None:
    """What is asked for here is looked up at once; every stack is looked through whole when it ends."""
    page = open_page(DESK)
    sign_in(page, "prescriber")
    for address in (
        "/staff/patients?q=patient05@demo.example.org",
        "/staff/patients/5",
        "/staff/eligibility",
        "/staff/no-such-page",
    ):
        page.goto(address)
    assert (stack.instance / "log" / "web.log").stat().st_size
    assert lines_that_name_someone(stack.instance) == []
