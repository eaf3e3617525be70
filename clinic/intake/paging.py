"""From a record that was sent whole back to pages, so that it can be corrected on them. Pure.

What pages cannot say is not lost: the caller lays it over them as facts.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from clinic.intake.pages import PHQ9_ITEMS, SAFETY, SCREENS, THERAPIES
from clinic.intake.record import CSSRS, MAX_STEPS

Record = Mapping[str, Any]
_SPACE = uuid.UUID("6f1d8a52-6f0b-4f43-9a53-0d6f1f6f2a11")
_MISSED = {"good": "1", "partial": "2_3", "poor": "4_more"}


def key_of(intake_id: int, index: int) -> str:
    """The key of a medicine of a record without rows: always the same one."""
    return str(uuid.uuid5(_SPACE, f"{intake_id}:{index}"))


def number(value: Any) -> str:
    """`50`, or `50-100` for a range; empty where nothing is known."""
    if value is None:
        return ""
    return f"{value[0]:g}-{value[1]:g}" if isinstance(value, list | tuple) else f"{value:g}"


def _yes_no(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""


def _bit(value: Any) -> str:
    return {True: "1", False: "0"}.get(value, "") if isinstance(value, bool) else ""


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", [])}


def _month(values: dict[str, Any], name: str, day: str | None) -> None:
    if day:
        year, *rest = day.split("-")
        values[f"{name}_year"] = year
        values[f"{name}_month"] = str(int(rest[0])) if rest else ""


def pages_of(record: Record) -> dict[str, dict[str, Any]]:
    """Answers by page, as they would have been typed."""
    episode, safety = record.get("episode") or {}, record.get("safety") or {}
    found: dict[str, dict[str, Any]] = {
        "about": {"sex": record.get("sex") if record.get("sex") in ("female", "male", "other") else None},
        "cover": {"payer": record.get("payer")},
        "brings": {"diagnosis": episode.get("diagnosis") if episode.get("diagnosis") != "unknown" else None},
        "treatments": {"ect": _yes_no(episode.get("ect_used"))},
        "taking": {"names": list(record.get("current_medicines") or [])},
        "medicines": {"none": "y" if record.get("trials") == [] else None},
    }
    for n, answer in enumerate(record.get("phq9") or [], 1):
        if n <= PHQ9_ITEMS:
            found[f"phq9-{n}"] = {"answer": None if answer is None else str(answer)}
    for page, items in CSSRS.items():
        found[page] = {item: _bit((record.get("cssrs") or {}).get(name)) for item, name in items.items()}
    if record.get("cssrs"):
        found[SAFETY] = {"next": "questions"}
    for page, names in SCREENS.items():
        found[page] = {name: _yes_no(safety.get(name)) for name in names}
    found["mind"]["mania_now"] = _yes_no(episode.get("current_mania"))
    found["health"]["liver_impairment"] = safety.get("liver_impairment")
    upper, lower = safety.get("bp") or (None, None)
    found["heart"] |= {"systolic": number(upper), "diastolic": number(lower)}
    found |= _therapy(record.get("psychotherapy"))
    return {page: said for page, values in found.items() if (said := _said(values))}


def _therapy(rows: Any) -> dict[str, dict[str, Any]]:
    if rows is None:
        return {}
    if not rows:
        return {"therapy": {"had": "no"}}
    found: dict[str, dict[str, Any]] = {"therapy": {"had": "yes", "kinds": []}}
    for row in rows:
        name = row.get("type")
        kind = name if name in THERAPIES else "other" if name else "not_sure"
        if kind not in found["therapy"]["kinds"]:
            found["therapy"]["kinds"].append(kind)
            found[f"therapy-{kind}"] = {"sessions": number(row.get("sessions"))}
            if kind == "other" and name != "other":
                found["therapy"]["other_kind"] = name
    return found


def trial_of(row: Record) -> dict[str, Any]:
    """The answers of one medicine, as they would have been typed."""
    weeks, at_dose, steps = row.get("weeks"), row.get("weeks_at_dose"), row.get("steps") or []
    values: dict[str, Any] = {
        "drug": row.get("drug"),
        "release": row.get("formulation"),
        "dose": number(row.get("dose_mg_per_day")),
        "weeks": number(weeks),
        "missed": _MISSED.get(row.get("adherence") or ""),
        "outcome": row.get("outcome") if row.get("outcome") != "unknown" else None,
        "stopped": row.get("stopped_reason") if row.get("stopped_reason") != "unknown" else None,
        "this_episode": _yes_no(row.get("in_current_episode")),
        "use": row.get("role") if row.get("purpose") == "depression" else row.get("purpose"),
        "level": _yes_no(row.get("level_therapeutic")),
        "side_effects": row.get("side_effect"),
    }
    if steps and len(steps) <= MAX_STEPS:
        values["at_dose"] = "changed"
        for n, step in enumerate(steps, 1):
            values |= {f"step{n}_dose": number(step.get("dose")), f"step{n}_weeks": number(step.get("weeks"))}
    elif at_dose is not None:
        values |= {"at_dose": "all"} if at_dose == weeks else {"at_dose": "part", "at_dose_weeks": number(at_dose)}
    _month(values, "from", row.get("started_on"))
    _month(values, "to", row.get("stopped_on"))
    _month(values, "side_effect", row.get("side_effect_on"))
    return _said(values)
