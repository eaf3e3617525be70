"""The fewest changes of facts that can still change by which a trial would count, searched up to three."""

import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Any, NamedTuple

from clinic.eligibility.engine.record import Span, Step, Trial, tidy
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.trials import Facts, Setting, Weighed, amount, dose_unit, is_adequate, read, weeks_text

MOST = 3  # changed facts; beyond these nobody acts on the answer
NO_CHANGE = f"No change of up to {('no', 'one', 'two', 'three')[MOST]} facts would make this trial count."

# Verdicts that more weeks, a higher dose or an answer could have turned. The others stand whatever is learned.
_CHANGEABLE = ("inadequate_dose", "inadequate_duration", "inadequate_adherence", "undetermined")
_ON_RECORD = ("pharmacy", "chart")  # what these say of the past is not corrected by asking
_SAME = 1e-9


class Change(NamedTuple):
    """One field of the row and the value that it would need. `is_past` where it replaces what was stated of the past."""

    field: str
    before: Any
    after: Any
    words: str
    parsed: Any  # the value as the row holds it
    is_past: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "from": self.before, "to": self.after}


def _plain(value: Any) -> Any:
    return value.to_json() if isinstance(value, Span) else value


def changes_to_count(row: Weighed, setting: Setting, rules: RuleSet) -> tuple[Change, ...] | None:
    """The fewest changes that make the row adequate by itself; None where no change of up to three facts does."""
    if row.verdict not in _CHANGEABLE:
        return None
    if row.facts.drug is None:
        return _by_another_name(row.facts, setting, rules)
    return _changes(row.facts, setting, rules, MOST)


def _changes(facts: Facts, setting: Setting, rules: RuleSet, most: int) -> tuple[Change, ...] | None:
    if facts.drug is None or facts.drug.kind != "antidepressant":
        return None
    answers = _answers(facts, rules)
    if len(answers) > most or (any(each.is_past for each in answers) and not _can_be_corrected(facts.trial)):
        return None
    amounts = _amounts(facts, rules)
    for size in range(_fewest(facts, rules), most - len(answers) + 1):
        for chosen in combinations(amounts, size):
            found = (*chosen, *answers)
            if found and (_surely_turn(facts, found, rules) or _turns(facts.trial, found, setting, rules)):
                return found
    return None


def _by_another_name(facts: Facts, setting: Setting, rules: RuleSet) -> tuple[Change, ...] | None:
    """The first of the near names under which the row would count, with what else it would need."""
    written = facts.trial.drug
    for shown in facts.match.suggestions if facts.match else ():
        name = shown.split(" (")[0]
        change = Change("drug", written, name, f"the medicine was {shown}", name)
        named = read(with_changes(facts.trial, (change,)), setting, rules)
        if is_adequate(named, rules.min_weeks):
            return (change,)
        more = _changes(named, setting, rules, MOST - 1)
        if more is not None:
            return (change, *more)
    return None


def _fewest(facts: Facts, rules: RuleSet) -> int:
    """How many amounts have to change at least; steps hold dose and weeks in one."""
    short_dose = facts.min_dose is not None and facts.dose.low < facts.min_dose - _SAME and not facts.by_level
    short_weeks = facts.at_dose.low < rules.min_weeks - _SAME
    return int(short_dose or short_weeks) if facts.trial.steps else int(short_dose) + int(short_weeks)


def would_count_if(row: Weighed, changes: tuple[Change, ...] | None, rules: RuleSet) -> dict[str, Any] | None:
    """The changes as the output shows them."""
    if changes is None:
        return None
    return {"changes": [each.to_json() for each in changes], "text": _sentence(row.facts, changes, rules.min_weeks)}


def could_ever_change(row: Weighed) -> bool:
    """Whether the verdict is of a kind that other facts could have turned."""
    return row.verdict in _CHANGEABLE and row.facts.drug is not None


def with_changes(trial: Trial, changes: Iterable[Change]) -> Trial:
    """The row with the changes made."""
    return trial.model_copy(update={each.field: each.parsed for each in changes})


_PLAIN_ANSWERS = frozenset({"adherence", "outcome", "in_current_episode", "purpose", "role"})
_PLAIN_AMOUNTS = frozenset({"dose_mg_per_day", "weeks_at_dose"})


def _surely_turn(facts: Facts, changes: Sequence[Change], rules: RuleSet) -> bool:
    """Whether the changes give all that the row lacks, and nothing on record can contradict them."""
    trial, match = facts.trial, facts.match
    return (
        all(
            each.field in _PLAIN_AMOUNTS
            or (each.field in _PLAIN_ANSWERS and (each.before in (None, "unknown") or each.field == "adherence"))
            for each in changes
        )
        and not trial.steps
        and trial.started_on is None
        and facts.all_weeks.high >= rules.min_weeks
        and trial.missed_doses_per_week is None
        and trial.improvement_percent is None
        and trial.weeks_well_after is None
        and (match is None or match.purpose is None)
    )


