"""Watched visits: before the dose, readings, the dose, leaving, and the form after it. One operation, one transaction."""

from collections.abc import Collection
from datetime import datetime, timedelta

from clinic import audit, clock
from clinic.audit import Actor, system
from clinic.db import db, transaction
from clinic.errors import AlreadyOver, Conflict, Invalid, NotFound
from clinic.scheduling import appointments
from clinic.scheduling import queries as scheduling
from clinic.scheduling.models import SessionState, TreatmentSession
from clinic.tasks import operations as tasks
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.treatment import queries, recording, rules, watching
from clinic.treatment.models import Observation, ObservationState, Reading
from clinic.treatment.watching import EXTRA, LEAVING, Watched

BY: Actor = system("treatment")
STOP_WITHIN = timedelta(minutes=15)
PRESENT = (SessionState.BOOKED, SessionState.CONFIRMED, SessionState.ARRIVED)


def _opened(session_id: int, *, by: Actor) -> tuple[TreatmentSession, Observation, Watched]:
    """The session and its watched visit, locked; opened where this is the first that is written of it."""
    row = scheduling.lock_session(session_id)
    modality = queries.protocol_of_session(row).modality
    watch = rules.watch_of(modality)
    if watch is None or row.course_id is None:
        raise NotFound("nobody is watched after this treatment")
    seen = queries.lock_observation(session_id)
    if seen is None:
        if row.state not in PRESENT:
            raise AlreadyOver(f"This visit is {row.state.replace('_', ' ')}.")
        seen = Observation(
            patient_id=row.patient_id,
            course_id=row.course_id,
            session_id=row.id,
            modality=modality,
            state=ObservationState.OPEN,
            rules_version=rules.version(),
            minimum_minutes=watch.minimum_minutes,
            checks=[],
            opened_at=clock.now(),
        )
        db.session.add(seen)
        db.session.flush()
        audit.record(seen, "opened", by=by)
    readings = queries.readings_of([seen.id]).get(seen.id, [])
    return row, seen, queries.watched(row, modality, seen, readings)


def _must_run(seen: Observation) -> None:
    if seen.state in (ObservationState.CLOSED, ObservationState.NOT_GIVEN):
        raise AlreadyOver("This visit is over.")


def prepare(session_id: int, *, checks: Collection[str], ride: str, by: Actor) -> None:
    """Keep what of the list before the dose is confirmed, and who takes the person home. Raises AlreadyOver, Invalid."""
    with transaction():
        _, seen, watched = _opened(session_id, by=by)
        _must_run(seen)
        known = set(watched.watch.before_dose) - rules.ON_RECORD
        if not set(checks) <= known:
            raise Invalid("This check is not on the list.", fields=["checks"])
        if len(ride.strip()) > 200:
            raise Invalid("At most 200 characters.", fields=["ride"])
        seen.checks, seen.ride = sorted(checks), ride.strip() or None
        audit.record(seen, "prepared", by=by)


def record_reading(
    session_id: int,
    *,
    moment: str,
    systolic: int,
    diastolic: int,
    spo2: int | None = None,
    sedation: int | None = None,
    staff_id: int,
    by: Actor,
) -> bool:
    """Keep a blood pressure of this moment. Answers whether it is over a limit. Raises Invalid, Conflict, AlreadyOver."""
    _plausible(systolic, diastolic, spo2)
    with transaction():
        row, seen, watched = _opened(session_id, by=by)
        _must_run(seen)
        now = clock.now()
        _in_time(watched, moment, now)
        reading = Reading(
            observation_id=seen.id,
            patient_id=row.patient_id,
            taken_at=now,
            moment=moment,
            systolic=systolic,
            diastolic=diastolic,
            spo2=spo2,
            sedation=sedation,
            recorded_by=staff_id,
        )
        db.session.add(reading)
        db.session.flush()
        audit.record(seen, "measured", by=by, moment=moment)
        is_high = rules.is_high(systolic, diastolic, watched.watch.hold_over)
        if is_high and moment == watching.BEFORE:
            seen.decision = seen.decided_by = None  # a new reading over the limit wants a new decision
            _tell_high(row, reading, watched, by=by)
        stop = watched.watch.stop_over
        if stop is not None and watched.dosed_at is not None:
            low = spo2 is not None and spo2 < stop["spo2_below"]
            if low or rules.is_high(systolic, diastolic, stop):
                _tell_stop(row, reading, by=by)
        return is_high


