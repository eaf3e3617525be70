"""Records of TMS sessions: checks of the day, threshold, what was given, what was felt. One operation, one transaction."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid
from clinic.scheduling import appointments
from clinic.scheduling import queries as scheduling
from clinic.scheduling.models import SessionState, TreatmentSession
from clinic.staff import queries as staff
from clinic.staff.models import Role
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.treatment import queries, rules, telling
from clinic.treatment.models import MotorThreshold, RecordState, SessionRecord

STRONG_PAIN, TIMES = 6, 2  # adverse_events.headache_scalp_pain: 6 or more twice, clinician task
REVIEW_WITHIN = timedelta(days=1)
MOST_WORDS = 1000


def concerns_of(checks: Mapping[str, Any]) -> list[str]:
    """What of the day's checks is for the prescriber before treating, by key; words are in `rules`."""
    found = [key for key in rules.CONCERNS if checks.get(key) is True]
    sleep = checks.get("sleep_hours")
    if sleep is not None and sleep < rules.LEAST_SLEEP_HOURS:
        found.insert(0, "sleep_hours")
    return found


def begin(
    session_id: int,
    checks: Mapping[str, Any],
    *,
    threshold_percent: int | None = None,
    cleared_by: int | None = None,
    cleared_words: str = "",
    staff_id: int,
    by: Actor,
) -> None:
    """Keep the checks of the day and start the session.

    With a concern somebody has to say which prescriber was asked, and what they said. `threshold_percent`: measured now.
    Raises Invalid; Conflict where a threshold is missing, a hold stands or the person is not here; AlreadyOver.
    """
    concerns = _checked(checks, cleared_by, cleared_words)
    with transaction() as after_commit:
        row = _tms_session(session_id)
        before = queries.record_of(session_id)
        if before is not None and before.state != RecordState.OPEN:
            raise AlreadyOver("This session's record is finished.")
        if threshold_percent is not None:
            _measure(row, threshold_percent, staff_id, by=by)
        elif not queries.thresholds(_course(row)):
            raise Conflict("No motor threshold is on record for this course: measure it first.")
        if before is not None:
            before.superseded_at = clock.now()
            db.session.flush()
        record = SessionRecord(
            patient_id=row.patient_id,
            course_id=_course(row),
            session_id=row.id,
            state=RecordState.OPEN,
            checks=dict(checks),
            concerns=concerns,
            cleared_by=cleared_by if concerns else None,
            cleared_words=cleared_words.strip() or None if concerns else None,
            opened_by=staff_id,
            opened_at=clock.now(),
        )
        db.session.add(record)
        db.session.flush()
        audit.record(record, "begun", by=by, concerns=len(concerns))
        if checks.get("suicidal_thoughts_change") is True:
            _tell_thoughts(row, by=by)
        appointments.start_within_transaction(session_id, after_commit, by=by)


def _checked(checks: Mapping[str, Any], cleared_by: int | None, cleared_words: str) -> list[str]:
    undone = [words for key, words in rules.MUST_BE_DONE.items() if checks.get(key) is not True]
    if undone:
        raise Invalid(f"Before the session: {', '.join(undone).lower()}.", fields=["earplugs_in"])
    open_keys = [key for key in ("sleep_hours", *rules.CONCERNS) if checks.get(key) is None]
    if open_keys:
        raise Invalid("Answer every check.", fields=open_keys[:1])
    concerns = concerns_of(checks)
    if concerns:
        asked = staff.get(cleared_by) if cleared_by is not None else None
        if asked is None or Role.PRESCRIBER not in {role.name for role in asked.roles}:
            raise Invalid("Call the prescriber before treating, and say who it was.", fields=["cleared_by"])
        if not cleared_words.strip():
            raise Invalid("Write what the prescriber said.", fields=["cleared_words"])
    return concerns


def _tms_session(session_id: int) -> TreatmentSession:
    row = scheduling.lock_session(session_id)
    if queries.protocol_of_session(row).modality != "tms":
        raise Conflict("This visit is watched after a dose: it has a page of its own.")
    return row


def _course(row: TreatmentSession) -> int:
    assert row.course_id is not None
    return row.course_id


def _measure(row: TreatmentSession, percent: int, staff_id: int, *, by: Actor) -> None:
    if not 1 <= percent <= 100:
        raise Invalid("A whole number from 1 to 100.", fields=["threshold_percent"])
    found = MotorThreshold(
        patient_id=row.patient_id,
        course_id=_course(row),
        session_id=row.id,
        percent=percent,
        measured_at=clock.now(),
        recorded_by=staff_id,
    )
    db.session.add(found)
    db.session.flush()
    audit.record(found, "measured", by=by)


