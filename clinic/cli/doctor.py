"""`clinic doctor`: every part checked, and what to do about each."""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click

from clinic.config import Settings, SettingsError, read_settings

ROOT = Path(__file__).resolve().parents[2]
ENOUGH_SPACE = 1_000_000_000  # bytes
MOST_TO_PROVE_NOW = 200_000  # appointments


@dataclass(frozen=True)
class Finding:
    """One part: `advice` is empty when there is nothing to do."""

    part: str
    state: str
    advice: str = ""


@click.command()
@click.option("--part", "only", help="Check this part alone, e.g. worker; the exit code answers.")
def doctor(only: str | None) -> None:
    """Check every part of this clinic and say what to do. Exit 1 when something is to be done."""
    try:
        settings = read_settings()
    except SettingsError as error:
        for problem in str(error).split("; "):
            click.echo(f"wrong  settings   {problem}")
        sys.exit(1)
    findings = [finding for finding in examine(settings) if only in (None, finding.part)]
    if not findings:
        raise click.UsageError(f"there is no part {only!r}")
    for finding in findings:
        mark = "wrong" if finding.advice else "ok"
        click.echo(f"{mark:6} {finding.part:10} {finding.state}{': ' if finding.advice else ''}{finding.advice}")
    sys.exit(1 if any(finding.advice for finding in findings) else 0)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything, nearest to the machine first. Never raises for a part that is broken."""
    yield Finding("settings", f"{settings.env}, {settings.base_url}")
    yield _packages()
    yield _bundle()
    yield from _instance(settings)
    yield from _programs(settings)
    yield _web(settings)
    yield from _behind_the_web(settings)
    yield from _messages(settings)


def _packages() -> Finding:
    lock = ROOT / "requirements.lock"
    if not lock.exists():
        return Finding("packages", "not checked, there is no requirements.lock here")
    wrong = []
    for line in lock.read_text().splitlines():
        name, found, rest = line.partition("==")
        if not found or ";" in line:
            continue
        wanted = rest.split()[0]
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != wanted:
            wrong.append(f"{name} {installed}")
    if wrong:
        return Finding("packages", f"not as locked ({', '.join(wrong[:5])})", "run `make setup`")
    return Finding("packages", f"as locked, Python {sys.version.split()[0]}")


def _bundle() -> Finding:
    if (ROOT / "clinic" / "web" / "static" / "dist" / "manifest.json").exists():
        return Finding("bundle", "present")
    return Finding("bundle", "missing", "run `make setup`")


def _instance(settings: Settings) -> Iterator[Finding]:
    folder = settings.instance.absolute()
    if not folder.exists():
        yield Finding("instance", f"{folder} does not exist", "start the clinic once with `make run`")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        yield Finding("instance", f"{folder} is open to other accounts", f"chmod 700 '{folder}'")
    elif not os.access(folder, os.W_OK):
        yield Finding("instance", f"{folder} is not writable", "use the account that the clinic runs under")
    else:
        yield Finding("instance", str(folder))
    free = shutil.disk_usage(folder).free
    advice = "" if free > ENOUGH_SPACE else "make room: PostgreSQL stops when the disk is full"
    yield Finding("disk", f"{free / 1e9:.1f} GB free", advice)


def _programs(settings: Settings) -> Iterator[Finding]:
    from clinic.embedded import postgres, redis
    from clinic.embedded.process import ServerError, server_identity

    checks: list[tuple[str, bool, Callable[[], object]]] = [
        ("postgres", not settings.database_url or "host=/" in settings.database_url, postgres.binaries),
        ("redis", not settings.redis_url or "@127.0.0.1" in settings.redis_url, redis.binary),
        ("account", os.geteuid() == 0 and not settings.is_production, lambda: server_identity(settings.instance)),
    ]
    for name, embedded, check in checks:
        if not embedded:
            continue
        try:
            check()
        except ServerError as error:
            yield Finding(name, "cannot run here", str(error))
        else:
            yield Finding(name, "can run here")


def _web(settings: Settings) -> Finding:
    from clinic.embedded.instance import answers, shown_address

    address = shown_address(settings.host, settings.port)
    if answers(settings.host, settings.port):
        return Finding("web", f"answers at {address}")
    return Finding("web", f"does not answer at {address}", "start the clinic, or read log/web.log in the instance")


def _behind_the_web(settings: Settings) -> Iterator[Finding]:
    parts = ("database", "schema", "broker", "worker", "beat")
    if not (settings.database_url and settings.redis_url):
        for part in parts:
            yield Finding(part, "not running", "start the clinic with `make run`")
        return
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    from clinic.app import create_app
    from clinic.db import db
    from clinic.web.health import check_parts

    advice = {
        "database": "is PostgreSQL running and CLINIC_DATABASE_URL right?",
        "broker": "is Redis running and CLINIC_REDIS_URL right?",
        "worker": "read log/worker.log in the instance",
        "beat": "read log/beat.log in the instance",
    }
    try:
        app = create_app(settings)
    except SettingsError as error:
        yield Finding("settings", "incomplete", str(error))
        return
    with app.app_context():
        states = check_parts()
        for part, state in states.items():
            yield Finding(part, state, "" if state == "up" else advice.get(part, "read the logs"))
        if states["database"] != "up":
            yield Finding("schema", "unknown", "mend the database first, then `clinic db upgrade`")
            return
        try:
            found = set(db.session.scalars(text("SELECT version_num FROM alembic_version")))
        except SQLAlchemyError:
            found = set()
        wanted = _newest_migrations()
        is_whole = found == wanted
        yield Finding("schema", ", ".join(sorted(found)) or "empty", "" if is_whole else "run `clinic db upgrade`")
        try:
            yield from (*_rules(), *_calendar()) if is_whole else ()
        finally:
            db.session.remove()
            db.engine.dispose()


def _rules() -> Iterator[Finding]:
    """Rules that were changed in place after an assessment used them, and policy files that cannot be used."""
    from clinic.eligibility import rule_versions

    changed = rule_versions.changed()
    state = "as they were used" if not changed else "histories are not assessed"
    yield Finding("rules", state, rule_versions.advice(changed) if changed else "")
    for fault in rule_versions.refused_policies():
        yield Finding("policies", "a file was left out", fault)


def _calendar() -> Iterator[Finding]:
    """No physical rule and no authorisation broken, looked at now; a very large calendar was looked at last night."""
    from clinic.scheduling import proving

    last = proving.last_proof()
    if last is not None and last.appointments > MOST_TO_PROVE_NOW:
        wrong, pending, when = last.violations, last.pending, f"{last.made_at:%Y-%m-%d %H:%M} UTC"
        first = next((one["text"] for one in last.found if not one["pending"]), "")
    else:
        found = list(proving.prove())
        bad = [one for one in found if not one.pending]
        wrong, pending, when, first = len(bad), len(found) - len(bad), "now", bad[0].text if bad else ""
    state = f"{wrong} rules broken, {pending} appointments wait for a re-plan, looked at {when}"
    yield Finding("calendar", state, f"first: {first}. Do not edit rows by hand; report it" if wrong else "")


def _newest_migrations() -> set[str]:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    return set(ScriptDirectory.from_config(config).get_heads())


def _messages(settings: Settings) -> Iterator[Finding]:
    for part, given, name in (
        ("mail", settings.smtp_url, "CLINIC_SMTP_URL"),
        ("texts", settings.sms_url, "CLINIC_SMS_"),
    ):
        if given:
            yield Finding(part, "sent by the provider")
        else:
            advice = f"set {name}, else nobody gets them" if settings.is_production else ""
            yield Finding(part, "kept on /dev/outbox", advice)
    if not settings.on_call:
        advice = "set CLINIC_ON_CALL: nobody is told of a safety answer" if settings.is_production else ""
        yield Finding("on call", "nobody", advice)
    if settings.clock_offset:
        yield Finding("clock", f"runs {settings.clock_offset:+.0f} s off the machine's clock")
