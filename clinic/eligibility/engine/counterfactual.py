"""The smallest change of still-open facts by which a trial would count."""

import math
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from clinic.eligibility.engine.record import Span, Step, Trial, tidy
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.trials import Facts, Setting, Weighed, amount, dose_unit, judge, read, weeks_text

# Verdicts that more weeks, a higher dose or an answer could have turned. The others stand whatever is learned.
_CHANGEABLE = ("inadequate_dose", "inadequate_duration", "inadequate_adherence", "undetermined")


@dataclass(frozen=True, slots=True)
class Change:
    """One field of the row and the value that it would need."""

    field: str
    before: Any
    after: Any
    words: str
    parsed: Any  # the value as the row holds it

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "from": self.before, "to": self.after}


def _plain(value: Any) -> Any:
    return value.to_json() if isinstance(value, Span) else value


def would_count_if(row: Weighed, setting: Setting, rules: RuleSet) -> dict[str, Any] | None:
    """Changes that make the row adequate by itself, none of them needless; null where nothing open could."""
    if row.verdict not in _CHANGEABLE or row.facts.drug is None or row.facts.drug.kind != "antidepressant":
        return None
    trial = row.facts.trial
    amounts, answers = _amounts(row.facts, rules), _answers(row.facts)
    if not _turns(trial, (*amounts, *answers), setting, rules):
        return None
    # An answer is needed whenever it is listed; of the amounts one can stand for another.
    for change in reversed(amounts) if len(amounts) > 1 else ():
        fewer = [each for each in amounts if each is not change]
        if _turns(trial, (*fewer, *answers), setting, rules):
            amounts = fewer
    chosen = (*amounts, *answers)
    return {"changes": [each.to_json() for each in chosen], "text": _sentence(row.facts, chosen)}


def _turns(trial: Trial, changes: tuple[Change, ...], setting: Setting, rules: RuleSet) -> bool:
    changed = trial.model_copy(update={each.field: each.parsed for each in changes})
    return judge(read(changed, setting, rules), rules).verdict == "adequate"


def apply(trial: Trial, values: dict[str, Any]) -> Trial:
    """The row with some fields replaced by values as they are written in a record."""
    return Trial.model_validate(trial.model_dump(mode="json") | values)


def _exactly(number: float) -> Span:
    return Span(number, number)


def _amounts(facts: Facts, rules: RuleSet) -> list[Change]:
    """Dose and length as they would need to be; those that another one makes needless come last."""
    trial, found = facts.trial, []
    assert facts.min_dose is not None
    short_dose = facts.dose.low < facts.min_dose
    short_weeks = facts.at_dose.low < rules.min_weeks
    if trial.steps and (short_dose or short_weeks):
        found.append(_steps(facts, rules))
    if short_dose and (not trial.steps or trial.dose_mg_per_day is not None):
        words = f"the dose was {amount(facts.min_dose)} {dose_unit(facts.drug)}"
        before, after = _plain(trial.dose_mg_per_day), tidy(facts.min_dose)
        found.append(Change("dose_mg_per_day", before, after, words, _exactly(facts.min_dose)))
    if short_weeks and not trial.steps:
        words = f"it was held for {weeks_text(rules.min_weeks)}"
        before, after = _plain(trial.weeks_at_dose), tidy(rules.min_weeks)
        found.append(Change("weeks_at_dose", before, after, words, _exactly(rules.min_weeks)))
    return [*found, *_longer(facts, rules)] if short_weeks else found


def _answers(facts: Facts) -> list[Change]:
    trial = facts.trial
    rows: tuple[tuple[str, Any, bool, str], ...] = (
        ("adherence", "good", facts.adherence != "good", "it was taken as prescribed"),
        ("outcome", "none", facts.outcome not in ("none", "partial"), "it did not help enough"),
        ("in_current_episode", True, facts.in_episode is None, "it was in the current episode"),
        ("purpose", "depression", facts.purpose is None, "it was taken for depression"),
        ("role", "alone", trial.role is None, "it was taken alone"),
    )
    return [
        Change(field, getattr(trial, field), value, words, value) for field, value, is_open, words in rows if is_open
    ]


def _steps(facts: Facts, rules: RuleSet) -> Change:
    """The steps with the best one raised to the least dose and length."""
    steps = facts.trial.steps or []
    assert facts.min_dose is not None
    at = max(range(len(steps)), key=lambda each: (steps[each].dose or Span(0, 0), each))
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
    return Change("steps", before, after, words, parsed)


def _longer(facts: Facts, rules: RuleSet) -> list[Change]:
    """Weeks in all and the last day, where they stand in the way of the weeks at dose."""
    trial, found = facts.trial, []
    total = rules.min_weeks + sum((step.weeks.low if step.weeks else 0) for step in (trial.steps or ())[:-1])
    total = math.ceil(total * 100 - 1e-6) / 100  # shown with two decimals: rounded down it would be too short
    if trial.weeks is not None and trial.weeks.low < total:
        words = f"it was taken for {weeks_text(total)} in all"
        found.append(Change("weeks", _plain(trial.weeks), tidy(total), words, _exactly(total)))
    if trial.stopped_on is not None and trial.started_on is not None:
        found.append(Change("stopped_on", trial.stopped_on, None, "the last day was later", None))
        if len(trial.started_on) == 10:
            try:
                day = date.fromisoformat(trial.started_on) + timedelta(days=round(total * 7 + 0.5))
            except OverflowError:
                return found
            words = f"it was taken until {day.isoformat()}"
            found[-1] = Change("stopped_on", trial.stopped_on, day.isoformat(), words, day.isoformat())
    return found


def _sentence(facts: Facts, changes: tuple[Change, ...]) -> str:
    """Ongoing and only too short: what is still to come. Else: what would have made it count."""
    fields = {each.field for each in changes}
    held = facts.at_dose
    weeks = next((each.after for each in changes if each.field == "weeks_at_dose"), None)
    only_time = fields <= {"weeks_at_dose", "weeks"} and held.low == held.high
    if weeks is not None and only_time and facts.trial.stopped_reason == "ongoing":
        exact = facts.dose.low == facts.dose.high
        dose = f" at {amount(facts.dose.low)} {dose_unit(facts.drug)}" if exact else ""
        return f"{weeks_text(weeks - held.low)} more{dose} and this trial counts."
    words = [each.words for each in changes if each.field != "weeks" or len(changes) == 1]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"Counts if {listed}."
