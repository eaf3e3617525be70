"""Facts that are added after an intake was sent. Each makes a new sent intake; what was sent is never edited."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid
from clinic.intake import facts, operations, queries
from clinic.intake.models import Amendment, AmendmentSource, Intake, IntakePage, IntakeState, IntakeTrial
from clinic.patients import queries as patients
from clinic.patients.models import Patient

MAX_CHANGES = 200
MAX_REASON = 1000

Check = Callable[[dict[str, Any]], object]  # raises Invalid where the record is not one


@dataclass(frozen=True)
class Change:
    """A fact at a path of the record, as in an assessment's `ask[].field`. `value` None: not known after all."""

    path: str
    value: Any
    source: AmendmentSource


def amend(
    patient_id: int,
    changes: Sequence[Change],
    *,
    reason: str,
    by: Actor,
    staff_id: int | None = None,
    check: Check | None = None,
) -> int:
    """Add facts to what a person sent; answers the id of the intake that holds them. Raises NotFound, and as below."""
    with transaction() as after_commit:
        patient = patients.lock(patient_id)
        return amend_within_transaction(
            patient, changes, reason=reason, by=by, staff_id=staff_id, after_commit=after_commit, check=check
        ).id


def amend_within_transaction(
    patient: Patient,
    changes: Sequence[Change],
    *,
    reason: str,
    by: Actor,
    staff_id: int | None,
    after_commit: AfterCommit,
    check: Check | None = None,
) -> Intake:
    """As `amend`, as a step of another operation.

    The new intake supersedes the present one: pages, medicines, a record that was sent whole and earlier facts are
    copied, these are laid over. The assessment follows as for any sent intake. A review that was open goes on with the
    new one; one that was closed opens again with an assessment that says something else.
    Raises Conflict where nothing was sent yet, Invalid whose `fields` name the facts that cannot be so.
    """
    if not reason.strip() or len(reason) > MAX_REASON:
        raise Invalid("say why, in at most 1000 characters", fields=["reason"])
    if not 0 < len(changes) <= MAX_CHANGES:
        raise Invalid("name the facts that change", fields=["changes"])
    patients.lock(patient.id)  # one after the other: the second amends what the first left
    present = queries.latest_submitted(patient.id)
    if present is None:
        raise Conflict("this person has not sent a form yet")
    intake = copy_within_transaction(present, reason=reason, entered_by=None)
    keys, count = list(queries.trial_rows(intake.id)), len((present.record or {}).get("trials") or ())
    now = clock.now()
    for change in changes:
        trial_key, path = _addressed(change.path, count, keys)
        db.session.add(
            Amendment(
                intake_id=intake.id,
                trial_key=trial_key,
                path=path,
                value={"value": change.value},
                source=AmendmentSource(change.source),
                amended_by=staff_id,
                amended_at=now,
            )
        )
        db.session.flush()
    record = _whole(intake)
    if check is not None:
        check(record)
    audit.record(
        intake,
        "amended",
        by=by,
        reason=reason.strip(),
        intake_id=present.id,
        facts=len(changes),
        sources=sorted({str(change.source) for change in changes}),
    )
    operations.send_within_transaction(intake, record, by=by, after_commit=after_commit, opens_review=False, at=now)
    intake.entered_by = present.entered_by
    return intake


def _addressed(path: str, trials: int, keys: Sequence[str]) -> tuple[str | None, str]:
    try:
        return facts.addressed(path, trials, keys)
    except facts.NoPlace:
        raise Invalid("this is not a fact of the record", fields=[path[: facts.MAX_PATH]]) from None


def _whole(intake: Intake) -> dict[str, Any]:
    try:
        return queries.record_of(intake.id)
    except facts.NoPlace as error:
        raise Invalid("nothing can stand there", fields=[str(error)]) from None


def copy_within_transaction(sent: Intake, *, reason: str, entered_by: int | None) -> Intake:
    """An open intake that says all that a sent one says, and names it as the one that it corrects."""
    now = clock.now()
    has_pages = queries.has_pages(sent.id)
    intake = Intake(
        patient_id=sent.patient_id,
        state=IntakeState.OPEN,
        language=sent.language,
        started_at=now,
        saved_at=now,
        base_record=sent.base_record if sent.base_record or has_pages else copy.deepcopy(sent.record),
        corrects_id=sent.id,
        entered_by=entered_by,
        reason=reason.strip(),
    )
    db.session.add(intake)
    db.session.flush()
    _copy(IntakePage, sent, intake, "page", "answers", "revision", "is_complete", "saved_at")
    _copy(IntakeTrial, sent, intake, "key", "position", "answers", "saved_at", "removed_at")
    _copy(Amendment, sent, intake, "trial_key", "path", "value", "source", "amended_by", "amended_at")
    db.session.flush()
    return intake


def _copy(model: Any, sent: Intake, intake: Intake, *columns: str) -> None:
    for row in db.session.scalars(select(model).where(model.intake_id == sent.id).order_by(model.id)):
        db.session.add(model(intake_id=intake.id, **{name: getattr(row, name) for name in columns}))
