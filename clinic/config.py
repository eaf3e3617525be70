"""Settings: read once from the environment, validated, frozen. `docs/settings.md` and `clinic settings` list them."""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "CLINIC_"
SECRETS_FILE = "secrets.env"
RUNNING_FILE = "running.env"
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+|\+[1-9][0-9]{6,14}")  # email or E.164
ROLES = ("front_desk", "operator", "nurse", "therapist", "prescriber", "manager")
INSTANT_WANTED = "give an instant with its offset, e.g. 2026-03-07T08:00:00-08:00"


class SettingsError(Exception):
    """One or more settings are wrong; the message says which and what to do."""


def _setting(name: str, default: Any, text: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"name": PREFIX + name, "text": text, "secret": secret})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an installation may decide. Field order is the order of `docs/settings.md`."""

    host: str = _setting("HOST", "127.0.0.1", "Address that the web server listens on.")
    port: int = _setting("PORT", 8000, "Port that the web server listens on.")
    public_url: str = _setting(
        "PUBLIC_URL", "", "Address that links and signatures are built from. Default: http://HOST:PORT."
    )
    trusted_proxies: int = _setting("TRUSTED_PROXIES", 0, "Number of reverse proxies in front. Required in production.")
    instance: Path = _setting(
        "INSTANCE",
        Path("instance"),
        "Folder for the embedded servers' data and generated secrets (mode 0700).",
    )
    database_url: str = _setting(
        "DATABASE_URL", "", "PostgreSQL address. Given: no embedded PostgreSQL is started.", secret=True
    )
    redis_url: str = _setting("REDIS_URL", "", "Redis address. Given: no embedded Redis is started.", secret=True)
    secret_keys: tuple[str, ...] = _setting(
        "SECRET_KEYS", (), "Keys that sign cookies and links, newest first, comma separated.", secret=True
    )
    data_keys: tuple[str, ...] = _setting(
        "DATA_KEYS", (), "Keys that encrypt columns, newest first, comma separated.", secret=True
    )
    env: str = _setting("ENV", "development", "development or production.")
    smtp_url: str = _setting(
        "SMTP_URL", "", "smtp(s)://user:pass@host:port. Empty: mail is kept on /dev/outbox.", secret=True
    )
    mail_from: str = _setting("MAIL_FROM", "clinic@localhost", "Sender of mail.")
    mail_return: str = _setting(
        "MAIL_RETURN",
        "",
        "Mailbox that takes bounces, with plus addresses. Empty: bounces go to MAIL_FROM and are not read.",
    )
    mail_hook_token: str = _setting(
        "MAIL_HOOK_TOKEN",
        "",
        "Bearer token of POST /hooks/mail, which takes bounces. Empty: it is closed.",
        secret=True,
    )
    sms_url: str = _setting(
        "SMS_URL", "", "Base URL of a Twilio-compatible REST API. Empty: texts are kept on /dev/outbox."
    )
    sms_account: str = _setting("SMS_ACCOUNT", "", "Account of the SMS provider.")
    sms_token: str = _setting("SMS_TOKEN", "", "Token of the SMS provider.", secret=True)
    sms_from: str = _setting("SMS_FROM", "", "Number that texts come from.")
    sms2_url: str = _setting("SMS2_URL", "", "The same for a second provider.")
    sms2_account: str = _setting("SMS2_ACCOUNT", "", "Account of the second provider.")
    sms2_token: str = _setting("SMS2_TOKEN", "", "Token of the second provider.", secret=True)
    sms2_from: str = _setting("SMS2_FROM", "", "Number of the second provider.")
    on_call: tuple[str, ...] = _setting(
        "ON_CALL",
        (),
        "Who is told of a safety answer, in turn until someone acknowledges: email addresses or E.164 numbers, comma separated.",
    )
    policy_dir: str = _setting(
        "POLICY_DIR",
        "",
        "Folder with payer policies of the clinic's own, one YAML file each. Default: policies in INSTANCE.",
    )
    mfa_roles: tuple[str, ...] = _setting(
        "MFA_ROLES",
        (),
        "Roles that sign in with more than a password, comma separated; none: nobody. Default: all in production.",
    )
    idle_minutes: int = _setting("IDLE_MINUTES", 30, "Minutes without anyone there after which staff are signed out.")
    session_hours: int = _setting("SESSION_HOURS", 12, "Hours after which staff sign in again in any case.")
    keep_years: float = _setting(
        "KEEP_YEARS", 10.0, "Years after the last thing that happened until a record appears on the list to delete."
    )
    keep_draft_days: int = _setting(
        "KEEP_DRAFT_DAYS", 90, "Days until a form that nobody finished and that got no name is deleted."
    )
    audit_anchor: str = _setting(
        "AUDIT_ANCHOR",
        "",
        "File that the seals of the audit trail are noted in, outside the database. Default: audit-anchor.txt in INSTANCE.",
    )
    clock_start: str = _setting(
        "CLOCK_START", "", "An ISO instant at which the clinic's clock starts. Never in production."
    )
    clock_offset: float = _setting(
        "CLOCK_OFFSET", 0.0, "Seconds added to the machine's clock; the supervisor sets it from CLOCK_START."
    )

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    @property
    def second_step_roles(self) -> frozenset[str]:
        """Whom this clinic asks for more than a password."""
        if not self.mfa_roles:
            return frozenset(ROLES if self.is_production else ())
        return frozenset(self.mfa_roles) - {"none"}

    @property
    def base_url(self) -> str:
        """What links are built from, without a trailing slash."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def is_https(self) -> bool:
        """Whether browsers reach the clinic over TLS."""
        return self.base_url.startswith("https://")

    @property
    def trusted_hosts(self) -> list[str] | None:
        """Names that a request may ask for: the public one, and this machine's for checks of its parts. None: any.

        Any, only where the server listens everywhere and no public address was set, which production refuses.
        """
        if not self.public_url and self.host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return None
        own = [urlsplit(self.base_url).hostname or "", self.host, "localhost", "127.0.0.1", "::1"]
        return list(dict.fromkeys(f"[{name}]" if ":" in name else name for name in own if name))

    @property
    def policy_folder(self) -> Path:
        """Where the clinic keeps policy files of its own; it need not exist."""
        return Path(self.policy_dir) if self.policy_dir else self.instance / "policies"

    def check(self) -> None:
        """Raise SettingsError naming every problem at once."""
        problems = []
        if self.env not in ("development", "production"):
            problems.append(f"CLINIC_ENV is {self.env!r}: use development or production")
        if not 0 < self.port < 65536:
            problems.append(f"CLINIC_PORT is {self.port}: use 1 to 65535")
        if self.clock_start:
            try:
                instant(self.clock_start)
            except ValueError:
                problems.append(f"CLINIC_CLOCK_START is {self.clock_start!r}: {INSTANT_WANTED}")
        for name, url, schemes in (
            ("CLINIC_PUBLIC_URL", self.public_url, ("http", "https")),
            ("CLINIC_SMTP_URL", self.smtp_url, ("smtp", "smtps")),
            ("CLINIC_SMS_URL", self.sms_url, ("http", "https")),
            ("CLINIC_SMS2_URL", self.sms2_url, ("http", "https")),
        ):
            if url and (urlsplit(url).scheme not in schemes or not urlsplit(url).hostname):
                problems.append(f"{name} is not a {' or '.join(schemes)} address")
        if self.mail_return and not re.fullmatch(r"[^@\s+]+@[^@\s]+", self.mail_return):
            problems.append("CLINIC_MAIL_RETURN is not an email address without a plus")
        if wrong := [each for each in self.on_call if not ADDRESS.fullmatch(each)]:
            problems.append(f"CLINIC_ON_CALL has {', '.join(wrong)}: use email addresses or numbers like +13105550100")
        for prefix, values in (
            ("CLINIC_SMS_", (self.sms_url, self.sms_account, self.sms_token, self.sms_from)),
            ("CLINIC_SMS2_", (self.sms2_url, self.sms2_account, self.sms2_token, self.sms2_from)),
        ):
            if any(values) and not all(values):
                problems.append(f"{prefix}URL, ACCOUNT, TOKEN and FROM go together: set all four or none")
        if unknown := set(self.mfa_roles) - {*ROLES, "none"}:
            problems.append(f"CLINIC_MFA_ROLES has {', '.join(sorted(unknown))}: use {', '.join(ROLES)}, or none")
        if not (1 <= self.idle_minutes <= 720 and 1 <= self.session_hours <= 168):
            problems.append("CLINIC_IDLE_MINUTES is 1 to 720, CLINIC_SESSION_HOURS 1 to 168")
        if not (0 < self.keep_years <= 100 and 1 <= self.keep_draft_days <= 36500):
            problems.append("CLINIC_KEEP_YEARS is above 0 and at most 100, CLINIC_KEEP_DRAFT_DAYS is 1 to 36500")
        if self.is_production:
            if not (self.secret_keys and self.data_keys):
                problems.append("production needs CLINIC_SECRET_KEYS and CLINIC_DATA_KEYS of its own")
            if not self.public_url.startswith("https://"):
                problems.append("production needs CLINIC_PUBLIC_URL with https")
            if not self.trusted_proxies:
                problems.append("production needs CLINIC_TRUSTED_PROXIES: how many proxies stand in front")
            if self.clock_start or self.clock_offset:
                problems.append("the test clock (CLINIC_CLOCK_START) is never used in production")
        if problems:
            raise SettingsError("; ".join(problems))


