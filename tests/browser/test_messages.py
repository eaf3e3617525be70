"""What the desk sees of messages, what the clinic says in them, and what a link in one opens, at every width and scheme."""

import base64
import hashlib
import hmac
import re
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESK, PHONE, OpenPage, sign_in
from tests.browser.stack import Stack, wait_for
from tests.browser.test_pages import faults_of, links, listed, looks, see  # noqa: F401 - `looks` is a fixture

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages"), pytest.mark.soak]


def text_in(stack: Stack, said: str, number: int, sender: str = "+17145550100") -> None:
    """A text comes in, signed as the provider signs it."""
    fields = {"From": sender, "To": "+17145550199", "Body": said, "MessageSid": f"IN{number}"}
    signed = f"{stack.url}/hooks/sms" + "".join(name + fields[name] for name in sorted(fields))
    seal = base64.b64encode(hmac.digest(b"token", signed.encode(), hashlib.sha1)).decode()
    with urlopen(Request(f"{stack.url}/hooks/sms", urlencode(fields).encode(), {"X-Twilio-Signature": seal})):
        pass


def test_messages_for_the_desk(stack: Stack, open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "desk")
    text_in(stack, "I think so, if the bus runs", 1)
    ways = ["", "?state=failed", "?state=void", "?channel=sms", "?q=nobody-of-this-name", "?purpose=weekly_digest"]
    faults = see(page, [f"/staff/messages{way}" for way in ways], looks)
    faults += see(page, links(page, "/staff/messages", r"/staff/messages/\d+")[:2], looks)
    faults += see(page, links(page, "/staff/messages?state=failed", r"/staff/messages/\d+")[:1], looks)
    inbound = links(page, "/staff/messages/in", r"/staff/messages/in/\d+")
    assert inbound
    faults += see(page, ["/staff/messages/in", inbound[0]], looks)
    people = links(page, "/staff/courses", r"/staff/courses/\d+")
    records = links(page, people[0], r"/staff/patients/\d+")
    faults += see(page, [f"{records[0]}/messages"], looks)
    assert not faults, listed(faults)


def test_what_messages_say(open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    page = open_page(DESK)
    sign_in(page, "manager")
    texts = links(page, "/staff/settings/messages", r"/staff/settings/messages/[a-z_]+/(en|es)")
    faults = see(page, ["/staff/settings/messages", *texts[:2], texts[-1]], looks)
    page.goto(next(text for text in texts if text.endswith("day_before/en")))
    page.locator("textarea").last.fill("your depression treatment is {when} {nonsense}")
    page.get_by_role("button", name="Use it from now on").click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()
    faults += faults_of(page, looks)
    assert not faults, listed(faults)


def test_links_of_messages(stack: Stack, open_page: OpenPage, looks: Any) -> None:  # noqa: F811
    """Nothing is asked before the page opens, nothing changes by opening it, and an answer is said back."""
    phone = open_page(PHONE)

    def found(use: str) -> list[str]:
        said = [str(letter.get_body(("plain",)).get_content()) for letter in stack.letters.all]  # type: ignore[union-attr]
        said += [request.form["Body"] for request in stack.gateway.requests]
        return [hit[0] for one in said if (hit := re.search(rf"https?://\S+/{use}/[\w.-]+\w", one))]

    def is_open(link: str) -> bool:  # some are about a visit that is over by now
        return phone.request.get(link).status == 200

    faults = []
    for use in ("r", "unsubscribe"):
        link = wait_for(lambda use=use: next(filter(is_open, found(use)), None), f"a message with a link /{use}/")
        faults += see(phone, [link], looks)
        phone.set_viewport_size({"width": PHONE, "height": 844})
        phone.locator("main form[method=post] button").first.click()
        phone.wait_for_load_state()
        faults += faults_of(phone, looks)
    faults += see(phone, [f"{stack.url}/r/AAAA.{'x' * 16}", f"{stack.url}/o/AAAA.{'x' * 16}"], looks, 404)
    assert not faults, listed(faults)