def _plausible(systolic: int, diastolic: int, spo2: int | None) -> None:
    if not (50 <= systolic <= 300 and 20 <= diastolic <= 200 and diastolic < systolic):
        raise Invalid("This is no blood pressure: the upper number first, for example 122 and 78.", fields=["systolic"])
    if spo2 is not None and not 50 <= spo2 <= 100:
        raise Invalid("Oxygen is a percentage from 50 to 100.", fields=["spo2"])


def _in_time(watched: Watched, moment: str, now: datetime) -> None:
    """A reading belongs to its moment: none before the dose counts for a check after it."""
    minutes = [str(minute) for minute in watched.watch.check_minutes]
    if moment not in (watching.BEFORE, LEAVING, EXTRA, *minutes):
        raise Invalid("Choose which reading this is.", fields=["moment"])
    if moment == watching.BEFORE:
        if watched.dosed_at is not None:
            raise Conflict("The dose was given: this is a reading after it.")
        return
    if moment != EXTRA and watched.dosed_at is None:
        raise Conflict("The dose was not given yet: this is the reading before it.")
    if moment in minutes:
        assert watched.dosed_at is not None
        opens = watched.dosed_at + timedelta(minutes=max(0, int(moment) - rules.check_from()))
        if now < opens:
            raise Conflict(f"Too early for the reading at {moment} minutes: keep it as an extra one.")
    ends = watching.may_leave_from(watched)
    if moment == LEAVING and ends is not None and now < ends:
        raise Conflict("Too early for the last reading: the watching is not over. Keep it as an extra one.")


def _tell_high(row: TreatmentSession, reading: Reading, watched: Watched, *, by: Actor) -> None:
    limit = watched.watch.hold_over
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=TaskLevel.SAME_DAY,
        dedupe_key=f"pressure:reading:{reading.id}",
        for_role="prescriber",
        due_at=clock.now() + STOP_WITHIN,
        by=by,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"session_id": row.id},
        note=f"Blood pressure before the dose {reading.systolic}/{reading.diastolic}, over {limit['systolic']}/{limit['diastolic']}: "
        "decide to wait, give or take another day. Nothing is cancelled by itself.",
    )


def _tell_stop(row: TreatmentSession, reading: Reading, *, by: Actor) -> None:
    tasks.open_within_transaction(
        kind=TaskKind.CLINICAL_REVIEW,
        level=TaskLevel.URGENT,
        dedupe_key=f"stop:reading:{reading.id}",
        for_role="prescriber",
        due_at=clock.now() + STOP_WITHIN,
        by=by,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"session_id": row.id},
        note=f"{reading.systolic}/{reading.diastolic}, oxygen {reading.spo2 or 'not measured'}: over the stop limits (recalled; the clinic sets its own).",
    )


def void_reading(reading_id: int, *, by: Actor) -> int:
    """Take a reading off that was a slip; answers the session's id. Raises NotFound, AlreadyOver."""
    with transaction():
        row = db.session.get(Reading, reading_id)
        if row is None:
            raise NotFound("no such reading")
        seen = db.session.get_one(Observation, row.observation_id, with_for_update=True, populate_existing=True)
        _must_run(seen)
        if row.voided_at is None:
            row.voided_at = clock.now()
            audit.record(seen, "reading_voided", by=by, moment=row.moment)
        return seen.session_id


def decide_pressure(session_id: int, *, words: str, staff_id: int, by: Actor) -> None:
    """A prescriber says to give it in spite of the pressure. Raises Invalid, Conflict, AlreadyOver."""
    said = words.strip()
    if not said:
        raise Invalid("Write what was decided.", fields=["decision"])
    with transaction():
        _, seen, watched = _opened(session_id, by=by)
        _must_run(seen)
        if not watching.is_held(watched):
            raise Conflict("Nothing waits for a decision here.")
        seen.decision, seen.decided_by = said, staff_id
        audit.record(seen, "pressure_decided", by=by)


def give_dose(session_id: int, *, dose_mg: int, lot: str, by: Actor) -> None:
    """The first device, or the infusion, begins now. Raises Conflict with all that is missing; Invalid, AlreadyOver."""
    with transaction() as after_commit:
        row, seen, watched = _opened(session_id, by=by)
        _must_run(seen)
        if seen.dosed_at is not None:
            raise AlreadyOver("The dose was given already.")
        if watched.watch.doses_mg and dose_mg not in watched.watch.doses_mg:
            raise Invalid("Choose one of the doses of the label.", fields=["dose_mg"])
        if not 1 <= dose_mg <= 500:
            raise Invalid("A dose in mg, from 1 to 500.", fields=["dose_mg"])
        confirmed = queries.confirmed(row.patient_id, seen.modality, seen)
        missing = watching.missing_to_dose(watched, confirmed)
        if missing:
            raise Conflict("Not yet: " + "; ".join(missing) + ".", missing=missing)
        seen.state, seen.dosed_at = ObservationState.WATCHED, clock.now()
        seen.dose_mg, seen.lot = dose_mg, lot.strip()[:40] or None
        db.session.flush()
        audit.record(seen, "dosed", by=by)
        appointments.start_within_transaction(session_id, after_commit, by=by)


