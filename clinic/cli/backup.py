"""`clinic backup` and `clinic restore`: the whole clinic in one encrypted file, and back."""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from clinic.cli.application import FAILED, REFUSED, stop
from clinic.config import SECRETS_FILE, Settings, SettingsError, read_settings

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Write over a file of that name.")
def backup(file: Path, force: bool) -> None:
    """Write the whole clinic to FILE, encrypted, while it runs. FILE appears only when it is whole."""
    if file.exists() and not force:
        stop(f"{file} is there already: choose another name, or --force", REFUSED)
    if not file.absolute().parent.is_dir():
        stop(f"there is no folder {file.absolute().parent}", REFUSED)
    from clinic import clock
    from clinic.backup.making import make_backup
    from clinic.db import Keyring

    with _problems(), _database() as (settings, url):
        started = time.monotonic()
        clock.configure(settings.clock_offset)
        found = make_backup(file, url, Keyring(settings.data_keys), policies=settings.policy_folder, now=clock.now())
    size, seconds = file.stat().st_size, time.monotonic() - started
    click.echo(json.dumps({"file": str(file), "bytes": size, "tables": len(found.tables), "rows": found.rows}))
    click.echo(f"{found.rows} rows of {len(found.tables)} tables in {seconds:.1f} s.", err=True)
    click.echo("Only CLINIC_DATA_KEYS open it: keep them, and not beside it.", err=True)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--check", is_flag=True, help="Only read FILE to its end and say what is in it.")
@click.option(
    "--replace", is_flag=True, help="Overwrite the clinic that is in the database. Stop web, worker and beat first."
)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The secrets.env that was kept apart: becomes this instance's, where it has none.",
)
def restore(file: Path, check: bool, replace: bool, secrets: Path | None) -> None:
    """Put the clinic of FILE into an empty database, and compare it row by row with what was backed up."""
    from clinic.backup.restoring import check_backup, restore_backup
    from clinic.db import Keyring

    if secrets is not None:
        _install_secrets(secrets)
    with _problems():
        if check:
            with file.open("rb") as handle:
                about, expected, _ = check_backup(handle, Keyring(_settings().data_keys))
            about.pop("key")
            click.echo(json.dumps({**about, "tables": {name: int(row[0]) for name, row in expected.tables.items()}}))
            return
        known = {path.name[:4] for path in VERSIONS.glob("[0-9]*.py")}
        with _database() as (settings, url):
            done = restore_backup(file, url, Keyring(settings.data_keys), known=known, replace=replace)
        kept = _keep_policies(settings, done.policies)
    click.echo(json.dumps({"tables": len(done.contents.tables), "rows": done.contents.rows, "compared": True}))
    click.echo(f"Restored the backup of {done.about['made_at']}: every row is as it was.", err=True)
    for name in kept:
        click.echo(f"policy file {name} is here already and was left as it is", err=True)
    if done.about["revision"] != max(known):
        click.echo("It is of an earlier schema: run `clinic db upgrade`, or `make run`, which does.", err=True)


@contextmanager
def _problems() -> Iterator[None]:
    """Every fault as one line on standard error."""
    import psycopg

    from clinic.backup.container import BadBackup
    from clinic.backup.making import BackupFailed
    from clinic.embedded.process import ServerError

    try:
        yield
    except SettingsError as error:
        stop(str(error), FAILED)
    except BadBackup as error:
        stop(str(error), REFUSED)
    except (BackupFailed, ServerError) as error:
        stop(str(error), FAILED)
    except psycopg.Error as error:
        stop(f"the database does not answer: {str(error).strip().splitlines()[0]}", FAILED)
    except OSError as error:
        stop(f"{error.strerror}: {error.filename or 'no file named'}", FAILED)


def _settings() -> Settings:
    settings = read_settings()
    if not settings.data_keys:
        raise SettingsError(
            f"CLINIC_DATA_KEYS is not set: set it, put the clinic's {SECRETS_FILE} into {settings.instance}, "
            "or give it to `clinic restore --secrets`"
        )
    return settings


@contextmanager
def _database() -> Iterator[tuple[Settings, str]]:
    """The database of the settings, of the clinic that runs here, or of this instance, started for as long as it takes."""
    from clinic.embedded.instance import claim_instance, prepare_instance
    from clinic.embedded.postgres import PostgresServer

    settings = _settings()
    if settings.database_url:
        yield settings, settings.database_url
        return
    instance = settings.instance.absolute()
    prepare_instance(instance)
    locks = claim_instance(instance)
    try:
        with PostgresServer(instance / "postgres") as server:
            yield settings, server.url()
    finally:
        locks.release()


def _install_secrets(secrets: Path) -> None:
    instance = read_settings().instance
    target = instance / SECRETS_FILE
    if target.exists():
        stop(f"{target} is there already: move it away, or add its keys by CLINIC_DATA_KEYS", REFUSED)
    instance.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(secrets, target)
    target.chmod(0o600)


def _keep_policies(settings: Settings, files: dict[str, str]) -> list[str]:
    """Write the clinic's own policy files; answers those that were here already with other content."""
    left = []
    for name, text in files.items():
        target = settings.policy_folder / Path(name).name
        if target.exists():
            left += [name] if target.read_text() != text else []
            continue
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target.write_text(text)
    return left