def _turns(trial: Trial, changes: Sequence[Change], setting: Setting, rules: RuleSet) -> bool:
    return is_adequate(read(with_changes(trial, changes), setting, rules), rules.min_weeks)


def apply(trial: Trial, values: dict[str, Any]) -> Trial:
    """The row with some fields replaced by values as they are written in a record."""
    return Trial.model_validate(trial.model_dump(mode="json") | values)


def _exactly(number: float) -> Span:
    return Span(number, number)


def _can_be_corrected(trial: Trial) -> bool:
    """Whether what is stated of the past may turn out to be otherwise, or is not yet the past."""
    return trial.stopped_reason == "ongoing" or trial.documentation not in _ON_RECORD


def _is_past(trial: Trial, value: Span | None, target: float) -> bool:
    """Whether a value that was stated rules the target out, and the attempt is over."""
    return (
        trial.stopped_reason != "ongoing"
        and value is not None
        and not value.low - _SAME <= target <= value.high + _SAME
    )


def _amounts(facts: Facts, rules: RuleSet) -> list[Change]:
    """Dose and length as they would need to be, those that most often suffice first."""
    trial, found = facts.trial, []
    assert facts.min_dose is not None
    short_dose = facts.dose.low < facts.min_dose - _SAME and not facts.by_level
    short_weeks = facts.at_dose.low < rules.min_weeks - _SAME
    if trial.steps and (short_dose or short_weeks):
        found.append(_steps(facts, rules))
    if short_dose and (not trial.steps or trial.dose_mg_per_day is not None):
        words = f"the dose was {amount(facts.min_dose)} {dose_unit(facts.drug)}"
        before, after = _plain(trial.dose_mg_per_day), tidy(facts.min_dose)
        past = _is_past(trial, trial.dose_mg_per_day, facts.min_dose)
        found.append(Change("dose_mg_per_day", before, after, words, _exactly(facts.min_dose), past))
    if short_weeks and (not trial.steps or trial.weeks_at_dose is not None):
        words = f"it was held for {weeks_text(rules.min_weeks)}"
        before, after = _plain(trial.weeks_at_dose), tidy(rules.min_weeks)
        past = _is_past(trial, trial.weeks_at_dose, rules.min_weeks)
        found.append(Change("weeks_at_dose", before, after, words, _exactly(rules.min_weeks), past))
    if short_weeks:
        found += _longer(facts, rules)
    return [each for each in found if not each.is_past or _can_be_corrected(trial)]


def _answers(facts: Facts, rules: RuleSet) -> list[Change]:
    """What is open or in doubt and has to be answered, each by one change."""
    trial = facts.trial
    found = [*_taken_as_prescribed(facts, rules), *_did_not_help(facts)]
    rows: tuple[tuple[str, Any, bool, str], ...] = (
        ("in_current_episode", True, facts.in_episode is None, "it was in the current episode"),
        ("purpose", "depression", facts.purpose is None, "it was taken for depression"),
        ("role", "alone", trial.role is None, "it was taken alone"),
    )
    for name, value, is_open, words in rows:
        if not is_open:
            continue
        if name == "in_current_episode" and trial.in_current_episode:  # stated; what contradicts it is in the way
            well = trial.weeks_well_after
            if well is not None and well.high >= rules.new_episode_after_weeks_well:
                words = "there was no time well after it"
                found.append(Change("weeks_well_after", well.to_json(), 0, words, Span(0, 0)))
        else:
            found.append(Change(name, getattr(trial, name), value, words, value))
    return found


def _taken_as_prescribed(facts: Facts, rules: RuleSet) -> list[Change]:
    if facts.adherence == "good":
        return []
    trial, found = facts.trial, []
    missed, stated = trial.missed_doses_per_week, trial.adherence
    most = math.floor(7 * (100 - rules.adherence_min_percent)) / 100
    said_good, said_bad = stated == "good", stated in ("partial", "poor")
    # Doses that may be few enough decide nothing beside what is stated: that alone has to be otherwise.
    if missed is not None and missed.high > most + _SAME and (missed.low > most + _SAME or not said_bad):
        after = missed.low if missed.low <= most else 0
        doses = "dose a week was" if after == 1 else "doses a week were"
        words = f"no more than {amount(after)} {doses} missed" if after else "no doses were missed"
        is_past = _is_past(trial, missed, after)
        found.append(Change("missed_doses_per_week", _plain(missed), tidy(after), words, _exactly(after), is_past))
    if not said_good and (missed is None or missed.high <= most + _SAME or said_bad):
        is_past = said_bad and trial.stopped_reason != "ongoing"
        found.append(Change("adherence", stated, "good", "it was taken as prescribed", "good", is_past))
    return found


