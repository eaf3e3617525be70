"""The history in a packet: trials, talking treatments, scores, safety answers, attachments. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from clinic.eligibility import packet_words as words
from clinic.eligibility.packet_maker import NURSE, SAFETY_OF, Maker, shown_value, treatment_of
from clinic.eligibility.packet_parts import (
    Line,
    Source,
    TrialRow,
)
from clinic.instruments import scoring

ANYONE_MAY_ASK = "The patient, or a pharmacy or chart record"
_LISTED = ("adequate", "undetermined", "intolerance")  # rows that a request may rest on
_CELLS = (
    ("dose", ("dose_mg_per_day",)),
    ("weeks at that dose", ("weeks_at_dose",)),
    ("when it began", ("started_on",)),
    ("how much it helped", ("outcome",)),
    ("why it was stopped", ("stopped_reason",)),
)
_TRIAL_FACTS = {
    "drug": "which medicine it was",
    "dose_mg_per_day": "dose",
    "weeks_at_dose": "weeks at that dose",
    "weeks": "weeks in all",
    "adherence": "how regularly it was taken",
    "outcome": "how much it helped",
    "in_current_episode": "whether it was in this episode",
    "purpose": "what it was taken for",
    "role": "whether it was taken alone",
}


def _dose(value: Any) -> str:
    return "" if value is None else f"{words.span(value)} mg a day"


def trials(maker: Maker) -> tuple[TrialRow, ...]:
    given = maker.facts.record.get("trials")
    if given is None:
        because = "Every policy asks which medicines were tried."
        maker.hole("trials", "The medicines that were tried", because, ANYONE_MAY_ASK, NURSE, ("trials",))
        return ()
    pairs = zip(given, maker.facts.result["trials"], strict=False)
    maker.rows = tuple(_trial(maker, number, *pair) for number, pair in enumerate(pairs))
    return maker.rows


def _trial(maker: Maker, index: int, trial: Mapping[str, Any], weighed: Mapping[str, Any]) -> TrialRow:
    known = {name: value for name, value in trial.items() if value is not None and value != "unknown"}
    path = f"trials[{index}]"
    name = words.medicine(trial.get("drug"), weighed.get("ingredient"))
    sources = [
        Source(f"{path}.{each}", shown_value(each, value), maker.facts.origin(f"{path}.{each}"))
        for each, value in known.items()
    ]
    cells = {
        "dose": _dose(known.get("dose_mg_per_day")),
        "at_dose": words.weeks(known["weeks_at_dose"]) if "weeks_at_dose" in known else "",
        "dates": words.dates(known),
        "outcome": words.OUTCOMES.get(known.get("outcome", ""), ""),
        "stopped": words.STOPPED.get(known.get("stopped_reason", ""), ""),
    }
    text = ", ".join(
        part
        for part in (
            name,
            cells["dose"],
            f"{cells['at_dose']} at that dose" if cells["at_dose"] else "",
            cells["dates"],
            cells["outcome"],
            f"stopped: {cells['stopped']}" if cells["stopped"] else "",
        )
        if part
    )
    made = maker.state(f"Medicine {index + 1}: {text}", sources)
    return TrialRow(
        number=index + 1,
        name=name,
        drug_class=words.drug_class(weighed.get("drug_class")),
        dose=cells["dose"],
        weeks_at_dose=cells["at_dose"],
        dates=cells["dates"],
        outcome=cells["outcome"],
        stopped=cells["stopped"],
        grade=words.GRADES[trial.get("documentation") or "patient"],
        verdict=words.VERDICTS[weighed["verdict"]],
        ref=made.id,
        hole=_trial_hole(maker, index, name, known, weighed),
    )


def _trial_hole(maker: Maker, index: int, name: str, known: Mapping[str, Any], weighed: Mapping[str, Any]) -> str:
    if weighed["verdict"] not in _LISTED:
        return ""
    missing = [(what, paths[0]) for what, paths in _CELLS if not any(path in known for path in paths)]
    asked = [one["field"] for one in maker.facts.result["ask"] if one["field"].startswith(f"trials[{index}].")]
    missing += [
        (_TRIAL_FACTS.get(each, each.replace("_", " ")), each)
        for each in (one.split("].", 1)[1] for one in asked)
        if each not in {path for _, path in missing}
    ]
    if not missing:
        return ""
    what = words.listed([each for each, _ in missing])
    return maker.hole(
        f"trials[{index}]",
        f"Medicine {index + 1}, {name}: {what}",
        "The trial table states it, and it may decide whether the medicine counts.",
        ANYONE_MAY_ASK,
        NURSE,
        tuple(f"trials[{index}].{path}" for _, path in missing),
    )


def psychotherapy(maker: Maker) -> tuple[Line, ...]:
    courses = maker.facts.record.get("psychotherapy")
    if courses is None:
        if maker.asks("psychotherapy"):
            because = "The policy asks for psychotherapy."
            hole = maker.missing("psychotherapy", "Psychotherapy: kind and sessions", ANYONE_MAY_ASK, NURSE, because)
            return (Line("Psychotherapy", "", hole=hole),)
        return ()
    if not courses:
        return (maker.line("Psychotherapy", "none reported", maker.source("psychotherapy", "none")),)
    return tuple(_course(maker, index, course) for index, course in enumerate(courses))


def _course(maker: Maker, index: int, course: Mapping[str, Any]) -> Line:
    path, kind, sessions = f"psychotherapy[{index}]", course.get("type"), course.get("sessions")
    parts = [words.THERAPIES.get(str(kind), str(kind)) if kind else "kind not recorded"]
    if sessions is not None:
        parts.append(f"{sessions} {'session' if sessions == 1 else 'sessions'}")
    sources = [
        Source(f"{path}.{name}", shown_value(name, value), maker.facts.origin(f"{path}.{name}"))
        for name, value in course.items()
        if value is not None
    ]
    missing = [what for what, value in (("kind", kind), ("number of sessions", sessions)) if value is None]
    if missing and maker.asks("psychotherapy"):
        what = f"Psychotherapy {index + 1}: {words.listed(missing)}"
        maker.hole(path, what, "The policy asks for psychotherapy.", ANYONE_MAY_ASK, NURSE, (path,))
    if not sources:
        sources = [Source(path, "had a talking treatment", maker.facts.origin(path))]
    return maker.line("Psychotherapy", ", ".join(parts), *sources, name="psychotherapy" if kind else "")


def scores(maker: Maker) -> tuple[Line, ...]:
    """Every score with its day; the letter repeats the newest of a depression scale."""
    as_of, found = maker.as_of(), []
    seen = {(each.instrument, each.total) for each in maker.facts.scores}
    items = maker.facts.record.get("phq9")
    scored = scoring.score("phq9", list(items)) if items else None
    if scored and scored["total"] is not None and ("phq9", scored["total"]) not in seen:
        more = f", {scored['band'].replace('_', ' ')}"
        if scored.get("imputed"):
            more += f", {len(scored['imputed'])} answers filled in by the rule of the scale"
        found.append(("phq9", scored["total"], as_of, more, maker.source("phq9")))
    for name, total in (maker.facts.record.get("scores") or {}).items():
        if total is not None and (name, total) not in seen:
            found.append((name, total, as_of, "", maker.source(f"scores.{name}")))
    for each in maker.facts.scores:
        fact = Source(each.path, str(each.total), each.origin)
        found.append((each.instrument, each.total, each.taken_on, "", fact))
    lines, newest = [], date.min
    for name, total, on, more, fact in found:
        label, highest = words.INSTRUMENTS.get(name, (name.upper(), 0))
        of = f" of {highest}" if highest else ""
        line = maker.line(label, f"{total}{of}, {words.day(on)}{more}", fact)
        lines.append(line)
        if name in words.DEPRESSION_SCALES and on >= newest:
            newest, maker.said["scale"] = on, line.ref
    if "scale" not in maker.said:
        hole = maker.missing("phq9", "A scored depression scale, such as the PHQ-9", "The patient", NURSE)
        lines.append(Line("Depression scale", "", hole=hole))
    return tuple(lines)


def safety(maker: Maker) -> tuple[Line, ...]:
    answers = maker.facts.record.get("safety") or {}
    lines = []
    for name in SAFETY_OF[treatment_of(maker.facts.policy)]:
        value, label = answers.get(name), words.safety_label(name)
        if value is None or (name == "bp" and None in value):
            because = "The safety screen of this treatment asks for it."
            hole = maker.missing(f"safety.{name}", f"Safety answer: {label}", "The patient", NURSE, because)
            lines.append(Line(label, "", hole=hole))
        else:
            lines.append(maker.line(label, words.safety_value(name, value), maker.source(f"safety.{name}"), name=name))
    return tuple(lines)


def attachments(maker: Maker) -> tuple[Line, ...]:
    lines: list[Line] = []
    for each in maker.facts.files:
        about = f" of {words.day(each.about_on)}" if each.about_on else ""
        kind = each.kind.replace("_", " ").capitalize()
        source = Source(f"attachments.{each.id}", kind, f"File added {words.day(each.added_on)}")
        lines.append(maker.line(f"Attachment {len(lines) + 1}", f"{kind}{about}", source))
    return tuple(lines)
