"""Scores that staff enter: of questionnaires whose items may not be shown here, and of clinicians' own ratings. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from clinic.instruments import scoring as instruments

MDQ = "mdq"
CGI = "cgi"
# Parts of the MDQ, as its file names them. Positive: seven or more, at the same time, and the problem they made.
MDQ_COUNT, MDQ_SAME_TIME, MDQ_PROBLEM = "yes_count", "same_time", "problem_level"
MDQ_LEAST, MDQ_PROBLEMS = 7, ("moderate", "serious")
IN_SESSION = ("cadss", "moaas")  # taken while someone is watched after a dose, not in an interview
# Totals that the record has a place for.
IN_RECORD = ("dast10", "isi", "hamd17", "madrs", "qids_sr16", "bdi2")


class Score(Protocol):
    """A score as it was entered."""

    id: Any
    instrument: Any
    total: Any
    parts: Any
    taken_on: Any


@dataclass(frozen=True)
class Entry:
    """An instrument that staff can enter: the total's range, or the parts with what each may be."""

    key: str
    name: str
    licence: str
    low: int
    high: int
    parts: Mapping[str, Any]
    is_rating: bool  # by a clinician


@cache
def entries() -> dict[str, Entry]:
    """Every instrument that takes an entered score, by key, self-reports first."""
    found = []
    for key in sorted(set(instruments.keys()) - set(IN_SESSION)):
        instrument = instruments.load(key)
        scoring = instrument.data.get("scoring") or {}
        if key == CGI:
            low, high = _ends(next(row["answers"] for row in instrument.data["items"] if row["id"] == "cgi_s"))
            found.append(_entry(instrument, low, high, name="Clinical Global Impression, severity (CGI-S)"))
        elif scoring.get("method") == "score_entry":
            low, high = scoring["range"] if "range" in scoring else scoring["parts"][MDQ_COUNT]
            found.append(_entry(instrument, low, high))
    return {entry.key: entry for entry in sorted(found, key=lambda entry: (entry.is_rating, entry.name))}


def _ends(answers: Mapping[Any, Any]) -> tuple[int, int]:
    return min(map(int, answers)), max(map(int, answers))


def _entry(instrument: instruments.Instrument, low: int, high: int, *, name: str = "") -> Entry:
    data = instrument.data
    return Entry(
        key=instrument.key,
        name=name or instrument.name,
        licence=str(data.get("licence_note") or ""),
        low=low,
        high=high,
        parts=(data.get("scoring") or {}).get("parts") or {},
        is_rating=data.get("mode") == "clinician_rated",
    )


def is_positive(parts: Mapping[str, Any]) -> bool:
    """Whether an MDQ with these parts is positive."""
    count, same, problem = (parts.get(name) for name in (MDQ_COUNT, MDQ_SAME_TIME, MDQ_PROBLEM))
    return isinstance(count, int) and count >= MDQ_LEAST and same is True and problem in MDQ_PROBLEMS


def band_of(row: Score) -> str:
    """The band of a total, or what the parts say; empty where the instrument names none."""
    if row.instrument == MDQ:
        return "positive" if is_positive(row.parts or {}) else "negative"
    return (instruments.band(row.instrument, row.total) or "").replace("_", " ")


def facts_of(rows: Sequence[Score]) -> dict[str, Any]:
    """What the record holds of these scores, by path: the newest of each instrument."""
    found: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: (row.taken_on, row.id)):
        if row.instrument == MDQ:
            found["mdq_positive"] = is_positive(row.parts or {})
        elif row.instrument in IN_RECORD:
            found[f"scores.{row.instrument}"] = row.total
    return found
