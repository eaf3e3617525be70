"""The head of a packet: person, payer, what is requested, diagnosis. Pure."""

from clinic.eligibility import packet_words as words
from clinic.eligibility.packet_maker import PRESCRIBER, Maker, treatment_of
from clinic.eligibility.packet_parts import (
    Line,
    Source,
)


def header(maker: Maker) -> tuple[Line, ...]:
    facts, person, policy = maker.facts, maker.facts.person, maker.facts.policy
    origin = f"Patient record {person.record_number}"
    lines = [
        maker.line(
            "Patient",
            f"{person.name}, born {words.day(person.birth_date)}",
            Source("patient.name", person.name, origin),
            Source("patient.birth_date", words.day(person.birth_date), origin),
            name="person",
        ),
        maker.line(
            "Record number", person.record_number, Source("patient.record_number", person.record_number, origin)
        ),
        maker.line(
            "Clinic",
            ", ".join(filter(None, (facts.clinic, facts.clinic_address, facts.clinic_phone))),
            Source("clinic.name", facts.clinic, "Clinic settings"),
        ),
    ]
    number = f", policy {policy['policy_number']}" if policy.get("policy_number") else ""
    force = f", in force from {policy['effective_date']}" if policy.get("effective_date") else ""
    file = Source(f"policies.{policy['id']}", f"version {policy['version']}", "Policy file of this clinic")
    lines.append(maker.line("Payer", f"{policy['payer']}{number}{force}", file, name="payer"))
    if facts.referrer:
        name, organization, origin = facts.referrer
        text = f"{name}, {organization}" if organization else name
        lines.append(maker.line("Referred by", text, Source("referral", text, origin)))
    return tuple(lines)


def request(maker: Maker) -> tuple[Line, ...]:
    facts = maker.facts
    treatment = treatment_of(facts.policy)
    asked = words.TREATMENTS[treatment]
    lines = []
    if facts.approval:
        approval = facts.approval
        source = Source(
            f"decisions.{approval.id}", "approved for request", f"Signed decision, {words.day(approval.on)}"
        )
        lines.append(maker.line("Treatment", asked, source, name="treatment"))
        text = f"{approval.by}, prescriber, {words.day(approval.on)}"
        lines.append(maker.line("Ordered by", text, source, name="ordered"))
    else:
        lines.append(Line("Treatment", asked))
        hole = maker.hole(
            "decision",
            f"A prescriber's signed decision for {asked}",
            "A payer asks who orders the treatment.",
            "A prescriber, on the review page",
            PRESCRIBER,
        )
        lines.append(Line("Ordered by", "", hole=hole))
    lines.append(_sessions(maker))
    return tuple(lines + _codes(maker))


def _sessions(maker: Maker) -> Line:
    plan = maker.facts.plan
    if plan is None:
        hole = maker.hole(
            "protocol",
            "The protocol and number of sessions that are asked for",
            "The request names a number of sessions.",
            "A prescriber, on this page",
            PRESCRIBER,
        )
        return Line("Sessions", "", hole=hole)
    shown = f"{plan.sessions} treatment sessions"
    if plan.visits != plan.sessions:
        shown += f" in {plan.visits} visits"
    for count, percent in plan.later:
        shown += f", then {count} more" + (f" on at least {percent} percent improvement" if percent else "")
    source = Source(f"protocols.{plan.key}", f"version {plan.version}", "Protocol file of this clinic")
    return maker.line("Sessions", f"{shown}, protocol “{plan.name}”", source, name="sessions")


def _codes(maker: Maker) -> list[Line]:
    plan, criteria = maker.facts.plan, maker.facts.policy["criteria"]
    lines = []
    if plan and plan.codes:
        source = Source(f"protocols.{plan.key}.codes", ", ".join(plan.codes), "Protocol file of this clinic")
        lines.append(maker.line("Codes", ", ".join(words.code(each) for each in plan.codes), source))
    if criteria.get("request_code"):
        code = str(criteria["request_code"])
        source = Source(f"policies.{maker.facts.policy['id']}.request_code", code, "Policy file of this clinic")
        lines.append(maker.line("Code for the request", code, source))
    return lines


def diagnosis(maker: Maker) -> tuple[Line, ...]:
    lines = []
    diagnosis = maker.at("episode.diagnosis")
    if diagnosis is None:
        hole = maker.missing("episode.diagnosis", "The diagnosis of this episode", "A prescriber", PRESCRIBER)
        lines.append(Line("Diagnosis", "", hole=hole))
    else:
        text = words.DIAGNOSES.get(diagnosis, diagnosis)
        lines.append(maker.line("Diagnosis", text, maker.source("episode.diagnosis"), name="diagnosis"))
    severity = maker.at("episode.severity")
    if severity is None:
        hole = maker.missing("episode.severity", "The severity of this episode", "A prescriber", PRESCRIBER)
        lines.append(Line("Severity", "", hole=hole))
    else:
        text = words.SEVERITIES.get(severity, severity)
        lines.append(maker.line("Severity", text, maker.source("episode.severity"), name="severity"))
    onset = maker.at("episode.onset_weeks_ago")
    if onset is not None:
        text = f"about {words.weeks(onset)} before {words.day(maker.as_of())}"
        lines.append(maker.line("Onset of this episode", text, maker.source("episode.onset_weeks_ago"), name="onset"))
    psychotic = maker.at("episode.psychotic_features")
    if psychotic is not None:
        text = "reported" if psychotic else "none reported"
        lines.append(maker.line("Psychotic features", text, maker.source("episode.psychotic_features")))
    return tuple(lines)
