"""Safety answers: how soon, and the task that follows. One fixed table for every form and survey.

| answer | level | due |
|---|---|---|
| PHQ-9 item 9 is 1 | lit | end of the clinic day |
| item 9 is 2 or more, or higher than the last time | same day | end of the clinic day |
| C-SSRS intent or plan, behavior in 3 months, psychosis or mania now | urgent | 60 minutes, and before the day ends |
| a jerk of the body or a blackout since the last check-in (seizure_any of the safety screens: immediate) | urgent | likewise |
| unusually high mood or energy in a check-in (psychosis_or_mania of the safety screens: same day) | same day | end of the clinic day |

While the clinic is closed all of them are due at the next opening; whoever is on call is told at once.

The alert is a row of the worklist: open, acknowledged (someone took it), closed with an outcome. Its clock is in the row:
who is told when follows from `created_at` and `due_at`, whatever was dead meanwhile.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from clinic import audit, clock
from clinic.audit import Actor
from clinic.db import db, transaction
from clinic.tasks import operations
from clinic.tasks.models import Task, TaskKind, TaskLevel

log = logging.getLogger(__name__)

Openings = Sequence[tuple[datetime, datetime]]

URGENT_WITHIN = timedelta(minutes=60)
LONGEST_DAY = timedelta(hours=20)  # a clinic that is open around the clock still has days
BREAK = timedelta(hours=4)  # a shorter gap between two spans is a break within one clinic day
NO_OPENING_WITHIN = timedelta(hours=24)  # due where no opening is known: a clinic without hours still has to call
WANTS_A_PERSON = "Would rather talk to a person"
AT_A_KIOSK = "Answered at a device of the clinic: the person may still be here"
RANK = {TaskLevel.LIT: 1, TaskLevel.SAME_DAY: 2, TaskLevel.URGENT: 3}


@dataclass(frozen=True, kw_only=True)
class SafetyAnswers:
    """What was answered. None and False: not asked, or no."""

    item9: int | None = None
    previous_item9: int | None = None
    cssrs_intent: bool = False
    cssrs_plan: bool = False
    behavior_3mo: bool = False
    psychosis_now: bool = False
    mania_now: bool = False
    seizure: bool = False
    high_energy: bool = False


def level_of(answers: SafetyAnswers) -> TaskLevel | None:
    """How soon a person has to act; None where nothing calls for it."""
    if answers.cssrs_intent or answers.cssrs_plan or answers.behavior_3mo or answers.psychosis_now or answers.mania_now:
        return TaskLevel.URGENT
    if answers.seizure:
        return TaskLevel.URGENT
    if answers.high_energy:
        return TaskLevel.SAME_DAY
    if not answers.item9:
        return None
    rose = answers.previous_item9 is not None and answers.item9 > answers.previous_item9
    return TaskLevel.SAME_DAY if answers.item9 >= 2 or rose else TaskLevel.LIT


def due_at(level: TaskLevel, now: datetime, openings: Openings) -> datetime:
    """When the call has to be made. `openings` are the spans around and after `now`, in order."""
    closes_at = day_closes_at(now, openings)
    if closes_at is None:
        return next_opening(now, openings) or now + NO_OPENING_WITHIN
    return min(now + URGENT_WITHIN, closes_at) if level is TaskLevel.URGENT else closes_at


def day_closes_at(now: datetime, openings: Openings) -> datetime | None:
    """End of the clinic day that runs now; None while the clinic is closed."""
    ends: datetime | None = None
    begins = now
    for opens, closes in openings:
        if ends is None:
            if opens <= now < closes:
                begins, ends = opens, closes
        elif opens - ends < BREAK and closes - begins <= LONGEST_DAY:
            ends = closes
        else:
            break
    return ends


def next_opening(now: datetime, openings: Openings) -> datetime | None:
    """The next time that the clinic opens after `now`."""
    return next((opens for opens, _ in openings if opens > now), None)


def raise_within_transaction(
    answers: SafetyAnswers,
    *,
    source_key: str,
    openings: Openings | Callable[[], Openings],
    patient_id: int | None,
    intake_id: int | None,
    location_id: int | None,
    by: Actor,
) -> TaskLevel | None:
    """Open the safety task of these answers and answer its level. `source_key` names the form, e.g. "survey:81".

    A repeat adds nothing; a graver answer from the same form opens its own task and closes the milder one. Nothing
    that fails in here takes the answer with it: it stays in the transaction, and a plain task is tried instead.
    """
    level = level_of(answers)
    if level is None:
        return None
    try:
        with db.session.begin_nested():
            _raise(
                level,
                answers,
                source_key=source_key,
                due=due_at(level, clock.now(), openings() if callable(openings) else openings),
                patient_id=patient_id,
                intake_id=intake_id,
                location_id=location_id,
                by=by,
            )
    except Exception:
        log.exception("safety alert of %s: fault, a plain one is opened", source_key)
        _raise_plain(level, source_key=source_key, patient_id=patient_id, intake_id=intake_id, by=by)
    return level


def _raise(
    level: TaskLevel,
    answers: SafetyAnswers,
    *,
    source_key: str,
    due: datetime,
    patient_id: int | None,
    intake_id: int | None,
    location_id: int | None,
    by: Actor,
) -> None:
    keys = _keys(source_key)
    already = set(db.session.scalars(select(Task.dedupe_key).where(Task.dedupe_key.in_(keys.values()))))
    if any(keys[known] in already for known in RANK if RANK[known] >= RANK[level]):
        return
    operations.open_within_transaction(
        kind=TaskKind.SAFETY,
        level=level,
        dedupe_key=keys[level],
        for_role="prescriber",
        due_at=due,
        by=by,
        patient_id=patient_id,
        intake_id=intake_id,
        location_id=location_id,
        note=_note(answers),
    )
    milder = [keys[known] for known in RANK if RANK[known] < RANK[level]]
    operations.close_keyed_within_transaction(
        milder, outcome=f"Now {level.replace('_', ' ')}: see the newer task", by=by
    )


def raise_observed_within_transaction(
    level: TaskLevel,
    *,
    source_key: str,
    note: str,
    openings: Openings,
    patient_id: int,
    location_id: int | None,
    by: Actor,
) -> None:
    """Open the safety task of what staff saw or heard themselves; a repeat of the same source adds nothing."""
    operations.open_within_transaction(
        kind=TaskKind.SAFETY,
        level=level,
        dedupe_key=_keys(source_key)[level],
        for_role="prescriber",
        due_at=due_at(level, clock.now(), openings),
        by=by,
        patient_id=patient_id,
        location_id=location_id,
        note=note,
    )


def _raise_plain(
    level: TaskLevel, *, source_key: str, patient_id: int | None, intake_id: int | None, by: Actor
) -> None:
    """An alert without hours, note and site, for every site: due in an hour. If even that fails the answer stands alone."""
    try:
        with db.session.begin_nested():
            operations.open_within_transaction(
                kind=TaskKind.SAFETY,
                level=level,
                dedupe_key=_keys(source_key)[level],
                for_role="prescriber",
                due_at=clock.now() + URGENT_WITHIN,
                by=by,
                patient_id=patient_id,
                intake_id=intake_id,
            )
    except Exception:
        log.exception("safety alert of %s: could not be opened", source_key)


def _keys(source_key: str) -> dict[TaskLevel, str]:
    return {known: f"safety:{source_key}:{known}" for known in RANK}


def add_words(source_key: str, words: str, *, by: Actor) -> None:
    """Add what else the person let us know to the open alerts of a form, once. For clinicians only, like the rest."""
    with transaction():
        statement = select(Task).where(Task.dedupe_key.in_(_keys(source_key).values()), Task.closed_at.is_(None))
        for task in db.session.scalars(statement.order_by(Task.id).with_for_update()):
            said = task.note or ""
            if words not in said:
                task.note = f"{said}; {words}" if said else words
                audit.record(task, "added_to", by=by)


def _note(answers: SafetyAnswers) -> str:
    said = []
    if answers.item9:
        before = "" if answers.previous_item9 is None else f" (last time {answers.previous_item9})"
        said.append(f"PHQ-9 item 9: {answers.item9}{before}")
    for given, words in (
        (answers.cssrs_intent, "C-SSRS: intent"),
        (answers.cssrs_plan, "C-SSRS: plan"),
        (answers.behavior_3mo, "C-SSRS: behavior in the last 3 months"),
        (answers.psychosis_now, "Psychosis now"),
        (answers.mania_now, "Mania now"),
        (answers.seizure, "Jerk of the body or blackout reported"),
        (answers.high_energy, "Unusually high mood or energy reported"),
    ):
        if given:
            said.append(words)
    return "; ".join(said)
