"""Medicines taken at the same time: combinations, augmentations, and the weeks of changing over."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from typing import Any

from clinic.eligibility.engine import knowledge, logic
from clinic.eligibility.engine.record import Span, partial_date, tidy
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.trials import Facts, Verdict, Weighed, span_text, span_weeks, weeks_text

WEEK = 7
_SAME = 1e-9
_YEAR = 4  # a date known to the year says nothing about what was taken beside it

COMBINATION = "trial_adequacy.counting_rules.combination: recalled"
AUGMENTATION = "trial_adequacy.counting_rules.augmentation: seen (policies differ)"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time at dose; each end, counted in days, is known to lie between two."""

    start: Span
    end: Span


def stretch(facts: Facts) -> Stretch | None:
    """When the medicine was taken at its dose; None where the dates do not say it to the month."""
    taken = _taken(facts)
    if taken is None:
        return None
    steps = facts.trial.steps
    if steps and all(step.weeks is not None and step.weeks.low == step.weeks.high for step in steps):
        offset = _offset_of_run(facts)
        start = Span(taken.start.low + offset, taken.start.high + offset)
        held = facts.at_dose.low * WEEK
        return Stretch(start, Span(start.low + held, start.high + held))
    held = facts.at_dose.low * WEEK
    latest_start = max(taken.start.high, taken.end.high - held)
    earliest_end = min(taken.end.low, taken.start.low + held)
    return Stretch(Span(taken.start.low, latest_start), Span(earliest_end, taken.end.high))


def _taken(facts: Facts) -> Stretch | None:
    trial, weeks = facts.trial, facts.all_weeks
    start = _days(trial.started_on)
    end = _days(trial.stopped_on)
    if trial.stopped_on is None and trial.stopped_reason == "ongoing" and facts.as_of is not None:
        end = Span(facts.as_of.toordinal(), facts.as_of.toordinal())
    if (start is None and end is None) or (weeks.high == math.inf and (start is None or end is None)):
        return None
    if end is None and start is not None:
        end = Span(start.low + weeks.low * WEEK, start.high + weeks.high * WEEK)
    elif start is None and end is not None:
        start = Span(end.low - weeks.high * WEEK, end.high - weeks.low * WEEK)
    assert start is not None
    assert end is not None
    return Stretch(start, end) if start.low <= end.high else None


def _days(text: str | None) -> Span | None:
    if text is None or len(text) == _YEAR:
        return None
    first, last = partial_date(text)
    return Span(first.toordinal(), last.toordinal())


def _offset_of_run(facts: Facts) -> float:
    """Days from the first day to the longest run at dose."""
    best = run = offset = at = 0.0
    least = facts.min_dose if facts.min_dose is not None and not facts.by_level else _SAME
    for step in facts.trial.steps or ():
        assert step.weeks is not None
        weeks = step.weeks.low
        if step.dose is not None and step.dose.low >= least - _SAME:
            run += weeks
            if run > best:
                best, offset = run, at + weeks - run
        elif step.dose is not None and step.dose.high > 0:
            run = 0.0
        at += weeks
    return offset * WEEK


# Combination


@dataclass(frozen=True, slots=True)
class Combination:
    """Two antidepressants at dose at the same time for as long as a trial; `once` where neither was adequate alone.

    `added`: the row of another class that came to its dose while the other one was held, an augmentation by the dates.
    """

    trials: tuple[int, int]
    weeks: Span
    since: date
    until: date
    once: bool | None
    added: int | None = None

    @property
    def text(self) -> str:
        said = f"Taken together for {span_text(self.weeks)} weeks, from {self.since} to {self.until}"
        kind = "combination trial" if self.added is None else "augmentation trial with a second antidepressant"
        if self.once:
            return f"{said}: one {kind}, neither was adequate alone."
        if self.once is None:
            return f"{said}, as far as the dates tell: it may be one {kind}. A clinician looks."
        return f"{said}: one {kind}; one was adequate alone, and each counts."

    def to_json(self) -> dict[str, Any]:
        return {
            "trials": list(self.trials),
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
            "weeks": self.weeks.to_json(),
            "counts_once": self.once,
            "added": self.added,
            "text": self.text,
            "source": COMBINATION,
        }


def _overlap(one: Stretch, other: Stretch) -> Span:
    low = min(one.end.low, other.end.low) - max(one.start.high, other.start.high)
    high = min(one.end.high, other.end.high) - max(one.start.low, other.start.low)
    return Span(max(0.0, low), max(0.0, high))


