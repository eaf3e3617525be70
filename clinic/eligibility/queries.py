"""Reads of assessments and decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, false, func, or_, select
from sqlalchemy.orm import aliased, defer, load_only
from sqlalchemy.orm.attributes import set_committed_value

from clinic.db import db
from clinic.eligibility.models import Assessment, Decision, DecisionKind, Opinion
from clinic.errors import NotFound
from clinic.intake.models import Intake, IntakeState, ScreenScore
from clinic.patients.models import Patient
from clinic.staff.models import Role, StaffRole, StaffUser

# What lists need: the sealed record and result stay in the database until a page opens one.
LIST_COLUMNS = load_only(
    Assessment.id,
    Assessment.patient_id,
    Assessment.trd,
    Assessment.tms,
    Assessment.esketamine,
    Assessment.iv_ketamine,
    Assessment.is_urgent,
    Assessment.assessed_at,
    Assessment.payer_policies,
)


@dataclass(frozen=True)
class WorklistRow:
    """One person whose history waits for a prescriber."""

    assessment_id: int
    patient_id: int
    record_number: str
    initials: str
    trd: str
    tms: str
    esketamine: str
    iv_ketamine: str
    is_urgent: bool
    assessed_at: datetime
    payer_policies: Sequence[str]
    location_id: int | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Which of the histories that wait: filters of the worklist, each None or empty for all."""

    trd: str = ""
    pathway: str = ""  # a verdict of `pathway_is` on this treatment
    pathway_is: str = ""
    location_id: int | None = None
    waiting_since: datetime | None = None  # assessed before this instant
    is_urgent: bool = False
    policies: Sequence[str] | None = None  # ids of a payer's policies; empty: a payer without one, or none named
    record_number: str = ""


@dataclass(frozen=True)
class Said:
    """A decision or a second opinion with the names of those who gave it."""

    row: Decision | Opinion
    by: str | None
    asked_of: str | None = None
    asked_by: str | None = None


@dataclass(frozen=True)
class Brief:
    """Another assessment of the same person; record and result only of the one that is compared."""

    id: int
    trd: str
    tms: str
    esketamine: str
    iv_ketamine: str
    assessed_at: datetime
    superseded_at: datetime | None
    reason: str | None
    record: Any
    result: Any


@dataclass(frozen=True)
class Chart:
    """What the review page reads of one person: every assessment, what was decided and said, scores that staff entered."""

    assessment: Assessment
    patient: Patient
    others: Sequence[Brief]
    before: Brief | None  # the one that this one replaced, whole
    decisions: Sequence[Said]
    opinions: Sequence[Said]
    scores: Sequence[ScreenScore]


def unassessed_intake_ids(*, limit: int = 200) -> Sequence[int]:
    """Sent intakes that the engine has not seen, oldest first."""
    seen = select(Assessment.id).where(Assessment.intake_id == Intake.id).exists()
    statement = select(Intake.id).where(Intake.state == IntakeState.SUBMITTED, ~seen).order_by(Intake.submitted_at)
    return db.session.scalars(statement.limit(limit)).all()


def worklist(
    *,
    location_ids: frozenset[int] | None = None,
    only: Waiting | None = None,
    after_id: int | None = None,
    limit: int = 50,
) -> Sequence[WorklistRow]:
    """Present assessments that wait for a decision, urgent first, then the longest waiting. `after_id` pages on."""
    statement = (
        select(Assessment, Patient.record_number, Patient.initials, Patient.preferred_location_id)
        .join(Patient, Patient.id == Assessment.patient_id)
        .where(*_waits(location_ids), *_chosen(only or Waiting()))
        .options(LIST_COLUMNS)
        .order_by(Assessment.is_urgent.desc(), Assessment.id)
        .limit(limit)
    )
    if after_id is not None:
        last = db.session.get(Assessment, after_id, options=[LIST_COLUMNS])
        if last is not None:
            later = Assessment.id > last.id
            statement = statement.where(
                and_(Assessment.is_urgent == last.is_urgent, later)
                if not last.is_urgent
                else or_(Assessment.is_urgent.is_(False), later)
            )
    return [
        WorklistRow(
            row.id,
            row.patient_id,
            number,
            initials,
            row.trd,
            row.tms,
            row.esketamine,
            row.iv_ketamine,
            row.is_urgent,
            row.assessed_at,
            row.payer_policies,
            location_id,
        )
        for row, number, initials, location_id in db.session.execute(statement)
    ]


