"""The whole clinic as `make run` starts it, with a mail server and an SMS gateway on loopback."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from aiosmtpd.controller import Controller

from clinic.embedded.ports import free_port
from tests.browser.logs import lines_that_name_someone
from tests.gateway import FakeGateway

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-P", "-c", "from clinic.cli.main import main; main()", "run"]
READY_WITHIN = 300.0  # seconds, the demo clinic's loading included
ON_CALL = "oncall@example.org"


class NeverSo(AssertionError):
    """What was waited for did not come."""


def wait_for(found: Callable[[], Any], what: str, seconds: float = 75.0) -> Any:
    """Ask until the answer is true. Raises NeverSo."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        if time.monotonic() > deadline:
            raise NeverSo(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.2)
    return answer


class Letters:
    """Keeps what the mail server accepted."""

    def __init__(self) -> None:
        self.all: list[EmailMessage] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        letter = message_from_bytes(envelope.content, policy=default)
        assert isinstance(letter, EmailMessage)
        self.all.append(letter)
        return "250 OK"


class Stack:
    """`clinic run` on one instance; it may be started again at another time of the clinic's clock."""

    def __init__(self, instance: Path, **more: str) -> None:
        self.instance = instance
        self._more = more  # settings beside the usual ones
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.letters = Letters()
        self.gateway = FakeGateway()
        self.was_killed = False  # a part, by the test that runs
        self._mail = Controller(self.letters, hostname="127.0.0.1", port=free_port())
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._mail.start()
        self.gateway.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.gateway.__exit__()
        self._mail.stop()
        assert lines_that_name_someone(self.instance) == []  # logs carry ids only, whatever the tests did

    def start(self, at: datetime) -> None:
        """Start every part, the clock at `at`, and wait until all answer."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CLINIC_", "MAKE"))}
        env |= {
            "PYTHONPATH": str(ROOT),
            "CLINIC_INSTANCE": str(self.instance),
            "CLINIC_PORT": str(self.port),
            "CLINIC_CLOCK_START": at.isoformat(),
            "CLINIC_SMTP_URL": f"smtp://127.0.0.1:{self._mail.port}",
            "CLINIC_MAIL_FROM": "desk@clinic.example.org",
            "CLINIC_SMS_URL": self.gateway.url,
            "CLINIC_SMS_ACCOUNT": "AC1",
            "CLINIC_SMS_TOKEN": "token",
            "CLINIC_SMS_FROM": "+17145550199",
            "CLINIC_ON_CALL": ON_CALL,
            **self._more,
        }
        said = self.instance.with_name("said.log")
        with said.open("ab") as output:
            self._process = subprocess.Popen(COMMAND, env=env, stdout=output, stderr=subprocess.STDOUT)
        wait_for(lambda: self._is_ready(said), "the clinic to be ready", READY_WITHIN)

    def _is_ready(self, said: Path) -> bool:
        assert self._process
        if self._process.poll() is not None:
            raise NeverSo(said.read_text())
        try:
            with urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process
        return self._process.pid

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)
        self._process = None

    def start_again(self, at: datetime) -> None:
        """The same instance at another time."""
        self.stop()
        self.start(at)

    def mail(self, to: str, about: str, after: int = 0) -> str:
        """Text of the mail to `to` whose subject has the pattern `about`, from the `after`th letter on; waits for it."""
        return str(wait_for(lambda: self._mail_now(to, about, after), f"a mail to {to} about {about!r}"))

    def _mail_now(self, to: str, about: str, after: int) -> str | None:
        found = [x for x in self.letters.all[after:] if x["To"] == to and re.search(about, x["Subject"])]
        body = found[-1].get_body(("plain",)) if found else None
        return body.get_content() if body else None

    def text(self, to: str, about: str, after: int = 0) -> str:
        """The text message to `to` that holds `about`, from the `after`th on; waits for it."""
        return wait_for(
            lambda: next(
                (
                    x.form["Body"]
                    for x in self.gateway.requests[after:]
                    if x.form["To"] == to and about in x.form["Body"]
                ),
                None,
            ),
            f"a text to {to} with {about!r}",
        )


def link_in(text: str) -> str:
    """The address of the one link."""
    found = re.search(r"https?://\S+/[lr]/\S+", text)
    assert found, text
    return found[0].rstrip(".")
