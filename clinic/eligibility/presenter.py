"""What the review page says first: the answer as a sentence, the smallest change, the trials, the treatments. No rules here."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

from clinic.eligibility import history, rule_versions, words
from clinic.eligibility.engine import knowledge
from clinic.eligibility.engine.rules import RuleSet, ruleset
from clinic.eligibility.engine.trials import Facts
from clinic.eligibility.forms import PATHWAY_WORDS
from clinic.eligibility.history import Evidence
from clinic.eligibility.models import Assessment, RuleKind
from clinic.eligibility.sources import Citation, cite
from clinic.eligibility.verification import PolicyState, Standing
from clinic.web.charts import Timeline, timeline

_POLICY_ID = re.compile(r"Policy (\w+)")
_NOTHING_TURNS = re.compile(r"^(.+?) is ([^:]+): no change of up to three facts brings it about\.$")
_TRIAL = re.compile(r"trials\[(\d+)\]")

TRIAL_STATES = {
    "adequate": ("good", "Counts"),
    "inadequate_dose": ("stop", "Does not count"),
    "inadequate_duration": ("stop", "Does not count"),
    "inadequate_adherence": ("stop", "Does not count"),
    "intolerance": ("stop", "Does not count (side effects)"),
    "responded": ("stop", "Does not count"),
    "not_counted": ("stop", "Does not count"),
    "duplicate": ("", "Same medicine, counted once"),
    "undetermined": ("unsure", "Can't tell"),
}
PATHWAY_STATES = {
    "likely_eligible": ("good", "Likely eligible"),
    "not_yet": ("stop", "Not yet"),
    "needs_review": ("due", "Needs review"),
    "contraindicated": ("stop", "Contraindicated"),
}
CRITERION_STATES = {
    "met": ("good", "Met"),
    "unmet": ("stop", "Not met"),
    "not_met": ("stop", "Not met"),
    "unknown": ("unsure", "Can't tell"),
    "undetermined": ("unsure", "Can't tell"),
}
FILTER_VERDICTS = {
    **{f"trd:{key}": f"History: {CRITERION_STATES[key][1].lower()}" for key in ("met", "not_met", "undetermined")},
    **{
        f"{key}:{verdict}": f"{name}: {state[1].lower()}"
        for key, name in PATHWAY_WORDS.items()
        for verdict, state in PATHWAY_STATES.items()
    },
}
MOST_WEEKS = 5200
# Most serious first; the order of the list.
FINDING_STATES = {
    "contraindication": ("stop", "Contraindication", "warn"),
    "precaution": ("due", "Precaution", "warn"),
    "co_occurring": ("due", "Also present", "warn"),
    "criterion": ("stop", "Not met"),
    "info": ("", "Note", "clock"),
}


@dataclass(frozen=True)
class TrialRow:
    """One row of the medicine table; the first names are those of charts/timeline.svg.html."""

    name: str
    note: str
    label: str
    weeks: str
    dose: str
    outcome: str
    state_kind: str
    state_word: str
    state_icon: str
    evidence: str
    evidence_url: str
    why: tuple[str, ...]
    would_count_if: str
    sources: tuple[Citation, ...]
    facts: tuple[Evidence, ...] = ()
    detail: str = ""
    scores: str = ""


@dataclass(frozen=True)
class Review:
    """What stands above the evidence, and the trials. `lines` follow the title: payer, then treatments."""

    title: str
    lines: tuple[str, ...]
    smallest_change: str
    chart: Timeline
    trials: tuple[TrialRow, ...]
    asked: tuple[history.Asked, ...] = ()


def review(
    result: Mapping[str, Any],
    record: Mapping[str, Any],
    *,
    initials: str,
    today: date,
    is_current: bool = True,
    payer_policies: Sequence[str] = (),
) -> Review:
    """The page of one stored assessment. `is_current`: by the rules on disk, whose thresholds may then be shown."""
    rules = (
        ruleset(result["ruleset"]["id"]) if result["ruleset"]["id"] in knowledge.ruleset_ids() else ruleset("default")
    )
    facts = history.facts_of(record, rules)
    given = record.get("trials") or []
    drawn = history.draw(facts, today, _added(result)) if len(facts) == len(given) else []
    rows = [
        _trial(
            number,
            one,
            judged,
            (facts[number], drawn[number]) if drawn else None,
            rules if is_current else None,
        )
        for number, (one, judged) in enumerate(zip(given, result["trials"], strict=False))
    ]
    return Review(
        title=title(result, record, initials),
        lines=tuple(_lines(result)),
        smallest_change=smallest_change(result, payer_policies),
        chart=timeline(
            [each.segments for each in drawn] or [[] for _ in rows],
            today=today,
            add_ons=[each.add_ons for each in drawn],
            endings=[each.ending for each in drawn],
            since=history.scale_from(facts, drawn) if drawn else None,
        ),
        trials=tuple(rows),
        asked=tuple(history.asked_of_all(rules)) if is_current and any(row.facts for row in rows) else (),
    )


def _added(result: Mapping[str, Any]) -> dict[int, int]:
    """Rows that the dates show as added to another one, with the row of that one."""
    pairs = [pair for pair in result.get("combinations") or () if pair.get("added") is not None]
    return {pair["added"]: sum(pair["trials"]) - pair["added"] for pair in pairs}


def is_current(rules: Sequence[Sequence[str]]) -> bool:
    """Whether an assessment rests on the rule sets and tables that are on disk now, policies aside."""
    return not rules_changed(rules)


def rules_changed(rules: Sequence[Sequence[str]]) -> list[str]:
    """Rule sets and tables of which an assessment used another version than the one on disk."""
    used = {(kind, key): version for kind, key, version in rules if kind != RuleKind.POLICY}
    now = {(str(each.kind), each.key): each.version for each in rule_versions.used_by(ruleset("default").id, ())}
    return [
        f"{words.code(key)}, {used.get((kind, key), 'not used')} then, {version} now"
        for (kind, key), version in now.items()
        if used.get((kind, key)) != version
    ]


def changed_since(row: Assessment, standings: Mapping[str, Standing]) -> list[str]:
    """What of today's rules and policies this assessment did not know. Empty: nothing would be read differently."""
    active = {
        key: (rule_versions.policy(key).version, each.last.verified_on.isoformat())
        for key, each in standings.items()
        if each.state is PolicyState.ON and each.last is not None
    }
    used = {each["id"]: (each["version"], each["verified_on"]) for each in row.result["policies"]}
    return [
        *rules_changed(row.rules),
        *(f"{policy_name(key)} is on now" for key in sorted(set(active) - set(used))),
        *(f"{policy_name(key)} is no longer on" for key in sorted(set(used) - set(active))),
        *(
            f"{policy_name(key)} was verified anew"
            for key in sorted(active)
            if key in used and used[key] != active[key]
        ),
    ]


