"""The lines of the review page below the trials: criteria, payers, options, other causes, scores. No rules here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from clinic.eligibility import words
from clinic.eligibility.engine import IntakeRecord, interactions, knowledge
from clinic.eligibility.presenter import CRITERION_STATES, PATHWAY_STATES, policy_name
from clinic.instruments import scoring

State = tuple[str, ...]

CODES = {
    "adequate_trials": "Trials that count",
    "failed_trials": "Trials that count",
    "distinct_classes": "Classes",
    "one_class": "Classes",
    "diagnosis": "Diagnosis",
    "no_psychosis": "No psychosis",
    "adult": "Age",
    "age": "Age",
    "evidence_based_psychotherapy": "Talk therapy",
    "psychotherapy": "Talk therapy",
    "psychotherapy_or_augmentation": "Talk therapy, or an add-on",
    "augmentation": "Add-on trial",
    "severity": "How severe",
    "oral_antidepressant": "Takes an antidepressant",
    "similar_agents": "Close relatives",
    "taken_together": "Taken together",
    "combination": "Taken together",
    "alternative": "Instead of the trials",
}
ORDER = list(dict.fromkeys(CODES.values()))
EXCLUSION = "exclusion_"
NOTE: State = ("", "Note", "clock")
NOT_ASKED = "not asked for"
TREATMENT_OF = {"tms": "tms", "esketamine": "esketamine", "ketamine_iv": "iv_ketamine"}
CAUSES = {
    "inadequate_dose": "Dose too low",
    "inadequate_duration": "Stopped too early",
    "poor_adherence": "Doses missed",
    "drug_interaction_or_substance_use": "Interactions, alcohol or drugs",
    "bipolar_disorder": "Bipolar disorder",
    "ptsd_or_anxiety": "PTSD or anxiety",
    "thyroid_or_other_medical": "Thyroid or other medical cause",
    "sleep_apnoea": "Sleep apnea",
    "chronic_stress_trauma_relationships": "Stress, trauma, relationships",
    "therapy_not_evidence_based": "Therapy not evidence-based",
    "wrong_diagnosis": "Another diagnosis",
    "medicines_that_lower_mood": "Medicines that lower mood",
}
CAUSE_STATES: dict[str, State] = {
    "present": ("due", "Present", "warn"),
    "not_asked": ("unsure", "Not asked"),
    "unknown": ("unsure", "Not asked"),
    "absent": ("good", "Not found"),
}
_YEAR_FIRST = re.compile(r"\d{4}(-\d{2}){0,2}")


@dataclass(frozen=True)
class Line:
    """One criterion of one way of judging."""

    name: str
    state: State
    text: str
    source: str


@dataclass(frozen=True)
class PayerTable:
    """Policies as columns, criteria as rows; a cell is None where the policy does not ask."""

    columns: Sequence[Mapping[str, Any]]
    rows: Sequence[tuple[str, Sequence[Line | None]]]


def clinical(result: Mapping[str, Any]) -> list[Line]:
    """The clinical definition, criterion by criterion."""
    return [_line(finding) for finding in result["trd"]["findings"]]


def _line(finding: Mapping[str, Any]) -> Line:
    state = CRITERION_STATES.get(finding["status"], NOTE)
    return Line(name_of(finding["code"]), state, _with_trials(finding), finding["source"])


def _with_trials(finding: Mapping[str, Any]) -> str:
    rows = finding.get("trials")
    text = words.finding(str(finding["text"]))
    if not rows:
        return text
    return f"{text} {'Trial' if len(rows) == 1 else 'Trials'} {words.listed([str(row + 1) for row in rows])}."


def name_of(code: str) -> str:
    """A criterion's name on pages."""
    if code.startswith(EXCLUSION):
        return f"Excluded: {words.plain(code.removeprefix(EXCLUSION))}"
    return CODES.get(code) or words.code(code)


def payers(result: Mapping[str, Any], payer_policies: Sequence[str]) -> PayerTable | None:
    """Every policy that this clinic verified, side by side, the patient's own first; None where none is on."""
    policies = [policy for policy in result["policies"] if policy.get("verified_on")]
    if not policies:
        return None
    columns = []
    cells: dict[str, list[Line | None]] = {}
    for number, policy in enumerate(policies):
        columns.append(
            {
                "id": policy["id"],
                "name": policy_name(policy["id"]),
                "version": policy["version"],
                "is_own": policy["id"] in payer_policies,
                "verified_on": date.fromisoformat(policy["verified_on"]),
                "state": _so(policy),
                **_about(policy["id"]),
            }
        )
        for name, line in _merged(policy["findings"]):
            cells.setdefault(name, [None] * len(policies))[number] = line
    order = {name: place for place, name in enumerate(ORDER)}
    rows = sorted(cells.items(), key=lambda row: (row[0].startswith("Excluded"), order.get(row[0], len(order))))
    return PayerTable(columns, rows)


