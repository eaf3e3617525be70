"""The migrations and the models say the same, down to the names that operations translate."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from clinic.db import db
from tests.conftest import create_database, make_app

MIGRATIONS = Path(__file__).parents[2] / "migrations"
OWN = "NOT IN ('alembic_version')"
QUESTIONS = {
    "constraints": f"""
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace
        WHERE nspname = 'public' AND contype <> 'n' AND conrelid::regclass::text {OWN}""",
    "indexes": f"SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename {OWN}",
    "columns": f"""
        SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, column_default, is_identity
        FROM information_schema.columns WHERE table_schema = 'public' AND table_name {OWN}""",
    "triggers": """
        SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal""",
    "functions": """
        SELECT proname, regexp_replace(prosrc, '\\s+', ' ', 'g') FROM pg_proc
        JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = 'public'""",
    "sequences": "SELECT sequence_name, start_value FROM information_schema.sequences WHERE sequence_schema = 'public'",
}


def connect(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def migrated(postgres, template_database) -> Iterator[Connection]:
    yield from connect(postgres.url(template_database))


@pytest.fixture
def created(postgres, settings, request) -> Iterator[Connection]:
    """A database made from the models alone."""
    url = create_database(postgres, f"from_models_{abs(hash(request.node.name))}")
    with make_app(replace(settings, database_url=url)).app_context():
        db.metadata.create_all(db.engine)
        db.engine.dispose()
    yield from connect(url)


def test_there_is_one_head() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


def test_the_models_need_no_further_migration(app, migrated) -> None:
    with app.app_context():
        context = MigrationContext.configure(migrated, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_migrated_database_is_the_one_of_the_models(migrated, created, question) -> None:
    statement = text(QUESTIONS[question])
    expected, found = ({tuple(row) for row in connection.execute(statement)} for connection in (created, migrated))
    assert found - expected == set()
    assert expected - found == set()


def test_every_constraint_has_a_name_of_ours(migrated) -> None:
    names = [row[1] for row in migrated.execute(text(QUESTIONS["constraints"]))]
    assert names
    assert [name for name in names if name[-1].isdigit()] == []  # PostgreSQL numbers what it had to name itself
