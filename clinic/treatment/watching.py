"""Whose check is due: one person watched after a dose, from facts to the next duty. Pure; minutes count from the dose."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from clinic.treatment import rules
from clinic.treatment.rules import Watch

BEFORE, LEAVING, EXTRA = "before", "leaving", "extra"
SOON = timedelta(minutes=5)


class Duty(StrEnum):
    """What a nurse does next."""

    WAIT = "wait"  # the visit is still to come
    RIDE = "ride"  # nobody named who takes the person home
    PRESSURE_BEFORE = "pressure_before"
    DECIDE = "decide"  # the pressure is over the limit: a prescriber decides
    DOSE = "dose"
    CHECK = "check"  # a blood pressure at its minute
    WATCH = "watch"  # nothing before the two hours are over
    LEAVE = "leave"  # the leaving list
    DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A blood pressure in mmHg with its moment: `before`, the minute of a check, `leaving` or `extra`."""

    taken_at: datetime
    moment: str
    systolic: int
    diastolic: int
    spo2: int | None = None


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A visit, as far as the board needs it."""

    starts_at: datetime
    is_here: bool
    watch: Watch
    readings: Sequence[Reading] = ()
    dosed_at: datetime | None = None
    has_ride: bool = False
    is_decided: bool = False  # a prescriber said to give it in spite of the pressure
    sedation_gone: bool = False
    dissociation_gone: bool = False
    ride_here: bool = False
    is_stable: bool = False
    left_at: datetime | None = None


@dataclass(frozen=True)
class Next:
    """The next duty and when; `minute` of a check. `is_over`: its time has passed."""

    duty: Duty
    at: datetime
    minute: int | None = None
    is_over: bool = False
    is_soon: bool = False


def reading_of(watched: Watched, moment: str) -> Reading | None:
    """The last reading of a moment; of two at one instant the one that was written down later."""
    found = sorted((each for each in watched.readings if each.moment == moment), key=lambda each: each.taken_at)
    return found[-1] if found else None


def is_held(watched: Watched) -> bool:
    """The last pressure before the dose is over the limit, and nobody decided."""
    before = reading_of(watched, BEFORE)
    if before is None or watched.dosed_at is not None or watched.is_decided:
        return False
    return rules.is_high(before.systolic, before.diastolic, watched.watch.hold_over)


def may_leave_from(watched: Watched) -> datetime | None:
    """When the least time of watching is over; None before the dose."""
    if watched.dosed_at is None:
        return None
    return watched.dosed_at + timedelta(minutes=watched.watch.minimum_minutes)


def following(watched: Watched, now: datetime) -> Next:
    """The one thing that is next for this person."""
    if watched.left_at is not None:
        return Next(Duty.DONE, watched.left_at)
    if watched.dosed_at is None:
        return _before_dose(watched, now)
    for minute in watched.watch.check_minutes:
        if reading_of(watched, str(minute)) is None:
            at = watched.dosed_at + timedelta(minutes=minute)
            return Next(Duty.CHECK, at, minute, is_over=now > at, is_soon=now >= at - SOON)
    ends = may_leave_from(watched)
    assert ends is not None
    if now < ends:
        return Next(Duty.WATCH, ends)
    return Next(Duty.LEAVE, ends, is_over=True)


def _before_dose(watched: Watched, now: datetime) -> Next:
    if not watched.is_here:
        return Next(Duty.WAIT if watched.has_ride else Duty.RIDE, watched.starts_at)
    if reading_of(watched, BEFORE) is None:
        return Next(Duty.PRESSURE_BEFORE, watched.starts_at, is_over=now > watched.starts_at, is_soon=True)
    if is_held(watched):
        return Next(Duty.DECIDE, watched.starts_at, is_over=True)
    if not watched.has_ride:
        return Next(Duty.RIDE, watched.starts_at, is_over=True)
    return Next(Duty.DOSE, watched.starts_at, is_over=now > watched.starts_at)


# The order of the board where two duties fall on one minute: what cannot wait comes first.
_RANK = {Duty.CHECK: 0, Duty.PRESSURE_BEFORE: 1, Duty.LEAVE: 2, Duty.DECIDE: 3, Duty.DOSE: 4}


def order_key(step: Next) -> tuple[bool, datetime, int]:
    """Soonest duty first; who has left comes last."""
    return (step.duty is Duty.DONE, step.at, _RANK.get(step.duty, 9))


def missing_to_dose(watched: Watched, checks: Collection[str]) -> list[str]:
    """What stands against the dose: words for each. `checks`: what of the list is confirmed or on record."""
    found = [
        words for key, words in rules.BEFORE_DOSE.items() if key in watched.watch.before_dose and key not in checks
    ]
    if reading_of(watched, BEFORE) is None:
        found.append("A blood pressure before the dose")
    elif is_held(watched):
        limit = watched.watch.hold_over
        found.append(f"A prescriber's decision: the pressure is over {limit['systolic']}/{limit['diastolic']}")
    return found


def missing_to_close(watched: Watched, now: datetime) -> list[str]:
    """What stands against leaving: the time, three blood pressures, and the leaving list."""
    if watched.dosed_at is None:
        return ["The dose was not given"]
    found = []
    ends = may_leave_from(watched)
    assert ends is not None
    if now < ends:
        found.append(f"{watched.watch.minimum_minutes} minutes of watching: {_minutes(ends - now)} min left")
    wanted = [(BEFORE, "before the dose"), *((str(m), f"at {m} minutes") for m in watched.watch.check_minutes)]
    found += [f"The blood pressure {words}" for moment, words in wanted if reading_of(watched, moment) is None]
    leaving = reading_of(watched, LEAVING)
    if leaving is None:
        found.append("The last blood pressure, before leaving")
    for done, words in (
        (watched.sedation_gone, "Sleepiness gone"),
        (watched.dissociation_gone, "Feeling of distance gone"),
        (watched.ride_here, "The ride is here"),
        (watched.is_stable, "A clinician judges the person stable"),
    ):
        if not done:
            found.append(words)
    return found


def _minutes(span: timedelta) -> int:
    return max(1, -(-int(span.total_seconds()) // 60))
