"""The letter of medical necessity in a packet, sentence by sentence from its statements, and advice to who sends it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clinic.eligibility import packet_words as words
from clinic.eligibility.packet_maker import SAFETY_OF, Maker, treatment_of
from clinic.eligibility.packet_parts import (
    CriterionLine,
    Sentence,
    Statement,
    TrialRow,
)


def _value_of(statement: Statement) -> str:
    return statement.text.split(": ", 1)[1]


def _trial_list(rows: Sequence[TrialRow]) -> str:
    return "; ".join(", ".join(part for part in (row.name, row.dose, row.weeks_at_dose) if part) for row in rows)


def _by_rules(result: Mapping[str, Any]) -> str:
    rules = result["ruleset"]
    return f"By the rules in use (rule set “{rules['id']}”, version {rules['version']})"


def letter(maker: Maker, criteria: Sequence[CriterionLine]) -> tuple[Sentence, ...]:
    """Sentences that only repeat statements of the sections above."""
    facts, said = maker.facts, maker.said
    found: list[Sentence | None] = [_opening(maker), _illness(maker)]
    counted = [row for row in maker.rows if row.verdict == words.VERDICTS["adequate"]]
    if counted:
        number = "one medicine" if len(counted) == 1 else f"{len(counted)} different medicines"
        text = f"{_by_rules(facts.result)}, {number} did not help enough in this episode: {_trial_list(counted)}."
        found.append(Sentence(text, tuple(row.ref for row in counted)))
    intolerant = [row for row in maker.rows if row.verdict == words.VERDICTS["intolerance"]]
    if intolerant:
        names = words.listed([row.name for row in intolerant])
        found.append(Sentence(f"Side effects ended treatment with {names}.", tuple(row.ref for row in intolerant)))
    if "psychotherapy" in said:
        statement = _statement(maker, said["psychotherapy"])
        found.append(Sentence(f"Psychotherapy was part of the treatment: {_value_of(statement)}.", (statement.id,)))
    if "scale" in said:
        statement = _statement(maker, said["scale"])
        found.append(
            Sentence(f"The depression score on record is {statement.text.replace(': ', ' ', 1)}.", (statement.id,))
        )
    found += [_screened(maker), _counts(maker, criteria)]
    return tuple(each for each in found if each)


def _statement(maker: Maker, ref: str) -> Statement:
    return maker.statements[int(ref[1:]) - 1]


def _opening(maker: Maker) -> Sentence:
    facts, said = maker.facts, maker.said
    asked = words.TREATMENTS[treatment_of(facts.policy)]
    plan = f", {_value_of(_statement(maker, said['sessions']))}," if "sessions" in said else ""
    person = _value_of(_statement(maker, said["person"]))
    refs = [said[name] for name in ("person", "treatment", "sessions") if name in said]
    return Sentence(f"We ask for authorization of {asked}{plan} for {person}.", tuple(refs))


def _illness(maker: Maker) -> Sentence | None:
    said = maker.said
    if "diagnosis" not in said:
        return None
    text, refs = f"The diagnosis on record is {_value_of(_statement(maker, said['diagnosis']))}", [said["diagnosis"]]
    if "severity" in said:
        text += f"; the present episode is {_value_of(_statement(maker, said['severity']))}"
        refs.append(said["severity"])
    if "onset" in said:
        text += f" and began {_value_of(_statement(maker, said['onset']))}"
        refs.append(said["onset"])
    return Sentence(f"{text}.", tuple(refs))


def _screened(maker: Maker) -> Sentence | None:
    """What was asked and denied. What was reported stands in the safety section, in the open."""
    names = [name for name in SAFETY_OF[treatment_of(maker.facts.policy)] if name in maker.said]
    names = [name for name in names if (maker.facts.record.get("safety") or {}).get(name) is False]
    names = [name for name in names if not words.is_private(f"safety.{name}")]
    if not names:
        return None
    topics = [words.safety_label(name)[0].lower() + words.safety_label(name)[1:] for name in names]
    text = f"The safety screen asked about the following, and each was denied: {'; '.join(topics)}."
    return Sentence(text, tuple(maker.said[name] for name in names))


def _counts(maker: Maker, criteria: Sequence[CriterionLine]) -> Sentence | None:
    counted = [line for line in criteria if line.status in ("met", "unmet")]
    if not counted:
        return None
    met = sum(line.status == "met" for line in counted)
    still = sum(line.status == "unknown" for line in criteria)
    text = f"Of the payer's criteria, {met} {'is' if met == 1 else 'are'} met on record"
    text += f", {len(counted) - met} not met" if met < len(counted) else ""
    text += f", and {still} cannot be answered from the record" if still else ""
    return Sentence(f"{text}.", tuple(line.ref for line in counted))


def advice(maker: Maker) -> Iterable[str]:
    """What its sender should know before it goes out; nothing here is a hole."""
    if maker.facts.approval and maker.facts.approval.is_override:
        yield "The prescriber's decision overrides the verdict of the rules."
    plain = [row for row in maker.rows if row.verdict == words.VERDICTS["adequate"] and row.grade.startswith("C")]
    if plain:
        some = "One medicine that counts rests" if len(plain) == 1 else f"{len(plain)} medicines that count rest"
        yield f"{some} on the patient's report alone; payers often ask for a pharmacy or chart record."
    sessions = maker.facts.policy["criteria"].get("sessions") or {}
    allowed = sessions.get("total") or ((sessions.get("initial") or 0) + (sessions.get("taper") or 0))
    if maker.facts.plan and allowed and maker.facts.plan.sessions > allowed:
        yield f"The protocol has {maker.facts.plan.sessions} sessions; our file of the policy names {allowed} at first."