def _about(policy_id: str) -> dict[str, Any]:
    if policy_id not in knowledge.policy_ids():
        return {"treatment": "", "effective": "", "confidence": ""}
    policy = knowledge.policy(policy_id)
    day = str(policy.get("effective_date") or "")
    return {
        "treatment": words.TREATMENTS.get(TREATMENT_OF.get(policy["treatment"], ""), policy["treatment"]),
        "effective": words.partial_day(day) if _YEAR_FIRST.fullmatch(day) else day,
        "confidence": policy.get("confidence", ""),
    }


def _merged(findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, Line]]:
    """One line a name: findings under one name say the gravest answer and every text; plain exclusions stay together."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        if finding["code"].startswith(EXCLUSION) and finding["status"] in ("met", "info"):
            name = "Excluded, and not found" if finding["status"] == "met" else "Excluded kinds of treatment"
        else:
            name = name_of(finding["code"])
        grouped.setdefault(name, []).append(finding)
    return [(name, _together(name, each)) for name, each in grouped.items()]


def _together(name: str, findings: Sequence[Mapping[str, Any]]) -> Line:
    order = ("unmet", "unknown", "met", "info")
    worst = min((finding["status"] for finding in findings), key=order.index)
    if name.startswith("Excluded"):
        said = [finding["text"].removeprefix("Excluded: ").rstrip(".") for finding in findings]
        text = f"{words.sentence(words.plain(', '.join(said)))}."
    else:
        text = " ".join(_with_trials(finding) for finding in findings)
    return Line(name, CRITERION_STATES.get(worst, NOTE), text, findings[0]["source"])


def _so(policy: Mapping[str, Any]) -> State:
    unknown = sum(1 for finding in policy["findings"] if finding["status"] == "unknown")
    if policy["verdict"] == "undetermined":
        return "unsure", f"{unknown} {'fact' if unknown == 1 else 'facts'} missing"
    return CRITERION_STATES[policy["verdict"]]


# -- options --------------------------------------------------------------------------------------------------------


def options(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every category of treatment from A to Z: what the history opens, and what is still open for it."""
    table = knowledge.treatment_options()
    known = result["trd"]["adequate_trials"]
    open_rows = {
        trial["ingredient"] or trial["entered"] or trial["index"]
        for trial in result["trials"]
        if trial["verdict"] == "undetermined"
    }
    needed: dict[str, int] = {}
    for row in table["pathway_recommended_default"]:
        for each in row["offer"] if "after_failed" in row else ():
            needed[each] = min(needed.get(each, row["after_failed"]), row["after_failed"])
    found = []
    for option in sorted(table["options"], key=lambda option: str(option["name"]).lower()):
        least = needed.get(option["id"])
        found.append(
            {
                "id": option["id"],
                "name": option["name"],
                "needed": least,
                "state": _count_state(least, known, len(open_rows)),
                "counted": _counted(least, known, len(open_rows)),
                "clinical": PATHWAY_STATES[result["pathways"][option["id"]]["verdict"]]
                if option["id"] in result["pathways"]
                else None,
                "open": _open_for(option["id"], result),
                "payers": [
                    (policy_name(policy["id"]), _so(policy))
                    for policy in result["policies"]
                    if policy.get("verified_on") and _treatment_of(policy["id"]) == option["id"]
                ],
            }
        )
    return found


def _treatment_of(policy_id: str) -> str:
    if policy_id not in knowledge.policy_ids():
        return ""
    return TREATMENT_OF.get(knowledge.policy(policy_id)["treatment"], "")


def _count_state(least: int | None, known: int, possible: int) -> State:
    if least is None:
        return "", "At any step", "ring"
    if known >= least:
        return CRITERION_STATES["met"]
    return CRITERION_STATES["unknown" if known + possible >= least else "unmet"]


def _counted(least: int | None, known: int, possible: int) -> str:
    if least is None:
        return "No count of trials is asked."
    more = f", {possible} more can't be told" if possible and known < least else ""
    return f"After {least} adequate {'trial' if least == 1 else 'trials'}: {known} so far{more}."


def _open_for(option_id: str, result: Mapping[str, Any]) -> list[str]:
    """What stands between the history and this treatment, most serious first."""
    path = result["pathways"].get(option_id)
    if path is None:
        return []
    texts = [each["text"] for each in path["findings"] if each["code"] != "trd_met" and each["kind"] != "info"]
    return [text.removeprefix("Not known: ") for text in texts]


# -- what else explains it ------------------------------------------------------------------------------------------


