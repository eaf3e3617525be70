"""What safety rules ask for at a session, as the files of clinical facts say. Pure."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict

FILE = Path(__file__).with_name("watches.yaml")

BEFORE_DOSE = {
    "enrolled": "Enrolled in the program, on record",
    "consent": "Consent signed",
    "pdmp_checked": "Prescription monitoring checked",
    "ride_named": "A ride home is named, with a phone",
    "no_food_2h": "No food for 2 hours",
    "no_drink_30_min": "No drink for 30 minutes",
    "no_nasal_spray_60_min": "No nasal spray for 60 minutes",
}
ON_RECORD = frozenset({"enrolled", "ride_named"})  # of the list: not ticked, they stand in the record or not
# What an operator asks before a TMS session: the day-of list of the safety screens. The first two must be done; any other
# "yes", and sleep below the threshold, is for the prescriber before treating.
MUST_BE_DONE = {"earplugs_in": "Earplugs in", "jewellery_off": "Jewelry and metal off"}
CONCERNS = {
    "alcohol_last_24h": "Alcohol in the last 24 hours",
    "new_or_changed_medicine": "A new or changed medicine",
    "missed_benzodiazepine_or_antiepileptic": "Missed a benzodiazepine or antiepileptic",
    "new_metal_or_implant": "New metal or implant",
    "new_neurological_symptom": "A new neurological symptom",
    "pregnancy_change": "Pregnant, or could be",
    "suicidal_thoughts_change": "Thoughts of suicide are new or worse",
}
LEAST_SLEEP_HOURS = 4  # tms_screen.sleep_loss: under it the operator calls the prescriber
THRESHOLD_LASTS_DAYS, THRESHOLD_LASTS_SESSIONS = 14, 10  # tms_common.mt_redetermination (convention, recalled)
GAP_DAYS = 7  # a longer gap asks for a new threshold
EVENTS = {
    "seizure": "Seizure",
    "syncope": "Fainting",
    "headache_scalp_pain": "Headache or scalp pain",
    "hearing_change": "Change of hearing",
    "mania_switch": "Switch to mania or hypomania",
    "sedation": "Sedation",
    "dissociation": "Dissociation",
    "respiratory_depression": "Respiratory depression",
    "blood_pressure": "Blood pressure",
    "nausea_or_vomiting": "Nausea or vomiting",
    "other": "Other",
}
SEVERITIES = ("mild", "moderate", "severe")
# Kinds that stop further treatment until a prescriber lifts the hold: adverse_events of the safety screens.
HOLDING = {
    "seizure": "Seizure: no further TMS until a prescriber lifts this",
    "syncope": "Fainting: a prescriber reviews before the next session",
    "hearing_change": "Change of hearing: the course stops until this is reviewed",
    "mania_switch": "Switch to mania: sessions are held until this is reviewed",
    "respiratory_depression": "Respiratory depression: a prescriber reviews before the next session",
}


class Watch(BaseModel):
    """How one kind of treatment is watched. Minutes count from the dose."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clock: str
    minimum_minutes: int
    pressure_minutes: tuple[int, ...]
    hold_over: Mapping[str, int]
    before_dose: tuple[str, ...]
    src: tuple[str, ...]
    stop_over: Mapping[str, int] | None = None
    doses_mg: tuple[int, ...] = ()
    form: Mapping[str, Any] | None = None
    program: str | None = None

    @property
    def check_minutes(self) -> tuple[int, ...]:
        """Blood pressures after the dose, but the one before leaving."""
        return tuple(minute for minute in self.pressure_minutes if minute > 0)


@cache
def _file() -> dict[str, Any]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load(FILE.read_text("utf-8"), Loader=loader)  # noqa: S506  both are safe ones
    return found


@cache
def watches() -> Mapping[str, Watch]:
    """Every watch by the modality of its protocol."""
    return {key: Watch.model_validate(value) for key, value in _file()["watches"].items()}


def watch_of(modality: str) -> Watch | None:
    """The watch of a modality; None where nobody is watched after it."""
    return watches().get(modality)


def sources_of(watch: Watch) -> list[str]:
    """Titles of where its values come from, with how sure they are."""
    found = _file()["sources"]
    return [
        f"{found[key]['title']}, {found[key]['organisation']} {found[key]['year']} ({found[key]['verified']})"
        for key in watch.src
    ]


def programs() -> Mapping[str, Mapping[str, Any]]:
    """Safety programs by key, with their names."""
    found: Mapping[str, Mapping[str, Any]] = _file()["programs"]
    return found


def version() -> int:
    """Of the file."""
    return int(_file()["version"])


def check_from() -> int:
    """Minutes before its time from which a reading counts for a check."""
    return int(_file()["check_from_minutes"])


def is_high(systolic: int, diastolic: int, limit: Mapping[str, int]) -> bool:
    """Over one of the two limits."""
    return systolic > limit["systolic"] or diastolic > limit["diastolic"]
