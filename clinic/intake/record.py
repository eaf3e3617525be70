"""From the pages as they were typed to the intake record of the public contracts. Pure; nothing unknown is guessed."""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from clinic import instruments
from clinic.intake.pages import GAD7_PAGES, PHQ9_ITEMS, PTSD_PAGES, SCREENS, THERAPIES, Pages, Values, age_on

MAX_DOSE = 10_000.0
MAX_WEEKS = 6_240.0
MAX_SESSIONS = 10_000
MAX_DRUG = 200
MAX_TEXT = 300
MAX_STEPS = 4  # how a dose changed
MAX_NAMES = 40  # medicines taken now beside the list
MAX_AWAY = 92
EARLIEST_YEAR = 1900

Number = int | float
Range = Number | list[Number]

# Minutes of the day, wall time of the clinic.
DAY_PARTS = {"early": (360, 480), "morning": (480, 720), "afternoon": (720, 1020), "evening": (1020, 1200)}
WEEKDAYS = range(7)
WORKDAYS = range(5)

# Doses missed in a week of seven. 80 percent taken is the least that counts as steady use: one missed leaves 86.
ADHERENCE = {"0": "good", "1": "good", "2_3": "partial", "4_more": "poor"}
OUTCOMES = ("none", "partial", "response", "remission", "lost_response")
STOPPED = ("inefficacy", "side_effects", "cost", "other", "ongoing")
PAPERS = {"pharmacy": "pharmacy_list", "chart": "letter", "letter": "letter"}  # what is said to be there, and its file
OTHER_USES = ("sleep", "pain", "smoking", "other")
DIAGNOSES = ("mdd", "bipolar_1", "bipolar_2", "dysthymia", "schizoaffective")
LIVER = ("severe", "moderate", "mild", "none")
CSSRS = {
    "cssrs-1": {"item1": "wish_dead", "item2": "thoughts"},
    "cssrs-2": {"item3": "method", "item4": "intent", "item5": "plan"},
    "cssrs-3": {"item6": "behaviour_lifetime", "recent": "behaviour_3mo"},
}

_NUMBER = r"(?P<{0}>\d{{1,6}}(?:[.,]\d{{1,3}})?)"
_LEAD = r"(?:about|around|approx\.?|ca\.?|maybe|~|up to)?\s*"
_UNIT = r"(?P<{0}>mg|milligrams?|days?|d|weeks?|wks?|w|months?|mos?|m|years?|yrs?|y)?"
_RANGE = re.compile(
    _LEAD
    + _NUMBER.format("low")
    + r"\s*"
    + _UNIT.format("low_unit")
    + r"(?:\s*(?:-|–|—|to|or|/)\s*"
    + _NUMBER.format("high")
    + r"\s*"
    + _UNIT.format("high_unit")
    + r")?(?:\s*(?:a|per)\s*day|\s*daily)?\.?",
    re.IGNORECASE,
)
# The shortest and the longest that a unit can mean, in weeks.
_WEEKS_IN = {"d": (1 / 7, 1 / 7), "w": (1.0, 1.0), "m": (30 / 7, 31 / 7), "y": (365 / 7, 366 / 7)}


# -- single answers -------------------------------------------------------------------------------------------------


def _number(text: str) -> float:
    head, comma, tail = text.partition(",")
    return float(head + tail) if comma and len(tail) == 3 else float(text.replace(",", "."))