def instant(text: str) -> datetime:
    """An ISO instant with its offset. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read CLINIC_*; what is not set comes from the instance's own files (see `instance_values`). Raises SettingsError."""
    given = {name: value for name, value in (os.environ if environ is None else environ).items() if value.strip()}
    instance = Path(given.get(PREFIX + "INSTANCE", "instance"))
    environ = {**({} if given.get(PREFIX + "ENV") == "production" else instance_values(instance)), **given}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for item in fields(Settings):
        name = item.metadata["name"]
        raw = environ.get(name, "").strip()
        if not raw:
            continue
        try:
            values[item.name] = _parse(raw, item.type)
        except ValueError:
            problems.append(f"{name} is not a number")
    if problems:
        raise SettingsError("; ".join(problems))
    settings = Settings(**values)
    settings.check()
    return settings


def _parse(raw: str, kind: Any) -> Any:
    if kind is int:
        return int(raw)
    if kind is float:
        return float(raw)
    if kind is Path:
        return Path(raw)
    if kind is str:
        return raw
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def instance_values(instance: Path) -> dict[str, str]:
    """What the supervisor left in the instance: generated secrets and, while it runs, the addresses of its servers."""
    values: dict[str, str] = {}
    for file in (SECRETS_FILE, RUNNING_FILE):
        try:
            lines = (instance / file).read_text().splitlines()
        except OSError:
            continue
        values.update((name, value) for name, mark, value in (line.partition("=") for line in lines) if mark)
    return values


def ensure_secrets(instance: Path) -> None:
    """Make the instance's own signing and data keys on first use (mode 0600); later runs keep them."""
    path = instance / SECRETS_FILE
    if path.exists():
        return
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        for name in ("SECRET_KEYS", "DATA_KEYS"):
            file.write(f"{PREFIX}{name}={secrets.token_urlsafe(48)}\n")