def _alone(one: Stretch, other: Stretch) -> Span:
    """Days at dose before the other came to its dose, or after it had gone, whichever is longer."""
    before = Span(max(0.0, other.start.low - one.start.high), max(0.0, other.start.high - one.start.low))
    after = Span(max(0.0, one.end.low - other.end.high), max(0.0, one.end.high - other.end.low))
    return Span(max(before.low, after.low), max(before.high, after.high))


def _day(days: float) -> date:
    return date.min + timedelta(days=min(max(days, 1), 3_650_000) - 1)


def combinations(rows: Sequence[Weighed], min_weeks: float) -> list[Combination]:
    """Pairs of adequate antidepressants that were, or may have been, at dose together for `min_weeks`."""
    dated = [
        (row, found)
        for row in rows
        if row.own.verdict == "adequate"
        and (row.facts.trial.started_on is not None or row.facts.trial.stopped_on is not None)
        and (found := stretch(row.facts)) is not None
    ]
    needed = min_weeks * WEEK - _SAME
    pairs = []
    for at, (one, first) in enumerate(dated):
        for other, second in dated[at + 1 :]:
            if one.group == other.group:
                continue
            overlap = _overlap(first, second)
            if overlap.high < needed:
                continue
            pair = _combination((one.index, other.index), first, second, overlap, needed)
            pairs.append(replace(pair, added=_added((one, first), (other, second))))
    return pairs


def _added(one: tuple[Weighed, Stretch], other: tuple[Weighed, Stretch]) -> int | None:
    """The row that for sure came to its dose after the other, where the two are of different classes."""
    drugs = (one[0].facts.drug, other[0].facts.drug)
    if drugs[0] is None or drugs[1] is None or drugs[0].drug_class == drugs[1].drug_class:
        return None
    if one[1].start.high < other[1].start.low:
        return other[0].index
    return one[0].index if other[1].start.high < one[1].start.low else None


def _combination(pair: tuple[int, int], first: Stretch, second: Stretch, overlap: Span, needed: float) -> Combination:
    own = [_alone(first, second), _alone(second, first)]
    once = logic.all_of(
        [
            logic.same_for_all(overlap.low >= needed, overlap.high >= needed),
            *(logic.same_for_all(each.low < needed, each.high < needed) for each in own),
        ]
    )
    weeks = Span(tidy(overlap.low / WEEK), tidy(overlap.high / WEEK))
    since = _day(max(first.start.low, second.start.low))
    until = _day(min(first.end.high, second.end.high))
    return Combination(pair, weeks, since, until, once)


def count(rows: Sequence[Weighed], pairs: Sequence[Combination]) -> int:
    """How many different antidepressants count, where a combination that the dates show for sure counts once.

    Two medicines are one only if every adequate row of the one was taken together with every adequate row of the
    other; more rows can therefore never lower the count.
    """
    groups: dict[str, list[int]] = {}
    for row in rows:
        if row.own.verdict == "adequate":
            groups.setdefault(row.group, []).append(row.index)
    once = {frozenset(pair.trials) for pair in pairs if pair.once}
    if not once:
        return len(groups)
    joined = {
        one: {
            other
            for other, theirs in groups.items()
            if other != one and all(frozenset((mine, each)) in once for mine in ours for each in theirs)
        }
        for one, ours in groups.items()
    }
    return _most_apart(joined)


def _most_apart(joined: dict[str, set[str]]) -> int:
    """The most medicines of which no two are joined."""
    if not joined:
        return 0
    at = max(joined, key=lambda each: len(joined[each]))
    if not joined[at]:
        return len(joined)
    without = {key: others - {at} for key, others in joined.items() if key != at}
    gone = joined[at] | {at}
    kept = {key: others - gone for key, others in joined.items() if key not in gone}
    return max(_most_apart(without), 1 + _most_apart(kept))


# Changing over