def waiting_count(*, location_ids: frozenset[int] | None = None, only: Waiting | None = None) -> tuple[int, int]:
    """How many histories wait, and how many of them are urgent."""
    urgent = func.count().filter(Assessment.is_urgent)
    statement = select(func.count(), urgent).select_from(Assessment).join(Patient, Patient.id == Assessment.patient_id)
    found = db.session.execute(statement.where(*_waits(location_ids), *_chosen(only or Waiting()))).one()
    return found[0], found[1]


def _waits(location_ids: frozenset[int] | None) -> list[Any]:
    decided = select(Decision.id).where(Decision.assessment_id == Assessment.id).exists()
    found = [Assessment.superseded_at.is_(None), Assessment.waits.is_(True), ~decided]
    if location_ids is not None:
        found.append(or_(Patient.preferred_location_id.is_(None), Patient.preferred_location_id.in_(location_ids)))
    return found


def _chosen(only: Waiting) -> list[Any]:
    found: list[Any] = []
    if only.trd:
        found.append(Assessment.trd == only.trd)
    if only.pathway and only.pathway_is:
        found.append(getattr(Assessment, only.pathway) == only.pathway_is)
    if only.location_id is not None:
        found.append(Patient.preferred_location_id == only.location_id)
    if only.waiting_since is not None:
        found.append(Assessment.assessed_at <= only.waiting_since)
    if only.is_urgent:
        found.append(Assessment.is_urgent.is_(True))
    if only.policies:
        found.append(or_(*(Assessment.payer_policies.contains([each]) for each in only.policies)))
    elif only.policies is not None:
        found.append(func.jsonb_array_length(Assessment.payer_policies) == 0)
    if only.record_number:
        found.append(Patient.record_number == only.record_number)
    return found


def of_payer(policy_id: str, *, before: datetime, limit: int) -> Sequence[int]:
    """Patients of a policy's payer whose present assessment is older than this, longest ago first."""
    statement = select(Assessment.patient_id).where(
        Assessment.superseded_at.is_(None),
        Assessment.intake_id.is_not(None),
        Assessment.payer_policies.contains([policy_id]),
        Assessment.assessed_at < before,
    )
    return db.session.scalars(statement.order_by(Assessment.id).limit(limit)).all()


def chart(assessment_id: int, *, against: int | None = None) -> Chart:
    """Everything that the review page reads, in two round trips. `against`: compared with this one, not the one before.

    Raises NotFound.
    """
    rows = _assessments_of(assessment_id, against)
    own = next((row for row in rows if row[0].id == assessment_id), None)
    if own is None:
        raise NotFound("no such assessment")
    others = [_brief(row) for row in rows if row[0].id != assessment_id]
    before = next((each for each in others if each.result is not None), None)
    decisions, opinions, scores = _said_of(own[0].patient_id)
    return Chart(own[0], own[1], others, before, decisions, opinions, scores)


def _assessments_of(assessment_id: int, against: int | None) -> Sequence[Any]:
    """All assessments of the person, newest first; whole only the one that is read and the one that it is compared with."""
    person = select(Assessment.patient_id).where(Assessment.id == assessment_id).scalar_subquery()
    earlier = aliased(Assessment)
    other: Any = against
    if against is None:
        other = select(func.max(earlier.id)).where(earlier.patient_id == person, earlier.id < assessment_id)
        other = other.scalar_subquery()
    whole = Assessment.id == other
    statement = (
        select(
            Assessment,
            Patient,
            case((Assessment.id == assessment_id, Assessment.record)).label("record"),
            case((Assessment.id == assessment_id, Assessment.result)).label("result"),
            case((whole, Assessment.record)).label("other_record"),
            case((whole, Assessment.result)).label("other_result"),
        )
        .join(Patient, Patient.id == Assessment.patient_id)
        .where(Assessment.patient_id == person)
        .options(defer(Assessment.record), defer(Assessment.result))
        .order_by(Assessment.id.desc())
    )
    rows = db.session.execute(statement).all()
    for row in rows:
        if row[0].id == assessment_id:
            set_committed_value(row[0], "record", row.record)
            set_committed_value(row[0], "result", row.result)
    return rows


def _brief(row: Any) -> Brief:
    one = row[0]
    return Brief(
        one.id,
        one.trd,
        one.tms,
        one.esketamine,
        one.iv_ketamine,
        one.assessed_at,
        one.superseded_at,
        one.reason,
        row.other_record,
        row.other_result,
    )


