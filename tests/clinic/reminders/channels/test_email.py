"""Mail against a real SMTP server on loopback."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from clinic.embedded.ports import free_port
from clinic.reminders.channels.base import Attachment, ChannelBusy, ChannelRefused, Envelope
from clinic.reminders.channels.email import EmailChannel

LETTER = Envelope("3f0c", "ada@example.org", "Harbor: your visit", "Harbor\n\nHello,\n\nhttps://x.example/l/a", "en")


class Server:
    """Answers what the test says, keeps what it accepted."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.recipient_answer = self.data_answer = "250 OK"
        self.senders: list[str] = []
        self.connections = 0
        self._open: list[Any] = []

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: Any) -> Any:
        self.connections += 1
        self._open.append(server.transport)
        session.host_name = hostname
        return responses

    def hang_up(self) -> None:
        """Close what is open, as servers do after a while."""
        for transport in self._open:
            transport.get_extra_info("socket")._sock.shutdown(socket.SHUT_RDWR)

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.senders.append(address)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer.startswith("250"):
            letter = message_from_bytes(envelope.content, policy=default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
        return self.data_answer


@pytest.fixture
def server() -> Iterator[tuple[Server, EmailChannel]]:
    handler, port = Server(), free_port()
    controller = Controller(handler, hostname="127.0.0.1", port=port)
    controller.start()
    yield handler, EmailChannel(f"smtp://127.0.0.1:{port}", "Harbor <desk@harbor.example>")
    controller.stop()


def test_the_reference_is_in_the_message_id(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    accepted = channel.send(LETTER)
    [letter] = handler.letters
    assert letter["Message-ID"] == accepted.provider_id == "<3f0c@harbor.example>"
    assert letter["From"] == "Harbor <desk@harbor.example>"


def test_text_and_html_say_the_same(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    channel.send(LETTER)
    plain, page = handler.letters[0].get_body(("plain",)), handler.letters[0].get_body(("html",))
    assert plain is not None
    assert page is not None
    assert plain.get_content().splitlines() == LETTER.body.splitlines()
    assert '<a href="https://x.example/l/a">' in page.get_content()


@pytest.mark.parametrize(
    ("recipient", "data", "verdict"),
    [
        ("550 no such user", "250 OK", ChannelRefused),
        ("451 try later", "250 OK", ChannelBusy),
        ("250 OK", "554 spam", ChannelRefused),
        ("250 OK", "452 full", ChannelBusy),
    ],
)
def test_answers_of_the_server(
    server: tuple[Server, EmailChannel], recipient: str, data: str, verdict: type[Exception]
) -> None:
    handler, channel = server
    handler.recipient_answer, handler.data_answer = recipient, data
    with pytest.raises(verdict) as refused:
        channel.send(LETTER)
    assert "ada" not in str(refused.value)


def test_nobody_answers() -> None:
    with pytest.raises(ChannelBusy):
        EmailChannel(f"smtp://127.0.0.1:{free_port()}", "desk@harbor.example").send(LETTER)


def test_a_subject_cannot_smuggle_headers(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    channel.send(Envelope("3f0c", "ada@example.org", "Hello\r\nBcc: eve@example.org", "text", "en"))
    assert handler.letters[0]["Bcc"] is None


def test_one_click_ends_such_mail(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    channel.send(replace(LETTER, unsubscribe="https://harbor.example/unsubscribe/x"))
    [letter] = handler.letters
    assert letter["List-Unsubscribe"] == "<https://harbor.example/unsubscribe/x>"
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_bounces_come_back_to_an_address_that_names_the_message(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    channel.send(replace(LETTER, return_path="bounces+AQ.x@harbor.example"))
    assert handler.senders == ["bounces+AQ.x@harbor.example"]
    assert handler.letters[0]["From"] == "Harbor <desk@harbor.example>"


def test_a_calendar_file_goes_along(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    channel.send(replace(LETTER, attachments=(Attachment("visits.ics", "text/calendar", b"BEGIN:VCALENDAR\r\n"),)))
    [file] = list(handler.letters[0].iter_attachments())
    assert (file.get_filename(), file.get_content_type()) == ("visits.ics", "text/calendar")
    assert file.get_content().startswith("BEGIN:VCALENDAR")


def test_several_letters_go_over_one_connection(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    for _ in range(3):
        channel.send(LETTER)
    assert (len(handler.letters), handler.connections) == (3, 1)


def test_a_server_that_hung_up_is_called_again(server: tuple[Server, EmailChannel]) -> None:
    handler, channel = server
    channel.send(LETTER)
    handler.hang_up()
    channel.send(LETTER)
    assert (len(handler.letters), handler.connections) == (2, 2)


@pytest.mark.parametrize(("answer", "is_dead"), [("550 5.1.1 no such user", True), ("550 5.7.1 blocked", False)])
def test_a_mailbox_that_does_not_exist_is_told_from_a_refusal(
    server: tuple[Server, EmailChannel], answer: str, is_dead: bool
) -> None:
    handler, channel = server
    handler.recipient_answer = answer
    with pytest.raises(ChannelRefused) as refused:
        channel.send(LETTER)
    assert refused.value.is_dead is is_dead