def without_cross_taper(facts: Sequence[Facts], rules: RuleSet) -> list[Facts]:
    """The rows without the weeks in which one medicine came in or went out below its least dose beside another.

    Only where both rows give their steps and their first day: otherwise nobody can tell.
    """
    found = list(facts)
    if rules.cross_taper_counts:
        return found
    paths = {at: path for at, each in enumerate(facts) if (path := _path(each)) is not None}
    if len(paths) < 2:
        return found
    for at, path in paths.items():
        mine = facts[at]
        left_out = [
            low
            for other, theirs in paths.items()
            if other != at and facts[other].drug is not mine.drug
            for low in _low_ends(theirs, path)
        ]
        if not left_out:
            continue
        held = _longest(path, left_out, rules.forgiven_gap_weeks) / WEEK
        if held < mine.at_dose.low - _SAME:
            lost = mine.at_dose.low - held
            found[at] = mine._replace(at_dose=Span(held, held), cross_taper_weeks=tidy(lost))
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    first: float
    last: float
    is_at_dose: bool
    is_gap: bool


def _path(facts: Facts) -> list[_Part] | None:
    """The parts of a row day by day; None where steps or the first day are not exact, or it is no antidepressant."""
    trial, least = facts.trial, facts.min_dose
    if not trial.steps or least is None or facts.by_level or facts.drug is None or facts.drug.kind != "antidepressant":
        return None
    if trial.started_on is None or len(trial.started_on) != 10:
        return None
    at = float(date.fromisoformat(trial.started_on).toordinal())
    parts = []
    for step in trial.steps:
        if (
            step.dose is None
            or step.weeks is None
            or step.dose.low != step.dose.high
            or step.weeks.low != step.weeks.high
        ):
            return None
        last = at + step.weeks.low * WEEK
        parts.append(_Part(at, last, step.dose.low >= least - _SAME, step.dose.high == 0))
        at = last
    return parts


def _low_ends(theirs: list[_Part], mine: list[_Part]) -> list[tuple[float, float]]:
    """Their first and last parts below the least dose, where the one row follows on the other."""
    coming = _while_low(theirs) if theirs[0].first > mine[0].first else []
    going = _while_low(reversed(theirs)) if theirs[-1].last < mine[-1].last else []
    return [(first, last) for first, last in (*coming, *going) if last > mine[0].first and first < mine[-1].last]