def unverified(row: Assessment, standings: Mapping[str, Standing]) -> list[tuple[str, str, str]]:
    """Policies of the patient's payer without a verdict here: id, name, state."""
    judged = {each["id"] for each in row.result["policies"]}
    return [
        (key, policy_name(key), str(standings[key].state))
        for key in row.payer_policies
        if key not in judged and key in standings
    ]


def head_facts(record: Mapping[str, Any], today: date, born: date) -> list[str]:
    """What stands beside the record number: age, payer, diagnosis with the start of the episode."""
    age = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    episode = record.get("episode") or {}
    onset, as_of = episode.get("onset_weeks_ago"), record.get("as_of")
    since = ""
    if onset is not None and as_of:
        day = date.fromisoformat(as_of) - timedelta(weeks=min(onset, MOST_WEEKS))
        since = f", this episode since {day:%B} {day.year}"
    return [
        str(age),
        str(record.get("payer") or "payer not known"),
        f"{words.DIAGNOSES.get(episode.get('diagnosis') or 'unknown')}{since}",
    ]


def payer_choices() -> list[tuple[str, str]]:
    """Payers of the catalogue by name, for a filter."""
    return sorted({(short, short) for short in map(_payer, knowledge.policy_ids())}, key=lambda each: each[1].lower())


def policies_of(payer: str) -> list[str]:
    """The policies of a payer, by the name that the filter shows."""
    return [each for each in knowledge.policy_ids() if _payer(each) == payer]


def _payer(policy_id: str) -> str:
    return str(knowledge.policy(policy_id)["payer"]).partition(" (")[0].strip()


# Findings that no count settles, by how they begin, and what the title then says.
_FOR_A_CLINICIAN = {
    "diagnosis": ("Bipolar", "by counting trials: with bipolar disorder a clinician decides"),
    "adult": ("Under 18", "by rules for adults: under 18 a clinician decides"),
}


