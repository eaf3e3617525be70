"""One medication attempt against the rules: does it count, and if not, why not."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple

from clinic.eligibility.engine import drugs, knowledge
from clinic.eligibility.engine.record import IntakeRecord, Span, Step, Trial, partial_date, tidy
from clinic.eligibility.engine.rules import RuleSet

Verdict = Literal[
    "adequate",
    "inadequate_dose",
    "inadequate_duration",
    "inadequate_adherence",
    "intolerance",
    "responded",
    "not_counted",
    "duplicate",
    "undetermined",
]

ANY = Span(0, math.inf)
_SAME = 1e-9
_ROUNDING_WEEKS = 0.5  # stated weeks and weeks between two dates agree within this
_ONSET_SLACK = timedelta(weeks=1)  # the onset is given in whole weeks

_IMPROVED = ("response", "remission", "lost_response")
_DOSES_A_WEEK = 7  # one a day is taken for granted where only missed doses are known
GRADES = {"pharmacy": "A", "chart": "A", "letter": "B", "patient": "C"}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the rest of the record says about every row."""

    as_of: date | None
    onset: date | None
    age: int | None
    liver: str | None
    well_from: tuple[tuple[date, date], ...]  # stops after which the person was well long enough for a new episode

    @classmethod
    def of(cls, record: IntakeRecord, rules: RuleSet) -> "Setting":
        as_of = date.fromisoformat(record.as_of) if record.as_of else None
        onset_weeks = record.episode.onset_weeks_ago if record.episode else None
        onset = None
        if onset_weeks is not None and as_of is not None and onset_weeks * 7 < as_of.toordinal():
            onset = as_of - timedelta(weeks=onset_weeks)
        wells = [
            partial_date(trial.stopped_on)
            for trial in record.trials or ()
            if trial.stopped_on is not None
            and trial.weeks_well_after is not None
            and trial.weeks_well_after.low >= rules.new_episode_after_weeks_well
        ]
        liver = record.safety.liver_impairment if record.safety else None
        return cls(as_of, onset, record.age, liver, tuple(wells))


class Facts(NamedTuple):
    """What a row says, once its name is found and its spans are put together."""

    trial: Trial
    match: drugs.Match | None
    dose: Span
    min_dose: float | None
    max_dose: float | None  # the highest dose on the label for this person
    form: str | None
    all_weeks: Span
    at_dose: Span
    in_episode: bool | None
    adherence: Literal["good", "partial", "poor"] | None
    outcome: Literal["none", "partial", "response", "remission", "lost_response"] | None
    purpose: str | None
    by_level: bool  # a documented level in the window stands for the dose
    as_of: date | None
    cross_taper_weeks: float = 0

    @property
    def drug(self) -> drugs.Drug | None:
        return self.match.drug if self.match else None