def _said_of(patient_id: int) -> tuple[list[Said], list[Said], list[ScreenScore]]:
    """Decisions, opinions and entered scores, newest first: three lists one below the other, in one round trip."""
    decision = aliased(Decision, select(Decision).where(Decision.patient_id == patient_id).subquery())
    opinion = aliased(Opinion, select(Opinion).where(Opinion.patient_id == patient_id).subquery())
    present = select(ScreenScore).where(ScreenScore.patient_id == patient_id, ScreenScore.superseded_at.is_(None))
    score = aliased(ScreenScore, present.subquery())
    decider, giver, asker, asked = (aliased(StaffUser) for _ in range(4))
    statement = (
        select(decision, opinion, score, decider.name, giver.name, asker.name, asked.name)
        .select_from(decision)
        .join(opinion, false(), full=True)
        .join(score, false(), full=True)
        .outerjoin(decider, decider.id == decision.decided_by)
        .outerjoin(giver, giver.id == opinion.given_by)
        .outerjoin(asker, asker.id == opinion.asked_by)
        .outerjoin(asked, asked.id == opinion.asked_of)
    )
    decisions, opinions, scores = [], [], []
    for said, thought, entered, decided_by, given_by, asked_by, asked_of in db.session.execute(statement):
        if said is not None:
            decisions.append(Said(said, decided_by))
        if thought is not None:
            opinions.append(Said(thought, given_by, asked_of=asked_of, asked_by=asked_by))
        if entered is not None:
            scores.append(entered)
    for rows in (decisions, opinions):
        rows.sort(key=lambda each: -each.row.id)
    return decisions, opinions, sorted(scores, key=lambda each: (each.taken_on, each.id), reverse=True)


def prescribers() -> dict[int, str]:
    """Active prescribers by id, for the choice of who is asked for a second opinion."""
    statement = select(StaffUser.id, StaffUser.name).where(
        StaffUser.active.is_(True), StaffUser.roles.any(StaffRole.name == Role.PRESCRIBER)
    )
    return {key: name for key, name in db.session.execute(statement.order_by(StaffUser.name))}  # noqa: C416


def present_assessment(patient_id: int) -> Assessment | None:
    """The assessment that counts now."""
    return db.session.scalar(
        select(Assessment).where(Assessment.patient_id == patient_id, Assessment.superseded_at.is_(None))
    )


def assessment(assessment_id: int) -> Assessment:
    """One assessment, present or superseded. Raises NotFound."""
    found = db.session.get(Assessment, assessment_id)
    if found is None:
        raise NotFound("no such assessment")
    return found


def assessments(patient_id: int) -> Sequence[Assessment]:
    """All of a person's assessments, newest first."""
    statement = select(Assessment).where(Assessment.patient_id == patient_id).options(LIST_COLUMNS)
    return db.session.scalars(statement.order_by(Assessment.id.desc())).all()


def whole_assessments(patient_id: int, *, before: int | None = None, limit: int = 50) -> Sequence[Assessment]:
    """A person's assessments with record and result, newest first; `before` an id: the older ones."""
    statement = select(Assessment).where(Assessment.patient_id == patient_id)
    if before is not None:
        statement = statement.where(Assessment.id < before)
    return db.session.scalars(statement.order_by(Assessment.id.desc()).limit(limit)).all()


def decisions(patient_id: int) -> Sequence[Decision]:
    """All of a person's decisions, newest first."""
    return db.session.scalars(
        select(Decision).where(Decision.patient_id == patient_id).order_by(Decision.id.desc())
    ).all()


def approving_decision(patient_id: int, pathway: str) -> Decision | None:
    """The present decision that lets this treatment be booked, if there is one."""
    return db.session.scalar(
        select(Decision).where(
            Decision.patient_id == patient_id,
            Decision.pathway == pathway,
            Decision.superseded_at.is_(None),
            Decision.decision == DecisionKind.APPROVE,
        )
    )


def assessment_of_intake(intake_id: int) -> Assessment | None:
    """The newest assessment of this intake's record."""
    statement = select(Assessment).where(Assessment.intake_id == intake_id)
    return db.session.scalar(statement.order_by(Assessment.id.desc()).limit(1))


def is_decided(assessment_id: int) -> bool:
    """Whether anything was decided on this assessment."""
    return db.session.scalar(select(Decision.id).where(Decision.assessment_id == assessment_id).limit(1)) is not None


def present_decisions(patient_id: int, pathway: str) -> Sequence[Decision]:
    """The decision on a pathway that counts now (none or one)."""
    return db.session.scalars(
        select(Decision).where(
            Decision.patient_id == patient_id, Decision.pathway == pathway, Decision.superseded_at.is_(None)
        )
    ).all()


def approved_pathways(patient_id: int) -> set[str]:
    """Treatments that may be booked now."""
    rows = db.session.scalars(
        select(Decision.pathway).where(
            Decision.patient_id == patient_id,
            Decision.superseded_at.is_(None),
            Decision.decision == DecisionKind.APPROVE,
        )
    )
    return set(rows)
