"""The room in words: rows of the board, soonest duty first. Nothing here decides; `watching` does."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from clinic.scheduling.models import SessionState
from clinic.treatment import rules, watching
from clinic.treatment.models import ObservationState
from clinic.treatment.queries import Chair
from clinic.treatment.watching import BEFORE, LEAVING, Duty, Next
from clinic.web import charts
from clinic.web.context import clock24

BUTTONS = {
    Duty.PRESSURE_BEFORE: "Record blood pressure",
    Duty.CHECK: "Record blood pressure",
    Duty.DECIDE: "Prescriber decides",
    Duty.DOSE: "Give the dose",
    Duty.WATCH: "Add reading",
    Duty.LEAVE: "Leaving check",
    Duty.RIDE: "Name a ride",
    Duty.WAIT: "Open",
    Duty.DONE: "Open",
}
RAIL = 320  # wide, as the picture is drawn


@dataclass(frozen=True)
class Cell:
    """A blood pressure on the board: `122/78`, `due`, or empty."""

    text: str
    is_high: bool = False
    is_due: bool = False


@dataclass(frozen=True)
class Row:
    """One chair on the board."""

    session_id: int
    chair: str
    initials: str
    record_number: str
    facts: str
    rail: charts.Watch
    rail_words: str
    elapsed: str
    before: Cell
    during: Cell
    leaving: Cell
    oxygen: str
    state_kind: str
    state_word: str
    state_icon: str
    button: str
    is_lit: bool
    anchor: str


def rows(chairs: Sequence[Chair], now: datetime, tz: str) -> list[Row]:
    """Rows in the order of their duties; the soonest is lit where it is due within five minutes or late."""
    steps = [(watching.following(chair.watched, now), chair) for chair in chairs if not _is_away(chair)]
    ordered = sorted(steps, key=lambda each: (*watching.order_key(each[0]), each[1].session.id))
    found = []
    for n, (step, chair) in enumerate(ordered):
        is_lit = n == 0 and step.duty not in (Duty.WAIT, Duty.DONE) and (step.is_soon or step.is_over)
        found.append(_row(chair, step, now, tz, is_lit))
    return found


def _is_away(chair: Chair) -> bool:
    return chair.observation is not None and chair.observation.state == ObservationState.NOT_GIVEN


def _row(chair: Chair, step: Next, now: datetime, tz: str, is_lit: bool) -> Row:
    watched = chair.watched
    elapsed = int((now - watched.dosed_at).total_seconds() // 60) if watched.dosed_at is not None else None
    if watched.left_at is not None and watched.dosed_at is not None:
        elapsed = int((watched.left_at - watched.dosed_at).total_seconds() // 60)
    kind, word, icon = _state(step, now, tz)
    dose = f"{chair.observation.dose_mg} mg, " if chair.observation is not None and chair.observation.dose_mg else ""
    last = max(watched.readings, key=lambda reading: reading.taken_at, default=None)
    return Row(
        session_id=chair.session.id,
        chair=chair.device,
        initials=chair.initials,
        record_number=chair.record_number,
        facts=f"{dose}visit {chair.session.number}",
        rail=_rail(chair, step, elapsed, tz),
        rail_words=_rail_words(chair, step, elapsed, now, tz),
        elapsed=f"{elapsed} min" if elapsed is not None else "",
        before=_cell(chair, BEFORE, step.duty is Duty.PRESSURE_BEFORE),
        during=_cell(chair, "40", step.duty is Duty.CHECK and step.minute == 40),
        leaving=_cell(chair, LEAVING, step.duty is Duty.LEAVE),
        oxygen=f"{last.spo2} %" if last is not None and last.spo2 is not None else "",
        state_kind=kind,
        state_word=word,
        state_icon=icon,
        button=BUTTONS[step.duty],
        is_lit=is_lit,
        anchor={
            Duty.DECIDE: "decide",
            Duty.DOSE: "dose",
            Duty.RIDE: "before",
            Duty.LEAVE: "leaving",
        }.get(step.duty, "reading"),
    )


def _cell(chair: Chair, moment: str, is_next: bool) -> Cell:
    found = watching.reading_of(chair.watched, moment)
    if found is None:
        return Cell("due" if is_next else "", is_due=is_next)
    is_high = rules.is_high(found.systolic, found.diastolic, chair.watched.watch.hold_over)
    return Cell(f"{found.systolic}/{found.diastolic}", is_high=is_high)


def _state(step: Next, now: datetime, tz: str) -> tuple[str, str, str]:
    minutes = int((step.at - now).total_seconds() // 60)
    if step.duty in (Duty.CHECK, Duty.PRESSURE_BEFORE):
        if step.is_over and now - step.at >= timedelta(minutes=1):
            return "due", f"{-minutes} min late", "clock"
        if step.is_soon:
            return "now", f"Due in {max(0, minutes)} min" if step.duty is Duty.CHECK else "Due now", "clock"
        return "good", f"Steady, next {clock24(step.at, tz)}", "wave"
    return {
        Duty.WAIT: ("", f"Comes {clock24(step.at, tz)}", "clock"),
        Duty.RIDE: ("unsure", "No ride named", "car"),
        Duty.DECIDE: ("stop", "On hold", "hold"),
        Duty.DOSE: ("", "Ready for the dose", "play"),
        Duty.WATCH: ("good", f"Steady, until {clock24(step.at, tz)}", "wave"),
        Duty.LEAVE: ("due", "Ready to check", "clock"),
        Duty.DONE: ("good", f"Left {clock24(step.at, tz)}", "check"),
    }[step.duty]


def _rail(chair: Chair, step: Next, elapsed: int | None, tz: str) -> charts.Watch:
    watched, ends = chair.watched, watching.may_leave_from(chair.watched)
    if watched.dosed_at is None:
        text = clock24(chair.session.starts_at, tz) if not watched.is_here else "not started"
        checks = [charts.WatchCheck(0, "to_do", text)]
        checks += [charts.WatchCheck(minute, "to_do", "") for minute in (40, watched.watch.minimum_minutes)]
        return charts.watch(checks, elapsed=None, width=RAIL)
    checks = [charts.WatchCheck(0, "done", clock24(watched.dosed_at, tz))]
    for minute in watched.watch.check_minutes:
        reading = watching.reading_of(watched, str(minute))
        is_next = step.duty is Duty.CHECK and step.minute == minute
        at = reading.taken_at if reading is not None else watched.dosed_at + timedelta(minutes=minute)
        words = clock24(at, tz) if reading is not None or not is_next else f"{minute} min, {clock24(at, tz)}"
        shown = words if minute == 40 or is_next else ""
        checks.append(
            charts.WatchCheck(minute, "done" if reading is not None else "next" if is_next else "to_do", shown)
        )
    assert ends is not None
    mark = "done" if watched.left_at is not None else "next" if step.duty is Duty.LEAVE else "to_do"
    until = (
        f"from {clock24(ends, tz)}"
        if elapsed is None or elapsed < watched.watch.minimum_minutes
        else f"since {clock24(ends, tz)}"
    )
    checks.append(charts.WatchCheck(watched.watch.minimum_minutes, mark, until))  # type: ignore[arg-type]
    return charts.watch(checks, elapsed=elapsed, width=RAIL, full=watched.watch.minimum_minutes + 20)


def _rail_words(chair: Chair, step: Next, elapsed: int | None, now: datetime, tz: str) -> str:
    """The rail as a sentence."""
    if elapsed is None:
        return f"Not started. {_state(step, now, tz)[1]}"
    minimum = chair.watched.watch.minimum_minutes
    return f"{elapsed} of {minimum} minutes. {_state(step, now, tz)[1]}"


def title(found: Sequence[Row], chairs: Sequence[Chair], now: datetime, tz: str) -> str:
    """Today's answer as a sentence: whose check is due."""
    steps = [(watching.following(chair.watched, now), chair) for chair in chairs if not _is_away(chair)]
    live = [each for each in steps if each[0].duty is not Duty.DONE]
    if not live:
        return "Nobody is being watched" if not chairs else "Everybody has left"
    step, chair = min(live, key=lambda each: (*watching.order_key(each[0]), each[1].session.id))
    minutes = int((step.at - now).total_seconds() // 60)
    when = (
        f"in {minutes} minutes"
        if minutes > 1
        else "now"
        if step.at - now > -timedelta(minutes=1)
        else f"{-minutes} minutes late"
    )
    words = {
        Duty.CHECK: f"blood pressure at {clock24(step.at, tz)}, {when}",
        Duty.PRESSURE_BEFORE: "blood pressure before the dose",
        Duty.DECIDE: "a prescriber decides about the blood pressure",
        Duty.DOSE: "ready for the dose",
        Duty.WATCH: f"watched until {clock24(step.at, tz)}",
        Duty.LEAVE: "ready for the leaving check",
        Duty.RIDE: f"no ride named for {clock24(step.at, tz)}",
        Duty.WAIT: f"comes at {clock24(step.at, tz)}",
    }[step.duty]
    return f"{chair.device}: {words}"


def count_watched(chairs: Sequence[Chair]) -> int:
    """How many sit in a chair now."""
    return sum(chair.session.state == SessionState.ARRIVED for chair in chairs)


def moments(chair_watched: watching.Watched, now: datetime) -> list[tuple[str, str]]:
    """Readings that may be recorded now, the next one first."""
    step = watching.following(chair_watched, now)
    if chair_watched.dosed_at is None:
        return [(BEFORE, "Before the dose"), (watching.EXTRA, "Extra")]
    found = [(str(minute), f"At {minute} minutes") for minute in chair_watched.watch.check_minutes]
    done = {reading.moment for reading in chair_watched.readings}
    open_checks = [each for each in found if each[0] not in done]
    ends = watching.may_leave_from(chair_watched)
    leaving = [(LEAVING, "Before leaving")] if ends is not None and now >= ends else []
    extra = [(watching.EXTRA, "Extra")]
    if step.duty is Duty.CHECK:
        return [*open_checks[:1], *extra, *open_checks[1:], *leaving]
    return [*leaving, *extra, *open_checks]


MOMENT_WORDS = {BEFORE: "before", LEAVING: "leaving", watching.EXTRA: "extra"}


def moment_words(moment: str) -> str:
    """`before`, `40 min`, `leaving`."""
    return MOMENT_WORDS.get(moment) or f"{moment} min"
