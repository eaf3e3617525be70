"""The medicine history as bars on one time scale, and the facts of each trial beside what the rules ask. No verdicts here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError

from clinic.eligibility import words
from clinic.eligibility.engine import IntakeRecord, together
from clinic.eligibility.engine.record import Span, Trial, partial_date
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.trials import ANY, Facts, Setting, amount, dose_unit, read, span_text
from clinic.web.charts import AddOn, Ending, Level, Segment

FAR_BACK = 3  # years between an earlier episode and this one for which a common scale would be mostly empty
EDGE = timedelta(days=10)  # an end that is known within this is drawn as known
UNKNOWN_RATIO = 0.5  # height of the weeks before the dose was reached: which dose is not known, only that it was lower
SIDE_EFFECTS = "side_effects"
_ENDINGS = {
    "none": Ending.NONE,
    "partial": Ending.PARTIAL,
    "response": Ending.HELPED,
    "remission": Ending.HELPED,
    "lost_response": Ending.LOST,
}


@dataclass(frozen=True)
class Evidence:
    """One fact of a trial. `threshold`: what is asked of this trial alone; `asked_of_all` says the rest."""

    fact: str
    given: str
    threshold: str = ""
    source: str = ""


@dataclass(frozen=True)
class Asked:
    """What a rule set asks of every trial, and where the demand comes from."""

    fact: str
    threshold: str
    source: str


@dataclass(frozen=True)
class Drawn:
    """One row of the picture: bars, what was added to it, and how it ended."""

    segments: tuple[Segment, ...]
    add_ons: tuple[AddOn, ...]
    ending: Ending | None


@dataclass(frozen=True)
class When:
    """When a medicine was taken: each end lies between two days. `ends` None: still taken."""

    starts: tuple[date, date]
    ends: tuple[date, date] | None

    @property
    def is_unsure(self) -> bool:
        sides = [self.starts, *([self.ends] if self.ends else [])]
        return any(last - first > EDGE for first, last in sides)


def facts_of(record: Mapping[str, Any], rules: RuleSet) -> list[Facts]:
    """The trials of a stored record as the engine reads them; none where the record is not one."""
    try:
        checked = IntakeRecord.model_validate(record)
    except ValidationError:
        return []
    setting = Setting.of(checked, rules)
    return together.without_cross_taper([read(trial, setting, rules) for trial in checked.trials or ()], rules)


def draw(facts: Sequence[Facts], today: date, added: Mapping[int, int] | None = None) -> list[Drawn]:
    """A row for each trial, in order. An add-on is drawn on the medicine that it was added to, as well as by itself.

    `added`: rows that by their dates were added to another one, with the row of that one.
    """
    whens = [when(each.trial, min(today, each.as_of) if each.as_of else today) for each in facts]
    known = {index: base for index, base in (added or {}).items() if whens[index] is not None}
    bases = [known.get(index, _base_of(index, facts, whens)) for index in range(len(facts))]
    return [
        Drawn(
            segments=tuple(_segments(each, whens[index], today)),
            add_ons=tuple(_rail(facts[other], whens[other]) for other, base in enumerate(bases) if base == index),
            ending=_ending(each.trial),
        )
        for index, each in enumerate(facts)
    ]


def scale_from(facts: Sequence[Facts], drawn: Sequence[Drawn]) -> date | None:
    """Where the scale begins, so that this episode has room: with its first trial, where earlier episodes lie far back."""
    own = [
        row.segments[0].starts
        for each, row in zip(facts, drawn, strict=True)
        if row.segments and each.in_episode is not False
    ]
    whole = [row.segments[0].starts for row in drawn if row.segments]
    if not own or min(own).year - min(whole).year < FAR_BACK:
        return None
    return min(own)


def when(trial: Trial, today: date) -> When | None:
    """When a trial was taken, as far as its dates and weeks say; None where no day of it is known."""
    starts = _days(trial.started_on)
    ends = _days(trial.stopped_on)
    weeks = trial.weeks
    try:
        if starts is None and ends is not None and weeks is not None:
            starts = (ends[0] - timedelta(weeks=weeks.high), ends[1] - timedelta(weeks=weeks.low))
        if starts is None or starts[0] > today:
            return None
        if ends is None and trial.stopped_reason == "ongoing":
            return When(starts, None)
        if ends is None and weeks is not None:
            ends = (starts[0] + timedelta(weeks=weeks.low), starts[1] + timedelta(weeks=weeks.high))
    except OverflowError:
        return None
    if ends is None:
        ends = (starts[0], today)  # it was begun; when it was stopped nobody said
    ends = (min(ends[0], today), min(ends[1], today))
    return When(starts, ends) if ends[1] >= starts[0] else None


def _days(text: str | None) -> tuple[date, date] | None:
    return partial_date(text) if text is not None else None


def _segments(facts: Facts, taken: When | None, today: date) -> list[Segment]:
    if taken is None:
        return []
    last = min(taken.starts[1], today)
    ratio, level = _height(facts.dose, facts.min_dose)
    if taken.ends is None:
        fringe = _fringe(taken.starts[0], last, ratio)
        return [*fringe, *_core(facts, last if fringe else taken.starts[0], None, today)]
    first_end, last_end = taken.ends
    if last > first_end:
        whole = _height(facts.dose, facts.min_dose)[0]
        if last_end - taken.starts[0] > EDGE and (taken.is_unsure or level is Level.UNSURE):
            return [Segment(taken.starts[0], last_end, Level.UNSURE, whole)]
        return [Segment(taken.starts[0], max(last_end, taken.starts[0]), level, whole)]
    before, after = _fringe(taken.starts[0], last, ratio), _fringe(first_end, last_end, ratio)
    begin = last if before else taken.starts[0]
    end = first_end if after else last_end
    return [*before, *_core(facts, begin, max(end, begin), today), *after]


def _fringe(first: date, last: date, ratio: float) -> list[Segment]:
    """The stretch in which an end lies, where it is long enough to be seen as not sure."""
    return [Segment(first, last, Level.UNSURE, ratio)] if last - first > EDGE else []


def _core(facts: Facts, starts: date, ends: date | None, today: date) -> list[Segment]:
    """The stretch that is sure: dose steps one after the other, or the weeks before the dose was reached and those at it."""
    steps = facts.trial.steps
    if steps and all(step.weeks is not None for step in steps):
        parts = [
            (*_height(step.dose or ANY, facts.min_dose), _middle(step.weeks), step.dose == Span(0, 0)) for step in steps
        ]
        return _scaled(parts, starts, ends, today)
    ratio, level = _height(facts.dose, facts.min_dose)
    total, held = facts.trial.weeks, facts.trial.weeks_at_dose
    if total is not None and held is not None and level is Level.AT and _middle(held) < _middle(total):
        rising = _middle(total) - _middle(held)
        parts = [(UNKNOWN_RATIO, Level.BELOW, rising, False), (ratio, level, _middle(held), False)]
        return _scaled(parts, starts, ends, today)
    return [Segment(starts, ends, level, ratio)]


def _scaled(
    parts: Sequence[tuple[float, Level, float, bool]], starts: date, ends: date | None, today: date
) -> list[Segment]:
    """The parts in a row, stretched to the days between the two ends; a gap stays empty."""
    whole = sum(length for _, _, length, _ in parts)
    days = ((ends or today) - starts).days
    if whole <= 0 or days <= 0:
        return [Segment(starts, ends, parts[-1][1], parts[-1][0])]
    found, gone = [], 0.0
    for number, (ratio, level, length, is_gap) in enumerate(parts, start=1):
        begin = starts + timedelta(days=round(days * gone / whole))
        gone += length
        is_last = number == len(parts)
        end = ends if is_last else starts + timedelta(days=round(days * gone / whole))
        if not is_gap:
            found.append(Segment(begin, end, level, ratio))
    return found


def _height(dose: Span, minimum: float | None) -> tuple[float, Level]:
    """Dose over minimum, and how it stands against it."""
    if minimum is None:
        return 1.0, Level.OTHER
    if dose == ANY:
        return 1.0, Level.UNSURE
    ratio = _middle(dose) / minimum
    if dose.low >= minimum:
        return ratio, Level.AT
    return (ratio, Level.BELOW) if dose.high < minimum else (ratio, Level.UNSURE)


def _middle(span: Span | None) -> float:
    return 0.0 if span is None else (span.low + min(span.high, 10 * span.low + 1)) / 2


def _is_add_on(facts: Facts) -> bool:
    return facts.trial.role == "add_on" or (facts.drug is not None and facts.drug.kind == "augmentation")


def _base_of(index: int, facts: Sequence[Facts], whens: Sequence[When | None]) -> int | None:
    """The antidepressant that an add-on was taken beside for longest: by the days that are sure, then by those that may be."""
    own = whens[index]
    if own is None or not _is_add_on(facts[index]):
        return None
    best: tuple[int, int, int] | None = None
    for other, theirs in enumerate(whens):
        drug = facts[other].drug
        if (
            other == index
            or theirs is None
            or drug is None
            or drug.kind != "antidepressant"
            or _is_add_on(facts[other])
        ):
            continue
        sure = (min(_end(own, 0), _end(theirs, 0)) - max(own.starts[1], theirs.starts[1])).days
        possible = (min(_end(own, 1), _end(theirs, 1)) - max(own.starts[0], theirs.starts[0])).days
        if possible > 0 and (best is None or (max(sure, 0), possible) > best[:2]):
            best = max(sure, 0), possible, other
    return best[2] if best else None


def _end(taken: When, which: int) -> date:
    return taken.ends[which] if taken.ends else date.max


def _rail(facts: Facts, taken: When | None) -> AddOn:
    assert taken is not None
    name = facts.drug.name if facts.drug else facts.trial.drug or "add-on"
    dose = f" {span_text(facts.dose)} mg" if facts.dose != ANY else ""
    return AddOn(taken.starts[0], taken.ends[1] if taken.ends else None, f"{name}{dose}", taken.is_unsure)


def _ending(trial: Trial) -> Ending | None:
    if trial.stopped_reason == "ongoing" and trial.outcome in (None, "unknown"):
        return None
    if trial.stopped_reason == SIDE_EFFECTS and trial.outcome in (None, "unknown", "none"):
        return Ending.SIDE_EFFECTS
    return _ENDINGS.get(trial.outcome or "", Ending.UNKNOWN)


# -- in words -------------------------------------------------------------------------------------------------------


def label(facts: Facts, drawn: Drawn) -> str:
    """What the bars of a row show: dates, length, what was added, how it ended."""
    trial = facts.trial
    started, stopped = words.partial_day(trial.started_on), words.partial_day(trial.stopped_on)
    until = "now" if trial.stopped_reason == "ongoing" else stopped or "a day not known"
    length = words.weeks(trial.weeks.to_json()) if trial.weeks else ""
    said = f"{started or 'A day not known'} to {until}" if started or stopped else "Dates not known"
    parts = [said, length, *(f"with {each.label} added" for each in drawn.add_ons)]
    if trial.outcome:
        parts.append(words.OUTCOMES[trial.outcome].lower())
    return ", ".join(part for part in parts if part)


def steps(facts: Facts) -> str:
    """`50 mg for 2 weeks, then 100 mg for 8 weeks`; empty where one dose was given."""
    rows = facts.trial.steps or ()
    return ", then ".join(
        f"{'no dose' if step.dose == Span(0, 0) else f'{span_text(step.dose)} mg' if step.dose else 'a dose not known'}"
        f" for {words.weeks(step.weeks.to_json()) if step.weeks else 'a time not known'}"
        for step in rows
    )


def asked_of_all(rules: RuleSet) -> list[Asked]:
    """What is asked of every trial alike; the least dose is each medicine's own and stands with the trial."""
    return [
        Asked("Weeks at this dose", f"at least {amount(rules.min_weeks)}", f"rule set {rules.id} {rules.version}"),
        Asked("Taken as prescribed", "good (at least 80 percent)", "trial_adequacy.adherence: seen"),
        Asked("What it did", "no change, or partial", "trial_adequacy.response: seen; recalled"),
        Asked("This episode", "yes", "trial_adequacy.episode_scope: seen"),
        Asked("Taken for, and how", "depression, alone", "trial_adequacy.counting_rules: recalled"),
    ]


