"""Forms that staff fill in for a person, and corrections of what was sent: a copy is worked on, then takes its place."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import broken_constraint, db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import amending, facts, operations, paging, queries, record
from clinic.intake.models import Amendment, AmendmentSource, Intake, IntakePage, IntakeState, IntakeTrial
from clinic.patients import queries as patients

MAX_REASON = 1000


@dataclass(frozen=True)
class Held:
    """A form of this person that someone at the clinic has open."""

    intake_id: int
    staff_id: int
    since: datetime
    is_correction: bool


def held(patient_id: int) -> Held | None:
    """Who works on this person's form now, and since when."""
    found = db.session.scalar(
        select(Intake)
        .where(Intake.patient_id == patient_id, Intake.state == IntakeState.OPEN, Intake.entered_by.is_not(None))
        .order_by(Intake.id.desc())
        .limit(1)
    )
    if found is None or found.entered_by is None:
        return None
    return Held(found.id, found.entered_by, found.started_at, found.corrects_id is not None)


def start_entry(patient_id: int, *, staff_id: int, by: Actor) -> int:
    """Open a form that staff fill in for the person; answers its id, that of the open one where it is one's own.

    What the record knows of the person stands in it already. Raises NotFound, Conflict where someone else has one open.
    """
    with _one_at_a_time(), transaction():
        patient = patients.lock(patient_id)
        present = _own(patient_id, staff_id)
        if present is not None:
            return present
        now = clock.now()
        intake = Intake(
            patient_id=patient_id,
            state=IntakeState.OPEN,
            language=patient.language,
            started_at=now,
            saved_at=now,
            entered_by=staff_id,
        )
        db.session.add(intake)
        db.session.flush()
        for page, values in operations.known_of(patient).items():
            answers = {"values": values, "form": ""}
            row = IntakePage(intake_id=intake.id, page=page, answers=answers, revision=1, is_complete=True)
            row.saved_at = now
            db.session.add(row)
        audit.record(intake, "started", by=by)
        return intake.id


def start_correction(patient_id: int, reason: str, *, staff_id: int, by: Actor) -> int:
    """Open a copy of what was sent last, to be corrected; answers its id, that of one's own open one.

    Raises NotFound, Invalid without a reason, Conflict where nothing was sent or someone else has a form open.
    """
    if not reason.strip() or len(reason.strip()) > MAX_REASON:
        raise Invalid("Say why, in at most 1000 characters.", fields=["reason"])
    with _one_at_a_time(), transaction():
        patients.lock(patient_id)
        present = _own(patient_id, staff_id)
        if present is not None:
            return present
        sent = queries.latest_submitted(patient_id)
        if sent is None:
            raise Conflict("There is nothing to correct: no form was sent yet.")
        intake = amending.copy_within_transaction(sent, reason=reason, entered_by=staff_id)
        if not queries.has_pages(sent.id):
            _put_on_pages(intake, sent)
        audit.record(intake, "started", by=by, reason=reason.strip(), corrects_id=sent.id)
        return intake.id


def pages_said(intake: Intake) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Answers by page and by medicine row; those of a record without pages as they would have been typed."""
    if queries.has_pages(intake.id) or not intake.record:
        return queries.values(intake.id), {row.key: queries.trial_leaf(row).values for row in queries.trials(intake.id)}
    person = operations.known_of(queries.patient_of(intake))
    found = paging.pages_of(intake.record)
    trials = enumerate(intake.record.get("trials") or [])
    return (
        {page: person.get(page, {}) | found.get(page, {}) for page in person.keys() | found.keys()},
        {paging.key_of(intake.id, place): paging.trial_of(row) for place, row in trials},
    )


def _put_on_pages(intake: Intake, sent: Intake) -> None:
    """A record that was sent whole is corrected on pages too; what these cannot say stays as facts over them."""
    now = clock.now()
    told = {row.path: row for row in queries.amendments(intake.id)}
    db.session.execute(delete(Amendment).where(Amendment.intake_id == intake.id))
    intake.base_record = None
    pages, trials = pages_said(sent)
    for page, values in pages.items():
        kept = {"values": values, "form": ""}
        db.session.add(
            IntakePage(intake_id=intake.id, page=page, answers=kept, revision=1, is_complete=True, saved_at=now)
        )
    for place, (key, values) in enumerate(trials.items(), 1):
        row = {"values": values, "revision": 0, "form": "", "done": [1, 2, 3]}
        db.session.add(IntakeTrial(intake_id=intake.id, key=key, position=place, answers=row, saved_at=now))
    db.session.flush()
    for trial_key, path, value in _left_over(sent.record or {}, queries.record_of(intake.id), list(trials)):
        earlier = told.get(path) if trial_key is None else told.get(f"trials[{list(trials).index(trial_key)}].{path}")
        db.session.add(
            Amendment(
                intake_id=intake.id,
                trial_key=trial_key,
                path=path,
                value={"value": value},
                source=earlier.source if earlier is not None else AmendmentSource.DOCUMENT,
                amended_by=earlier.amended_by if earlier is not None else None,
                amended_at=earlier.amended_at if earlier is not None else sent.submitted_at,
            )
        )
    db.session.flush()


def _left_over(wanted: dict[str, Any], there: dict[str, Any], keys: list[str]) -> Iterator[tuple[str | None, str, Any]]:
    """What has to be laid over pages that say `there`, so that they say what is wanted: medicine row, path, value."""
    before, after = (dict(facts.leaves(each)) for each in (there, wanted))
    for path in sorted(before.keys() | after.keys()):
        if path in ("id", "as_of") or path == "trials" or (path == "age" and path not in after):
            continue
        if before.get(path) != after.get(path):
            yield (*facts.addressed(path, len(keys), keys), after.get(path))


class _one_at_a_time:  # noqa: N801 - reads as a statement
    """Translates the constraint behind the check of `_own`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError) and broken_constraint(error) == "intakes_staff_open_key":
            raise Conflict("Someone opened this person's form at the same moment: reload and look.") from None


