"""The words of a prior-authorization packet: how stored values read in plain clinical English. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

TREATMENTS = {
    "tms": "transcranial magnetic stimulation (TMS)",
    "esketamine": "esketamine nasal spray",
    "iv_ketamine": "intravenous ketamine",
}
PATHWAY_OF = {"tms": "tms", "esketamine": "esketamine", "ketamine_iv": "iv_ketamine", "iv_ketamine": "iv_ketamine"}
DIAGNOSES = {
    "mdd": "major depressive disorder",
    "bipolar_1": "bipolar I disorder",
    "bipolar_2": "bipolar II disorder",
    "dysthymia": "persistent depressive disorder",
    "schizoaffective": "schizoaffective disorder",
}
SEVERITIES = {
    "subsyndromal": "below the threshold of a full episode",
    "mild": "mild",
    "moderate": "moderate",
    "severe_without_psychosis": "severe, without psychotic features",
    "severe_with_psychosis": "severe, with psychotic features",
}
OUTCOMES = {
    "none": "no improvement",
    "partial": "partial improvement",
    "response": "response",
    "remission": "remission",
    "lost_response": "response, then lost",
}
STOPPED = {
    "inefficacy": "did not help enough",
    "side_effects": "side effects",
    "cost": "cost",
    "other": "another reason",
    "ongoing": "still taken",
}
GRADES = {
    "pharmacy": "A, pharmacy record",
    "chart": "A, chart",
    "letter": "B, prescriber's letter",
    "patient": "C, patient's report",
}
VERDICTS = {
    "adequate": "counts",
    "inadequate_dose": "does not count: dose",
    "inadequate_duration": "does not count: weeks",
    "inadequate_adherence": "does not count: doses missed",
    "intolerance": "stopped for side effects",
    "responded": "does not count: it helped",
    "not_counted": "does not count",
    "duplicate": "same medicine, counted once",
    "undetermined": "cannot be told yet",
}
THERAPIES = {
    "cbt": "cognitive behavioral therapy",
    "ipt": "interpersonal therapy",
    "dbt": "dialectical behavior therapy",
    "behavioral_activation": "behavioral activation",
    "psychodynamic": "psychodynamic therapy",
    "supportive": "supportive therapy",
    "other": "another kind of therapy",
}
INSTRUMENTS = {  # name, highest total
    "phq9": ("PHQ-9", 27),
    "gad7": ("GAD-7", 21),
    "pcptsd5": ("PC-PTSD-5", 5),
    "isi": ("ISI", 28),
    "dast10": ("DAST-10", 10),
    "madrs": ("MADRS", 60),
    "hamd17": ("HAM-D (17 items)", 52),
    "bdi2": ("BDI-II", 63),
    "qids_sr16": ("QIDS-SR (16 items)", 27),
    "zung": ("Zung SDS", 80),
    "audit_c": ("AUDIT-C", 12),
    "mdq": ("MDQ", 13),
}
DEPRESSION_SCALES = ("phq9", "madrs", "hamd17", "bdi2", "qids_sr16", "zung")
SAFETY = {
    "metal_in_head": "Metal in the head, neck or upper chest",
    "cochlear_implant": "Cochlear implant",
    "pacemaker_or_icd": "Pacemaker or defibrillator",
    "vns_or_dbs": "Nerve or brain stimulator",
    "seizure_history": "Seizure or epilepsy, ever",
    "stroke_or_brain_lesion": "Stroke, brain tumor, brain surgery or another brain disease",
    "pregnant": "Pregnant, or could be",
    "current_substance_use": "Problem use of alcohol or drugs now",
    "aneurysm_or_avm": "Aneurysm or arteriovenous malformation",
    "intracerebral_haemorrhage": "Bleeding in the brain, ever",
    "psychosis_history": "Psychosis, ever",
    "liver_impairment": "Liver impairment",
    "bp": "Blood pressure",
}
# Answers that only clinical roles may read, by the start of their path.
PRIVATE = (
    "audit_c",
    "cssrs",
    "scores.audit_c",
    "scores.dast10",
    "safety.current_substance_use",
    "safety.stimulants_drugs",
    "safety.alcohol",
    "safety.active_substance_use_disorder",
)
CODE_SYSTEMS = {"cpt": "CPT", "hcpcs": "HCPCS", "icd10": "ICD-10-CM"}
# What a policy file asks of the request in its own words, which no fact of the record can show.
BY_HAND = {
    "ordered_by": "Who orders it",
    "prescriber": "Who prescribes it",
    "documentation": "Documentation",
    "measurement": "Measurement",
    "device": "Device",
    "rems_required": "Risk program enrollment",
    "pdmp_check": "Prescription monitoring check",
}


def day(value: date) -> str:
    """`November 20, 2026`."""
    return f"{value:%B} {value.day}, {value.year}"


def partial_day(text: str) -> str:
    """`2025`, `March 2025` or `March 4, 2025` from YYYY, YYYY-MM or YYYY-MM-DD."""
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 1:
        return str(parts[0])
    if len(parts) == 2:
        return f"{date(parts[0], parts[1], 1):%B} {parts[0]}"
    return day(date(*parts))


def span(value: Any) -> str:
    """`6`, or `4 to 7` for a range."""
    return f"{value[0]:g} to {value[1]:g}" if isinstance(value, list | tuple) else f"{value:g}"


def weeks(value: Any) -> str:
    """`6 weeks`, `1 week`, `4 to 7 weeks`."""
    return f"{span(value)} {'week' if value == 1 else 'weeks'}"


def dates(trial: Mapping[str, Any]) -> str:
    """`March 2025 to January 2026`; empty where neither end is known."""
    start, stop = trial.get("started_on"), trial.get("stopped_on")
    if not start and not stop:
        return ""
    if trial.get("stopped_reason") == "ongoing":
        return f"since {partial_day(start)}" if start else "still taken"
    begin = partial_day(start) if start else "not known"
    return f"{begin} to {partial_day(stop)}" if stop else f"from {begin}"


def medicine(entered: Any, ingredient: Any) -> str:
    """The ingredient, and what was written where that is another word."""
    name = str(ingredient or entered or "medicine not named").replace("_", " ")
    written = str(entered or "")
    same = not written or written.casefold() == name.casefold()
    return name if same else f"{name} (written: {written})"


def drug_class(name: Any) -> str:
    """`SSRI`, `atypical`: short ones are abbreviations."""
    text = str(name or "").replace("_", " ")
    return text.upper() if len(text) <= 4 else text


def phone(number: str) -> str:
    """`(714) 555-0100` for +17145550100; another number as it is stored."""
    is_local = number.startswith("+1") and len(number) == 12
    return f"({number[2:5]}) {number[5:8]}-{number[8:]}" if is_local else number


def code(text: str) -> str:
    """`CPT 90867` for cpt_90867."""
    system, _, number = text.partition("_")
    return f"{CODE_SYSTEMS[system]} {number.upper()}" if system in CODE_SYSTEMS and number else text


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def safety_label(name: str) -> str:
    """The topic of a safety answer."""
    return SAFETY.get(name) or name.replace("_", " ").capitalize()


def safety_value(name: str, value: Any) -> str:
    """`no`, `yes`, `118 over 76 mmHg`, `mild`."""
    if value is True or value is False:
        return "yes" if value else "no"
    if name == "bp":
        return f"{span(value[0])} over {span(value[1])} mmHg"
    return str(value)


def is_private(path: str) -> bool:
    """Whether only clinical roles may read what stands at this path."""
    return path.startswith(PRIVATE)