LEAVING_MARKS = {
    "sedation": "sedation_gone_at",
    "dissociation": "dissociation_gone_at",
    "ride": "ride_here_at",
    "stable": "stable_at",
}


def mark_leaving(session_id: int, marks: Collection[str], *, staff_id: int, by: Actor) -> None:
    """Tick the leaving list; a tick that is taken off is gone. Raises Invalid, Conflict, AlreadyOver."""
    if not set(marks) <= set(LEAVING_MARKS):
        raise Invalid("This is not on the leaving list.", fields=["marks"])
    with transaction():
        _, seen, _ = _opened(session_id, by=by)
        _must_run(seen)
        if seen.dosed_at is None:
            raise Conflict("The dose was not given yet.")
        now = clock.now()
        for key, column in LEAVING_MARKS.items():
            if key in marks and getattr(seen, column) is None:
                setattr(seen, column, now)
            elif key not in marks:
                setattr(seen, column, None)
        seen.stable_by = staff_id if seen.stable_at is not None else None
        audit.record(seen, "leaving_marked", by=by, marks=sorted(marks))


def close(session_id: int, *, by: Actor) -> None:
    """The person leaves: the watching is over and the session complete; the form falls due. Raises Conflict, AlreadyOver."""
    with transaction() as after_commit:
        row, seen, watched = _opened(session_id, by=by)
        _must_run(seen)
        now = clock.now()
        missing = watching.missing_to_close(watched, now)
        if missing:
            raise Conflict("Not yet: " + "; ".join(missing) + ".", missing=missing)
        _close_with_readings(seen, watched)
        seen.state, seen.left_at = ObservationState.CLOSED, now
        form = watched.watch.form
        if form is not None:
            seen.form_due_on = row.local_on + timedelta(days=form["due_days"])
        db.session.flush()
        audit.record(seen, "closed", by=by)
        if row.state != SessionState.COMPLETED:
            appointments.complete_within_transaction(session_id, after_commit, by=by)
        if form is not None:
            _form_task(row, seen, str(form["name"]), by=by)


def _close_with_readings(seen: Observation, watched: Watched) -> None:
    rows = {row.moment: row.id for row in queries.readings_of([seen.id]).get(seen.id, [])}
    during = [str(minute) for minute in watched.watch.check_minutes]
    seen.before_id, seen.leaving_id = rows[watching.BEFORE], rows[LEAVING]
    seen.during_id = rows["40"] if "40" in rows else rows[during[-1]]


def _form_task(row: TreatmentSession, seen: Observation, name: str, *, by: Actor) -> None:
    due = seen.form_due_on
    assert due is not None
    tasks.open_within_transaction(
        kind=TaskKind.SAFETY_FORM,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"form:session:{row.id}",
        for_role="nurse",
        due_at=clock.now() + (due - row.local_on),
        by=by,
        patient_id=row.patient_id,
        location_id=row.location_id,
        subject={"session_id": row.id, "form": name},
    )


def file_form(session_id: int, *, reference: str, by: Actor) -> None:
    """The form went to the program. Raises Invalid, Conflict."""
    words = reference.strip()
    if not words or len(words) > 100:
        raise Invalid("Write how it was sent, or its number.", fields=["reference"])
    with transaction():
        seen = queries.lock_observation(session_id)
        if seen is None or seen.form_due_on is None:
            raise Conflict("No form is due for this visit.")
        if seen.form_filed_at is not None:
            return
        seen.form_filed_at, seen.form_reference = clock.now(), words
        audit.record(seen, "form_filed", by=by)
        tasks.close_keyed_within_transaction([f"form:session:{session_id}"], outcome="filed", by=BY)


def not_today(session_id: int, *, reason: str, by: Actor) -> None:
    """The dose is not given today; later bookings stay, and a prescriber is told. Raises Invalid, AlreadyOver, Conflict."""
    words = reason.strip()[:1000]
    if not words:
        raise Invalid("Say why: the reason goes on record.", fields=["reason"])
    with transaction():
        row, seen, _ = _opened(session_id, by=by)
        _must_run(seen)
        if seen.dosed_at is not None:
            raise Conflict("The dose was given: the person is watched to the end.")
        seen.state, seen.reason = ObservationState.NOT_GIVEN, words
        audit.record(seen, "not_given", by=by)
        recording.tell_held(row, words, by=by)