def other_causes(result: Mapping[str, Any], record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The checks that stand beside every verdict: causes other than resistance, each present, not found or not asked."""
    given = result.get("pseudo_resistance")
    if given is None:  # an answer of before the checks were part of it
        answers = record.get("other_causes") or {}
        said = {True: "present", False: "absent", None: "unknown"}
        given = [{"code": code, "status": said[answers.get(code)], "text": ""} for code in CAUSES]
    return [
        {
            "name": CAUSES.get(each["code"]) or words.code(each["code"]),
            "state": CAUSE_STATES.get(each["status"], CAUSE_STATES["unknown"]),
            "text": each["text"] if each["status"] == "present" else "",
        }
        for each in sorted(given, key=lambda each: list(CAUSE_STATES).index(each["status"]))
    ]


# -- scores ---------------------------------------------------------------------------------------------------------

SCORE_NAMES = {
    "phq9": "PHQ-9",
    "gad7": "GAD-7",
    "pcptsd5": "PC-PTSD-5",
    "audit_c": "AUDIT-C",
    "mdq": "MDQ",
    "isi": "ISI",
    "dast10": "DAST-10",
    "madrs": "MADRS",
    "hamd17": "HAM-D 17",
    "bdi2": "BDI-II",
    "qids_sr16": "QIDS-SR16",
    "zung": "Zung",
    "cssrs": "C-SSRS",
}


def scores(record: Mapping[str, Any], entered: Sequence[Any], as_of: str | None) -> list[dict[str, Any]]:
    """Scores with their dates, those of the history first in the order of the table; a score that staff entered wins."""
    day = date.fromisoformat(as_of) if as_of else None
    found: dict[str, dict[str, Any]] = {}
    for key, value, note in _of_record(record):
        found[key] = _score(key, value, day, "", note)
    seen: set[str] = set()
    for row in entered:  # newest first
        if row.instrument not in seen:
            seen.add(row.instrument)
            found[row.instrument] = _score(row.instrument, row.total, row.taken_on, "entered by staff", "")
    order = list(SCORE_NAMES)
    return sorted(found.values(), key=lambda each: order.index(each["key"]) if each["key"] in order else len(order))


def _of_record(record: Mapping[str, Any]) -> list[tuple[str, int | None, str]]:
    found: list[tuple[str, int | None, str]] = []
    items = record.get("phq9")
    if items is not None:
        whole = len(items) == 9 and None not in items
        item9 = items[8] if len(items) == 9 else None
        note = f"item 9: {item9}" if item9 is not None else "item 9 not answered"
        found.append(("phq9", sum(items) if whole else None, note))
    for key, total in (record.get("scores") or {}).items():
        if total is not None:
            found.append((key, total, ""))
    if record.get("audit_c") is not None:
        found.append(("audit_c", record["audit_c"], ""))
    if record.get("mdq_positive") is not None:
        found.append(("mdq", None, "positive" if record["mdq_positive"] else "negative"))
    answers = record.get("cssrs")
    if answers:
        yes = [words.code(key).lower() for key, value in answers.items() if value]
        found.append(("cssrs", None, f"yes to: {', '.join(yes)}" if yes else "no item answered with yes"))
    return found


def _score(key: str, total: int | None, day: date | None, source: str, note: str) -> dict[str, Any]:
    highest, band = None, ""
    catalog = scoring.keys()
    if key in catalog:
        highest = scoring.load(key).high
        if total is not None:
            try:
                band = (scoring.band(key, total) or "").replace("_", " ")
            except scoring.BadAnswers:
                band = "out of range"
    return {
        "key": key,
        "name": SCORE_NAMES.get(key) or words.code(key),
        "total": None if total is None else f"{total}{f' of {highest}' if highest else ''}",
        "band": band,
        "note": note,
        "day": day,
        "source": source,
    }


# -- staging --------------------------------------------------------------------------------------------------------

STAGING_FIELDS = {
    "episode.onset_weeks_ago": "when the episode began",
    "episode.severity": "how severe it was at its worst",
    "trials": "how many trials count, and whether an add-on was used",
    "episode.ect_used": "whether ECT was used",
}


def staging(result: Mapping[str, Any]) -> dict[str, Any]:
    """The Maudsley stage with its points, or what is missing for it."""
    found = result.get("staging") or {}
    maudsley = found.get("maudsley")
    return {
        "score": maudsley["score"] if maudsley else None,
        "band": maudsley["band"] if maudsley else "",
        "points": [(words.code(key), value) for key, value in maudsley["points"].items()] if maudsley else [],
        "missing": [STAGING_FIELDS.get(each, each.replace("_", " ")) for each in found.get("missing", ())],
        "reason": found.get("not_applicable", ""),
        "source": found.get("source", ""),
    }


# -- medicines taken now --------------------------------------------------------------------------------------------

INTERACTION_STATES: dict[str, State] = {
    "contraindicated": ("stop", "Do not combine", "warn"),
    "serious": ("due", "Serious", "warn"),
    "caution": ("", "Know of it", "clock"),
}


def medicines(result: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """What is taken now, and which pairs a clinician should see."""
    going_on = [
        words.medicine(judged)
        for given, judged in zip(record.get("trials") or [], result["trials"], strict=False)
        if given.get("stopped_reason") == "ongoing"
    ]
    given = record.get("current_medicines")
    pairs = result.get("interactions")
    if pairs is None:
        pairs = [each.to_json() for each in _interactions(record)]
    return {
        "taken": [*going_on, *(given or [])],
        "is_asked": given is not None,
        "pairs": [
            {
                **pair,
                "state": INTERACTION_STATES.get(pair["level"], NOTE),
                "treatments": [words.TREATMENTS.get(each, each) for each in pair["treatments"]],
            }
            for pair in pairs
        ],
    }


def _interactions(record: Mapping[str, Any]) -> Sequence[Any]:
    try:
        return interactions.interactions(IntakeRecord.model_validate(record))
    except ValidationError:
        return ()