class Why(NamedTuple):
    """One reason, with its code; `data` holds the numbers in it."""

    code: str
    text: str
    data: tuple[tuple[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "text": self.text, **dict(self.data)}


class Judgement(NamedTuple):
    """The verdict on a row by itself; `missing` are the fields that could still change it."""

    verdict: Verdict
    detail: str
    why: tuple[Why, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A row with its verdict among the other rows."""

    index: int
    facts: Facts
    judgement: Judgement
    own: Judgement  # by itself, as if it were the only row

    @property
    def verdict(self) -> Verdict:
        return self.judgement.verdict

    @property
    def group(self) -> str:
        """Rows of one group are one medicine. A medicine that is not found goes by what was written."""
        drug = self.facts.drug
        if drug is not None:
            return drug.id
        written = drugs.plain(self.facts.trial.drug or "")
        return f"?{written}" if written else f"?{self.index}"


# Reading a row


def _meet(stated: Span, other: Span) -> Span:
    """What both allow; where they contradict each other, everything from the one to the other."""
    if other is ANY:
        return stated
    low, high = max(stated.low, other.low), min(stated.high, other.high)
    if low <= high:
        return Span(low, high)
    if low - high <= _ROUNDING_WEEKS:
        return stated
    return Span(high, low)


def _weeks_by_date(trial: Trial, as_of: date | None) -> Span:
    if trial.started_on is None:
        return ANY
    started = partial_date(trial.started_on)
    if trial.stopped_on is not None:
        stopped = partial_date(trial.stopped_on)
    elif as_of is None:
        return ANY
    elif trial.stopped_reason == "ongoing":
        stopped = (as_of, as_of)
    else:
        stopped = (started[0], as_of)
    high = (stopped[1] - started[0]).days / 7
    if high < 0:
        return ANY
    return Span(max(0.0, (stopped[0] - started[1]).days / 7), high)


def _dates_contradict(trial: Trial, as_of: date | None) -> bool:
    """Whether the last day, or the day of the record, lies before the first."""
    if trial.started_on is None:
        return False
    ends = [partial_date(trial.stopped_on)[1]] if trial.stopped_on is not None else []
    return any(end < partial_date(trial.started_on)[0] for end in [*ends, *([as_of] if as_of else [])])


def _fill_one_gap(steps: Sequence[Step], total: Span) -> list[tuple[Span, Span]]:
    """Dose and weeks of each step; the weeks of a single unknown step follow from the total."""
    spans = [(step.dose or ANY, step.weeks or ANY) for step in steps]
    unknown = [at for at, step in enumerate(steps) if step.weeks is None]
    if len(unknown) == 1 and total.high < math.inf:
        known = [weeks for at, (_, weeks) in enumerate(spans) if at != unknown[0]]
        low = max(0.0, total.low - sum(weeks.high for weeks in known))
        high = max(0.0, total.high - sum(weeks.low for weeks in known))
        spans[unknown[0]] = (spans[unknown[0]][0], Span(low, high))
    return spans


def _longest_run(steps: Iterable[tuple[bool, bool, float]]) -> float:
    """Most weeks in a row among (at dose, forgivable gap, weeks), one gap forgiven."""
    rows = list(steps)
    best = 0.0
    for start in range(len(rows)):
        weeks, forgiven = 0.0, False
        for at_dose, gap, length in rows[start:]:
            if at_dose:
                weeks += length
            elif gap and weeks and not forgiven:
                forgiven = True
            else:
                break
        best = max(best, weeks)
    return best


def _run_at(spans: Sequence[tuple[Span, Span]], minimum: float, gap: float) -> Span:
    floor = minimum - _SAME
    certain = ((dose.low >= floor, dose.high == 0 and weeks.high <= gap, weeks.low) for dose, weeks in spans)
    possible = ((dose.high >= floor, dose.low == 0 and weeks.low <= gap, weeks.high) for dose, weeks in spans)
    return Span(_longest_run(certain), _longest_run(possible))


def _apart(one: Span, other: Span) -> bool:
    return one.high < other.low - _SAME or other.high < one.low - _SAME


def _in_episode(trial: Trial, setting: Setting, rules: RuleSet) -> bool | None:
    """Whether the row belongs to the current episode; what was said may contradict the weeks well after it."""
    stated = trial.in_current_episode
    well = _before_a_time_well(trial, setting, rules)
    if well is not False:
        return None if stated or (well is None and stated is None) else False
    dated = _by_onset(trial, setting)
    if stated is None or dated is None:
        return dated if stated is None else stated
    return stated if stated is dated else None


def _by_onset(trial: Trial, setting: Setting) -> bool | None:
    """Whether the dates put the row into the current episode."""
    if setting.onset is None:
        return None
    if trial.stopped_on is not None and partial_date(trial.stopped_on)[1] < setting.onset - _ONSET_SLACK:
        return False
    if trial.started_on is not None and partial_date(trial.started_on)[0] > setting.onset + _ONSET_SLACK:
        return True
    return None


def _before_a_time_well(trial: Trial, setting: Setting, rules: RuleSet) -> bool | None:
    """Whether the person was well long enough after this row for what came later to be a new episode."""
    enough, own = rules.new_episode_after_weeks_well, trial.weeks_well_after
    if own is not None and own.high >= enough:
        return True if own.low >= enough else None
    if setting.well_from and trial.stopped_on is not None:
        last = partial_date(trial.stopped_on)[1]
        return any(last <= first for first, _ in setting.well_from)
    return False


def _adherence(trial: Trial, rules: RuleSet) -> Literal["good", "partial", "poor"] | None:
    """Good, partial or poor; None where it is not known, or missed doses contradict what is stated."""
    stated = None if trial.adherence == "unknown" else trial.adherence
    missed = trial.missed_doses_per_week
    if missed is None:
        return stated
    most = _DOSES_A_WEEK * (1 - rules.adherence_min_percent / 100) + _SAME
    good = True if missed.high <= most else False if missed.low > most else None
    if good is None:
        return stated
    if stated is None:
        return "good" if good else "partial"
    return stated if good is (stated == "good") else None


Outcome = Literal["none", "partial", "response", "remission", "lost_response"]


def _outcome(trial: Trial) -> Outcome | None:
    """The outcome as stated or by percent; None where it is not known, or the two contradict each other."""
    stated: Outcome | None = None if trial.outcome in (None, "unknown") else trial.outcome  # type: ignore[assignment]
    percent = trial.improvement_percent
    if percent is None:
        return stated
    bounds = knowledge.adequacy()["parameters"]["response"]
    least, half = bounds["none_percent_below"], bounds["response_percent_at_least"]
    if percent.high < half:
        if stated in ("response", "remission"):
            return None
        if stated == "lost_response":
            return stated
        return "none" if percent.high < least else "partial" if percent.low >= least else stated or "partial"
    if percent.low >= half:
        return None if stated in ("none", "partial") else stated or "response"
    return stated


def _purpose(trial: Trial, match: drugs.Match | None) -> str | None:
    """What it was taken for, as stated or by the words beside the name; None where these contradict each other."""
    said = match.purpose if match else None
    if trial.purpose is None or said is None:
        return trial.purpose or said
    return None if trial.purpose == "depression" else trial.purpose


def _label_cap(drug: drugs.Drug | None, setting: Setting) -> float | None:
    cap = drugs.label_caps().get(drug.id) if drug else None
    if cap is None:
        return None
    old = setting.age is not None and setting.age > cap.age_over
    return cap.dose if old or setting.liver in cap.liver else None


def read(trial: Trial, setting: Setting, rules: RuleSet) -> Facts:
    """Put together what a row says about dose and length."""
    as_of = setting.as_of
    match = drugs.identify(trial.drug, trial.formulation) if trial.drug and trial.drug.strip() else None
    drug = match.drug if match else None
    min_dose, form = drugs.minimum_dose(match, rules.min_dose_field) if match else (None, None)
    max_dose = drug.usual_max if drug else None
    cap = _label_cap(drug, setting)
    if cap is not None:
        min_dose = max_dose = cap  # where the label caps the dose, the cap is the adequate one
    by_level = bool(trial.level_therapeutic) and drug is not None and drug.id in drugs.level_windows()
    by_date = _weeks_by_date(trial, as_of)
    total = _meet(trial.weeks or ANY, by_date)
    dose = trial.dose_mg_per_day or ANY
    if trial.steps:
        spans = _fill_one_gap(trial.steps, total)
        total = _meet(total, Span(sum(weeks.low for _, weeks in spans), sum(weeks.high for _, weeks in spans)))
        best = Span(max(each.low for each, _ in spans), max(each.high for each, _ in spans))
        if trial.dose_mg_per_day is not None and all(_apart(dose, each) for each, _ in spans):
            dose = Span(min(dose.low, best.low), max(dose.high, best.high))
        else:
            dose = best
        at_dose = _run_at(spans, max(_wanted(best, min_dose, by_level), _SAME), rules.forgiven_gap_weeks)
        stated = trial.weeks_at_dose
        if stated is not None and stated.low > at_dose.high + _ROUNDING_WEEKS:
            at_dose = Span(at_dose.low, stated.high)  # the two contradict each other
            total = Span(min(total.low, stated.low), max(total.high, stated.high))
    else:
        at_dose = trial.weeks_at_dose or ANY
    # What contradicts the weeks at dose leaves them open; nobody knows which of the two is wrong.
    longest = min((trial.weeks or ANY).high, by_date.high, total.high)
    if _dates_contradict(trial, as_of):
        longest = 0
    if at_dose.low > longest + _ROUNDING_WEEKS:
        at_dose = Span(longest, at_dose.high)
    else:
        at_dose = Span(at_dose.low, max(at_dose.low, min(at_dose.high, total.high)))
    return Facts(
        trial=trial,
        match=match,
        dose=dose,
        min_dose=min_dose,
        max_dose=max_dose,
        form=form,
        all_weeks=total,
        at_dose=at_dose,
        in_episode=_in_episode(trial, setting, rules),
        adherence=_adherence(trial, rules),
        outcome=_outcome(trial),
        purpose=_purpose(trial, match),
        by_level=by_level,
        as_of=as_of,
    )


def _wanted(best: Span, min_dose: float | None, by_level: bool) -> float:
    """The dose from which weeks count. Below the minimum throughout, the length is that of the best dose."""
    if by_level:
        return 0
    return best.low if min_dose is None or best.high < min_dose - _SAME else min_dose


# Judging a row


@lru_cache(maxsize=8192)
def amount(value: float) -> str:
    """A number as people write it."""
    return f"{tidy(value):,}"


@lru_cache(maxsize=8192)
def span_text(span: Span) -> str:
    if span.low == span.high:
        return amount(span.low)
    if span.high == math.inf:
        return f"at least {amount(span.low)}"
    return f"{amount(span.low)} to {amount(span.high)}"


def dose_unit(drug: drugs.Drug | None) -> str:
    if drug is None or drug.dose_unit == "mg_per_day":
        return "mg per day"
    if drug.dose_unit == "mg_per_24_hours_patch":
        return "mg per 24 h"
    if drug.dose_unit == "mg_bupropion_per_day":
        return "mg of bupropion per day"
    return drug.dose_unit.replace("_", " ")


def weeks_text(weeks: float) -> str:
    return f"{amount(weeks)} week" if tidy(weeks) == 1 else f"{amount(weeks)} weeks"


def span_weeks(span: Span) -> str:
    return weeks_text(span.low) if span.low == span.high else f"{span_text(span)} weeks"


def _not_counted(facts: Facts, any_episode: bool) -> list[tuple[str, Why]]:
    found = []
    trial, drug = facts.trial, facts.drug
    other = "not_an_antidepressant_trial"
    if drug is not None and drug.kind != "antidepressant":
        found.append((other, Why("drug_not_counted", f"{drug.name}: {drug.why_not_counted}.")))
    elif drug is not None and facts.match is not None and facts.match.product is not None:
        text = f"{facts.match.product} is not a treatment of depression: {drug.never_counts_when}."
        found.append((other, Why("product_not_counted", text)))
    if facts.purpose not in (None, "depression"):
        purpose = "another purpose" if facts.purpose == "other" else facts.purpose
        found.append((other, Why("other_purpose", f"Taken for {purpose}, not for depression.")))
    if trial.role == "add_on" and not (drug is not None and drug.kind == "augmentation"):
        found.append((other, Why("add_on", "Added to another medicine: an augmentation, not a trial of its own.")))
    if facts.in_episode is False and not any_episode:
        found.append(("historic_episode", Why("historic_episode", "Taken in an earlier episode.")))
    if trial.contraindicated and trial.contraindicated.strip():
        text = f"Could not be tried for a medical reason: {trial.contraindicated.strip()}."
        found.append(("contraindicated", Why("contraindicated", text)))
    return found


def _dose_fault(facts: Facts) -> Why | None:
    if facts.by_level or facts.min_dose is None or facts.dose.high >= facts.min_dose - _SAME:
        return None
    if facts.drug is not None and facts.drug.kind != "antidepressant":
        return None  # an agent's least dose belongs to an augmentation, and its unit may be another
    short = facts.min_dose - facts.dose.high
    unit = dose_unit(facts.drug)
    form = f" in the form {facts.form.replace('_', ' ')}" if facts.form else ""
    text = (
        f"{span_text(facts.dose)} {unit} is {amount(short)} mg below the least adequate dose of "
        f"{amount(facts.min_dose)} {unit}{form}."
    )
    if facts.drug is not None and facts.drug.never_counts_when and facts.match and not facts.match.product:
        text += f" Never counts: {facts.drug.never_counts_when}."
    numbers = (("shortfall_mg", tidy(short)), ("minimum_mg", tidy(facts.min_dose)))
    return Why("inadequate_dose", text, numbers)


def _duration_fault(facts: Facts, min_weeks: float) -> Why | None:
    if facts.at_dose.high >= min_weeks - _SAME:
        return None
    short = min_weeks - facts.at_dose.high
    where = "in all" if facts.trial.weeks_at_dose is None and not facts.trial.steps else "at this dose"
    text = f"{span_weeks(facts.at_dose)} {where} is {weeks_text(short)} short of {weeks_text(min_weeks)}."
    if facts.at_dose.low == 0 and facts.at_dose.high > 0:
        text = (
            f"At most {weeks_text(facts.at_dose.high)} {where}, {weeks_text(short)} short of {weeks_text(min_weeks)}."
        )
    return Why("inadequate_duration", text, (("shortfall_weeks", tidy(short)),))


def _duration_detail(facts: Facts, rules: RuleSet) -> str:
    if facts.trial.stopped_reason == "ongoing":
        return "ongoing_not_yet_adequate"
    if facts.at_dose.low >= rules.borderline_from_weeks - _SAME:
        return "borderline_duration"
    return "inadequate_duration"


def _becomes_adequate(facts: Facts, min_weeks: float) -> Why | None:
    """The day, or the two days between which, a trial that goes on at this dose is long enough."""
    if facts.trial.stopped_reason != "ongoing" or facts.as_of is None or facts.at_dose.low >= min_weeks:
        return None
    held = _held_now(facts)
    if held is None or held.high == math.inf:
        return None
    first, last = (_after(facts.as_of, max(0.0, min_weeks - weeks)) for weeks in (held.high, held.low))
    if first == last:
        return Why("still_taking", f"Still taking: long enough on {first}.", (("on", first),))
    text = f"Still taking: long enough between {first} and {last}."
    return Why("still_taking", text, (("on", last), ("not_before", first)))


def _after(day: date, weeks: float) -> str:
    return (day + timedelta(days=math.ceil(weeks * 7 - _SAME))).isoformat()


def _held_now(facts: Facts) -> Span | None:
    """Weeks for which the present dose has been held; None where it is below the minimum now."""
    steps, least = facts.trial.steps, facts.min_dose
    if not steps:
        return None if least is None or facts.dose.low < least - _SAME else facts.at_dose
    low = high = 0.0
    for step in reversed(steps):
        if step.dose is None or step.weeks is None or least is None or step.dose.low < least - _SAME:
            break
        low, high = low + step.weeks.low, high + step.weeks.high
    return Span(low, high) if high else None


def _missing(facts: Facts, min_weeks: float, any_episode: bool) -> list[tuple[str, Why]]:
    """Fields that could still change the verdict of a row without a certain fault, each with why."""
    trial, drug = facts.trial, facts.drug
    found: list[tuple[str, Why]] = []
    if drug is None:
        found.append(("drug", _unnamed(facts)))
    if facts.min_dose is not None and facts.dose.low < facts.min_dose - _SAME and not facts.by_level:
        found.append(("dose_mg_per_day", _open_dose(facts)))
    elif drug is None and trial.dose_mg_per_day is None and not trial.steps:
        found.append(("dose_mg_per_day", _lacks("dose_mg_per_day", "The dose is not known.")))
    if facts.at_dose.low < min_weeks - _SAME:
        found.append(("weeks_at_dose", _open_weeks(facts, min_weeks)))
    if facts.adherence is None:
        text = "Missed doses are not known."
        if trial.adherence not in (None, "unknown"):
            text = "The missed doses do not fit what is said about taking it as prescribed."
        elif trial.missed_doses_per_week is not None:
            text = f"{span_text(trial.missed_doses_per_week)} missed doses a week may be over or under a fifth."
        found.append(("adherence", _lacks("adherence", text)))
    if facts.outcome is None:
        text = "The outcome is not known."
        if trial.outcome not in (None, "unknown"):
            text = "The percent of improvement does not fit the outcome."
        elif trial.improvement_percent is not None:
            text = f"{span_text(trial.improvement_percent)} percent better may be under or over half."
        found.append(("outcome", _lacks("outcome", text)))
    if facts.in_episode is None and not any_episode:
        text = "Not known whether it was in the current episode."
        if trial.in_current_episode is not None:
            text = "The dates do not fit what is said about the episode."
        if trial.in_current_episode and facts.trial.weeks_well_after is not None:
            text = "Eight weeks well or more after it would begin a new episode, yet it is said to be of this one."
        found.append(("in_current_episode", _lacks("in_current_episode", text)))
    if facts.purpose is None:
        text = "Not known what it was taken for."
        if trial.purpose is not None and facts.match is not None:
            text = f"Said to be for {trial.purpose}, yet the name says {facts.match.purpose}."
        found.append(("purpose", _lacks("purpose", text)))
    if trial.role is None:
        text = "Not known whether it was taken alone or added to another medicine."
        found.append(("role", _lacks("role", text)))
    return found


def _lacks(field: str, text: str) -> Why:
    return Why("missing", text, (("field", field),))


def _unnamed(facts: Facts) -> Why:
    match = facts.match
    if match is None:
        return Why("missing", "The medicine is not named.", (("field", "drug"),))
    near = list(match.suggestions)
    if match.problem == "several":
        text = f"More than one medicine is named: {', '.join(near)}. One row is one medicine."
    elif match.problem == "form_unclear":
        text = "The form decides here: a patch can count, the swallowed form cannot."
    elif match.problem == "other_medicine":
        text = "Another medicine has this name."
        text += f" Meant may be: {', '.join(near)}." if near else " Was it this one?"
    elif near:
        text = f"No medicine of that name is in the table. Near names: {', '.join(near)}."
    else:
        text = "No medicine of that name is in the table."
    return Why("unknown_drug", text, (("field", "drug"), ("suggestions", near)))


def _open_dose(facts: Facts) -> Why:
    assert facts.min_dose is not None
    assert facts.match is not None  # a least dose is that of a medicine
    unit = dose_unit(facts.drug)
    field = (("field", "dose_mg_per_day"),)
    if facts.dose == ANY:
        text = f"The dose is not known; at least {amount(facts.min_dose)} {unit} counts."
        strength = facts.match.strength
        if strength is None:
            return Why("missing", text, field)
        text += f" The name says {amount(strength)} mg: was that the dose in a day?"
        return Why("missing", text, (*field, ("offered_mg", tidy(strength))))
    text = f"The dose, {span_text(facts.dose)} {unit}, may be below or at {amount(facts.min_dose)} {unit}."
    return Why("uncertain", text, field)


def _open_weeks(facts: Facts, min_weeks: float) -> Why:
    field = (("field", "weeks_at_dose"),)
    if facts.trial.weeks_at_dose is None and not facts.trial.steps:
        return Why("missing", f"The weeks at this dose are not known; at least {amount(min_weeks)} count.", field)
    text = f"The weeks at this dose, {span_text(facts.at_dose)}, may be under or at {amount(min_weeks)}."
    return Why("uncertain", text, field)


def judge(facts: Facts, rules: RuleSet, *, min_weeks: float | None, any_episode: bool) -> Judgement:
    """The verdict on a row by itself. A certain fault beats an unknown; the first one names the verdict."""
    needed = rules.min_weeks if min_weeks is None else min_weeks
    trial = facts.trial
    faults: list[tuple[Verdict, str, Why]] = []
    for detail, why in _not_counted(facts, any_episode):
        faults.append(("not_counted", detail, why))
    if facts.outcome in _IMPROVED:
        lost = facts.outcome == "lost_response"
        text = "It helped, then stopped helping: a clinician decides." if lost else f"It helped: {facts.outcome}."
        faults.append(("responded", "lost_response" if lost else "adequate_responded", Why("responded", text)))
    dose, duration = _dose_fault(facts), _duration_fault(facts, needed)
    if trial.stopped_reason == "side_effects" and (dose or duration):
        text = "Stopped early for side effects: shown, not counted."
        faults.append(("intolerance", "intolerance", Why("intolerance", text)))
    if dose:
        faults.append(("inadequate_dose", "inadequate_dose", dose))
    if duration:
        faults.append(("inadequate_duration", _duration_detail(facts, rules), duration))
    if facts.adherence in ("partial", "poor"):
        text = f"Taken as prescribed only in part: {facts.adherence}."
        if trial.adherence in (None, "unknown") and trial.missed_doses_per_week is not None:
            text = f"Adherence in doubt: {span_text(trial.missed_doses_per_week)} doses missed a week."
        faults.append(("inadequate_adherence", "inadequate_adherence", Why("inadequate_adherence", text)))
    if faults:
        verdict, detail, _ = faults[0]
        whys = [why for _, _, why in faults]
        if detail == "ongoing_not_yet_adequate" and (later := _becomes_adequate(facts, needed)):
            whys.append(later)
        return Judgement(verdict, detail, (*whys, *_notes(facts)), ())
    missing = _missing(facts, needed, any_episode)
    if missing:
        whys = [why for _, why in missing]
        if later := _becomes_adequate(facts, needed):
            whys.append(later)
        return Judgement("undetermined", "unknown", (*whys, *_notes(facts)), tuple(field for field, _ in missing))
    return _adequate(facts, needed)


def is_adequate(facts: Facts, min_weeks: float) -> bool:
    """Whether `judge` would find the row adequate, without its reasons."""
    drug, match, trial = facts.drug, facts.match, facts.trial
    return (
        drug is not None
        and match is not None
        and drug.kind == "antidepressant"
        and match.product is None
        and facts.purpose == "depression"
        and trial.role == "alone"
        and facts.in_episode is True
        and facts.adherence == "good"
        and facts.outcome in ("none", "partial")
        and not (trial.contraindicated and trial.contraindicated.strip())
        and (facts.by_level or facts.min_dose is None or facts.dose.low >= facts.min_dose - _SAME)
        and facts.at_dose.low >= min_weeks - _SAME
    )


def _notes(facts: Facts) -> list[Why]:
    """What was read into the row, said openly; changes no verdict."""
    found = []
    match, drug = facts.match, facts.drug
    if match is not None and match.read_as is not None:
        found.append(Why("spelling", f"Read as {match.read_as}."))
    if facts.cross_taper_weeks:
        weeks = weeks_text(facts.cross_taper_weeks)
        found.append(Why("cross_taper", f"{weeks} of changing over, below one of the two least doses, left out."))
    most = _patches().get(drug.id) if drug is not None else None
    if most is not None and most < facts.dose.low < math.inf:
        text = f"Above {amount(most)} mg per 24 h: read as mg per patch, which delivers at least the least dose."
        found.append(Why("patch_unit", text))
    return found


@cache
def _patches() -> dict[str, float]:
    return {row["drug"]: row["most_mg_per_24h"] for row in knowledge.drug_rules()["patches"]}


def _adequate(facts: Facts, needed: float) -> Judgement:
    drug, unit = facts.drug, dose_unit(facts.drug)
    assert drug is not None
    assert facts.min_dose is not None
    improved = "no improvement" if facts.outcome == "none" else "partial improvement"
    dose = f"{span_text(facts.dose)} {unit} (at least {amount(facts.min_dose)})"
    if facts.by_level:
        dose = f"A documented level in the window ({drugs.level_windows()[drug.id]}), whatever the dose"
    text = f"{dose}, {span_text(facts.at_dose)} weeks at dose (at least {amount(needed)}), taken as prescribed, {improved}."
    whys = [Why("adequate", text)]
    detail = "adequate_failed" if facts.outcome == "none" else "adequate_partial"
    strict = None if facts.by_level or drug.strict_min is None else min(drug.strict_min, facts.max_dose or math.inf)
    if strict is not None and facts.dose.high < strict - _SAME:
        detail = "low_dose_by_strict_source"
        text = f"Low by the strictest source, which asks for {amount(strict)} {unit}. Clinician to confirm."
        whys.append(Why("low_dose", text))
    return Judgement("adequate", detail, (*whys, *_notes(facts)), ())


# A row among the others


def _documented(row: Weighed) -> tuple[Any, ...]:
    """Order of the rows of one medicine: best documented first, then as they were entered."""
    facts = row.facts
    return (
        len(row.own.missing),  # none for an adequate row
        GRADES.get(facts.trial.documentation or "patient"),
        facts.at_dose.high - facts.at_dose.low,
        facts.dose.high - facts.dose.low,
        -facts.at_dose.low,
        -facts.dose.low,
        row.index,
    )


def _is_untouched(facts: Facts, one: float, other: float, any_episode: bool) -> bool:
    """Whether a row has the same verdict at two lengths, and with earlier episodes let in."""
    if any_episode and facts.in_episode is not True:
        return False
    low, high = min(one, other) - _SAME, max(one, other) - _SAME
    return (
        facts.at_dose.low >= high
        or facts.at_dose.high < low
        or (facts.at_dose.low < low and facts.at_dose.high >= high)
    )


def weigh(
    facts: Sequence[Facts],
    rules: RuleSet,
    *,
    min_weeks: float | None = None,
    any_episode: bool = False,
    known: Sequence[Weighed] | None = None,
) -> list[Weighed]:
    """Every row's verdict. One medicine counts once: the best documented row stands, the others are duplicates.

    `known` are the rows weighed by the rule set: a row whose verdict the other length cannot touch keeps it.
    """
    rows = []
    for index, each in enumerate(facts):
        if known is not None and _is_untouched(each, rules.min_weeks, min_weeks or rules.min_weeks, any_episode):
            judgement = known[index].own
        else:
            judgement = judge(each, rules, min_weeks=min_weeks, any_episode=any_episode)
        rows.append(Weighed(index, each, judgement, judgement))
    groups: dict[str, list[Weighed]] = {}
    for row in rows:
        if row.verdict in ("adequate", "undetermined"):
            groups.setdefault(row.group, []).append(row)
    for group in groups.values():
        if len(group) == 1:
            continue
        best, *others = sorted(group, key=_documented)
        for row in others:
            why = Why(
                "duplicate_ingredient",
                f"Same medicine as trial {best.index + 1}, counted once.",
                (("of", best.index),),
            )
            judgement = Judgement("duplicate", "duplicate_ingredient", (why,), ())
            rows[row.index] = replace(row, judgement=judgement)
    return rows


@cache
def sources_for(drug_id: str | None) -> tuple[dict[str, Any], ...]:
    """Where the numbers behind a verdict come from and how sure each is."""
    found: list[dict[str, Any]] = []
    if drug_id is not None:
        drug = drugs.entry(drug_id)
        titles = knowledge.antidepressants()["sources"]
        table = "antidepressants" if drug_id in drugs.table() else "other_medicines"
        found.append({"source": f"{table}.{drug.id}", "verified": drug.verified, "confidence": drug.confidence})
        found += [
            {"source": name, "title": titles[name]["title"], "verified": titles[name]["verified"]} for name in drug.src
        ]
    length = knowledge.adequacy()["parameters"]["min_duration_weeks"]
    found.append({"source": "trial_adequacy.min_duration_weeks", "verified": length["verified"]})
    return tuple(found)
