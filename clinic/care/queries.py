"""Reads of releases, plans, referrals, questions and the clinic's own words about treatments."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from clinic.care.models import (
    OptionNote,
    PatientQuestion,
    PlanItem,
    PlanKind,
    PlanState,
    Referral,
    ReferralState,
    Release,
    ReleaseDraft,
)
from clinic.db import db
from clinic.eligibility.models import AskState, Assessment, PatientAsk
from clinic.errors import NotFound
from clinic.intake.models import Intake, IntakeState
from clinic.patients.models import Patient
from clinic.scheduling.models import Course, CourseState, TreatmentSession
from clinic.surveys.models import Survey, SurveyState
from clinic.tasks.models import Task

UPCOMING = ("booked", "confirmed", "arrived")
FOLLOWED_DAYS = 180  # after the last session of a whole course; a test holds it against the plans of check-ins


# -- releases ---------------------------------------------------------------------------------------------------------


def present_release(patient_id: int) -> Release | None:
    """The summary that the patient sees now."""
    return db.session.scalar(select(Release).where(Release.patient_id == patient_id, Release.withdrawn_at.is_(None)))


def last_release(patient_id: int) -> Release | None:
    """The newest summary, withdrawn or not."""
    return db.session.scalar(
        select(Release).where(Release.patient_id == patient_id).order_by(Release.id.desc()).limit(1)
    )


def releases(patient_id: int) -> Sequence[Release]:
    """Every summary of a person, newest first."""
    return db.session.scalars(select(Release).where(Release.patient_id == patient_id).order_by(Release.id.desc())).all()


def draft(patient_id: int, *, lock: bool = False) -> ReleaseDraft | None:
    """The draft of a person's summary."""
    statement = select(ReleaseDraft).where(ReleaseDraft.patient_id == patient_id)
    return db.session.scalar(statement.with_for_update() if lock else statement)


# -- questions --------------------------------------------------------------------------------------------------------


def questions(patient_id: int, *, limit: int = 100) -> Sequence[PatientQuestion]:
    """What a person asked, newest first."""
    statement = select(PatientQuestion).where(PatientQuestion.patient_id == patient_id)
    return db.session.scalars(statement.order_by(PatientQuestion.id.desc()).limit(limit)).all()


def lock_question(question_id: int) -> PatientQuestion:
    """The question's row, locked. Raises NotFound."""
    found = db.session.scalar(select(PatientQuestion).where(PatientQuestion.id == question_id).with_for_update())
    if found is None:
        raise NotFound("no such question")
    return found


def question(question_id: int) -> PatientQuestion:
    """The question. Raises NotFound."""
    found = db.session.get(PatientQuestion, question_id)
    if found is None:
        raise NotFound("no such question")
    return found


# -- plan -------------------------------------------------------------------------------------------------------------


def plan(patient_id: int) -> Sequence[PlanItem]:
    """Items of a person's plan: open ones by date first, then those closed last."""
    statement = select(PlanItem).where(PlanItem.patient_id == patient_id)
    order = (
        PlanItem.closed_at.is_not(None),
        PlanItem.closed_at.desc(),
        PlanItem.due_on.asc().nulls_last(),
        PlanItem.id,
    )
    return db.session.scalars(statement.order_by(*order).limit(200)).all()


def plan_for_patient(patient_id: int) -> Sequence[PlanItem]:
    """Items that the patient sees, those dropped left out."""
    statement = select(PlanItem).where(
        PlanItem.patient_id == patient_id, PlanItem.for_patient, PlanItem.state != PlanState.DROPPED
    )
    return db.session.scalars(
        statement.order_by(PlanItem.closed_at.is_not(None), PlanItem.due_on.asc().nulls_last(), PlanItem.id).limit(100)
    ).all()


def item(item_id: int) -> PlanItem:
    """The plan item. Raises NotFound."""
    found = db.session.get(PlanItem, item_id)
    if found is None:
        raise NotFound("no such plan item")
    return found


def lock_item(item_id: int) -> PlanItem:
    """The plan item's row, locked. Raises NotFound."""
    found = db.session.scalar(select(PlanItem).where(PlanItem.id == item_id).with_for_update())
    if found is None:
        raise NotFound("no such plan item")
    return found


def due_items(on: date, *, limit: int = 500) -> Sequence[tuple[int, str]]:
    """Open items whose date has come somewhere on earth by `on`, with the person's zone, and no task yet."""
    key = func.concat("plan_step:", PlanItem.id, ":", PlanItem.due_on, ":", PlanItem.revision)
    has_task = select(Task.id).where(Task.dedupe_key == key).exists()
    rows = db.session.execute(
        select(PlanItem.id, Patient.tz)
        .join(Patient, Patient.id == PlanItem.patient_id)
        .where(PlanItem.state == PlanState.OPEN, PlanItem.due_on <= on, ~has_task)
        .order_by(PlanItem.due_on, PlanItem.id)
        .limit(limit)
    )
    return [(row.id, row.tz) for row in rows]


# -- referrals --------------------------------------------------------------------------------------------------------