def _tell_thoughts(row: TreatmentSession, *, by: Actor) -> None:
    """A change that a person tells at the chair is a safety answer too: the same table, told at once."""
    safety.raise_observed_within_transaction(
        TaskLevel.SAME_DAY,
        source_key=f"session:{row.id}",
        note="At the day's checks: thoughts of suicide are new or worse",
        openings=telling.openings(row.location_id),
        patient_id=row.patient_id,
        location_id=row.location_id,
        by=by,
    )


def finish(
    session_id: int,
    *,
    intensity_percent: int,
    pulses: int | None,
    headache: int | None,
    scalp_pain: int | None,
    note: str,
    staff_id: int,
    by: Actor,
) -> None:
    """Write down what was given and felt, and complete the session. Raises Invalid, Conflict, AlreadyOver."""
    with transaction() as after_commit:
        row = _tms_session(session_id)
        record = queries.record_of(session_id)
        if record is None:
            raise Conflict("The checks of the day are missing: begin with them.")
        if record.state != RecordState.OPEN:
            raise AlreadyOver("This session's record is finished.")
        threshold = queries.thresholds(_course(row))
        record.state = RecordState.GIVEN
        record.threshold_percent = threshold[-1].percent if threshold else None
        record.intensity_percent, record.pulses = intensity_percent, pulses
        record.headache, record.scalp_pain = headache, scalp_pain
        record.note = note.strip()[:MOST_WORDS] or None
        record.finished_by, record.finished_at = staff_id, clock.now()
        db.session.flush()
        audit.record(record, "given", by=by)
        _tell_pain(row, record, by=by)
        if row.state != SessionState.COMPLETED:
            appointments.complete_within_transaction(session_id, after_commit, by=by)


def _tell_pain(row: TreatmentSession, record: SessionRecord, *, by: Actor) -> None:
    strong = [
        one
        for one, _ in queries.records_of_course(record.course_id)
        if max(one.headache or 0, one.scalp_pain or 0) >= STRONG_PAIN
    ]
    if record in strong and len(strong) >= TIMES:
        tasks.open_within_transaction(
            kind=TaskKind.CLINICAL_REVIEW,
            level=TaskLevel.ROUTINE,
            dedupe_key=f"pain:session:{row.id}",
            for_role="prescriber",
            due_at=clock.now() + REVIEW_WITHIN,
            by=by,
            patient_id=row.patient_id,
            location_id=row.location_id,
            subject={"course_id": record.course_id},
            note=f"Headache or scalp pain of {STRONG_PAIN} or more at {len(strong)} sessions (safety screens, adverse events of TMS).",
        )


def not_today(session_id: int, *, reason: str, staff_id: int, by: Actor) -> None:
    """Today's session is not given; later bookings stay. A prescriber is told. Raises Invalid, AlreadyOver."""
    words = reason.strip()[:MOST_WORDS]
    if not words:
        raise Invalid("Say why: the reason goes on record.", fields=["reason"])
    with transaction():
        row = _tms_session(session_id)
        before = queries.record_of(session_id)
        if (before is not None and before.state != RecordState.OPEN) or row.state == SessionState.COMPLETED:
            raise AlreadyOver("This session's record is finished.")
        if before is not None:
            before.superseded_at = clock.now()
            db.session.flush()
        record = SessionRecord(
            patient_id=row.patient_id,
            course_id=_course(row),
            session_id=row.id,
            state=RecordState.NOT_GIVEN,
            checks=before.checks if before is not None else {},
            concerns=before.concerns if before is not None else [],
            reason=words,
            opened_by=staff_id,
            opened_at=clock.now(),
            finished_by=staff_id,
            finished_at=clock.now(),
        )
        db.session.add(record)
        db.session.flush()
        audit.record(record, "not_given", by=by)
        tell_held(row, words, by=by)


def tell_held(row: TreatmentSession, words: str, *, by: Actor) -> None:
    """A prescriber hears that a visit was not given today; the desk finds another time."""
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"not_given:session:{row.id}",
        for_role="prescriber",
        due_at=clock.now() + REVIEW_WITHIN,
        by=by,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"course_id": row.course_id, "session_id": row.id},
        note=f"Not given today: {words}",
    )