def _tidy(number: float) -> Number:
    rounded = round(number, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def _as_range(low: float, high: float) -> Range:
    low, high = min(low, high), max(low, high)
    return _tidy(low) if low == high else [_tidy(low), _tidy(high)]


def _match(text: str | None) -> re.Match[str] | None:
    return _RANGE.fullmatch(" ".join(text.split())) if text else None


def _unit(text: str | None) -> str | None:
    text = (text or "").lower()
    return "mg" if text.startswith(("mg", "mil")) else text[:1] or None


def dose_of(text: str | None) -> Range | None:
    """Mg per day from "50", "50 mg", "50-100"; None where the text is something else."""
    found = _match(text)
    if found is None or not {_unit(found["low_unit"]), _unit(found["high_unit"])} <= {None, "mg"}:
        return None
    low = _number(found["low"])
    high = _number(found["high"]) if found["high"] else low
    if not (0 < low <= MAX_DOSE and 0 < high <= MAX_DOSE):
        return None
    return _as_range(low, high)


def weeks_of(text: str | None) -> Range | None:
    """Weeks from "6", "4-7", "2 months" (8 to 9); None where the text is something else."""
    found = _match(text)
    if found is None:
        return None
    high_unit = _unit(found["high_unit"]) or _unit(found["low_unit"]) or "w"
    low_unit = _unit(found["low_unit"]) or high_unit
    if "mg" in (low_unit, high_unit):
        return None
    least = _number(found["low"]) * _WEEKS_IN[low_unit][0]
    most = _number(found["high"] or found["low"]) * _WEEKS_IN[high_unit][1]
    if low_unit in "my":
        least = math.floor(least)
    if high_unit in "my":
        most = math.ceil(most)
    if not (0 <= least <= MAX_WEEKS and 0 <= most <= MAX_WEEKS):
        return None
    return _as_range(least, most)


def count_of(text: str | None) -> int | None:
    """A whole number; of a range the lower end, so that nothing is claimed that was not said."""
    found = _match(text)
    if found is None or found["low_unit"] or found["high_unit"]:
        return None
    numbers = [_number(part) for part in (found["low"], found["high"]) if part]
    least = min(numbers)
    return int(least) if least == int(least) and 0 <= least <= MAX_SESSIONS else None


def whole_of(text: str | None, low: int, high: int) -> int | None:
    """A whole number within limits."""
    text = (text or "").strip()
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        return None
    return int(text) if low <= int(text) <= high else None


def hours_of(text: str | None) -> Range | None:
    """Hours from "6" or "5-7"; None where the text is something else."""
    found = _match((text or "").removesuffix("hours").removesuffix("h"))
    if found is None or found["low_unit"] or found["high_unit"]:
        return None
    hours = [_number(part) for part in (found["low"], found["high"]) if part]
    return _as_range(min(hours), max(hours)) if max(hours) <= 24 else None


def names_of(values: Values) -> list[str]:
    """Names of medicines, each once, in the order in which they were written."""
    given = values.get("names") or ()
    found: dict[str, str] = {}
    for name in [given] if isinstance(given, str) else given:
        tidy = " ".join(name.split())[:MAX_DRUG]
        if tidy:
            found.setdefault(tidy.casefold(), tidy)
    return list(found.values())[:MAX_NAMES]


def date_of(values: Values, name: str) -> date | None:
    """The date in `{name}_year`, `{name}_month`, `{name}_day`; None where it is no date."""
    year, month, day = (
        whole_of(values.get(f"{name}_{part}"), low, high)
        for part, low, high in (("year", EARLIEST_YEAR, 2199), ("month", 1, 12), ("day", 1, 31))
    )
    if year is None or month is None or day is None:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def month_of(values: Values, name: str) -> str | None:
    """YYYY-MM, or YYYY where the month is not known; None without a year, or where the dates are not sure."""
    if values.get("dates_not_sure"):
        return None
    year = whole_of(values.get(f"{name}_year"), EARLIEST_YEAR, 2199)
    month = whole_of(values.get(f"{name}_month"), 1, 12)
    if year is None:
        return None
    return f"{year:04d}" if month is None else f"{year:04d}-{month:02d}"


def is_backwards(start: str | None, end: str | None) -> bool:
    """Whether a YYYY or YYYY-MM ends before it starts, whatever the months that are not known."""
    return start is not None and end is not None and end[: len(start)] < start[: len(end)]


def iso_date(text: str | None) -> date | None:
    """A full date as a browser sends it."""
    try:
        return date.fromisoformat((text or "").strip())
    except ValueError:
        return None


def yes_or_no(answer: Any) -> bool | None:
    """True, False, or None for not sure and not answered."""
    return {"yes": True, "no": False, "1": True, "0": False}.get(answer) if isinstance(answer, str) else None


def known(**values: Any) -> dict[str, Any]:
    """The entries that are known."""
    return {name: value for name, value in values.items() if value is not None}


# -- the record -----------------------------------------------------------------------------------------------------


def to_record(
    pages: Pages,
    trials: Iterable[Values],
    *,
    as_of: date,
    born: date | None,
    echo: str | None = None,
    files: Collection[str] = (),
) -> dict[str, Any]:
    """The intake record: a plain dict in the schema of `clinic assess`, known facts only.

    `files`: kinds of the papers that were added; without one the word that there are papers documents nothing.
    """
    page = _Reader(pages)
    safety = _safety(page)
    return known(
        id=echo,
        as_of=as_of.isoformat(),
        age=age_on(born, as_of) if born else None,
        sex=_one_of(page["about"].get("sex"), ("female", "male", "other")),
        episode=_episode(page, as_of) or None,
        trials=_trials(page, trials, files),
        psychotherapy=_psychotherapy(page),
        phq9=_phq9(page),
        cssrs=_cssrs(page) or None,
        audit_c=_audit_c(page),
        safety=safety or None,
        payer=page["cover"].get("payer") or None,
        current_medicines=_current(page["taking"]),
        scores=_scores(page) or None,
        thyroid=_thyroid(page["thyroid"]) or None,
    )


class _Reader:
    """Pages by name; a page that was never left is empty."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages

    def __getitem__(self, key: str) -> Values:
        return self.pages.get(key) or {}


def _one_of(answer: Any, words: Sequence[str]) -> str | None:
    return answer if isinstance(answer, str) and answer in words else None


def _episode(page: _Reader, as_of: date) -> dict[str, Any]:
    brings = page["brings"]
    told = brings.get("diagnosis")
    return known(
        diagnosis="unknown" if told == "bipolar" else _one_of(told, DIAGNOSES),
        onset_weeks_ago=_onset(brings, as_of),
        psychotic_features=_psychotic_features(page["mind"]),
        current_mania=yes_or_no(page["mind"].get("mania_now")),
        ect_used=yes_or_no(page["treatments"].get("ect")),
    )


def _psychotic_features(mind: Values) -> bool | None:
    """Yes where there are some now; no only where there never were any."""
    now, ever = yes_or_no(mind.get("psychosis_now")), yes_or_no(mind.get("psychosis_history"))
    return True if now else False if now is False and ever is False else None


def _onset(brings: Values, as_of: date) -> int | None:
    """Weeks since the middle of the month; a year alone says too little."""
    month = month_of(brings, "onset")
    if month is None or len(month) != 7:
        return None
    days = (as_of - date(int(month[:4]), int(month[5:]), 15)).days
    return max(0, days // 7) if days > -16 else None


def _trials(page: _Reader, trials: Iterable[Values], files: Collection[str]) -> list[dict[str, Any]] | None:
    rows = [row for row in (trial_row(values, files) for values in trials) if row]
    if rows:
        return rows
    return [] if page["medicines"].get("none") else None


def trial_row(values: Values, files: Collection[str] = ()) -> dict[str, Any]:
    """One medicine in the record's words. `files`: as in `to_record`."""
    weeks = weeks_of(values.get("weeks"))
    same = values.get("at_dose")
    stopped = values.get("stopped")
    return known(
        drug=(values.get("drug") or "").strip()[:MAX_DRUG] or None,
        dose_mg_per_day=dose_of(values.get("dose")),
        formulation=None if values.get("release") == "not_sure" else values.get("release"),
        steps=_steps(values) or None if same == "changed" else None,
        level_therapeutic=yes_or_no(values.get("level")),
        weeks=weeks,
        weeks_at_dose=weeks if same == "all" else weeks_of(values.get("at_dose_weeks")) if same == "part" else None,
        started_on=month_of(values, "from"),
        stopped_on=None if stopped == "ongoing" else month_of(values, "to"),
        adherence=ADHERENCE.get(values.get("missed") or ""),
        outcome=_one_of(values.get("outcome"), OUTCOMES),
        stopped_reason="other" if stopped == "could_not" else _one_of(stopped, STOPPED),
        contraindicated=(_text(values.get("in_the_way")) or "another illness or medicine")
        if stopped == "could_not"
        else None,
        side_effect=_text(values.get("side_effects")) if stopped == "side_effects" else None,
        side_effect_on=month_of(values, "side_effect") if stopped == "side_effects" else None,
        documentation=_documentation(values.get("papers"), files),
        in_current_episode=yes_or_no(values.get("this_episode")),
        **_use(values.get("use")),
    )


def _text(typed: Any) -> str | None:
    return (typed or "").strip()[:MAX_TEXT] or None


def _steps(values: Values) -> list[dict[str, Any]]:
    rows = [
        known(dose=dose_of(values.get(f"step{n}_dose")), weeks=weeks_of(values.get(f"step{n}_weeks")))
        for n in range(1, MAX_STEPS + 1)
    ]
    return [row for row in rows if row]


def _documentation(papers: Any, files: Collection[str]) -> str | None:
    """What documents the row: a paper only once its file is there; a person's word where there is none."""
    if papers == "none":
        return "patient"
    return papers if PAPERS.get(papers or "", "") in files else None


def _use(answer: Any) -> dict[str, str]:
    """One question holds both: whether it was taken alone is only told of a medicine for the mood."""
    if answer in ("alone", "add_on"):
        return {"purpose": "depression", "role": answer}
    return {"purpose": answer} if answer in OTHER_USES else {}


def _psychotherapy(page: _Reader) -> list[dict[str, Any]] | None:
    therapy = page["therapy"]
    if therapy.get("had") == "no":
        return []
    if therapy.get("had") != "yes":
        return None
    rows = []
    for kind in THERAPIES:
        if kind in (therapy.get("kinds") or ()):
            named = _text(therapy.get("other_kind")) or "other" if kind == "other" else kind
            sessions = count_of(page[f"therapy-{kind}"].get("sessions"))
            rows.append(known(type=None if kind == "not_sure" else named, sessions=sessions))
    return rows or [{}]


def _current(taking: Values) -> list[str] | None:
    names = names_of(taking)
    return names or ([] if taking.get("none") else None)


def _scores(page: _Reader) -> dict[str, int]:
    """Totals by the questionnaires' own rules; none where too much was left open."""
    return known(gad7=_total("gad7", _items(page, "gad7", GAD7_PAGES)), pcptsd5=_pcptsd5(page))


def _items(page: _Reader, key: str, layout: Mapping[int, Sequence[int]]) -> list[int | None]:
    return [whole_of(page[f"{key}-{n}"].get(f"item{item}"), 0, 3) for n, items in layout.items() for item in items]


def _total(key: str, answers: list[int | None]) -> int | None:
    if all(answer is None for answer in answers):
        return None
    try:
        total = instruments.score(key, answers)["total"]
    except instruments.BadAnswers:
        return None
    return None if total is None else int(total)


def _pcptsd5(page: _Reader) -> int | None:
    """No such event: 0, and the items are not asked."""
    happened = yes_or_no(page["ptsd"].get("gate"))
    if happened is None:
        return None
    return _total("pcptsd5", _items(page, "ptsd", PTSD_PAGES)) if happened else 0


def _thyroid(values: Values) -> dict[str, Any]:
    tested = yes_or_no(values.get("tested"))
    return known(
        problem=yes_or_no(values.get("problem")),
        result=_one_of(values.get("result"), ("normal", "abnormal")) if tested else None,
        tested_on=month_of(values, "test") if tested else None,
    )


def _phq9(page: _Reader) -> list[int | None] | None:
    answers = [whole_of(page[f"phq9-{n}"].get("answer"), 0, 3) for n in range(1, PHQ9_ITEMS + 1)]
    return answers if any(answer is not None for answer in answers) else None


def _cssrs(page: _Reader) -> dict[str, bool]:
    answers = {name: yes_or_no(page[key].get(item)) for key, items in CSSRS.items() for item, name in items.items()}
    if answers["behaviour_lifetime"] is False:
        answers["behaviour_3mo"] = False
    return known(**answers)


def _audit_c(page: _Reader) -> int | None:
    answers = [whole_of(page["alcohol"].get(f"audit{n}"), 0, 4) for n in (1, 2, 3)]
    return None if None in answers else sum(answer or 0 for answer in answers)


def _safety(page: _Reader) -> dict[str, Any]:
    answers: dict[str, Any] = {
        name: yes_or_no(page[key].get(name)) for key, names in SCREENS.items() for name in names if name != "mania_now"
    }
    if page["brings"].get("diagnosis") == "bipolar":  # told of bipolar disorder, the kind not known
        answers["bipolar_mania"] = True
    answers["bp"] = blood_pressure(page["heart"])
    answers["liver_impairment"] = _one_of(page["health"].get("liver_impairment"), LIVER)
    return known(**answers)


def blood_pressure(values: Values) -> list[int] | None:
    """[systolic, diastolic] in mmHg, where both are possible."""
    upper, lower = whole_of(values.get("systolic"), 40, 300), whole_of(values.get("diastolic"), 20, 200)
    if values.get("bp_not_sure") or upper is None or lower is None or upper <= lower:
        return None
    return [upper, lower]


# -- times and places -----------------------------------------------------------------------------------------------


def windows(values: Values) -> dict[int, list[list[int]]]:
    """Minutes of the day by weekday (0 is Monday) in which a person can come; empty where that is not known."""
    when = values.get("when")
    whole_day = [[DAY_PARTS["early"][0], DAY_PARTS["evening"][1]]]
    if when == "weekdays":
        return dict.fromkeys(WORKDAYS, whole_day)
    if when == "any":
        return dict.fromkeys(WEEKDAYS, whole_day)
    chosen = set(values.get("windows") or ()) if when == "some" else set()
    found: dict[int, list[list[int]]] = {}
    for weekday in WEEKDAYS:
        for part, (opens, closes) in DAY_PARTS.items():
            if f"{weekday}-{part}" not in chosen:
                continue
            spans = found.setdefault(weekday, [])
            if spans and spans[-1][1] == opens:
                spans[-1][1] = closes
            else:
                spans.append([opens, closes])
    return found


def away(values: Values) -> list[date]:
    """Every date on which a person is away, in order."""
    days: set[date] = set()
    for n in (1, 2, 3):
        first = iso_date(values.get(f"from{n}"))
        last = iso_date(values.get(f"to{n}")) or first
        if first and last and first <= last:
            span = min((last - first).days, MAX_AWAY)
            days.update(first + timedelta(days=offset) for offset in range(span + 1))
    return sorted(days)


def places(values: Values) -> list[int]:
    """Ids of the locations that a person would come to, best first."""
    chosen = (whole_of(values.get(name), 1, 999_999) for name in ("first", "second", "third"))
    return list(dict.fromkeys(place for place in chosen if place is not None))