def evidence(facts: Facts, source: str) -> list[Evidence]:
    """Each fact that the verdict rests on; with the dose what is asked of this medicine, and by which source."""
    trial, unit = facts.trial, dose_unit(facts.drug)
    least = f"at least {amount(facts.min_dose)} {unit}" if facts.min_dose is not None else "no minimum is held"
    strict = facts.drug.strict_min if facts.drug else None
    if strict is not None and facts.min_dose is not None and strict > facts.min_dose:
        least = f"{least}; the strictest source asks for {amount(strict)}"
    missed = f", {span_text(trial.missed_doses_per_week)} doses a week missed" if trial.missed_doses_per_week else ""
    improved = f", {span_text(trial.improvement_percent)} percent better" if trial.improvement_percent else ""
    given = "not known" if facts.dose == ANY else f"{span_text(facts.dose)} {unit}"
    given = f"{given}, a level in the window stands for it" if facts.by_level else given
    how = (trial.role or "alone or added not known").replace("_", "-")
    rows = [
        Evidence("Dose", given, least, source),
        Evidence("Weeks at this dose", "not known" if facts.at_dose == ANY else span_text(facts.at_dose)),
        Evidence("Taken as prescribed", (facts.adherence or "not known") + missed),
        Evidence("What it did", words.OUTCOMES[facts.outcome or "unknown"].lower() + improved),
        Evidence("This episode", {True: "yes", False: "no, an earlier one", None: "not known"}[facts.in_episode]),
        Evidence("Taken for, and how", f"{facts.purpose or 'not known'}, {how}"),
        Evidence("Stopped because", words.STOPPED[trial.stopped_reason or "unknown"]),
    ]
    if trial.side_effect:
        rows.append(Evidence("Side effect", _side_effect(trial)))
    return rows


def _side_effect(trial: Trial) -> str:
    day = words.partial_day(trial.side_effect_on)
    sure = {True: "confirmed by a clinician", False: "not confirmed", None: ""}[trial.side_effect_confirmed]
    return ", ".join(part for part in (trial.side_effect, day, sure) if part)