def _did_not_help(facts: Facts) -> list[Change]:
    if facts.outcome is not None:
        return []
    trial = facts.trial
    percent, words = trial.improvement_percent, "it did not help enough"
    if percent is not None and percent.high >= 50 and trial.outcome in (None, "unknown", "none", "partial"):
        after = percent.low if percent.low < 50 else 0
        said = f"it helped by {amount(after)} percent or less"
        return [Change("improvement_percent", _plain(percent), tidy(after), said, _exactly(after))]
    return [Change("outcome", trial.outcome, "none", words, "none")]


def _steps(facts: Facts, rules: RuleSet) -> Change:
    """The steps with the best one raised to the least dose and length."""
    steps = facts.trial.steps or []
    assert facts.min_dose is not None
    # A dose that nobody knows may have been enough; weeks without the drug were not.
    at = max(range(len(steps)), key=lambda each: (_was_taken(steps[each]), steps[each].dose or Span(0, 0), each))
    before = [step.model_dump(mode="json") for step in steps]
    dose, weeks = steps[at].dose, steps[at].weeks
    step = {
        "dose": _plain(dose) if dose and dose.low >= facts.min_dose else tidy(facts.min_dose),
        "weeks": _plain(weeks) if weeks and weeks.low >= rules.min_weeks else tidy(rules.min_weeks),
    }
    after = [*before[:at], step, *before[at + 1 :]]
    parsed = [*steps[:at], Step.model_validate(step), *steps[at + 1 :]]
    unit = dose_unit(facts.drug)
    words = f"at least {amount(facts.min_dose)} {unit} was held for {weeks_text(rules.min_weeks)}"
    stated = ((dose, facts.min_dose), (weeks, rules.min_weeks))
    past = any(_is_past(facts.trial, span, max(least, span.low)) for span, least in stated if span)
    return Change("steps", before, after, words, parsed, past)


def _was_taken(step: Step) -> bool:
    return step.dose is None or step.dose.high > 0


def _longer(facts: Facts, rules: RuleSet) -> list[Change]:
    """Weeks in all and the last day, where they stand in the way of the weeks at dose."""
    trial, found = facts.trial, []
    total = rules.min_weeks + sum((step.weeks.low if step.weeks else 0) for step in (trial.steps or ())[:-1])
    total = math.ceil(total * 100 - 1e-6) / 100  # shown with two decimals: rounded down it would be too short
    if trial.weeks is not None and trial.weeks.low < total:
        words = f"it was taken for {weeks_text(total)} in all"
        past = _is_past(trial, trial.weeks, total)
        found.append(Change("weeks", _plain(trial.weeks), tidy(total), words, _exactly(total), past))
    if trial.stopped_on is not None and trial.started_on is not None and len(trial.started_on) == 10:
        try:
            day = (date.fromisoformat(trial.started_on) + timedelta(days=round(total * 7 + 0.5))).isoformat()
        except OverflowError:
            return found
        past = trial.stopped_reason != "ongoing" and not day.startswith(trial.stopped_on)
        found.append(Change("stopped_on", trial.stopped_on, day, f"it was taken until {day}", day, past))
    return found


def _sentence(facts: Facts, changes: tuple[Change, ...], needed: float) -> str:
    """Ongoing and only too short: what is still to come. Else: what would have made it count."""
    fields = {each.field for each in changes}
    held = facts.at_dose
    weeks = next((each.after for each in changes if each.field == "weeks_at_dose"), None)
    only_time = fields <= {"weeks_at_dose", "weeks"} and held.low == held.high
    if weeks is not None and only_time and facts.trial.stopped_reason == "ongoing":
        exact = facts.dose.low == facts.dose.high
        dose = f" at {amount(facts.dose.low)} {dose_unit(facts.drug)}" if exact else ""
        return f"{weeks_text(weeks - held.low)} more{dose} and this trial counts."
    if facts.trial.stopped_reason == "ongoing" and fields <= {"dose_mg_per_day", "weeks_at_dose", "weeks", "steps"}:
        assert facts.min_dose is not None
        least = f"{amount(facts.min_dose)} {dose_unit(facts.drug)}"
        return f"Counts once at least {least} has been held for {weeks_text(needed)}."
    words = [each.words for each in changes if each.field != "weeks" or len(changes) == 1]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    if any(each.is_past for each in changes):
        return f"Counts if a pharmacy or chart record shows that {listed}."
    return f"Counts if {listed}."
