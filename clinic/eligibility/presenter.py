"""What the review page says: the stored result in words, and the medicine history as bars. No rules here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from clinic.eligibility.forms import PATHWAY_WORDS
from clinic.web.charts import Level, Segment, Timeline, timeline

_TRIAL = re.compile(r"trials\[(\d+)\]")

TRIAL_STATES = {
    "adequate": ("good", "Counts"),
    "inadequate_dose": ("stop", "Does not count"),
    "inadequate_duration": ("stop", "Does not count"),
    "inadequate_adherence": ("stop", "Does not count"),
    "intolerance": ("stop", "Does not count (side effects)"),
    "responded": ("stop", "Does not count"),
    "not_counted": ("stop", "Does not count"),
    "duplicate": ("", "Same medicine, counted once"),
    "undetermined": ("unsure", "Can't tell"),
}
PATHWAY_STATES = {
    "likely_eligible": ("good", "Likely eligible"),
    "not_yet": ("stop", "Not yet"),
    "needs_review": ("due", "Needs review"),
    "contraindicated": ("stop", "Contraindicated"),
}
CRITERION_STATES = {
    "met": ("good", "Met"),
    "unmet": ("stop", "Not met"),
    "not_met": ("stop", "Not met"),
    "unknown": ("unsure", "Can't tell"),
    "undetermined": ("unsure", "Can't tell"),
}
# Most serious first; the order of the list.
FINDING_STATES = {
    "contraindication": ("stop", "Contraindication", "warn"),
    "precaution": ("due", "Precaution", "warn"),
    "co_occurring": ("due", "Also present", "warn"),
    "criterion": ("stop", "Not met"),
    "info": ("", "Note", "clock"),
}
OUTCOME_WORDS = {
    "none": "No change",
    "partial": "Partial",
    "response": "Helped well",
    "remission": "Symptoms gone",
    "lost_response": "Lost response",
    "unknown": "Not known",
}


@dataclass(frozen=True)
class TrialRow:
    """One row of the medicine table; the names are those of charts/timeline.svg.html."""

    name: str
    note: str
    label: str
    weeks: str
    dose: str
    outcome: str
    state_kind: str
    state_word: str
    state_icon: str
    evidence: str
    evidence_url: str
    why: tuple[str, ...]
    would_count_if: str
    sources: tuple[str, ...]
    scores: str = ""


@dataclass(frozen=True)
class Review:
    """Everything that the page shows, verdict first."""

    title: str
    smallest_change: str
    chart: Timeline
    trials: tuple[TrialRow, ...]


def review(result: Mapping[str, Any], record: Mapping[str, Any], *, initials: str, today: date) -> Review:
    """The page of one stored assessment."""
    given = record.get("trials") or []
    spans = [_segments(trial, verdict, today) for trial, verdict in zip(given, result["trials"], strict=False)]
    return Review(
        title=_title(result, initials),
        smallest_change=_smallest_change(result),
        chart=timeline(spans, today=today),
        trials=tuple(_trial(trial, verdict) for trial, verdict in zip(given, result["trials"], strict=False)),
    )


def _title(result: Mapping[str, Any], initials: str) -> str:
    trd, count = result["trd"]["verdict"], result["trd"]["adequate_trials"]
    counted = f"{count} past {'treatment counts' if count == 1 else 'treatments count'}"
    if trd == "met":
        return f"{counted} for {initials}: the history meets the definition"
    if trd == "not_met":
        return f"{counted} for {initials}: the history does not meet the definition yet"
    unsure = sum(1 for trial in result["trials"] if trial["verdict"] == "undetermined")
    if not unsure:
        return f"{initials}'s history can't be told yet: an answer about the illness is missing"
    return f"{initials}'s history can't be told yet: {unsure} past {'treatment is' if unsure == 1 else 'treatments are'} unclear"


def _smallest_change(result: Mapping[str, Any]) -> str:
    changes = [trial["would_count_if"] for trial in result["trials"] if trial.get("would_count_if")]
    if result["trd"]["verdict"] == "met" or not changes:
        return ""
    best = min(changes, key=lambda change: len(change["changes"]))
    drug = next(trial["entered"] for trial in result["trials"] if trial.get("would_count_if") is best)
    return f"{drug}: {best['text'][0].lower()}{best['text'][1:]}"


def _trial(given: Mapping[str, Any], verdict: Mapping[str, Any]) -> TrialRow:
    kind, word = TRIAL_STATES[verdict["verdict"]]
    icon = ""
    if verdict["detail"] == "lost_response":
        kind, word, icon = "due", "You decide", "user"
    name, entered = verdict["ingredient"] or verdict["entered"], verdict["entered"]
    drug_class = (verdict["drug_class"] or "").replace("_", " ").upper()
    note = " · ".join(
        part for part in (drug_class, "" if entered.lower() == name.lower() else f"written: {entered}") if part
    )
    weeks = given.get("weeks_at_dose") if given.get("weeks_at_dose") is not None else given.get("weeks")
    dose = given.get("dose_mg_per_day")
    return TrialRow(
        name=name[:1].upper() + name[1:],
        note=note,
        label=_label(given),
        weeks=span(weeks) or "not known",
        dose=f"{span(dose)} mg" if dose is not None else "dose not known",
        outcome=OUTCOME_WORDS.get(given.get("outcome") or "unknown", "Not known"),
        state_kind=kind,
        state_word=word,
        state_icon=icon,
        evidence="Patient's own words",
        evidence_url="",
        why=tuple(reason["text"] for reason in verdict["why"]),
        would_count_if=(verdict.get("would_count_if") or {}).get("text", ""),
        sources=tuple(_source(source) for source in verdict["sources"]),
    )


def span(value: Any) -> str:
    """`6`, or `4 to 7` for a range; empty where nothing is known."""
    if value is None:
        return ""
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, list | tuple) else f"{value:g}"


def _source(source: Mapping[str, Any]) -> str:
    sure = [str(source[key]) for key in ("verified", "confidence") if source.get(key)]
    return f"{source.get('title') or source['source']} ({'; '.join(sure)})" if sure else str(source["source"])


def _label(given: Mapping[str, Any]) -> str:
    started, stopped = given.get("started_on"), given.get("stopped_on")
    weeks = span(given.get("weeks"))
    if not started and not stopped:
        return f"{weeks} weeks, dates not known" if weeks else "Dates not known"
    return f"From {started or 'an unknown day'} to {stopped or 'now or an unknown day'}" + (
        f", {weeks} weeks" if weeks else ""
    )


def _segments(given: Mapping[str, Any], verdict: Mapping[str, Any], today: date) -> list[Segment]:
    """One bar where a start is known; its end from the stop, or the weeks, or still open."""
    starts = _first_day(given.get("started_on"))
    weeks = given.get("weeks")
    longest = (weeks[1] if isinstance(weeks, list | tuple) else weeks) if weeks is not None else None
    ends = _first_day(given.get("stopped_on"))
    if starts is None and ends is not None and longest is not None:
        starts = ends - timedelta(weeks=float(longest))
    if starts is None or starts > today:
        return []
    if ends is None and longest is not None and given.get("stopped_reason") != "ongoing":
        ends = starts + timedelta(weeks=float(longest))
    exact = all(len(str(given.get(key) or "")) == 10 for key in ("started_on", "stopped_on"))
    if verdict["verdict"] == "inadequate_dose":
        level = Level.BELOW
    elif verdict["verdict"] == "undetermined" or not (exact or given.get("started_on")):
        level = Level.UNSURE
    else:
        level = Level.AT
    if ends is not None and ends < starts:
        return []
    return [Segment(starts=starts, ends=None if ends is None else min(ends, today), level=level, ratio=_ratio(verdict))]


def _ratio(verdict: Mapping[str, Any]) -> float:
    return 0.5 if verdict["verdict"] == "inadequate_dose" else 1.4


def _first_day(text: Any) -> date | None:
    if not text:
        return None
    parts = [int(part) for part in str(text).split("-")]
    return date(parts[0], parts[1] if len(parts) > 1 else 7, parts[2] if len(parts) > 2 else 15)


def asks(result: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """What to ask, by medicine first, then everything else."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in result["ask"]:
        found = _TRIAL.match(one["field"])
        name = result["trials"][int(found[1])]["entered"] if found else "Other answers"
        question = one["question"].removeprefix(f"{name}: ")
        groups.setdefault(name, []).append({**one, "question": question})
    other = groups.pop("Other answers", [])
    return [*groups.items(), *([("Other answers", other)] if other else [])]


def pathway_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The three treatments with their verdict and findings, the most serious first."""
    order = list(FINDING_STATES)
    rows = []
    for key, word in PATHWAY_WORDS.items():
        path = result["pathways"][key]
        present = [finding for finding in path["findings"] if finding["kind"] != "missing"]
        rows.append(
            {
                "key": str(key),
                "name": word,
                "state": PATHWAY_STATES[path["verdict"]],
                "findings": [
                    {**finding, "state": _finding_state(finding)}
                    for finding in sorted(present, key=lambda finding: order.index(finding["kind"]))
                ],
                "missing": [
                    {**finding, "text": finding["text"].removeprefix("Not known: ")}
                    for finding in path["findings"]
                    if finding["kind"] == "missing"
                ],
            }
        )
    return rows


def _finding_state(finding: Mapping[str, Any]) -> tuple[str, ...]:
    if finding["code"] == "trd_met":
        return CRITERION_STATES["met"]
    return FINDING_STATES[finding["kind"]]
