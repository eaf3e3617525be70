"""Worklist rows in words. Nothing here tells a reader more than their role may know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from clinic.patients.queries import Brief
from clinic.tasks.models import Task, TaskKind, TaskLevel
from clinic.tasks.queries import CLINICAL, WORDS, may_take
from clinic.tasks.today import Target, target_of
from clinic.web.access import StaffCaller
from clinic.web.context import clock24, day

SOON = timedelta(hours=2)
NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
LEVEL_WORDS = {TaskLevel.URGENT: "urgent", TaskLevel.SAME_DAY: "same day", TaskLevel.LIT: "today"}
STATES = {
    TaskKind.SAFETY: ("stop", "warn"),
    TaskKind.CANNOT_COME: ("due", "x"),
    TaskKind.MESSAGE_FAILED: ("due", "text"),
    TaskKind.ASK_PATIENT: ("unsure", "ask"),
    TaskKind.SURVEY_OVERDUE: ("unsure", "clock"),
    TaskKind.BOOK_COURSE: ("good", "cal"),
    TaskKind.CALL_PATIENT: ("due", "phone"),
    TaskKind.UNCLEAR_REPLY: ("unsure", "text"),
    TaskKind.RUNNING_LATE: ("due", "clock"),
    TaskKind.MESSAGES_STUCK: ("stop", "warn"),
    TaskKind.RECORD_OPENED: ("due", "warn"),
    TaskKind.PREPARE_COURSE: ("due", "cal"),
}
TEXTS = {
    TaskKind.REVIEW_INTAKE: "A history was sent and waits for a prescriber.",
    TaskKind.BOOK_COURSE: "A prescriber decided. The whole course can be booked.",
    TaskKind.ASK_PATIENT: "A fact is missing. Ask the patient.",
    TaskKind.MESSAGE_FAILED: "A message could not be delivered. Check the address or call.",
    TaskKind.CANNOT_COME: "The patient cannot come. Find another time.",
    TaskKind.SURVEY_OVERDUE: "No answer to the check-in so far.",
    TaskKind.CLINICAL_REVIEW: "Waits for a clinician.",
    TaskKind.RUNNING_LATE: "The patient wrote: I am late.",
    TaskKind.PREPARE_COURSE: "The protocol asks for a visit elsewhere before the first session. The course says which and by when.",
    TaskKind.RECORD_OPENED: "Someone opened this record from another site, with a reason. Look at what was done.",
    TaskKind.MESSAGES_STUCK: "Messages that are due do not go out. Call those whose visit is near.",
    TaskKind.SAFETY_FORM: "The form of a watched visit has to go out.",
}
FROM_PATIENT = {
    "medicines": "The patient wrote: my medicines changed.",
    "effect": "The patient wrote: I had an effect that worries me.",
    "question": "The patient wrote: I have a question.",
}


class When(NamedTuple):
    """When a task is due, in words."""

    words: str
    note: str
    is_over: bool


@dataclass(frozen=True)
class Row:
    """One row of a worklist."""

    task: Task
    when: When
    title: str
    state_kind: str
    state_word: str
    state_icon: str
    text: str
    owner: str
    is_mine: bool
    target: Target | None
    may_take: bool
    age: str  # how long it has been open
    taken: str  # when its owner took it


class Groups(NamedTuple):
    """The worklist in three parts."""

    now: list[Row]
    today: list[Row]
    later: list[Row]


def when(due: datetime, now: datetime, tz: str) -> When:
    """`18 min left, by 10:58`; times in the zone of the site."""
    minutes = int((due - now).total_seconds() // 60)
    at, today = clock24(due, tz), now.astimezone(ZoneInfo(tz)).date()
    on = due.astimezone(ZoneInfo(tz)).date()
    if due <= now:
        ago = int((now - due).total_seconds() // 60)
        words = f"{ago} min late" if ago < 60 else f"{ago // 60} h late" if on == today else f"Late since {day(on)}"
        return When(words, f"was due {at}", True)
    if minutes < 60:
        return When(f"{minutes} min left", f"by {at}", False)
    if on == today:
        return When("Today", f"by {at}", False)
    return When("Tomorrow" if on == today + timedelta(days=1) else day(on), f"by {at}", False)


def age(since: datetime, now: datetime) -> str:
    """`open for 12 min`, `open for 3 h`, `open for 2 days`."""
    minutes = max(0, int((now - since).total_seconds() // 60))
    if minutes < 60:
        return f"open for {minutes} min"
    hours = minutes // 60
    return f"open for {hours} h" if hours < 48 else f"open for {hours // 24} days"


def safety_words(task: Task, now: datetime, tz: str) -> str:
    """All that the front desk sees of a safety answer; with the day where that is not today."""
    at, zone = clock24(task.due_at, tz), ZoneInfo(tz)
    is_today = task.due_at.astimezone(zone).date() == now.astimezone(zone).date()
    return f"Safety, call by {at}" if is_today else f"Safety, call by {day(task.due_at, tz)}, {at}"


def rows(
    tasks: Sequence[Task],
    *,
    staff: StaffCaller,
    now: datetime,
    zones: Mapping[int | None, str],
    people: Mapping[int, Brief],
    owners: Mapping[int, str],
) -> list[Row]:
    """Rows in the given order; `zones[None]` is the zone of tasks without a site."""
    return [_row(task, staff, now, zones.get(task.location_id, zones[None]), people, owners) for task in tasks]


def _row(
    task: Task,
    staff: StaffCaller,
    now: datetime,
    tz: str,
    people: Mapping[int, Brief],
    owners: Mapping[int, str],
) -> Row:
    person = people.get(task.patient_id or 0)
    target = target_of(task)
    word = WORDS[TaskKind(task.kind)]
    if task.kind == TaskKind.SAFETY and staff.has(*CLINICAL):
        word = f"{word}, {LEVEL_WORDS.get(TaskLevel(task.level), task.level)}"
    kind, icon = STATES.get(TaskKind(task.kind), ("", ""))
    return Row(
        task=task,
        when=when(task.due_at, now, tz),
        title=f"{person.initials} · {person.record_number}" if person else WORDS[TaskKind(task.kind)],
        state_kind=kind,
        state_word=word,
        state_icon=icon,
        text=_text(task, target, now, tz),
        owner=owners.get(task.owner_id or 0, ""),
        is_mine=task.owner_id == staff.id,
        target=target,
        may_take=may_take(staff, task),
        age=age(task.created_at, now),
        taken=clock24(task.taken_at, tz) if task.taken_at else "",
    )


def _text(task: Task, target: Target | None, now: datetime, tz: str) -> str:
    if task.kind == TaskKind.SAFETY:
        return safety_words(task, now, tz)
    if target is not None and target.text:
        return target.text
    return FROM_PATIENT.get(task.subject.get("topic", "")) or TEXTS.get(TaskKind(task.kind), "")


def grouped(shown: Sequence[Row], now: datetime, tz: str) -> Groups:
    """What needs a person now (late, within two hours, or safety), what is due today, and the rest."""
    groups = Groups([], [], [])
    today = now.astimezone(ZoneInfo(tz)).date()
    for row in shown:
        if row.task.kind == TaskKind.SAFETY or row.task.due_at <= now + SOON:
            groups.now.append(row)
        elif row.task.due_at.astimezone(ZoneInfo(tz)).date() <= today:
            groups.today.append(row)
        else:
            groups.later.append(row)
    groups.now.sort(key=lambda row: (row.task.kind != TaskKind.SAFETY, row.task.due_at, row.task.id))
    return groups


def sentence(groups: Groups) -> str:
    """The title of the page: today's answer."""
    if groups.now:
        return f"{_things(len(groups.now))} a person now"
    if groups.today:
        return f"{_things(len(groups.today))} a person today"
    return "Nothing needs a person today"


def _things(count: int) -> str:
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} thing needs" if count == 1 else f"{number} things need"
