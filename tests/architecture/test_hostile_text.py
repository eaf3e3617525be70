"""No pattern of ours takes long over any text, and nothing of ours fetches an address that came from outside."""

import ast
import importlib
import pkgutil
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import clinic

ROOT = Path(__file__).parents[2]
LONG = 1_200
SECONDS = 5  # of the processor for one pattern: one that goes back and forth over itself takes hours
IN_A_CALL = re.compile(r"""\bre\.(?:fullmatch|search|match|sub|findall|split)\(\s*(r?"(?:[^"\\\n]|\\.)*")""")
IMPORTED = re.compile(r"^ *(?:from|import) ([\w.]+)", re.MULTILINE)
# Who may open connections, and to what: gateways and mail servers of the settings, our own database, Redis and web server.
CONNECT = {
    "clinic/reminders/channels/sms.py",
    "clinic/reminders/channels/email.py",
    "clinic/web/health.py",
    "clinic/embedded/instance.py",
    "clinic/embedded/ports.py",
    "clinic/embedded/postgres.py",
    "clinic/embedded/redis.py",
    "clinic/embedded/process.py",
}
NETWORK = {
    "httpx",
    "requests",
    "urllib3",
    "http.client",
    "urllib.request",
    "socket",
    "smtplib",
    "ftplib",
    "telnetlib",
    "redis",
    "aiohttp",
}


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    for module in pkgutil.walk_packages(clinic.__path__, "clinic."):
        if not module.name.endswith(".__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
                    yield f"{module.name}.{name}", value
    for file in (ROOT / "clinic").rglob("*.py"):
        for literal in IN_A_CALL.findall(file.read_text()):
            yield str(file.relative_to(ROOT)), re.compile(ast.literal_eval(literal))


@contextmanager
def within(seconds: int, what: str) -> Iterator[None]:
    def over(*_: object) -> None:
        raise TimeoutError(what)

    signal.signal(signal.SIGPROF, over)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def hostile(pattern: re.Pattern[str]) -> Iterator[str]:
    """Long runs of what the pattern speaks of, ended so that it must fail in the end."""
    parts = ["1", "a", " ", "(", "[", "{", ".", "1.", "a.", "a ", "1 ", "a@", "-", "+a", "_", "\n", "https://"]
    parts += re.findall(r"[a-z0-9 ]{2,}", pattern.pattern)[:2]
    for part in parts:
        yield part * (LONG // len(part)) + "\x00"


def test_no_pattern_takes_long_over_any_text() -> None:
    for name, pattern in patterns():
        with within(SECONDS, f"{name}: {pattern.pattern[:80]}"):
            for text in hostile(pattern):
                pattern.search(text)
                pattern.fullmatch(text)


def test_only_channels_and_our_own_parts_open_connections() -> None:
    opening = set()
    for file in [*(ROOT / "clinic").rglob("*.py"), *(ROOT / "workers").rglob("*.py")]:
        if not NETWORK.isdisjoint(IMPORTED.findall(file.read_text())):
            opening.add(str(file.relative_to(ROOT)))
    assert opening <= CONNECT, "an address to fetch comes from settings, never from what somebody entered"


@pytest.mark.parametrize("name", ["sms_url", "sms2_url", "smtp_url"])
def test_where_messages_go_is_a_setting_and_no_column(name) -> None:
    from clinic.config import Settings
    from clinic.db import Base

    assert name in Settings.__dataclass_fields__
    assert [
        c for t in Base.metadata.tables.values() for c in t.columns if re.search(r"(^|_)(url|uri|webhook)$", c.name)
    ] == []
