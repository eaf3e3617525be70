"""Medicines taken together that a clinician should see. For staff; it changes no verdict."""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

from clinic.eligibility.engine import drugs, knowledge
from clinic.eligibility.engine.record import IntakeRecord, Trial, partial_date

Level = Literal["contraindicated", "serious", "caution"]
_LEVELS: tuple[Level, ...] = ("contraindicated", "serious", "caution")


@dataclass(frozen=True, slots=True)
class Interaction:
    """A pair of medicines, or a medicine and a treatment; the names are as they were written."""

    code: str
    level: Level
    medicines: tuple[str, ...]
    treatments: tuple[str, ...]
    text: str
    action: str
    source: str

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "level": self.level,
            "medicines": list(self.medicines),
            "treatments": list(self.treatments),
            "text": self.text,
            "action": self.action,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True)
class Taken:
    """A medicine still taken, or stopped so many days ago."""

    written: str
    drug: drugs.Drug
    days_since: int | None = None


@cache
def _groups() -> dict[str, frozenset[str]]:
    """The groups with the groups in them resolved."""
    table: dict[str, list[str]] = knowledge.interactions()["groups"]

    def members(name: str) -> frozenset[str]:
        found: set[str] = set()
        for each in table[name]:
            found |= members(each) if each in table else {each}
        return frozenset(found)

    return {name: members(name) for name in table}


@lru_cache(maxsize=512)
def tags(drug: drugs.Drug) -> frozenset[str]:
    """Everything that the lists may call this medicine: its id, its classes, and the groups of these."""
    own = {drug.id, drug.drug_class, drug.payer_class, drug.augmentation_class or drug.id}
    return frozenset(own | {name for name, members in _groups().items() if members & own})


def taken(record: IntakeRecord) -> list[Taken]:
    """Medicines of the trials still going on and of the list of present ones; those stopped lately with the days."""
    found = []
    for trial in record.trials or ():
        if not trial.drug:
            continue
        drug = drugs.identify(trial.drug, trial.formulation).drug
        days = _days_since(trial, record.as_of)
        if drug is not None and (trial.stopped_reason == "ongoing" or (days is not None and days < _washout(drug))):
            found.append(Taken(trial.drug, drug, None if trial.stopped_reason == "ongoing" else days))
    for written in record.current_medicines or ():
        drug = drugs.known_medicine(written)
        if drug is not None:
            found.append(Taken(written, drug))
    return list({(each.drug.id, each.days_since is None): each for each in reversed(found)}.values())[::-1]


def _days_since(trial: Trial, as_of: str | None) -> int | None:
    """Fewest days that can have passed since the last dose."""
    if trial.stopped_on is None or as_of is None or trial.stopped_reason == "ongoing":
        return None
    return max(0, (partial_date(as_of)[0] - partial_date(trial.stopped_on)[1]).days)


@lru_cache(maxsize=512)
def _washout(drug: drugs.Drug) -> int:
    table: dict[str, int] = knowledge.interactions()["washout_days"]
    return max((days for name, days in table.items() if name in tags(drug)), default=0)


def _at_once(one: Taken, other: Taken, washout: bool) -> bool:
    """Whether both are taken now, or one still lasts in the washout of the other."""
    stopped = [each for each in (one, other) if each.days_since is not None]
    if not stopped:
        return True
    if not washout or len(stopped) == 2:
        return False
    (last,) = stopped
    return last.days_since is not None and last.days_since < _washout(last.drug)


def _source(row: dict[str, Any]) -> str:
    return f"interactions.{row['id']}: {', '.join(row['src'])}; recalled"


def interactions(record: IntakeRecord, medicines: list[Taken] | None = None) -> list[Interaction]:
    """Pairs among what is taken now, and medicines that bear on a treatment, the most serious first.

    `medicines` where what is taken has been found already.
    """
    medicines = taken(record) if medicines is None else medicines
    found = [*_pairs(medicines), *_with_treatments(medicines), *_not_checked(record)]
    return sorted(found, key=lambda each: _LEVELS.index(each.level))


@lru_cache(maxsize=4096)
def _rows(first: drugs.Drug, second: drugs.Drug) -> tuple[dict[str, Any], ...]:
    """The rows of the list that two medicines fit, whichever way round."""
    one, other = tags(first), tags(second)
    return tuple(
        row
        for row in knowledge.interactions()["pairs"]
        if (row["one"] in one and row["other"] in other) or (row["one"] in other and row["other"] in one)
    )


@lru_cache(maxsize=512)
def _treatment_rows(drug: drugs.Drug) -> tuple[dict[str, Any], ...]:
    return tuple(row for row in knowledge.interactions()["treatments"] if row["one"] in tags(drug))


def _pairs(medicines: list[Taken]) -> list[Interaction]:
    found = []
    for at, first in enumerate(medicines):
        for second in medicines[at + 1 :]:
            if first.drug.id == second.drug.id:
                continue
            for row in _rows(first.drug, second.drug):
                if not _at_once(first, second, row.get("washout", False)):
                    continue
                lately = "" if first.days_since is None and second.days_since is None else " One was stopped lately."
                names = (first.written, second.written)
                text = f"{names[0]} with {names[1]}: {row['text']}{lately}"
                found.append(Interaction(row["id"], row["level"], names, (), text, row["action"], _source(row)))
    return found


def _with_treatments(medicines: list[Taken]) -> list[Interaction]:
    return [
        Interaction(
            row["id"],
            row["level"],
            (each.written,),
            tuple(row["treatments"]),
            f"{each.written}: {row['text']}",
            row["action"],
            _source(row),
        )
        for each in medicines
        if each.days_since is None
        for row in _treatment_rows(each.drug)
    ]


def _not_checked(record: IntakeRecord) -> list[Interaction]:
    """Present medicines that no list here knows."""
    unknown = [each for each in record.current_medicines or () if each.strip() and drugs.known_medicine(each) is None]
    if not unknown:
        return []
    text = f"Not in the list, so not checked: {', '.join(unknown)}."
    return [Interaction("not_checked", "caution", tuple(unknown), (), text, "Check by hand.", "interactions")]
