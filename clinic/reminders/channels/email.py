"""Mail over SMTP. Connections stay open for the next letter; a server that hung up meanwhile is called again."""

import contextlib
import os
import queue
import re
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from functools import cache
from urllib.parse import unquote, urlsplit

from clinic import clock
from clinic.reminders.channels.base import Accepted, ChannelBusy, ChannelRefused, Envelope
from clinic.reminders.mail_html import as_html

TIMEOUT = 15.0
PORTS = {"smtp": 25, "smtps": 465}
KEPT = 8  # open connections
LETTERS = 50  # over one connection: servers tire of long ones
NO_SUCH_MAILBOX = re.compile(r"\b5\.1\.[1236]\b|\b5\.2\.1\b")  # RFC 3463


class _Line(smtplib.SMTP):
    letters = 0


class _SafeLine(smtplib.SMTP_SSL):
    letters = 0


class EmailChannel:
    """`smtp://` starts TLS where the server offers it; `smtps://` speaks nothing else."""

    def __init__(self, url: str, sender: str) -> None:
        self._url = urlsplit(url)
        self._key = url
        self._sender = sender

    def send(self, envelope: Envelope) -> Accepted:
        message = self._message(envelope)
        return_path = envelope.return_path or parseaddr(self._sender)[1]
        try:
            with self._line() as server:
                server.send_message(message, from_addr=return_path, to_addrs=[envelope.to])
        except smtplib.SMTPRecipientsRefused as error:
            code, said = min(error.recipients.values())
            raise _verdict(code, "recipient", said) from None
        except smtplib.SMTPAuthenticationError:
            raise ChannelBusy("the mail server refused our sign-in") from None
        except smtplib.SMTPResponseException as error:
            raise _verdict(error.smtp_code, "message") from None
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelBusy(f"the mail server did not answer: {type(error).__name__}") from None
        return Accepted("smtp", str(message["Message-ID"]))

    @contextlib.contextmanager
    def _line(self) -> Iterator[smtplib.SMTP]:
        """An open connection; it is kept only where nothing went wrong."""
        kept = _kept(self._key, os.getpid())
        server = self._reused(kept) or self._connect()
        try:
            yield server
        except BaseException:
            server.close()
            raise
        server.letters += 1
        try:
            if server.letters >= LETTERS:
                raise queue.Full
            kept.put_nowait(server)
        except queue.Full:
            with contextlib.suppress(smtplib.SMTPException, OSError):  # it was accepted, whatever comes now
                server.quit()

    def _reused(self, kept: "queue.LifoQueue[_Line | _SafeLine]") -> "_Line | _SafeLine | None":
        while True:
            try:
                server = kept.get_nowait()
            except queue.Empty:
                return None
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if server.noop()[0] == 250:
                    return server
            server.close()

    def _connect(self) -> "_Line | _SafeLine":
        host, port = self._url.hostname or "", self._url.port or PORTS[self._url.scheme]
        server: _Line | _SafeLine
        if self._url.scheme == "smtps":
            server = _SafeLine(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
        else:
            server = _Line(host, port, timeout=TIMEOUT)
            server.ehlo_or_helo_if_needed()
            if server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
        if self._url.username:
            server.login(unquote(self._url.username), unquote(self._url.password or ""))
        return server

    def _message(self, envelope: Envelope) -> EmailMessage:
        domain = parseaddr(self._sender)[1].rpartition("@")[2] or "localhost"
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = envelope.to
        message["Subject"] = " ".join((envelope.subject or "").split())
        message["Date"] = format_datetime(clock.now())
        message["Message-ID"] = f"<{envelope.reference}@{domain}>"
        message["Auto-Submitted"] = "auto-generated"
        message["Content-Language"] = envelope.language
        if envelope.unsubscribe:  # one click, RFC 8058
            message["List-Unsubscribe"] = f"<{envelope.unsubscribe}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(envelope.body)
        page = as_html(envelope.body, envelope.language, foot=envelope.foot)
        message.add_alternative(page, subtype="html")
        for one in envelope.attachments:
            main, _, sub = one.kind.partition("/")
            message.add_attachment(one.content, maintype=main, subtype=sub, filename=one.name)
        return message


@cache
def _kept(_url: str, _process: int) -> "queue.LifoQueue[_Line | _SafeLine]":
    """Open connections, apart for each server and process: a fork must not share its parent's."""
    return queue.LifoQueue(KEPT)


def _verdict(code: int, what: str, said: bytes = b"") -> ChannelBusy | ChannelRefused:
    if code >= 500:
        is_dead = bool(NO_SUCH_MAILBOX.search(said.decode("ascii", "replace")))
        return ChannelRefused(f"the mail server refused the {what} ({code})", is_dead=is_dead)
    return ChannelBusy(f"the mail server put the {what} off ({code})")
