"""The facts that a packet is made from, and the parts that it is made of. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

# -- facts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Person:
    """The patient as the record's header has it."""

    name: str
    birth_date: date
    record_number: str


@dataclass(frozen=True, kw_only=True)
class Approval:
    """The present approving decision on the treatment that the policy is about."""

    id: int
    by: str
    on: date
    is_override: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The protocol that is asked for. `later`: sessions of each stage that a prescriber confirms, with the improvement in
    percent that it asks for.
    """

    key: str
    version: int
    name: str
    sessions: int
    visits: int
    codes: tuple[str, ...] = ()
    later: tuple[tuple[int, int | None], ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScoreFact:
    """A scored questionnaire with its day, beside what the intake holds."""

    instrument: str
    total: int
    taken_on: date
    path: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of the record, by kind."""

    id: int
    kind: str
    about_on: date | None
    added_on: date


@dataclass(frozen=True, kw_only=True)
class OwnWords:
    """The one paragraph that a clinician writes."""

    text: str
    by: str
    on: date


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a packet may be made from. `origins`: by path of the record, where the value came from."""

    person: Person
    clinic: str
    clinic_phone: str
    clinic_address: str
    assessment_id: int
    record: Mapping[str, Any]
    result: Mapping[str, Any]
    policy: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    policy_state: str  # on, off, stale, changed
    sent_on: date
    origins: Mapping[str, str]
    default_origin: str
    approval: Approval | None = None
    plan: Plan | None = None
    scores: Sequence[ScoreFact] = ()
    files: Sequence[File] = ()
    referrer: tuple[str, str, str] | None = None  # name, organization, origin
    own_words: OwnWords | None = None

    def origin(self, path: str) -> str:
        """Where the value at a path came from: the most exact entry, else where the record came from."""
        found = [known for known in self.origins if path == known or path.startswith((f"{known}.", f"{known}["))]
        return self.origins[max(found, key=len)] if found else self.default_origin


# -- the packet -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """One stored fact: its path, the value as it reads, where it came from."""

    path: str
    shown: str
    origin: str


@dataclass(frozen=True)
class Statement:
    """Something that the packet says, and the stored facts that it rests on."""

    id: str
    text: str
    sources: tuple[Source, ...]
    is_private: bool


@dataclass(frozen=True)
class Hole:
    """Something that is asked for and not on record. `key` is the same in every packet that misses it."""

    id: str
    key: str
    text: str
    because: str
    filled_by: str
    role: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """A label and a value with the statement that it is; `hole` instead where it is missing."""

    label: str
    text: str
    ref: str = ""
    hole: str = ""
    is_private: bool = False


@dataclass(frozen=True)
class TrialRow:
    """One row of the trial table; a cell that is not known is empty and named by the row's hole."""

    number: int
    name: str
    drug_class: str
    dose: str
    weeks_at_dose: str
    dates: str
    outcome: str
    stopped: str
    grade: str
    verdict: str
    ref: str
    hole: str = ""


@dataclass(frozen=True)
class CriterionLine:
    """One criterion of the payer. `status`: met, unmet, unknown."""

    code: str
    text: str
    status: str
    answer: str
    ref: str = ""
    holes: tuple[str, ...] = ()
    is_private: bool = False


@dataclass(frozen=True)
class Sentence:
    """A sentence of the letter with the statements that it repeats."""

    text: str
    refs: tuple[str, ...]


@dataclass(frozen=True)
class Packet:
    """A whole packet, in the order of its pages."""

    treatment: str
    payer: str
    policy: Mapping[str, Any]
    header: tuple[Line, ...]
    request: tuple[Line, ...]
    diagnosis: tuple[Line, ...]
    trials: tuple[TrialRow, ...]
    psychotherapy: tuple[Line, ...]
    scores: tuple[Line, ...]
    safety: tuple[Line, ...]
    criteria: tuple[CriterionLine, ...]
    letter: tuple[Sentence, ...]
    own_words: OwnWords | None
    attachments: tuple[Line, ...]
    evidence: tuple[Statement, ...]
    holes: tuple[Hole, ...]
    warnings: tuple[str, ...]  # said on the document
    advice: tuple[str, ...]  # for whoever sends it, never on the document

    def to_json(self) -> dict[str, Any]:
        """Plain values, days as ISO text."""
        found = asdict(self)
        if self.own_words is not None:
            found["own_words"]["on"] = self.own_words.on.isoformat()
        return found
