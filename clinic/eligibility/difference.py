"""What changed between two assessments of one person: verdicts, and the facts below them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clinic.eligibility import words
from clinic.eligibility.lines import name_of
from clinic.eligibility.presenter import CRITERION_STATES, PATHWAY_STATES, TRIAL_STATES, policy_name

_TRIAL = re.compile(r"trials\[(\d+)\]\.?(.*)")
NOT_KNOWN = "not known"
FIELDS = {
    "drug": "medicine",
    "dose_mg_per_day": "dose, mg per day",
    "weeks": "weeks in all",
    "weeks_at_dose": "weeks at this dose",
    "started_on": "first day",
    "stopped_on": "last day",
    "in_current_episode": "in this episode",
    "episode.diagnosis": "Diagnosis",
    "episode.severity": "Severity",
    "episode.onset_weeks_ago": "Episode began, weeks ago",
    "episode.ect_used": "ECT used",
    "mdq_positive": "MDQ positive",
    "audit_c": "AUDIT-C",
    "payer": "Payer",
    "age": "Age",
}


@dataclass(frozen=True)
class Change:
    """One thing that differs: what it was and what it is."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Difference:
    """Verdicts that differ, facts that differ, and rules that differ."""

    verdicts: tuple[Change, ...]
    facts: tuple[Change, ...]
    rules: tuple[Change, ...]

    def __bool__(self) -> bool:
        return bool(self.verdicts or self.facts or self.rules)


def between(
    before: tuple[Mapping[str, Any], Mapping[str, Any]], after: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> Difference:
    """Compare two (record, result) pairs."""
    facts = _differing(dict(_leaves(before[0])), dict(_leaves(after[0])))
    names = [words.medicine(trial) for trial in after[1]["trials"]]
    return Difference(
        verdicts=tuple(_differing(_verdicts(before[1]), _verdicts(after[1]))),
        facts=tuple(Change(_path(each.what, names), each.before, each.after) for each in facts if each.what != "id"),
        rules=tuple(_differing(_rules(before[1]), _rules(after[1]))),
    )


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    return [
        Change(key, before.get(key, NOT_KNOWN), after.get(key, NOT_KNOWN))
        for key in dict.fromkeys((*after, *before))
        if before.get(key, NOT_KNOWN) != after.get(key, NOT_KNOWN)
    ]


def _verdicts(result: Mapping[str, Any]) -> dict[str, str]:
    found = {"Clinical definition": CRITERION_STATES[result["trd"]["verdict"]][1]}
    for finding in result["trd"]["findings"]:
        if finding["status"] in CRITERION_STATES:
            found[f"Clinical definition, {name_of(finding['code']).lower()}"] = CRITERION_STATES[finding["status"]][1]
    for key, name in words.TREATMENTS.items():
        found[name] = PATHWAY_STATES[result["pathways"][key]["verdict"]][1]
    for trial in result["trials"]:
        found[f"Trial {trial['index'] + 1}, {words.medicine(trial)}"] = TRIAL_STATES[trial["verdict"]][1]
    for policy in result["policies"]:
        found[policy_name(policy["id"])] = CRITERION_STATES[policy["verdict"]][1]
    found["Urgent"] = "yes" if result["urgent"]["flag"] else "no"
    maudsley = (result.get("staging") or {}).get("maudsley")
    found["Maudsley stage"] = f"{maudsley['score']}, {maudsley['band']}" if maudsley else NOT_KNOWN
    return found


def _rules(result: Mapping[str, Any]) -> dict[str, str]:
    found = {f"Rule set {result['ruleset']['id']}": f"version {result['ruleset']['version']}"}
    for policy in result["policies"]:
        said = f"version {policy['version']}, verified {policy.get('verified_on') or 'never'}"
        found[f"Policy {policy_name(policy['id'])}"] = said
    return found


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every known fact by its path. A range, or a list of plain values, is one fact."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value):
            yield from _leaves(each, f"{path}[{number}]")
    elif value is not None:
        yield path, _said(value)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        is_range = len(value) == 2 and all(isinstance(each, int | float) for each in value)
        return f"{value[0]:g} to {value[1]:g}" if is_range else ", ".join(_said(each) for each in value)
    return NOT_KNOWN if value is None else str(value).replace("_", " ")


def _path(path: str, names: list[str]) -> str:
    found = _TRIAL.fullmatch(path)
    if found is None:
        return FIELDS.get(path) or words.code(path.replace("[", " ").replace("]", "").replace(".", ", "))
    number, field = int(found[1]), found[2]
    name = names[number] if number < len(names) else "no longer listed"
    said = FIELDS.get(field) or field.replace("[", " ").replace("]", "").replace(".", ", ").replace("_", " ")
    return f"Trial {number + 1} ({name}): {said}"
