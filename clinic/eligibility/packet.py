"""What a prior-authorization packet says. Pure: stored facts in; statements with their evidence, and holes, out.

A statement is made only from facts that are on record. What a payer asks for and nobody has recorded is a hole: it is
named, with what would fill it and who; it is never guessed and never worded as a statement.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from clinic.eligibility import packet_words as words
from clinic.eligibility.packet_parts import (
    CriterionLine,
    Facts,
    Hole,
    Line,
    Packet,
    Sentence,
    Source,
    Statement,
    TrialRow,
)
from clinic.instruments import scoring

PRESCRIBER, NURSE, MANAGER = "prescriber", "nurse", "manager"
ANYONE_MAY_ASK = "The patient, or a pharmacy or chart record"


def treatment_of(policy: Mapping[str, Any]) -> str:
    """The pathway that a policy is about: tms, esketamine or iv_ketamine."""
    return words.PATHWAY_OF[policy["treatment"]]


def build(facts: Facts) -> Packet:
    """The packet of these facts. The same facts give the same packet."""
    made = _Maker(facts)
    header, request = made.header(), made.request()
    diagnosis, trials = made.diagnosis(), made.trials()
    therapy, scores, safety = made.psychotherapy(), made.scores(), made.safety()
    criteria = made.criteria()
    attachments = made.attachments()
    return Packet(
        treatment=words.TREATMENTS[treatment_of(facts.policy)],
        payer=str(facts.policy["payer"]),
        policy={
            "id": facts.policy["id"],
            "version": str(facts.policy["version"]),
            "number": str(facts.policy.get("policy_number") or ""),
            "effective": str(facts.policy.get("effective_date") or ""),
            "confidence": str(facts.policy.get("confidence") or ""),
            "state": facts.policy_state,
        },
        header=header,
        request=request,
        diagnosis=diagnosis,
        trials=trials,
        psychotherapy=therapy,
        scores=scores,
        safety=safety,
        criteria=criteria,
        letter=made.letter(criteria),
        own_words=facts.own_words,
        attachments=attachments,
        evidence=tuple(made.statements),
        holes=tuple(made.holes.values()),
        warnings=() if facts.policy_state == "on" else (POLICY_WARNINGS[facts.policy_state],),
        advice=tuple(made.advice()),
    )


# -- how it is made ---------------------------------------------------------------------------------------------------

# Facts behind a criterion, by its code; those of trials and exclusions are found apart.
_CRITERION_PATHS: dict[str, tuple[str, ...]] = {
    "age": ("age",),
    "diagnosis": ("episode.diagnosis",),
    "no_psychosis": ("episode.psychotic_features",),
    "severity": ("episode.severity", "phq9"),
    "psychotherapy": ("psychotherapy",),
}
_TRIAL_CODES = (
    "failed_trials",
    "distinct_classes",
    "augmentation",
    "psychotherapy_or_augmentation",
    "oral_antidepressant",
)
_EXCLUSION_PATHS: dict[str, tuple[str, ...]] = {
    "implanted_device_within_30_cm": ("metal_in_head", "cochlear_implant", "vns_or_dbs", "pacemaker_or_icd"),
    "seizure_conditions": ("seizure_history",),
    "seizure_disorder": ("seizure_history",),
    "pregnancy": ("pregnant",),
    "severe_head_trauma": ("head_injury",),
    "hypersensitivity": ("hypersensitivity",),
    "intracerebral_haemorrhage": ("intracerebral_haemorrhage",),
    "intracerebral_haemorrhage_history": ("intracerebral_haemorrhage",),
}
_EXCLUSION_PATHS |= dict.fromkeys(
    ("metal_in_or_around_head", "conductive_ferromagnetic_or_magnetic_sensitive_metal_in_head_within_30_cm"),
    _EXCLUSION_PATHS["implanted_device_within_30_cm"],
)
_EXCLUSION_PATHS |= dict.fromkeys(
    ("cerebrovascular_disease", "dementia", "cns_tumour", "raised_icp"), ("stroke_or_brain_lesion",)
)
_EXCLUSION_PATHS |= dict.fromkeys(
    ("aneurysmal_vascular_disease", "arteriovenous_malformation", "avm"), ("aneurysm_or_avm",)
)
_EXCLUSION_PATHS |= dict.fromkeys(
    (
        "substance_abuse_last_90_days",
        "active_substance_use_disorder",
        "untreated_moderate_or_severe_substance_or_alcohol_use_disorder",
    ),
    ("current_substance_use",),
)
_EXCLUSION_ELSEWHERE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("psychosis", "psychotic_features", "current_psychotic_symptoms"), ("episode.psychotic_features",)),
    **dict.fromkeys(("schizophrenia",), ("safety.psychosis_history",)),
    **dict.fromkeys(("schizoaffective", "bipolar"), ("episode.diagnosis",)),
    **dict.fromkeys(("active_suicidality", "acute_suicidal_ideation_with_intent"), ("cssrs",)),
}
_SAFETY_OF = {
    "tms": (
        "metal_in_head",
        "cochlear_implant",
        "pacemaker_or_icd",
        "vns_or_dbs",
        "seizure_history",
        "stroke_or_brain_lesion",
    ),
    "esketamine": (
        "aneurysm_or_avm",
        "intracerebral_haemorrhage",
        "stroke_or_brain_lesion",
        "current_substance_use",
        "psychosis_history",
        "liver_impairment",
        "bp",
    ),
}
_SAFETY_OF["iv_ketamine"] = _SAFETY_OF["esketamine"]
_LISTED = ("adequate", "undetermined", "intolerance")  # rows that a request may rest on
_CELLS = (
    ("dose", ("dose_mg_per_day",)),
    ("weeks at that dose", ("weeks_at_dose",)),
    ("when it began", ("started_on",)),
    ("how much it helped", ("outcome",)),
    ("why it was stopped", ("stopped_reason",)),
)


@dataclass
class _Maker:
    facts: Facts
    statements: list[Statement] = field(default_factory=list)
    holes: dict[str, Hole] = field(default_factory=dict)  # by key
    rows: tuple[TrialRow, ...] = ()
    said: dict[str, str] = field(default_factory=dict)  # what the letter repeats, by name: the statement's id

    # statements and holes

    def state(self, text: str, sources: Iterable[Source]) -> Statement:
        found = tuple(sources)
        private = any(words.is_private(source.path) for source in found)
        made = Statement(f"E{len(self.statements) + 1}", text, found, private)
        self.statements.append(made)
        return made

    def source(self, path: str, value: Any = None) -> Source:
        """A fact of the intake record."""
        shown = _shown(path, self.at(path) if value is None else value)
        return Source(path, shown, self.facts.origin(path))

    def hole(self, key: str, text: str, because: str, filled_by: str, role: str, fields: Iterable[str] = ()) -> str:
        if key not in self.holes:
            number = f"H{len(self.holes) + 1}"
            self.holes[key] = Hole(number, key, text, because, filled_by, role, tuple(fields))
        return self.holes[key].id

    def at(self, path: str) -> Any:
        """The value at a dotted path of the record; None where nothing is known, also for the word `unknown`."""
        value: Any = self.facts.record
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return None if value == "unknown" else value

    def line(self, label: str, text: str, *sources: Source, name: str = "") -> Line:
        made = self.state(f"{label}: {text}", sources)
        if name:
            self.said[name] = made.id
        return Line(label, text, made.id, is_private=made.is_private)

    # sections

    def header(self) -> tuple[Line, ...]:
        facts, person, policy = self.facts, self.facts.person, self.facts.policy
        origin = f"Patient record {person.record_number}"
        lines = [
            self.line(
                "Patient",
                f"{person.name}, born {words.day(person.birth_date)}",
                Source("patient.name", person.name, origin),
                Source("patient.birth_date", words.day(person.birth_date), origin),
                name="person",
            ),
            self.line(
                "Record number", person.record_number, Source("patient.record_number", person.record_number, origin)
            ),
            self.line(
                "Clinic",
                ", ".join(filter(None, (facts.clinic, facts.clinic_address, facts.clinic_phone))),
                Source("clinic.name", facts.clinic, "Clinic settings"),
            ),
        ]
        number = f", policy {policy['policy_number']}" if policy.get("policy_number") else ""
        force = f", in force from {policy['effective_date']}" if policy.get("effective_date") else ""
        file = Source(f"policies.{policy['id']}", f"version {policy['version']}", "Policy file of this clinic")
        lines.append(self.line("Payer", f"{policy['payer']}{number}{force}", file, name="payer"))
        if facts.referrer:
            name, organization, origin = facts.referrer
            text = f"{name}, {organization}" if organization else name
            lines.append(self.line("Referred by", text, Source("referral", text, origin)))
        return tuple(lines)

    def request(self) -> tuple[Line, ...]:
        facts = self.facts
        treatment = treatment_of(facts.policy)
        asked = words.TREATMENTS[treatment]
        lines = []
        if facts.approval:
            approval = facts.approval
            source = Source(
                f"decisions.{approval.id}", "approved for request", f"Signed decision, {words.day(approval.on)}"
            )
            lines.append(self.line("Treatment", asked, source, name="treatment"))
            text = f"{approval.by}, prescriber, {words.day(approval.on)}"
            lines.append(self.line("Ordered by", text, source, name="ordered"))
        else:
            lines.append(Line("Treatment", asked))
            hole = self.hole(
                "decision",
                f"A prescriber's signed decision for {asked}",
                "A payer asks who orders the treatment.",
                "A prescriber, on the review page",
                PRESCRIBER,
            )
            lines.append(Line("Ordered by", "", hole=hole))
        lines.append(self._sessions())
        return tuple(lines + self._codes())

    def _sessions(self) -> Line:
        plan = self.facts.plan
        if plan is None:
            hole = self.hole(
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
        source = Source(f"protocols.{plan.key}", f"version {plan.version}", "Protocol file of this clinic")
        return self.line("Sessions", f"{shown}, protocol “{plan.name}”", source, name="sessions")

    def _codes(self) -> list[Line]:
        plan, criteria = self.facts.plan, self.facts.policy["criteria"]
        lines = []
        if plan and plan.codes:
            source = Source(f"protocols.{plan.key}.codes", ", ".join(plan.codes), "Protocol file of this clinic")
            lines.append(self.line("Codes", ", ".join(words.code(each) for each in plan.codes), source))
        if criteria.get("request_code"):
            code = str(criteria["request_code"])
            source = Source(f"policies.{self.facts.policy['id']}.request_code", code, "Policy file of this clinic")
            lines.append(self.line("Code for the request", code, source))
        return lines

    def diagnosis(self) -> tuple[Line, ...]:
        lines = []
        diagnosis = self.at("episode.diagnosis")
        if diagnosis is None:
            hole = self._missing("episode.diagnosis", "The diagnosis of this episode", "A prescriber", PRESCRIBER)
            lines.append(Line("Diagnosis", "", hole=hole))
        else:
            text = words.DIAGNOSES.get(diagnosis, diagnosis)
            lines.append(self.line("Diagnosis", text, self.source("episode.diagnosis"), name="diagnosis"))
        severity = self.at("episode.severity")
        if severity is None:
            hole = self._missing("episode.severity", "The severity of this episode", "A prescriber", PRESCRIBER)
            lines.append(Line("Severity", "", hole=hole))
        else:
            text = words.SEVERITIES.get(severity, severity)
            lines.append(self.line("Severity", text, self.source("episode.severity"), name="severity"))
        onset = self.at("episode.onset_weeks_ago")
        if onset is not None:
            text = f"about {words.weeks(onset)} before {words.day(self._as_of())}"
            lines.append(self.line("Onset of this episode", text, self.source("episode.onset_weeks_ago"), name="onset"))
        psychotic = self.at("episode.psychotic_features")
        if psychotic is not None:
            text = "reported" if psychotic else "none reported"
            lines.append(self.line("Psychotic features", text, self.source("episode.psychotic_features")))
        return tuple(lines)

    def _missing(self, path: str, what: str, filled_by: str, role: str, because: str = "The request states it.") -> str:
        return self.hole(path, what, because, filled_by, role, (path,))

    def _as_of(self) -> date:
        as_of = self.facts.record.get("as_of")
        return date.fromisoformat(as_of) if as_of else self.facts.sent_on

    def trials(self) -> tuple[TrialRow, ...]:
        given = self.facts.record.get("trials")
        if given is None:
            because = "Every policy asks which medicines were tried."
            self.hole("trials", "The medicines that were tried", because, ANYONE_MAY_ASK, NURSE, ("trials",))
            return ()
        pairs = zip(given, self.facts.result["trials"], strict=False)
        self.rows = tuple(self._trial(number, *pair) for number, pair in enumerate(pairs))
        return self.rows

    def _trial(self, index: int, trial: Mapping[str, Any], weighed: Mapping[str, Any]) -> TrialRow:
        known = {name: value for name, value in trial.items() if value is not None and value != "unknown"}
        path = f"trials[{index}]"
        name = words.medicine(trial.get("drug"), weighed.get("ingredient"))
        sources = [
            Source(f"{path}.{each}", _shown(each, value), self.facts.origin(f"{path}.{each}"))
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
        made = self.state(f"Medicine {index + 1}: {text}", sources)
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
            hole=self._trial_hole(index, name, known, weighed),
        )

    def _trial_hole(self, index: int, name: str, known: Mapping[str, Any], weighed: Mapping[str, Any]) -> str:
        if weighed["verdict"] not in _LISTED:
            return ""
        missing = [(what, paths[0]) for what, paths in _CELLS if not any(path in known for path in paths)]
        asked = [one["field"] for one in self.facts.result["ask"] if one["field"].startswith(f"trials[{index}].")]
        missing += [
            (_TRIAL_FACTS.get(each, each.replace("_", " ")), each)
            for each in (one.split("].", 1)[1] for one in asked)
            if each not in {path for _, path in missing}
        ]
        if not missing:
            return ""
        what = words.listed([each for each, _ in missing])
        return self.hole(
            f"trials[{index}]",
            f"Medicine {index + 1}, {name}: {what}",
            "The trial table states it, and it may decide whether the medicine counts.",
            ANYONE_MAY_ASK,
            NURSE,
            tuple(f"trials[{index}].{path}" for _, path in missing),
        )

    def psychotherapy(self) -> tuple[Line, ...]:
        courses = self.facts.record.get("psychotherapy")
        if courses is None:
            if self._asks("psychotherapy"):
                because = "The policy asks for psychotherapy."
                hole = self._missing(
                    "psychotherapy", "Psychotherapy: kind and sessions", ANYONE_MAY_ASK, NURSE, because
                )
                return (Line("Psychotherapy", "", hole=hole),)
            return ()
        if not courses:
            return (self.line("Psychotherapy", "none reported", self.source("psychotherapy", "none")),)
        return tuple(self._course(index, course) for index, course in enumerate(courses))

    def _course(self, index: int, course: Mapping[str, Any]) -> Line:
        path, kind, sessions = f"psychotherapy[{index}]", course.get("type"), course.get("sessions")
        parts = [words.THERAPIES.get(str(kind), str(kind)) if kind else "kind not recorded"]
        if sessions is not None:
            parts.append(f"{sessions} {'session' if sessions == 1 else 'sessions'}")
        sources = [
            Source(f"{path}.{name}", _shown(name, value), self.facts.origin(f"{path}.{name}"))
            for name, value in course.items()
            if value is not None
        ]
        missing = [what for what, value in (("kind", kind), ("number of sessions", sessions)) if value is None]
        if missing and self._asks("psychotherapy"):
            what = f"Psychotherapy {index + 1}: {words.listed(missing)}"
            self.hole(path, what, "The policy asks for psychotherapy.", ANYONE_MAY_ASK, NURSE, (path,))
        if not sources:
            sources = [Source(path, "had a talking treatment", self.facts.origin(path))]
        return self.line("Psychotherapy", ", ".join(parts), *sources, name="psychotherapy" if kind else "")

    def _asks(self, code: str) -> bool:
        findings = self.facts.evaluation["findings"]
        return any(each["code"].startswith(code) and each["status"] in ("unmet", "unknown") for each in findings)

    def scores(self) -> tuple[Line, ...]:
        """Every score with its day; the letter repeats the newest of a depression scale."""
        as_of, found = self._as_of(), []
        seen = {(each.instrument, each.total) for each in self.facts.scores}
        items = self.facts.record.get("phq9")
        scored = scoring.score("phq9", list(items)) if items else None
        if scored and scored["total"] is not None and ("phq9", scored["total"]) not in seen:
            more = f", {scored['band'].replace('_', ' ')}"
            if scored.get("imputed"):
                more += f", {len(scored['imputed'])} answers filled in by the rule of the scale"
            found.append(("phq9", scored["total"], as_of, more, self.source("phq9")))
        for name, total in (self.facts.record.get("scores") or {}).items():
            if total is not None and (name, total) not in seen:
                found.append((name, total, as_of, "", self.source(f"scores.{name}")))
        for each in self.facts.scores:
            fact = Source(each.path, str(each.total), each.origin)
            found.append((each.instrument, each.total, each.taken_on, "", fact))
        lines, newest = [], date.min
        for name, total, on, more, fact in found:
            label, highest = words.INSTRUMENTS.get(name, (name.upper(), 0))
            of = f" of {highest}" if highest else ""
            line = self.line(label, f"{total}{of}, {words.day(on)}{more}", fact)
            lines.append(line)
            if name in words.DEPRESSION_SCALES and on >= newest:
                newest, self.said["scale"] = on, line.ref
        if "scale" not in self.said:
            hole = self._missing("phq9", "A scored depression scale, such as the PHQ-9", "The patient", NURSE)
            lines.append(Line("Depression scale", "", hole=hole))
        return tuple(lines)

    def safety(self) -> tuple[Line, ...]:
        answers = self.facts.record.get("safety") or {}
        lines = []
        for name in _SAFETY_OF[treatment_of(self.facts.policy)]:
            value, label = answers.get(name), words.safety_label(name)
            if value is None or (name == "bp" and None in value):
                because = "The safety screen of this treatment asks for it."
                hole = self._missing(f"safety.{name}", f"Safety answer: {label}", "The patient", NURSE, because)
                lines.append(Line(label, "", hole=hole))
            else:
                lines.append(
                    self.line(label, words.safety_value(name, value), self.source(f"safety.{name}"), name=name)
                )
        return tuple(lines)

    def criteria(self) -> tuple[CriterionLine, ...]:
        findings = [each for each in self.facts.evaluation["findings"] if each["status"] != "info"]
        lines = [self._criterion(each) for each in findings]
        codes = {each["code"] for each in findings}
        return tuple(lines + [self._by_hand(key) for key in words.BY_HAND if self._is_asked(key) and key not in codes])

    def _criterion(self, finding: Mapping[str, Any]) -> CriterionLine:
        code, status = finding["code"], finding["status"]
        paths = self._paths(finding)
        if status == "unknown":
            holes = tuple(self._holes_of(finding, paths))
            private = any(words.is_private(path) for path in paths)
            return CriterionLine(code, _asked(finding), status, _answer(code, status), holes=holes, is_private=private)
        sources = [each for path in paths for each in self._behind(path) if each.shown]
        rule = Source(
            f"assessments.{self.facts.assessment_id}", f"{code}: {status}", f"Rule check, {finding['source']}"
        )
        made = self.state(f"{_asked(finding)} {_answer(code, status)}.", [*sources, rule])
        return CriterionLine(code, _asked(finding), status, _answer(code, status), made.id, is_private=made.is_private)

    def _paths(self, finding: Mapping[str, Any]) -> tuple[str, ...]:
        code = finding["code"]
        if finding.get("trials"):
            return tuple(f"trials[{index}]" for index in finding["trials"])
        if code in _TRIAL_CODES:
            return ("trials",)
        if code.startswith("exclusion_"):
            name = code.removeprefix("exclusion_")
            safety = tuple(f"safety.{each}" for each in _EXCLUSION_PATHS.get(name, ()))
            return safety or _EXCLUSION_ELSEWHERE.get(name, ())
        return _CRITERION_PATHS.get(code, ())

    def _behind(self, path: str) -> list[Source]:
        """The fact at a path; of medicines the statement that their row is."""
        if not path.startswith("trials"):
            return [Source(path, _shown(path, self._value(path)), self.facts.origin(path))]
        rows = [row for row in self.rows if path in ("trials", f"trials[{row.number - 1}]")]
        return [
            Source(f"trials[{row.number - 1}]", f"Medicine {row.number}, see {row.ref}", "The table of medicines")
            for row in rows
        ]

    def _value(self, path: str) -> Any:
        if path.startswith("trials["):
            index = int(path[len("trials[") : -1])
            trials = self.facts.record.get("trials") or []
            return trials[index] if index < len(trials) else None
        return self.at(path)

    def _holes_of(self, finding: Mapping[str, Any], paths: Sequence[str]) -> Iterable[str]:
        code = finding["code"]
        if finding.get("trials") or code in _TRIAL_CODES:
            rows = [row.hole for row in self.rows if row.hole]
            rows += [hole.id for key, hole in self.holes.items() if key == "trials"]
            if rows:
                return dict.fromkeys(rows)
        if "check the policy" in finding["text"] or "not established" in finding["text"]:
            return [
                self.hole(
                    f"policy:{self.facts.policy['id']}:{code}",
                    f"The policy's own rule: {_RULE_WORDS.get(code, code.replace('_', ' '))}",
                    "Our file of this policy does not say it.",
                    "Whoever checks the policy, in the payer's own text",
                    MANAGER,
                )
            ]
        missing = [path for path in paths if self._value(path) is None]
        if missing and not finding.get("trials"):
            return [self._asked_for(path) for path in missing]
        because = "The record cannot answer it."
        text = finding["text"].removesuffix(" A person checks this.").removesuffix(".")
        return [self.hole(f"check:{self.facts.policy['id']}:{code}", text, because, "A prescriber", PRESCRIBER)]

    def _asked_for(self, path: str) -> str:
        label = (
            words.safety_label(path.removeprefix("safety."))
            if path.startswith("safety.")
            else _PATH_WORDS.get(path, path)
        )
        role = PRESCRIBER if path.startswith("episode.") else NURSE
        filled_by = "A prescriber" if role == PRESCRIBER else "The patient"
        what = f"Safety answer: {label}" if path.startswith("safety.") else label
        return self._missing(path, what, filled_by, role, "The policy asks for it.")

    def _is_asked(self, key: str) -> bool:
        return bool(self.facts.policy["criteria"].get(key))

    def _by_hand(self, key: str) -> CriterionLine:
        """What the policy file asks for in words, and no fact of the record can show."""
        asked = self.facts.policy["criteria"][key]
        label = words.BY_HAND[key]
        text = f"{label}." if asked is True else f"{label}: {asked}."
        because = "The policy asks for it; the record cannot show it."
        key_of = f"check:{self.facts.policy['id']}:{key}"
        hole = self.hole(key_of, text.removesuffix("."), because, "A prescriber", PRESCRIBER)
        return CriterionLine(key, text, "unknown", _answer(key, "unknown"), holes=(hole,))

    def attachments(self) -> tuple[Line, ...]:
        lines: list[Line] = []
        for each in self.facts.files:
            about = f" of {words.day(each.about_on)}" if each.about_on else ""
            kind = each.kind.replace("_", " ").capitalize()
            source = Source(f"attachments.{each.id}", kind, f"File added {words.day(each.added_on)}")
            lines.append(self.line(f"Attachment {len(lines) + 1}", f"{kind}{about}", source))
        return tuple(lines)

    # the letter

    def letter(self, criteria: Sequence[CriterionLine]) -> tuple[Sentence, ...]:
        """Sentences that only repeat statements of the sections above."""
        facts, said = self.facts, self.said
        found: list[Sentence | None] = [self._opening(), self._illness()]
        counted = [row for row in self.rows if row.verdict == words.VERDICTS["adequate"]]
        if counted:
            number = "one medicine" if len(counted) == 1 else f"{len(counted)} different medicines"
            text = f"{_by_rules(facts.result)}, {number} did not help enough in this episode: {_trial_list(counted)}."
            found.append(Sentence(text, tuple(row.ref for row in counted)))
        intolerant = [row for row in self.rows if row.verdict == words.VERDICTS["intolerance"]]
        if intolerant:
            names = words.listed([row.name for row in intolerant])
            found.append(Sentence(f"Side effects ended treatment with {names}.", tuple(row.ref for row in intolerant)))
        if "psychotherapy" in said:
            statement = self._statement(said["psychotherapy"])
            found.append(Sentence(f"Psychotherapy was part of the treatment: {_value_of(statement)}.", (statement.id,)))
        if "scale" in said:
            statement = self._statement(said["scale"])
            found.append(
                Sentence(f"The depression score on record is {statement.text.replace(': ', ' ', 1)}.", (statement.id,))
            )
        found += [self._screened(), self._counts(criteria)]
        return tuple(each for each in found if each)

    def _statement(self, ref: str) -> Statement:
        return self.statements[int(ref[1:]) - 1]

    def _opening(self) -> Sentence:
        facts, said = self.facts, self.said
        asked = words.TREATMENTS[treatment_of(facts.policy)]
        plan = f", {_value_of(self._statement(said['sessions']))}," if "sessions" in said else ""
        person = _value_of(self._statement(said["person"]))
        refs = [said[name] for name in ("person", "treatment", "sessions") if name in said]
        return Sentence(f"We ask for authorization of {asked}{plan} for {person}.", tuple(refs))

    def _illness(self) -> Sentence | None:
        said = self.said
        if "diagnosis" not in said:
            return None
        text, refs = f"The diagnosis on record is {_value_of(self._statement(said['diagnosis']))}", [said["diagnosis"]]
        if "severity" in said:
            text += f"; the present episode is {_value_of(self._statement(said['severity']))}"
            refs.append(said["severity"])
        if "onset" in said:
            text += f" and began {_value_of(self._statement(said['onset']))}"
            refs.append(said["onset"])
        return Sentence(f"{text}.", tuple(refs))

    def _screened(self) -> Sentence | None:
        """What was asked and denied. What was reported stands in the safety section, in the open."""
        names = [name for name in _SAFETY_OF[treatment_of(self.facts.policy)] if name in self.said]
        names = [name for name in names if (self.facts.record.get("safety") or {}).get(name) is False]
        names = [name for name in names if not words.is_private(f"safety.{name}")]
        if not names:
            return None
        topics = [words.safety_label(name)[0].lower() + words.safety_label(name)[1:] for name in names]
        text = f"The safety screen asked about the following, and each was denied: {'; '.join(topics)}."
        return Sentence(text, tuple(self.said[name] for name in names))

    def _counts(self, criteria: Sequence[CriterionLine]) -> Sentence | None:
        counted = [line for line in criteria if line.status in ("met", "unmet")]
        if not counted:
            return None
        met = sum(line.status == "met" for line in counted)
        still = sum(line.status == "unknown" for line in criteria)
        text = f"Of the payer's criteria, {met} {'is' if met == 1 else 'are'} met on record"
        text += f", {len(counted) - met} not met" if met < len(counted) else ""
        text += f", and {still} cannot be answered from the record" if still else ""
        return Sentence(f"{text}.", tuple(line.ref for line in counted))

    def advice(self) -> Iterable[str]:
        """What its sender should know before it goes out; nothing here is a hole."""
        if self.facts.approval and self.facts.approval.is_override:
            yield "The prescriber's decision overrides the verdict of the rules."
        plain = [row for row in self.rows if row.verdict == words.VERDICTS["adequate"] and row.grade.startswith("C")]
        if plain:
            some = "One medicine that counts rests" if len(plain) == 1 else f"{len(plain)} medicines that count rest"
            yield f"{some} on the patient's report alone; payers often ask for a pharmacy or chart record."
        sessions = self.facts.policy["criteria"].get("sessions") or {}
        allowed = sessions.get("total") or ((sessions.get("initial") or 0) + (sessions.get("taper") or 0))
        if self.facts.plan and allowed and self.facts.plan.sessions > allowed:
            yield f"The protocol has {self.facts.plan.sessions} sessions; our file of the policy names {allowed} at first."


POLICY_WARNINGS = {
    "off": "Nobody at this clinic has verified our file of this policy against the payer's own text.",
    "stale": "Our file of this policy was verified more than 180 days ago.",
    "changed": "Our file of this policy changed after it was verified.",
}
_RULE_WORDS = {
    "age": "which ages",
    "severity": "how severe the episode has to be",
    "failed_trials": "how many medicines, and for how many weeks",
    "distinct_classes": "how many classes of medicine",
    "psychotherapy": "whether psychotherapy is asked for",
}
_NOT_HELD = re.compile(r" \([^()]*not established here[^()]*\)")
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
_PATH_WORDS = {
    "age": "Age",
    "episode.diagnosis": "The diagnosis of this episode",
    "episode.severity": "The severity of this episode",
    "episode.psychotic_features": "Whether there are psychotic features now",
    "phq9": "A scored depression scale, such as the PHQ-9",
    "psychotherapy": "Psychotherapy: kind and sessions",
    "cssrs": "The suicide screener (C-SSRS)",
    "trials": "The medicines that were tried",
    "safety.psychosis_history": "Psychosis, ever",
}


def _shown(path: str, value: Any) -> str:
    """A stored value as the evidence list shows it."""
    if value is None:
        return ""
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(
            f"{name.replace('_', ' ')} {_shown(name, each)}" for name, each in value.items() if each is not None
        )
    if isinstance(value, list | tuple):
        if path == "phq9":
            return f"{sum(each is not None for each in value)} of {len(value)} answers"  # the total is what is asked
        if len(value) == 2 and all(isinstance(each, int | float) for each in value):
            return words.span(value)
        return "; ".join(_shown("", each) for each in value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _dose(value: Any) -> str:
    return "" if value is None else f"{words.span(value)} mg a day"


def _asked(finding: Mapping[str, Any]) -> str:
    text = _NOT_HELD.sub("", str(finding["text"]))
    return f"Exclusion: {text.removeprefix('Excluded: ')}" if finding["code"].startswith("exclusion_") else text


def _answer(code: str, status: str) -> str:
    """An exclusion is met where it does not apply: said so, a reader has not to think twice."""
    if status == "unknown":
        return "Not on record"
    if code.startswith("exclusion_"):
        return "Does not apply" if status == "met" else "Applies"
    return "Met" if status == "met" else "Not met"


def _value_of(statement: Statement) -> str:
    return statement.text.split(": ", 1)[1]


def _trial_list(rows: Sequence[TrialRow]) -> str:
    return "; ".join(", ".join(part for part in (row.name, row.dose, row.weeks_at_dose) if part) for row in rows)


def _by_rules(result: Mapping[str, Any]) -> str:
    rules = result["ruleset"]
    return f"By the rules in use (rule set “{rules['id']}”, version {rules['version']})"