def referrals(patient_id: int) -> Sequence[Referral]:
    """A person's referrals, open ones first, oldest first."""
    statement = select(Referral).where(Referral.patient_id == patient_id)
    return db.session.scalars(
        statement.order_by(Referral.closed_at.is_not(None), Referral.added_at, Referral.id).limit(100)
    ).all()


def referral(referral_id: int) -> Referral:
    """The referral. Raises NotFound."""
    found = db.session.get(Referral, referral_id)
    if found is None:
        raise NotFound("no such referral")
    return found


def lock_referral(referral_id: int) -> Referral:
    """The referral's row, locked. Raises NotFound."""
    found = db.session.scalar(select(Referral).where(Referral.id == referral_id).with_for_update())
    if found is None:
        raise NotFound("no such referral")
    return found


def open_referrals(*, limit: int = 1000) -> Sequence[Any]:
    """Referrals that are not closed: `(id, state, state_since)`, longest waiting first."""
    return db.session.execute(
        select(Referral.id, Referral.state, Referral.state_since)
        .where(Referral.state != ReferralState.CLOSED)
        .order_by(Referral.state_since, Referral.id)
        .limit(limit)
    ).all()


def keys_with_task(keys: Sequence[str]) -> set[str]:
    """Those of these keys under which a task was opened."""
    return set(db.session.scalars(select(Task.dedupe_key).where(Task.dedupe_key.in_(keys))))


# -- the clinic's words about options -----------------------------------------------------------------------------------


def notes(options: Sequence[str] | None = None) -> Sequence[OptionNote]:
    """Present notes, of these options or all, in every language."""
    statement = select(OptionNote).where(OptionNote.superseded_at.is_(None))
    if options is not None:
        statement = statement.where(OptionNote.option.in_(options))
    return db.session.scalars(statement.order_by(OptionNote.option, OptionNote.field, OptionNote.language)).all()


def notes_in(language: str) -> dict[tuple[str, str], OptionNote]:
    """Present note by option and field, in this language where there is one, else in another."""
    found: dict[tuple[str, str], OptionNote] = {}
    for row in notes():
        key = (row.option, row.field)
        if key not in found or row.language == language:
            found[key] = row
    return found


# -- nobody without a next step -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """A person under care with nothing dated ahead."""

    patient_id: int
    initials: str
    record_number: str
    since: datetime  # of the assessment that brought the person under care, or the intake


def _under_care() -> ColumnElement[bool]:
    """Sent a history, and not only a course that ended."""
    return select(Intake.id).where(Intake.patient_id == Patient.id, Intake.state == IntakeState.SUBMITTED).exists()


def _has_next(now: datetime, today: date) -> ColumnElement[bool]:
    visit = select(TreatmentSession.id).where(
        TreatmentSession.patient_id == Patient.id,
        TreatmentSession.state.in_(UPCOMING),
        TreatmentSession.ends_at >= now,
    )
    task = select(Task.id).where(Task.patient_id == Patient.id, Task.closed_at.is_(None))
    step = select(PlanItem.id).where(
        PlanItem.patient_id == Patient.id, PlanItem.state == PlanState.OPEN, PlanItem.due_on >= today
    )
    ask = select(PatientAsk.id).where(PatientAsk.patient_id == Patient.id, PatientAsk.state == AskState.OPEN)
    survey = select(Survey.id).where(Survey.patient_id == Patient.id, Survey.state == SurveyState.OPEN)
    # a course that was given whole is followed up by check-ins: the last of them is still to come
    followed = select(Course.id).where(
        Course.patient_id == Patient.id,
        Course.state == CourseState.COMPLETED,
        Course.ended_at > now - timedelta(days=FOLLOWED_DAYS),
    )
    return or_(followed.exists(), visit.exists(), task.exists(), step.exists(), ask.exists(), survey.exists())


def without_next_step(
    now: datetime, today: date, *, location_ids: frozenset[int], after_id: int = 0, limit: int = 50
) -> list[Waiting]:
    """People under care with no visit, task, dated plan item, open question or check-in ahead; by id, one query."""
    since = select(func.max(Assessment.assessed_at)).where(Assessment.patient_id == Patient.id).scalar_subquery()
    statement = (
        select(Patient.id, Patient.initials, Patient.record_number, func.coalesce(since, Patient.created_at))
        .where(
            _under_care(),
            ~_has_next(now, today),
            or_(Patient.preferred_location_id.is_(None), Patient.preferred_location_id.in_(location_ids)),
            Patient.id > after_id,
        )
        .order_by(Patient.id)
        .limit(limit)
    )
    return [Waiting(*row) for row in db.session.execute(statement)]


def count_without_next_step(now: datetime, today: date, *, location_ids: frozenset[int]) -> int:
    """How many they are."""
    statement = (
        select(func.count())
        .select_from(Patient)
        .where(
            _under_care(),
            ~_has_next(now, today),
            or_(Patient.preferred_location_id.is_(None), Patient.preferred_location_id.in_(location_ids)),
        )
    )
    return db.session.scalar(statement) or 0


def decision_points(items: Sequence[PlanItem]) -> list[PlanItem]:
    """Open items that are a decision with a date."""
    return [row for row in items if row.kind == PlanKind.DECISION_POINT and row.state == PlanState.OPEN]
