"""Rows by the thousand for long runs and benchmarks: people, courses and visits, copied inside the database."""

from datetime import datetime, timedelta

from sqlalchemy import text

from clinic.db import db, keyring
from clinic.patients.models import MessageStyle
from tests.builders import make_course, make_decision, make_device, make_location, make_patient, make_profile

# Each copy is the first row with other numbers; `n` counts them. In FROM the function is called once a row, and not once a column.
_COPY = """
    INSERT INTO {table} SELECT made.*
    FROM {table} o, generate_series(cast(:first AS int), cast(:last AS int)) n,
        jsonb_populate_record(o, jsonb_build_object({changes})) made
    WHERE o.id = :id
"""


def prepare() -> int:
    """One person who wants a text before every visit, with a course of one visit; answers the visit's id.

    Nobody can be in so many places: what keeps two visits apart is taken off.
    """
    make_profile()
    patient = make_patient(consents={"sms": True})
    patient.message_style = MessageStyle.EACH
    device = make_device(make_location())
    course = make_course(patient, [datetime.fromisoformat("2020-01-01T18:00:00+00:00")], device=device)
    make_decision(patient)
    db.session.flush()
    visit_id = int(
        db.session.scalar(text("SELECT id FROM treatment_sessions WHERE course_id = :id"), {"id": course.id})
    )
    rules = db.session.scalars(
        text("SELECT conname FROM pg_constraint WHERE contype = 'x' AND conrelid = 'treatment_sessions'::regclass")
    ).all()
    for rule in rules:
        db.session.execute(text(f'ALTER TABLE treatment_sessions DROP CONSTRAINT "{rule}"'))
    for table in ("treatment_sessions", "audit_events"):
        db.session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    db.session.commit()
    return visit_id


def people(first: int, last: int) -> None:
    """Patients with consent and a course, numbered from `first` to `last`, from the first person."""
    person, course, consent = (
        db.session.scalar(text(f"SELECT min(id) FROM {table}")) for table in ("patients", "courses", "channel_consents")
    )
    _copy("patients", person, first, last, "'id', 1000000 + n, 'record_number', 'B-' || n")
    _copy("channel_consents", consent, first, last, "'id', 1000000 + n, 'patient_id', 1000000 + n")
    _copy("courses", course, first, last, "'id', 1000000 + n, 'patient_id', 1000000 + n")
    phones = [f"+1310{2_000_000 + n}" for n in range(first, last + 1)]
    db.session.execute(
        text(
            "UPDATE patients p SET phone = u.phone, phone_blind = u.blind"
            " FROM unnest(cast(:ids AS bigint[]), cast(:phones AS bytea[]), cast(:blinds AS bytea[])) u (id, phone, blind)"
            " WHERE p.id = u.id"
        ),
        {
            "ids": [1_000_000 + n for n in range(first, last + 1)],
            "phones": [keyring().encrypt(phone) for phone in phones],
            "blinds": [keyring().blind("phone", phone)[0] for phone in phones],
        },
    )
    db.session.commit()


def visits(visit_id: int, first: int, last: int, starts_at: datetime, *, each: timedelta, state: str) -> None:
    """One visit a number, its person in turn among those numbered 1 to `last`, each a little later than the one before."""
    at = "(cast(:at AS timestamptz) + n * cast(:each AS interval))"
    span = "interval '20 minutes'"
    person = "1000000 + 1 + (n - 1) % cast(:people AS int)"
    changes = f"""'id', 1000000 + n, 'patient_id', {person}, 'course_id', {person}, 'state', cast(:state AS text),
        'starts_at', {at}, 'ends_at', {at} + {span}, 'device_until', {at} + {span}, 'spaced_until', {at} + {span},
        'local_on', ({at} AT TIME ZONE 'America/Los_Angeles')::date,
        'ended_at', CASE WHEN :state = 'completed' THEN {at} + {span} END"""
    people_there = db.session.scalar(text("SELECT count(*) - 1 FROM patients"))
    more = {"at": starts_at, "each": each, "state": state, "people": people_there}
    _copy("treatment_sessions", visit_id, first, last, changes, **more)
    db.session.commit()


def _copy(table: str, row_id: int, first: int, last: int, changes: str, **more: object) -> None:
    statement = text(_COPY.format(table=table, changes=changes))
    db.session.execute(statement, {"id": row_id, "first": first, "last": last, **more})


def analyze() -> None:
    """As autovacuum would have done by now."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