def _while_low(parts: Iterable[_Part]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for part in parts:
        if part.is_at_dose:
            return found
        if not part.is_gap:
            found.append((part.first, part.last))
    return []


def _longest(path: list[_Part], left_out: list[tuple[float, float]], forgiven: float) -> float:
    """Days of the longest run at dose, what is left out breaking it, one short gap forgiven."""
    best = 0.0
    for start in range(len(path)):
        run, forgiven_one = 0.0, False
        for part in path[start:]:
            if part.is_gap and run and not forgiven_one and part.last - part.first <= forgiven * WEEK + _SAME:
                forgiven_one = True
                continue
            if not part.is_at_dose:
                break
            at = part.first
            for first, last in sorted(left_out):
                if first < part.last and last > at:
                    best = max(best, run + max(0.0, first - at))
                    at, run = max(at, min(last, part.last)), 0.0
            run += part.last - at
            best = max(best, run)
    return best


# Augmentation


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One add-on, judged from the day it reached its dose while the base medicine stayed at its own."""

    index: int
    agent: str | None
    agent_class: str | None
    base: tuple[int, ...]
    verdict: Verdict
    weeks: Span
    text: str
    source: str

    @property
    def counts(self) -> bool | None:
        return {"adequate": True, "undetermined": None}.get(self.verdict, False)

    def to_json(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "agent": self.agent,
            "agent_class": self.agent_class,
            "base": list(self.base),
            "verdict": self.verdict,
            "weeks": None if self.weeks.high == math.inf else self.weeks.to_json(),
            "text": self.text,
            "source": self.source,
        }


def is_add_on(row: Weighed) -> bool:
    drug = row.facts.drug
    return row.facts.trial.role == "add_on" or (drug is not None and drug.kind == "augmentation")


def augmentations(rows: Sequence[Weighed], weeks: float | None = None) -> list[Augmentation]:
    """Every add-on with its verdict; `weeks` where a policy asks for another length than the agent's own."""
    added = [row for row in rows if is_add_on(row)]
    if not added:
        return []
    bases = [
        row
        for row in rows
        if not is_add_on(row)
        and row.facts.drug is not None
        and row.facts.drug.kind == "antidepressant"
        and row.facts.min_dose is not None
        and row.facts.dose.high >= row.facts.min_dose
    ]
    times = [(row.index, stretch(row.facts)) for row in bases]
    return [_augmentation(row, times, weeks) for row in added]


_Times = Sequence[tuple[int, Stretch | None]]


def _augmentation(row: Weighed, bases: _Times, weeks: float | None) -> Augmentation:
    facts, drug = row.facts, row.facts.drug
    needed = weeks or (drug.adequate_weeks if drug else None) or 6
    beside, held, alone = _beside(facts, bases)
    verdict, text = _judge(facts, held, needed, alone)
    source = f"{AUGMENTATION}; {drug.source}" if drug else AUGMENTATION
    agent_class = (drug.augmentation_class or "antidepressant_combination") if drug else None
    return Augmentation(row.index, drug.id if drug else None, agent_class, beside, verdict, held, text, source)


def _beside(facts: Facts, bases: _Times) -> tuple[tuple[int, ...], Span, bool]:
    """Base medicines at the time, the weeks beside the best of them, and whether there was none for sure."""
    if any(each is None for _, each in bases) or (mine := stretch(facts)) is None:
        return (), facts.at_dose, False
    overlaps = [(index, _overlap(mine, each)) for index, each in bases if each is not None]
    together = [(index, span) for index, span in overlaps if span.high > 0]
    if not together:
        return (), facts.at_dose, bool(bases)
    best = max(together, key=lambda each: (each[1].low, each[1].high))[1]
    low, high = best.low / WEEK, best.high / WEEK
    held = Span(min(low, facts.at_dose.low), min(high, facts.at_dose.high))
    return tuple(index for index, _ in together), held, False


@cache
def _micrograms() -> dict[str, tuple[float, float]]:
    rows = knowledge.drug_rules()["micrograms"]
    return {row["drug"]: (row["mg_under"], row["micrograms_from"]) for row in rows}


@cache
def _by_level_alone() -> frozenset[str]:
    return frozenset(row["drug"] for row in knowledge.drug_rules()["levels"] if "dose_alone" in row)


def _enough_dose(facts: Facts) -> bool | None:
    """Whether the agent reached its least dose, in its own unit."""
    drug = facts.drug
    if drug is None or facts.dose.high == math.inf:
        return True if facts.by_level else None
    if drug.id in _by_level_alone():
        return True if facts.by_level else None
    if facts.min_dose is None:
        return None
    dose = facts.dose
    if drug.id in _micrograms():
        mg_under, micrograms_from = _micrograms()[drug.id]
        if dose.high < mg_under:
            dose = Span(dose.low * 1000, dose.high * 1000)
        elif dose.low < micrograms_from:
            return None
    least = facts.min_dose - _SAME
    return logic.same_for_all(dose.low >= least, dose.high >= least)


def _judge(facts: Facts, held: Span, needed: float, alone: bool) -> tuple[Verdict, str]:
    """As of a trial: a certain fault first, then what is missing."""
    if facts.purpose not in (None, "depression"):
        return "not_counted", f"Taken for {facts.purpose}, not for depression."
    if facts.in_episode is False:
        return "not_counted", "Taken in an earlier episode."
    if alone:
        return "not_counted", "No antidepressant at its dose was taken beside it."
    if facts.outcome in ("response", "remission", "lost_response"):
        return "responded", f"It helped: {facts.outcome.replace('_', ' ')}."
    enough = _enough_dose(facts)
    if enough is False:
        return "inadequate_dose", f"Below the least dose of {tidy(facts.min_dose or 0)}."
    if held.high < needed - _SAME:
        return "inadequate_duration", f"{span_weeks(held)}, {weeks_text(needed)} asked for."
    if facts.adherence in ("partial", "poor"):
        return "inadequate_adherence", f"Taken as prescribed only in part: {facts.adherence}."
    missing = _unsaid(facts, enough, held.low >= needed - _SAME)
    if missing:
        return "undetermined", f"Not known: {', '.join(missing)}."
    return "adequate", f"At its dose for {span_text(held)} weeks beside an antidepressant, without enough effect."


def _unsaid(facts: Facts, enough: bool | None, is_long_enough: bool) -> list[str]:
    by_level = facts.drug is not None and facts.drug.id in _by_level_alone()
    rows = (
        ("which medicine", facts.drug is not None),
        ("whether the level was in the window" if by_level else "whether the dose was enough", enough is not None),
        ("the weeks at dose", is_long_enough),
        ("missed doses", facts.adherence is not None),
        ("the outcome", facts.outcome is not None),
        ("the episode", facts.in_episode is not None),
        ("what it was taken for", facts.purpose is not None),
    )
    return [words for words, is_known in rows if not is_known]
