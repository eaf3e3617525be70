"""The intake record: what is known about a person, every value optional, unknown keys refused."""

import math
import re
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from clinic.eligibility.engine import knowledge

MAX_WEEKS = 6240  # 120 years
MAX_DOSE = 10000
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)


def _refuse(message: str) -> PydanticCustomError:
    return PydanticCustomError("record", message)


@lru_cache(maxsize=8192)
def tidy(number: float) -> int | float:
    """The number as people write it: 6 and not 6.0, at most two decimals."""
    rounded = round(number, 2)
    return int(rounded) if rounded == int(rounded) else rounded


class Span(NamedTuple):
    """A number that is known to lie between two others, both included; equal when it is known exactly."""

    low: float
    high: float

    def to_json(self) -> Any:
        low, high = tidy(self.low), tidy(self.high)
        return low if low == high else [low, high]


def _number(value: Any, *, above: float | None, low: float, high: float, unit: str) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse(f"must be a number of {unit} or [low, high]")
    if isinstance(value, float) and not math.isfinite(value):
        raise _refuse("must be a finite number")
    if above is not None and value <= above:
        raise _refuse(f"must be more than {above:g} {unit}")
    if not low <= value <= high:
        raise _refuse(f"must be from {low:g} to {high:g} {unit}")
    return value


def _span(value: Any, **limits: Any) -> Span | None:
    if value is None or isinstance(value, Span):
        return value
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise _refuse("must be a number or [low, high]")
        low, high = (_number(each, **limits) for each in value)
        if low > high:
            raise _refuse("must be [low, high] with low not above high")
        return Span(low, high)
    exact = _number(value, **limits)
    return Span(exact, exact)


def _weeks(value: Any) -> Span | None:
    if type(value) is int and 0 <= value <= MAX_WEEKS:  # what most records say, by the short way
        return Span(value, value)
    return _span(value, above=None, low=0, high=MAX_WEEKS, unit="weeks")


def _dose(value: Any) -> Span | None:
    if type(value) is int and 0 < value <= MAX_DOSE:
        return Span(value, value)
    return _span(value, above=0, low=0, high=MAX_DOSE, unit="mg per day")


def _step_dose(value: Any) -> Span | None:
    return _span(value, above=None, low=0, high=MAX_DOSE, unit="mg per day")


def _missed(value: Any) -> Span | None:
    return _span(value, above=None, low=0, high=28, unit="doses a week")


def _percent(value: Any) -> Span | None:
    return _span(value, above=None, low=-100, high=100, unit="percent")