def title(result: Mapping[str, Any], record: Mapping[str, Any], initials: str) -> str:
    """The clinical answer as a sentence. A payer's answer never stands in it."""
    verdict, adequate = result["trd"]["verdict"], result["trd"]["adequate_trials"]
    counted = f"{adequate} {'trial counts' if adequate == 1 else 'trials count'}"
    if verdict == "met":
        likely = [
            words.within(name)
            for key, name in PATHWAY_WORDS.items()
            if result["pathways"][key]["verdict"] == "likely_eligible"
        ]
        if likely:
            return f"{initials}'s history meets the criteria: {counted}; nothing found against {words.listed(likely)}"
        return f"{initials}'s history meets the criteria: {counted}; each treatment needs a clinician's look"
    said = {finding["code"]: finding for finding in result["trd"]["findings"]}
    if verdict == "not_met":
        is_other = said["adequate_trials"]["status"] == "met" and said["diagnosis"]["status"] == "unmet"
        why = "the diagnosis is another one than major depression" if is_other else counted
        return f"{initials}'s history does not meet the criteria yet: {why}"
    if not record.get("trials"):
        return f"{initials}'s history can't be told yet: no medicine is on record"
    unsure = sum(1 for trial in result["trials"] if trial["verdict"] == "undetermined")
    if not unsure:
        known = next(
            (why for code, (start, why) in _FOR_A_CLINICIAN.items() if said[code]["text"].startswith(start)), ""
        )
        return f"{initials}'s history can't be told {known or 'yet: an answer about the illness is missing'}"
    return f"{initials}'s history can't be told yet: {unsure} past {'treatment is' if unsure == 1 else 'treatments are'} unclear"


def _lines(result: Mapping[str, Any]) -> list[str]:
    found = []
    for policy in result["policies"][:2]:
        missing = sum(1 for each in policy["findings"] if each["status"] == "unknown")
        unmet = sum(1 for each in policy["findings"] if each["status"] == "unmet")
        said = {
            "met": "every line is met",
            "not_met": f"{unmet} {'line is' if unmet == 1 else 'lines are'} not met",
            "undetermined": f"{missing} {'fact is' if missing == 1 else 'facts are'} missing",
        }[policy["verdict"]]
        found.append(f"{policy_name(policy['id'])}: {said}.")
    return found


def policy_name(policy_id: str) -> str:
    """`Aetna CPB 0469` of a policy's id; the id itself where the catalogue no longer has it."""
    if policy_id not in knowledge.policy_ids():
        return policy_id
    policy = knowledge.policy(policy_id)
    payer, number = str(policy["payer"]).partition(" (")[0], policy.get("policy_number")
    return f"{payer} {number}" if number and str(number) not in payer else payer


def smallest_change(result: Mapping[str, Any], payer_policies: Sequence[str] = ()) -> str:
    """The fewest facts that would turn a verdict: the clinical one, a treatment's, this payer's; else that make a trial count.

    Empty where nothing open could.
    """
    order = ["trd", *map(str, PATHWAY_WORDS), *payer_policies]
    turning = [step for step in result["next_steps"] if step.get("changes") and step.get("about") in order]
    if turning:
        best = min(turning, key=lambda step: (order.index(step["about"]) > 0, len(step["changes"])))
        return _named(best["text"])
    changes = [trial for trial in result["trials"] if trial.get("would_count_if")]
    if result["trd"]["verdict"] == "met" or not changes:
        return ""
    best = min(changes, key=lambda trial: len(trial["would_count_if"]["changes"]))
    text = best["would_count_if"]["text"]
    return f"{words.medicine(best)}: {text[0].lower()}{text[1:]}"


def turns(result: Mapping[str, Any]) -> list[tuple[bool, str]]:
    """What would turn each verdict that is not met yet: whether up to three facts do, and the sentence."""
    found = [step for step in result["next_steps"] if step.get("about")]
    return [(bool(step["changes"]), _named(step["text"])) for step in found]


def steps(result: Mapping[str, Any]) -> list[str]:
    """What a clinician or the desk does next."""
    return [str(step["text"]) for step in result["next_steps"] if not step.get("about")]


def _named(text: str) -> str:
    """The sentence with a policy's name where it says its id, and without a verdict that it denies in front."""
    said = _POLICY_ID.sub(lambda found: policy_name(found[1]), text)
    return words.sentence(_NOTHING_TURNS.sub(r"no change of up to three facts makes \1 \2.", said))


