"""Reads of intakes: the pages as they were left, and what other features need of the one that was sent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypedDict

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from clinic import clock
from clinic.db import db
from clinic.errors import AlreadyOver, NotFound
from clinic.intake import facts, pages, record, scores
from clinic.intake.facts import Fact
from clinic.intake.models import (
    Amendment,
    Attachment,
    Intake,
    IntakeConsent,
    IntakePage,
    IntakeState,
    IntakeTrial,
    ScreenScore,
)
from clinic.locations import queries as locations
from clinic.patients import queries as patients
from clinic.patients.models import Patient
from clinic.tasks import safety
from clinic.tasks.models import Task, TaskKind

DEFAULT_TZ = "America/Los_Angeles"
DAYS_AHEAD = 15  # how far the next opening is looked for


class Availability(TypedDict):
    """When and where a person can come. No windows: not known. Locations: best first."""

    windows: dict[int, list[list[int]]]
    away: list[date]
    locations: list[int]


@dataclass(frozen=True)
class Leaf:
    """A page or a medicine row as it was last saved."""

    values: dict[str, Any]
    revision: int = 0
    is_complete: bool = False
    saved_at: datetime | None = None
    form: str = ""  # which rendered form saved it: the same form is never taken for a second tab


EMPTY = Leaf({})


def get(intake_id: int) -> Intake:
    """The intake. Raises NotFound."""
    found = db.session.get(Intake, intake_id)
    if found is None:
        raise NotFound("no such intake")
    return found


def lock(intake_id: int) -> Intake:
    """The intake's row, locked until the transaction ends. Raises NotFound."""
    found = db.session.scalar(
        select(Intake).where(Intake.id == intake_id).with_for_update().execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("no such intake")
    return found


def must_be_open(intake: Intake) -> None:
    """Raises AlreadyOver once the form was sent."""
    if intake.state != IntakeState.OPEN:
        raise AlreadyOver("This form was sent already.")


def latest_submitted(patient_id: int) -> Intake | None:
    """The patient's intake that was sent last."""
    return db.session.scalar(
        select(Intake)
        .where(Intake.patient_id == patient_id, Intake.state == IntakeState.SUBMITTED)
        .order_by(Intake.submitted_at.desc(), Intake.id.desc())
        .limit(1)
    )


def open_of(patient_id: int) -> Intake | None:
    """The patient's newest intake that is not sent yet; one that staff fill in is not theirs to go on with."""
    return db.session.scalar(
        select(Intake)
        .where(Intake.patient_id == patient_id, Intake.state == IntakeState.OPEN, Intake.entered_by.is_(None))
        .order_by(Intake.id.desc())
        .limit(1)
    )


def leaves(intake_id: int) -> dict[str, Leaf]:
    """Pages that were saved, by name."""
    rows = db.session.scalars(select(IntakePage).where(IntakePage.intake_id == intake_id))
    return {row.page: page_leaf(row) for row in rows}


def page_leaf(row: IntakePage) -> Leaf:
    """What a page row holds."""
    return Leaf(row.answers["values"], row.revision, row.is_complete, row.saved_at, row.answers.get("form", ""))


def values(intake_id: int) -> dict[str, dict[str, Any]]:
    """Answers by page, as they were typed."""
    return {key: leaf.values for key, leaf in leaves(intake_id).items()}


def trials(intake_id: int) -> Sequence[IntakeTrial]:
    """Medicine rows that stand, in the order in which they were added."""
    return db.session.scalars(
        select(IntakeTrial)
        .where(IntakeTrial.intake_id == intake_id, IntakeTrial.removed_at.is_(None))
        .order_by(IntakeTrial.position, IntakeTrial.id)
    ).all()


def trial(intake_id: int, key: str) -> IntakeTrial:
    """A medicine row, removed or not. Raises NotFound."""
    found = db.session.scalar(select(IntakeTrial).where(IntakeTrial.intake_id == intake_id, IntakeTrial.key == key))
    if found is None:
        raise NotFound("no such medicine on this list")
    return found


def trial_leaf(row: IntakeTrial) -> Leaf:
    """What a medicine row holds; complete once each of its pages was left."""
    answers = row.answers
    is_complete = set(pages.medicine_steps(answers["values"])) <= set(answers["done"])
    return Leaf(answers["values"], answers["revision"], is_complete, row.saved_at, answers["form"])


def patient_of(intake: Intake) -> Patient | None:
    """The person, once "about you" is saved."""
    return None if intake.patient_id is None else patients.get(intake.patient_id)


def born(intake: Intake, saved: pages.Pages) -> date | None:
    """Birth date: the record's, else the one that was typed."""
    patient = patient_of(intake)
    return patient.birth_date if patient else record.date_of(saved.get("about") or {}, "birth")


def tz_of(intake: Intake) -> str:
    """The zone whose wall time this person is shown."""
    patient = patient_of(intake)
    if patient is not None and patient.preferred_location_id is not None:
        return locations.get(patient.preferred_location_id).tz
    sites = locations.active()
    return sites[0].tz if sites else DEFAULT_TZ


def today(intake: Intake) -> date:
    """The present date of this person's wall."""
    return clock.today(tz_of(intake))


def where_it_stopped(intake_id: int) -> tuple[str, str | None, int]:
    """Page, medicine key and step at which a person goes on: after what was finished last, else that page itself."""
    intake = get(intake_id)
    saved = leaves(intake_id)
    order = [*pages.PAGES, pages.SAFETY]
    known = [(key, leaf) for key, leaf in saved.items() if key in order]
    last = max(known, key=lambda entry: (entry[1].saved_at or intake.started_at, order.index(entry[0])), default=None)
    open_rows = [row for row in trials(intake_id) if not trial_leaf(row).is_complete]
    newest = max(open_rows, key=lambda row: row.saved_at, default=None)
    if newest is not None and (last is None or last[1].saved_at is None or newest.saved_at >= last[1].saved_at):
        steps = pages.medicine_steps(newest.answers["values"])
        return pages.MEDICINES, newest.key, next(step for step in steps if step not in newest.answers["done"])
    if last is None:
        return next(iter(pages.PAGES)), None, 0
    key, leaf = last
    if key == pages.SAFETY:
        key = "phq9-9"
    if not leaf.is_complete:
        return key, None, 0
    answers = {each: page.values for each, page in saved.items()}
    birth = born(intake, answers)
    age = pages.age_on(birth, today(intake)) if birth else None
    return pages.after(key, answers, age), None, 0


def record_of(intake_id: int) -> dict[str, Any]:
    """The record as it would be sent now. A correction keeps the day on which the person answered."""
    intake = get(intake_id)
    saved = values(intake_id)
    corrected = get(intake.corrects_id).record if intake.corrects_id is not None else None
    as_of = date.fromisoformat(corrected["as_of"]) if corrected and corrected.get("as_of") else today(intake)
    rows = trial_rows(intake_id)
    found = record.to_record(
        saved,
        [trial_leaf(row).values for row in trials(intake_id)],
        as_of=as_of,
        born=born(intake, saved),
        echo=f"intake-{intake_id}",
        files=file_kinds(intake),
    )
    if corrected is not None and not corrected.get("as_of"):
        found.pop("as_of", None)
    if rows:
        found.pop("trials", None)
    whole = facts.over(intake.base_record, found) if intake.base_record else found
    if intake.patient_id is not None and not intake.base_record:
        for path, value in scores.facts_of(screen_scores(intake.patient_id)).items():
            facts.lay(whole, path, value)
    return facts.laid(whole, [fact_of(each) for each in amendments(intake_id)], rows)


def trial_rows(intake_id: int) -> dict[str, dict[str, Any]]:
    """Medicine rows that say something, in the record's words, by key, in the record's order."""
    files = file_kinds(get(intake_id))
    found = {row.key: record.trial_row(trial_leaf(row).values, files) for row in trials(intake_id)}
    return {key: said for key, said in found.items() if said}


def file_kinds(intake: Intake) -> frozenset[str]:
    """Kinds of the papers that this person added."""
    mine = Attachment.intake_id == intake.id
    if intake.patient_id is not None:
        mine = or_(mine, Attachment.patient_id == intake.patient_id)
    return frozenset(
        db.session.scalars(select(Attachment.kind).where(mine, Attachment.removed_at.is_(None)).distinct())
    )


def patient_of_attachment(row: Attachment) -> int:
    """The patient whose file it is. Raises NotFound for a form without a name."""
    if row.patient_id is None:
        raise NotFound("nobody is named yet")
    return row.patient_id


def consent_answers(patient_id: int) -> list[IntakeConsent]:
    """The newest answer to each consent text, over all of a person's forms."""
    rows = db.session.scalars(
        select(IntakeConsent)
        .join(Intake, Intake.id == IntakeConsent.intake_id)
        .where(Intake.patient_id == patient_id)
        .ext(distinct_on(IntakeConsent.consent))
        .order_by(IntakeConsent.consent, IntakeConsent.id.desc())
    )
    return list(rows)


def newest_of(patient_id: int) -> Intake | None:
    """The patient's newest form, sent or not."""
    return db.session.scalar(select(Intake).where(Intake.patient_id == patient_id).order_by(Intake.id.desc()).limit(1))


def screen_scores(patient_id: int) -> Sequence[ScreenScore]:
    """The scores that staff entered and nobody corrected since, in the order of their entry."""
    return db.session.scalars(
        select(ScreenScore)
        .where(ScreenScore.patient_id == patient_id, ScreenScore.superseded_at.is_(None))
        .order_by(ScreenScore.id)
    ).all()


def every_score(patient_id: int) -> Sequence[ScreenScore]:
    """The same with those that were corrected, newest first."""
    statement = select(ScreenScore).where(ScreenScore.patient_id == patient_id)
    return db.session.scalars(statement.order_by(ScreenScore.id.desc())).all()


def amended_by(intake: Intake) -> list[int]:
    """Ids of the intakes whose words this one repeats with nothing but facts added, the newest first."""
    found: list[int] = []
    at: Intake | None = intake
    while at is not None and at.corrects_id is not None and is_amended(at):
        found.append(at.corrects_id)
        at = get(at.corrects_id)
    return found


def is_amended(intake: Intake) -> bool:
    """Whether it was made by adding facts, not by filling in pages."""
    return any(row.amended_at == intake.submitted_at for row in amendments(intake.id))


def versions(patient_id: int) -> Sequence[Intake]:
    """Everything that was sent for this person, newest first."""
    sent = (IntakeState.SUBMITTED, IntakeState.SUPERSEDED)
    statement = select(Intake).where(Intake.patient_id == patient_id, Intake.state.in_(sent))
    return db.session.scalars(statement.order_by(Intake.submitted_at.desc(), Intake.id.desc())).all()


def has_pages(intake_id: int) -> bool:
    """Whether it was filled in page by page."""
    pages_of = select(IntakePage.id).where(IntakePage.intake_id == intake_id)
    trials_of = select(IntakeTrial.id).where(IntakeTrial.intake_id == intake_id)
    return bool(db.session.scalar(select(or_(pages_of.exists(), trials_of.exists()))))


def amendments(intake_id: int) -> Sequence[Amendment]:
    """Facts that were added after an intake was sent, in the order in which they are laid over it."""
    return db.session.scalars(select(Amendment).where(Amendment.intake_id == intake_id).order_by(Amendment.id)).all()


def fact_of(row: Amendment) -> Fact:
    """What an amendment says."""
    return Fact(row.trial_key, row.path, row.value["value"])


def availability(patient_id: int) -> Availability:
    """When and where the patient can come, from the intake that was sent last; empty where none says."""
    intake = latest_submitted(patient_id)
    saved = values(intake.id) if intake else {}
    known = locations.names()
    return {
        "windows": record.windows(saved.get("times") or {}),
        "away": record.away(saved.get("away") or {}),
        "locations": [place for place in record.places(saved.get("places") or {}) if place in known],
    }


def review_due(intake: Intake) -> datetime | None:
    """By when the clinic's own rule wants this form read; None once that passed or the review is over."""
    task = db.session.scalar(
        select(Task)
        .where(Task.intake_id == intake.id, Task.kind == TaskKind.REVIEW_INTAKE, Task.closed_at.is_(None))
        .order_by(Task.id.desc())
        .limit(1)
    )
    return task.due_at if task is not None and task.due_at > clock.now() else None


# -- help -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Help:
    """What the safety card may say: open now, call promised by, next opening; instants in UTC."""

    is_open: bool
    call_by: datetime | None
    opens_at: datetime | None
    has_phone: bool
    tz: str


def openings(intake: Intake) -> list[locations.Opening]:
    """Spans around and after now in which the clinic, or the chosen site, is open."""
    patient = patient_of(intake)
    place = patient.preferred_location_id if patient else None
    yesterday = (clock.now() - timedelta(days=1)).astimezone(UTC).date()
    return locations.openings(place, yesterday, DAYS_AHEAD)


def safety_task(intake_id: int) -> Task | None:
    """The newest safety task of this form, open or not."""
    return db.session.scalar(
        select(Task).where(Task.intake_id == intake_id, Task.kind == TaskKind.SAFETY).order_by(Task.id.desc()).limit(1)
    )


def hours_of(intake: Intake) -> Help:
    """Whether anyone is there now, and when someone will be; nothing is promised."""
    now, spans, patient = clock.now(), openings(intake), patient_of(intake)
    return Help(
        is_open=safety.day_closes_at(now, spans) is not None,
        call_by=None,
        opens_at=safety.next_opening(now, spans),
        has_phone=bool(patient and patient.phone),
        tz=tz_of(intake),
    )


def help_of(intake_id: int) -> Help | None:
    """The facts for the safety card; None where no answer called for it.

    A call is promised only in clinic hours, only where the clinic switched that promise on, and only to a person
    whose phone number we have.
    """
    task = safety_task(intake_id)
    return None if task is None else promised(hours_of(get(intake_id)), task)


def promised(facts: Help, task: Task | None) -> Help:
    """The facts with the call that this safety task promises, where it does."""
    profile = locations.profile()
    is_promised = facts.is_open and facts.has_phone and profile is not None and profile.promises_safety_call
    if is_promised and task is not None and task.closed_at is None and task.due_at > clock.now():
        return replace(facts, call_by=task.due_at)
    return facts