def _own(patient_id: int, staff_id: int) -> int | None:
    present = held(patient_id)
    if present is None:
        return None
    if present.staff_id != staff_id:
        raise Conflict("Someone else has this person's form open.", intake_id=present.intake_id)
    return present.intake_id


def take_over(intake_id: int, *, staff_id: int, by: Actor) -> None:
    """Go on with a form that someone else has open. Raises NotFound, AlreadyOver."""
    with transaction():
        intake = _lock(intake_id)
        if intake.entered_by != staff_id:
            earlier, intake.entered_by = intake.entered_by, staff_id
            audit.record(intake, "taken_over", by=by, staff_id=earlier)


def drop(intake_id: int, *, by: Actor) -> None:
    """Give up a form that staff opened; nothing of it is used. Raises NotFound, AlreadyOver."""
    with transaction():
        intake = _lock(intake_id)
        intake.state = IntakeState.DROPPED
        audit.record(intake, "dropped", by=by)


def _lock(intake_id: int) -> Intake:
    """The open form, then the person: in this order everywhere."""
    intake = queries.lock(intake_id)
    if intake.patient_id is None or intake.entered_by is None:
        raise NotFound("no such form")
    queries.must_be_open(intake)
    patients.lock(intake.patient_id)
    return intake


def send(intake_id: int, *, by: Actor) -> int:
    """Send a form that staff filled in; it takes the place of what was sent before. A second call changes nothing.

    Facts that were added to the corrected one meanwhile go with it. Raises NotFound, Invalid whose `fields` name the
    pages that are needed, Conflict where the person sent a whole new form meanwhile.
    """
    with transaction() as after_commit:
        if queries.get(intake_id).state in (IntakeState.SUBMITTED, IntakeState.SUPERSEDED):
            return intake_id
        intake = _lock(intake_id)
        assert intake.patient_id is not None
        if intake.corrects_id is not None:
            corrected = queries.get(intake.corrects_id)
            _let_pages_count(intake, corrected)
            _take_along(intake, corrected)
        operations.submit_within_transaction(
            intake, by=by, after_commit=after_commit, opens_review=intake.corrects_id is None
        )
        return intake.id


def _take_along(intake: Intake, corrected: Intake) -> None:
    """Copy facts that were laid over the corrected intake after this copy was made."""
    assert intake.patient_id is not None
    present = queries.latest_submitted(intake.patient_id)
    if present is None or present.id == corrected.id:
        return
    if corrected.id not in queries.amended_by(present):
        raise Conflict(
            "A new form was sent meanwhile. Drop this correction and correct the new one.", intake_id=present.id
        )
    known = len(queries.amendments(corrected.id))  # each version repeats those of the one before, in order
    for row in queries.amendments(present.id)[known:]:
        db.session.add(
            Amendment(
                intake_id=intake.id,
                trial_key=row.trial_key,
                path=row.path,
                value=row.value,
                source=row.source,
                amended_by=row.amended_by,
                amended_at=row.amended_at,
            )
        )
    db.session.flush()


def _let_pages_count(intake: Intake, corrected: Intake) -> None:
    """A fact that was added earlier gives way where this correction changed the page that says the same."""
    overruled = changed_paths(corrected.id, intake.id)
    for row in queries.amendments(intake.id):
        if any(_is_about(row, trial_key, path) for trial_key, path in overruled):
            db.session.execute(delete(Amendment).where(Amendment.id == row.id))
    db.session.flush()


def _is_about(row: Amendment, trial_key: str | None, path: str) -> bool:
    if row.trial_key != trial_key:
        return False
    return row.path == path or path.startswith((f"{row.path}.", f"{row.path}["))


def changed_paths(before_id: int, after_id: int) -> set[tuple[str | None, str]]:
    """Where the pages of two intakes say different things: medicine row, path."""
    before, after = ({**_said(each)} for each in (before_id, after_id))
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _said(intake_id: int) -> dict[tuple[str | None, str], object]:
    pages, trials = pages_said(queries.get(intake_id))
    whole = record.to_record(pages, [], as_of=clock.now().date(), born=None)
    found: dict[tuple[str | None, str], object] = {(None, path): value for path, value in facts.leaves(whole)}
    for key, values in trials.items():
        found |= {(key, path): value for path, value in facts.leaves(record.trial_row(values))}
    return found