def _trial(
    number: int,
    given: Mapping[str, Any],
    judged: Mapping[str, Any],
    shown: tuple[Facts, history.Drawn] | None,
    rules: RuleSet | None,
) -> TrialRow:
    kind, word = TRIAL_STATES[judged["verdict"]]
    icon = ""
    if judged["detail"] == "lost_response":
        kind, word, icon = "due", "You decide", "user"
    name, entered = words.medicine(judged), judged["entered"] or ""
    written = "" if not judged["ingredient"] or entered.lower().startswith(name.lower()) else f"written as {entered}"
    held = given.get("weeks_at_dose") if given.get("weeks_at_dose") is not None else given.get("weeks")
    dose, better = given.get("dose_mg_per_day"), given.get("improvement_percent")
    taken_as = history.steps(shown[0]) if shown else ""
    at_once = f"{words.span(dose)} mg" if dose is not None else "no dose"
    added = [f"with {each.label} added" for each in shown[1].add_ons] if shown else []
    sources = tuple(cite(source) for source in judged["sources"])
    return TrialRow(
        name=name,
        note=words.drug_class(judged["drug_class"]),
        label=history.label(*shown) if shown else "Dates not known",
        weeks=words.span(held) or "?",
        dose="in steps" if dose is None and taken_as else at_once,
        outcome=words.OUTCOMES.get(given.get("outcome") or "unknown", "Not known"),
        state_kind=kind,
        state_word=word,
        state_icon=icon,
        evidence=words.DOCUMENTS.get(given.get("documentation") or "patient", "Patient's own words"),
        evidence_url=f"#trial-{number + 1}",
        why=tuple(reason["text"] for reason in judged["why"]),
        would_count_if=(judged.get("would_count_if") or {}).get("text", ""),
        sources=sources,
        facts=tuple(history.evidence(shown[0], sources[0].text if sources else "")) if shown and rules else (),
        detail="; ".join(part for part in (written, taken_as, *added) if part),
        scores=f"{words.span(better)}% better" if better is not None else "",
    )


def asks(result: Mapping[str, Any]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """What to ask, by medicine first, then everything else."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for one in result["ask"]:
        found = _TRIAL.match(one["field"])
        entered = result["trials"][int(found[1])]["entered"] if found else None
        name = f"{int(found[1]) + 1}. {entered or 'A medicine without a name'}" if found else "Other answers"
        question = words.sentence(one["question"].removeprefix(f"{entered or 'this medicine'}: "))
        groups.setdefault(name, []).append({**one, "question": question})
    other = groups.pop("Other answers", [])
    return [*groups.items(), *([("Other answers", other)] if other else [])]


def pathway_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The three treatments with their verdict and findings, the most serious first, each with what the clinic does."""
    order = list(FINDING_STATES)
    rows = []
    for key, word in PATHWAY_WORDS.items():
        path = result["pathways"][key]
        present = [finding for finding in path["findings"] if finding["kind"] != "missing"]
        rows.append(
            {
                "key": str(key),
                "name": word,
                "state": PATHWAY_STATES[path["verdict"]],
                "findings": [
                    {**finding, "state": _finding_state(finding), "clinic_does": clinic_does(key, finding)}
                    for finding in sorted(present, key=lambda finding: order.index(finding["kind"]))
                ],
                "missing": [
                    {**finding, "text": finding["text"].removeprefix("Not known: ")}
                    for finding in path["findings"]
                    if finding["kind"] == "missing"
                ],
            }
        )
    return rows


def _finding_state(finding: Mapping[str, Any]) -> tuple[str, ...]:
    if finding["code"] == "trd_met":
        return CRITERION_STATES["met"]
    return FINDING_STATES[finding["kind"]]


def clinic_does(pathway: str, finding: Mapping[str, Any]) -> str:
    """What follows from a finding: the screen's own words, else the meaning of its action."""
    row = _screen_rows(pathway).get(finding["code"], {})
    meaning = (
        knowledge.safety_screens()["actions"].get(finding.get("action") or row.get("action"), {}).get("meaning", "")
    )
    return words.sentence(str(row.get("clinic_does") or meaning))


@cache
def _screen_rows(pathway: str) -> dict[str, dict[str, Any]]:
    screens = knowledge.safety_screens()
    parts: dict[str, Sequence[dict[str, Any]]] = {
        "tms": screens["tms_screen"]["questions"],
        "esketamine": [
            *screens["esketamine_screen"]["contraindications"],
            *screens["esketamine_screen"]["precautions"],
        ],
        "iv_ketamine": screens["iv_ketamine"]["exclusions_and_cautions"],
    }
    return {row["id"]: row for row in parts[pathway]}
