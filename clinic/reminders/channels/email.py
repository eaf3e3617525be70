"""Mail over SMTP."""

import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit

from clinic import clock
from clinic.reminders.channels.base import Accepted, ChannelBusy, ChannelRefused, Envelope
from clinic.reminders.wording import as_html

TIMEOUT = 15.0
PORTS = {"smtp": 25, "smtps": 465}


class EmailChannel:
    """`smtp://` starts TLS where the server offers it; `smtps://` speaks nothing else."""

    def __init__(self, url: str, sender: str) -> None:
        self._url = urlsplit(url)
        self._sender = sender

    def send(self, envelope: Envelope) -> Accepted:
        message = self._message(envelope)
        try:
            with contextlib.closing(self._connect()) as server:
                server.send_message(message, from_addr=parseaddr(self._sender)[1], to_addrs=[envelope.to])
                with contextlib.suppress(smtplib.SMTPException, OSError):  # it was accepted, whatever comes now
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            raise _verdict(min(code for code, _ in error.recipients.values()), "recipient") from None
        except smtplib.SMTPAuthenticationError:
            raise ChannelBusy("the mail server refused our sign-in") from None
        except smtplib.SMTPResponseException as error:
            raise _verdict(error.smtp_code, "message") from None
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelBusy(f"the mail server did not answer: {type(error).__name__}") from None
        return Accepted("smtp", str(message["Message-ID"]))

    def _connect(self) -> smtplib.SMTP:
        host, port = self._url.hostname or "", self._url.port or PORTS[self._url.scheme]
        if self._url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
        else:
            server = smtplib.SMTP(host, port, timeout=TIMEOUT)
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
        message.set_content(envelope.body)
        message.add_alternative(as_html(envelope.body, envelope.language), subtype="html")
        return message


def _verdict(code: int, what: str) -> ChannelBusy | ChannelRefused:
    if code >= 500:
        return ChannelRefused(f"the mail server refused the {what} ({code})")
    return ChannelBusy(f"the mail server put the {what} off ({code})")