def _whole(value: Any, low: int, high: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refuse(f"must be a whole number from {low} to {high}")
    if not low <= value <= high:
        raise _refuse(f"must be from {low} to {high}")
    return value


@lru_cache(maxsize=8192)
def partial_date(value: str) -> tuple[date, date]:
    """First and last day that a YYYY, YYYY-MM or YYYY-MM-DD can mean. Raises ValueError."""
    found = _DATE.fullmatch(value)
    if not found:
        raise ValueError(value)
    year, month, day = (int(part) if part else None for part in found.groups())
    assert year is not None
    if month is None:
        return date(year, 1, 1), date(year, 12, 31)
    if day is None:
        last = date(year + month // 12, month % 12 + 1, 1).toordinal() - 1
        return date(year, month, 1), date.fromordinal(last)
    return date(year, month, day), date(year, month, day)


def _partial_date(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, date):
        value = value.isoformat()[:10]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        try:
            first, _ = partial_date(value)
        except (ValueError, OverflowError):
            pass
        else:
            if 1900 <= first.year <= 2199:
                return value
    raise _refuse("must be a date as YYYY, YYYY-MM or YYYY-MM-DD")


def _full_date(value: Any) -> str | None:
    found = _partial_date(value)
    if found is not None and len(found) != 10:
        raise _refuse("must be a date as YYYY-MM-DD")
    return found


def _phq9(value: Any) -> tuple[int | None, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 9:
        raise _refuse("must be nine answers, each 0 to 3 or null")
    for number, each in enumerate(value, 1):
        if each is not None and (isinstance(each, bool) or not isinstance(each, int) or not 0 <= each <= 3):
            raise _refuse(f"answer {number} must be a whole number from 0 to 3, or null")
    return tuple(value)


def _pressure(value: Any) -> tuple[float | None, float | None] | None:
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise _refuse("must be [systolic, diastolic] in mmHg")
    systolic, diastolic = value
    for each, name, low, high in ((systolic, "systolic", 40, 300), (diastolic, "diastolic", 20, 200)):
        if each is None:
            continue
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise _refuse(f"{name} must be a number in mmHg")
        if not low <= each <= high:
            raise _refuse(f"{name} must be from {low} to {high} mmHg")
    if systolic is not None and diastolic is not None and systolic <= diastolic:
        raise _refuse("systolic must be above diastolic")
    return systolic, diastolic


def _span_json(value: Span | None) -> Any:
    return None if value is None else value.to_json()


_AS_SPAN = PlainSerializer(_span_json)
Weeks = Annotated[Span | None, BeforeValidator(_weeks), _AS_SPAN]
Dose = Annotated[Span | None, BeforeValidator(_dose), _AS_SPAN]
StepDose = Annotated[Span | None, BeforeValidator(_step_dose), _AS_SPAN]
Missed = Annotated[Span | None, BeforeValidator(_missed), _AS_SPAN]
Percent = Annotated[Span | None, BeforeValidator(_percent), _AS_SPAN]
PartialDate = Annotated[str | None, BeforeValidator(_partial_date)]
FullDate = Annotated[str | None, BeforeValidator(_full_date)]
Text = Annotated[str, Field(max_length=300)]


def _whole_type(low: int, high: int) -> Any:
    return BeforeValidator(lambda value: _whole(value, low, high))


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Episode(_Model):
    """The current episode."""

    diagnosis: Literal["mdd", "bipolar_1", "bipolar_2", "dysthymia", "schizoaffective", "unknown"] | None = None
    onset_weeks_ago: Annotated[int | None, _whole_type(0, MAX_WEEKS)] = None
    psychotic_features: bool | None = None
    current_mania: bool | None = None
    severity: (
        Literal["subsyndromal", "mild", "moderate", "severe_without_psychosis", "severe_with_psychosis"] | None
    ) = None
    ect_used: bool | None = None


class Step(_Model):
    """Some weeks at one dose, in the order they were taken; dose 0 is a gap."""

    dose: StepDose = None
    weeks: Weeks = None


class Trial(_Model):
    """One medication attempt. Doses in mg per day, for a patch in mg per 24 hours."""

    drug: Text | None = None
    dose_mg_per_day: Dose = None
    formulation: Text | None = None
    weeks: Weeks = None
    weeks_at_dose: Weeks = None
    steps: Annotated[list[Step], Field(max_length=100)] | None = None
    started_on: PartialDate = None
    stopped_on: PartialDate = None
    adherence: Literal["good", "partial", "poor", "unknown"] | None = None
    outcome: Literal["none", "partial", "response", "remission", "lost_response", "unknown"] | None = None
    stopped_reason: Literal["inefficacy", "side_effects", "cost", "other", "ongoing", "unknown"] | None = None
    in_current_episode: bool | None = None
    purpose: Literal["depression", "sleep", "pain", "smoking", "other"] | None = None
    role: Literal["alone", "add_on"] | None = None
    missed_doses_per_week: Missed = None
    improvement_percent: Percent = None
    weeks_well_after: Weeks = None
    level_therapeutic: bool | None = None
    contraindicated: Text | None = None
    side_effect: Text | None = None
    side_effect_on: PartialDate = None
    side_effect_confirmed: bool | None = None
    documentation: Literal["pharmacy", "chart", "letter", "patient"] | None = None


class Psychotherapy(_Model):
    """One course of talking treatment."""

    type: Text | None = None
    sessions: Annotated[int | None, _whole_type(0, 10000)] = None
    adequate: bool | None = None


class Cssrs(_Model):
    """Answers to the Columbia screener: five about the past month, one lifetime, one the past 3 months."""

    wish_dead: bool | None = None
    thoughts: bool | None = None
    method: bool | None = None
    intent: bool | None = None
    plan: bool | None = None
    behaviour_lifetime: bool | None = None
    behaviour_3mo: bool | None = None


class Scores(_Model):
    """Totals of questionnaires, each as its owner scores it."""

    gad7: Annotated[int | None, _whole_type(0, 21)] = None
    pcptsd5: Annotated[int | None, _whole_type(0, 5)] = None
    isi: Annotated[int | None, _whole_type(0, 28)] = None
    dast10: Annotated[int | None, _whole_type(0, 10)] = None
    madrs: Annotated[int | None, _whole_type(0, 60)] = None
    hamd17: Annotated[int | None, _whole_type(0, 52)] = None
    bdi2: Annotated[int | None, _whole_type(0, 63)] = None
    qids_sr16: Annotated[int | None, _whole_type(0, 27)] = None
    zung: Annotated[int | None, _whole_type(20, 100)] = None


class Thyroid(_Model):
    """What is known of the thyroid."""

    problem: bool | None = None
    result: Literal["normal", "abnormal", "unknown"] | None = None
    tested_on: PartialDate = None


class SafetyBase(_Model):
    """Safety answers under the short names; the questions of the screens are added below by their ids."""

    metal_in_head: bool | None = None
    cochlear_implant: bool | None = None
    pacemaker_or_icd: bool | None = None
    vns_or_dbs: bool | None = None
    seizure_history: bool | None = None
    stroke_or_brain_lesion: bool | None = None
    pregnant: bool | None = None
    current_substance_use: bool | None = None
    aneurysm_or_avm: bool | None = None
    intracerebral_haemorrhage: bool | None = None
    bp: Annotated[tuple[float | None, float | None] | None, BeforeValidator(_pressure)] = None
    psychosis_history: bool | None = None
    liver_impairment: Literal["severe", "moderate", "mild", "none"] | None = None


def screen_question_ids() -> tuple[str, ...]:
    """Every id that a safety screen asks about, in the order of the file."""
    screens = knowledge.safety_screens()
    rows = [
        *screens["tms_screen"]["questions"],
        *screens["esketamine_screen"]["contraindications"],
        *screens["esketamine_screen"]["precautions"],
        *screens["iv_ketamine"]["exclusions_and_cautions"],
    ]
    return tuple(dict.fromkeys(row["id"] for row in rows))


def other_cause_codes() -> tuple[str, ...]:
    """Every cause other than resistance that trial_adequacy.yaml names, in the order of the file."""
    return tuple(knowledge.adequacy()["pseudo_resistance_checks"]["items"])


if TYPE_CHECKING:
    Safety = SafetyBase
    OtherCauses = _Model
else:
    OtherCauses = create_model(
        "OtherCauses", __base__=_Model, **dict.fromkeys(other_cause_codes(), (bool | None, None))
    )
    Safety = create_model(
        "Safety",
        __base__=SafetyBase,
        **{name: (bool | None, None) for name in screen_question_ids() if name not in SafetyBase.model_fields},
    )


class IntakeRecord(_Model):
    """What is known about one person. Null and left out both mean not known."""

    id: Text | None = None
    as_of: FullDate = None
    age: Annotated[int | None, _whole_type(0, 120)] = None
    sex: Literal["female", "male", "other", "unknown"] | None = None
    episode: Episode | None = None
    trials: Annotated[list[Trial], Field(max_length=300)] | None = None
    psychotherapy: list[Psychotherapy] | None = None
    phq9: Annotated[tuple[int | None, ...] | None, BeforeValidator(_phq9)] = None
    cssrs: Cssrs | None = None
    mdq_positive: bool | None = None
    audit_c: Annotated[int | None, _whole_type(0, 12)] = None
    safety: Safety | None = None
    payer: Text | None = None
    current_medicines: Annotated[list[Text], Field(max_length=100)] | None = None
    scores: Scores | None = None
    thyroid: Thyroid | None = None
    other_causes: OtherCauses | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_an_object(cls, value: Any) -> Any:
        if not isinstance(value, dict | IntakeRecord):
            raise _refuse("must be an object")
        return value

    def to_json(self) -> dict[str, Any]:
        """The record as plain values, known ones only: what is stored beside a result."""
        return self.model_dump(mode="json", exclude_none=True)
