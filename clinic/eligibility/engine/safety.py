"""What speaks against a treatment, what nobody has asked yet, and what cannot wait."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

from clinic.eligibility.engine import drugs, interactions, knowledge
from clinic.eligibility.engine.record import IntakeRecord
from clinic.eligibility.engine.rules import RuleSet
from clinic.eligibility.engine.trials import Weighed

Pathway = Literal["tms", "esketamine", "iv_ketamine"]
PATHWAYS: tuple[Pathway, ...] = ("tms", "esketamine", "iv_ketamine")
Kind = Literal["contraindication", "precaution", "co_occurring", "missing", "criterion", "info"]
Fact = Callable[["Known"], bool | None]


@dataclass(frozen=True, slots=True)
class PathwayFinding:
    """One thing that bears on a treatment; `field` names the fact, for a missing one."""

    code: str
    kind: Kind
    text: str
    source: str
    field: str | None = None
    level: str | None = None
    action: str | None = None
    system_must: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "kind": self.kind,
            "text": self.text,
            "source": self.source,
            "level": self.level,
            "action": self.action,
            "system_must": self.system_must,
        }


@dataclass(frozen=True, slots=True)
class Condition:
    """A row of a screen and how to see from the record whether it is present."""

    code: str
    kind: Kind
    text: str
    source: str
    is_present: Fact | None  # None: the answer to its own question
    level: str | None = None
    action: str | None = None
    system_must: str | None = None

    @property
    def finding(self) -> PathwayFinding:
        return PathwayFinding(
            self.code, self.kind, self.text, self.source, None, self.level, self.action, self.system_must
        )


# The facts of the record, by the names of the contract, each with the screen ids that ask the same.
_SAME_QUESTION = {
    "metal_in_head": ("metal_head",),
    "cochlear_implant": (),
    "pacemaker_or_icd": ("cardiac_device",),
    "vns_or_dbs": ("neurostimulator",),
    "seizure_history": (),
    "stroke_or_brain_lesion": ("brain_disease",),
    "pregnant": ("pregnancy",),
    "current_substance_use": ("stimulants_drugs", "active_substance_use_disorder"),
    "intracerebral_haemorrhage": (),
    "psychosis_history": ("psychosis",),
}
_CLUSTERS = {fact: (fact, *ids) for fact, ids in _SAME_QUESTION.items() if ids}


@cache
def _clusters() -> dict[str, tuple[str, ...]]:
    """Every id of a question that is asked under more than one, with all of them."""
    return {name: names for names in _CLUSTERS.values() for name in names}


_FACT_OF_ID = {screen: fact for fact, ids in _SAME_QUESTION.items() for screen in (fact, *ids)}

MATTERS: dict[Pathway, tuple[str, ...]] = {
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
        "pregnant",
    ),
}
MATTERS["iv_ketamine"] = MATTERS["esketamine"]
_ALL_THAT_MATTERS = tuple(dict.fromkeys(fact for facts in MATTERS.values() for fact in facts))

QUESTIONS = {
    "metal_in_head": "Any metal in the head, eye, skull, neck or upper chest? Fillings and braces do not count.",
    "cochlear_implant": "A cochlear implant?",
    "pacemaker_or_icd": "A pacemaker, a defibrillator, or wires in the heart?",
    "vns_or_dbs": "An implanted nerve or brain stimulator?",
    "seizure_history": "Ever a seizure, or told of epilepsy?",
    "stroke_or_brain_lesion": "Stroke, brain tumor, brain surgery, or another disease of the brain?",
    "pregnant": "Pregnant, or could be?",
    "current_substance_use": "Using alcohol or drugs in a way that is a problem now?",
    "aneurysm_or_avm": "An aneurysm or an arteriovenous malformation?",
    "intracerebral_haemorrhage": "Ever a bleeding in the brain?",
    "psychosis_history": "Ever heard voices or held fixed frightening beliefs?",
    "liver_impairment": "Is the liver impaired: none, mild, moderate or severe?",
    "bp": "What is the blood pressure?",
}


class Known:
    """The record and the weighed trials, read as yes, no or not known."""

    def __init__(self, record: IntakeRecord, trials: list[Weighed], rules: RuleSet) -> None:
        self.record = record
        self.trials = trials
        self.rules = rules
        answers = record.safety.__dict__ if record.safety else {}
        self._answers = {name: value for name, value in answers.items() if value is True or value is False}
        clusters = _clusters()
        self.present: set[str] = set()  # ids answered yes, under any name of the same question
        self._absent: set[str] = set()
        for name, value in self._answers.items():
            (self.present if value else self._absent).update(clusters.get(name, (name,)))

    def answer(self, name: str) -> bool | None:
        """A yes or no answer of the safety part under one name."""
        return self._answers.get(name)

    def fact(self, name: str) -> bool | None:
        """A fact under any of its names: a yes anywhere is a yes."""
        if name in self.present:
            return True
        return False if name in self._absent else None

    def aneurysm_or_avm(self) -> bool | None:
        return self._aneurysm_or_avm

    @cached_property
    def _aneurysm_or_avm(self) -> bool | None:
        whole, parts = self.answer("aneurysm_or_avm"), [self.answer("aneurysmal_disease"), self.answer("avm")]
        if whole or True in parts:
            return True
        return False if whole is False or parts == [False, False] else None

    def substance_use(self) -> bool | None:
        """Using now. No past or present disorder at all answers it too."""
        now = self.fact("current_substance_use")
        return False if now is None and self.answer("substance_use") is False else now

    def liver(self, *levels: str) -> bool | None:
        safety = self.record.safety
        if safety is None:
            return None
        if safety.liver_impairment is not None:
            return safety.liver_impairment in levels
        severe, moderate = self.answer("hepatic_severe"), self.answer("hepatic_moderate")
        if (severe and "severe" in levels) or (moderate and "moderate" in levels):
            return True
        if severe or moderate:
            return False
        return False if severe is False and moderate is False else None

    def pressure_over(self, systolic: float, diastolic: float) -> bool | None:
        safety = self.record.safety
        if self.answer("bp_pre_dose") or self.answer("uncontrolled_hypertension"):
            return True
        if safety is None or safety.bp is None:
            return None
        high, low = safety.bp
        if (high is not None and high > systolic) or (low is not None and low > diastolic):
            return True
        return None if high is None or low is None else False

    @cached_property
    def high_pressure(self) -> bool | None:
        """Over the limits from which a dose of ketamine or esketamine waits for a prescriber."""
        return self.pressure_over(*_pressure_limits())

    def psychosis_now(self) -> bool | None:
        return self._psychosis_now

    @cached_property
    def _psychosis_now(self) -> bool | None:
        episode = self.record.episode
        features = episode.psychotic_features if episode else None
        severe = bool(episode and episode.severity == "severe_with_psychosis")
        if features or severe or self.answer("psychosis_now"):
            return True
        return False if features is False or self.answer("psychosis_now") is False else None

    def mania_now(self) -> bool | None:
        episode = self.record.episode
        current = episode.current_mania if episode else None
        if current or self.answer("current_mania_or_mixed"):
            return True
        return current

    def diagnosis(self) -> str | None:
        found = self.record.episode.diagnosis if self.record.episode else None
        return None if found == "unknown" else found

    def bipolar(self) -> bool | None:
        found = self.diagnosis()
        return None if found is None else found.startswith("bipolar")

    def under_age(self) -> bool | None:
        if self.record.age is None:
            return True if self.answer("under_18") else None
        return self.record.age < self.rules.adult_from_years

    def drinks_too_much(self) -> bool | None:
        """AUDIT-C at its cut-off: 4 for men, 3 for women and where the sex is not known."""
        score = self.record.audit_c
        return None if score is None else score >= (4 if self.record.sex == "male" else 3)

    def takes_seizure_drug(self) -> bool:
        return any(
            row.facts.trial.stopped_reason == "ongoing" and row.facts.drug is not None and row.facts.drug.tms_flag
            for row in self.trials
        ) or self.takes("lowers_seizure_threshold")

    def takes(self, *names: str) -> bool:
        """Whether a medicine of one of these classes or groups is taken now."""
        return bool(self._taken) and any(not interactions.tags(drug).isdisjoint(names) for drug in self._taken)

    @cached_property
    def medicines(self) -> list[interactions.Taken]:
        """What is taken now or was lately."""
        return interactions.taken(self.record)

    @cached_property
    def _taken(self) -> tuple[drugs.Drug, ...]:
        return tuple(each.drug for each in self.medicines if each.days_since is None)

    @cached_property
    def common(self) -> list[PathwayFinding]:
        """What bears on every treatment alike."""
        return [finding for is_present, finding in _common_checks() if is_present(self)]

    @cached_property
    def open_facts(self) -> frozenset[str]:
        """Facts that matter for some treatment and are not known."""
        return frozenset(
            fact
            for fact in _ALL_THAT_MATTERS
            if not self.is_known(fact) and (fact != "pregnant" or self.could_be_pregnant())
        )

    def could_be_pregnant(self) -> bool:
        """Whether not knowing of a pregnancy matters: sex female or not known, age within the range or not known."""
        return self.record.sex in (None, "unknown", "female") and self.pregnancy_is_asked()

    def pregnancy_is_asked(self) -> bool:
        """Whether to ask at all: anyone but a man, age within the range or not known."""
        youngest, oldest = self.rules.pregnancy_ages
        age = self.record.age
        return self.record.sex != "male" and (age is None or youngest <= age <= oldest)

    def is_known(self, fact: str) -> bool:
        """Whether one of the facts that matter has been answered."""
        if fact in self.present or fact in self._absent:
            return True
        if fact == "aneurysm_or_avm":
            return self.aneurysm_or_avm() is not None
        if fact == "current_substance_use":
            return self.substance_use() is not None
        if fact == "liver_impairment":
            return self.liver("severe", "moderate", "mild") is not None
        if fact == "bp":
            return self.high_pressure is not None
        return False


@cache
def _pressure_limits() -> tuple[float, float]:
    rows = knowledge.safety_screens()["esketamine_screen"]["precautions"]
    limits = next(row["threshold"] for row in rows if row["id"] == "bp_pre_dose")
    return limits["systolic_over"], limits["diastolic_over"]


def _either(*facts: Fact) -> Fact:
    def is_present(known: Known) -> bool | None:
        found = None  # one question asked in several ways: any answer answers it
        for fact in facts:
            answer = fact(known)
            if answer:
                return True
            if answer is False:
                found = False
        return found

    return is_present


def _asked(name: str) -> Fact:
    fact = _FACT_OF_ID.get(name)
    if fact is not None:
        return lambda known: known.fact(fact)
    return lambda known: known.answer(name)


# Rows whose presence follows from more than their own question.
_DERIVED: dict[tuple[str, str], Fact] = {
    ("tms", "medicines"): _either(_asked("medicines"), lambda known: known.takes_seizure_drug() or None),
    ("tms", "alcohol"): _either(_asked("alcohol"), Known.drinks_too_much),
    ("tms", "psychosis_now"): Known.psychosis_now,
    ("tms", "bipolar_mania"): _either(_asked("bipolar_mania"), lambda known: known.record.mdq_positive),
    ("tms", "age_band"): lambda _known: None,
    ("esketamine", "aneurysmal_disease"): Known.aneurysm_or_avm,
    ("esketamine", "avm"): lambda _known: None,  # told by the row above: the record asks both in one question
    ("esketamine", "bp_pre_dose"): lambda known: known.high_pressure,
    ("esketamine", "hypertensive_or_cv_disease"): _either(
        _asked("hypertensive_or_cv_disease"), _asked("stroke_or_brain_lesion")
    ),
    ("esketamine", "substance_use"): _either(_asked("substance_use"), Known.substance_use, Known.drinks_too_much),
    ("esketamine", "hepatic_moderate"): lambda known: known.liver("moderate"),
    ("esketamine", "hepatic_severe"): lambda known: known.liver("severe"),
    ("esketamine", "age_65"): lambda known: known.record.age is not None and known.record.age >= 65,
    ("esketamine", "cns_depressants"): _either(
        _asked("cns_depressants"), lambda known: known.takes("sedative") or None
    ),
    ("esketamine", "stimulants_maoi"): _either(
        _asked("stimulants_maoi"), lambda known: known.takes("any_stimulant", "any_maoi") or None
    ),
    ("esketamine", "under_18"): _either(_asked("under_18"), Known.under_age),
    ("esketamine", "boxed_young_adults"): lambda known: known.record.age is not None and 18 <= known.record.age <= 24,
    ("iv_ketamine", "active_psychosis_or_schizophrenia"): _either(
        _asked("active_psychosis_or_schizophrenia"), _asked("psychosis_history"), Known.psychosis_now
    ),
    ("iv_ketamine", "uncontrolled_hypertension"): lambda known: known.high_pressure,
    ("iv_ketamine", "unstable_cardiac_aneurysm_raised_icp_recent_stroke"): _either(
        _asked("unstable_cardiac_aneurysm_raised_icp_recent_stroke"), Known.aneurysm_or_avm
    ),
    ("iv_ketamine", "active_substance_use_disorder"): Known.substance_use,
    ("iv_ketamine", "severe_hepatic_disease_or_cystitis"): _either(
        _asked("severe_hepatic_disease_or_cystitis"), lambda known: known.liver("severe")
    ),
    ("iv_ketamine", "current_mania_or_mixed"): Known.mania_now,
    ("iv_ketamine", "under_18"): _either(_asked("under_18"), Known.under_age),
}


def _kind(row: dict[str, Any]) -> Kind:
    if row["level"] == "absolute":
        return "contraindication"
    return "info" if row["level"] == "info" or row.get("action") == "inform" else "precaution"


def _text(row: dict[str, Any]) -> str:
    if "ask" in row:
        said = f"Yes to: {row['ask']}"
    else:
        said = str(row.get("text") or row["id"].replace("_", " ")).strip()
        said = f"{said[0].upper()}{said[1:]}."
    return f"{said} {str(row['note'])[0].upper()}{str(row['note'])[1:]}." if row.get("note") else said


def _condition(pathway: Pathway, section: str, row: dict[str, Any], default: dict[str, Any]) -> Condition:
    src = row.get("src") or default.get("src", [])
    sure = row.get("verified") or default.get("verified", "recalled")
    confidence = f", confidence {row['confidence']}" if "confidence" in row else ""
    return Condition(
        code=row["id"],
        kind=_kind(row),
        text=_text(row),
        source=f"safety_screens.{section}.{row['id']}: {', '.join(src) or 'clinic'}; {sure}{confidence}",
        is_present=_DERIVED.get((pathway, row["id"])),
        level=row["level"],
        action=row.get("action"),
        system_must=row.get("system_must") or row.get("clinic_does"),
    )


# What the ketamine screen does not list by itself, or lists only in a stronger form.
def _added() -> dict[Pathway, list[Condition]]:
    label = "safety_screens.esketamine_screen.intracerebral_haemorrhage: spravato_label; seen for esketamine"
    review = "A prescriber weighs it before ketamine."
    return {
        "tms": [],
        "esketamine": [],
        "iv_ketamine": [
            Condition(
                "intracerebral_haemorrhage",
                "precaution",
                f"A bleeding in the brain before. {review}",
                label,
                _asked("intracerebral_haemorrhage"),
                "relative",
                "clinician_review",
            ),
            Condition(
                "stroke_or_brain_lesion",
                "precaution",
                f"Stroke or another disease of the brain; a recent stroke rules it out. {review}",
                "safety_screens.iv_ketamine.unstable_cardiac_aneurysm_raised_icp_recent_stroke: recalled",
                _asked("stroke_or_brain_lesion"),
                "relative",
                "clinician_review",
            ),
        ],
    }


_BIPOLAR = "trial_adequacy.counting_rules.bipolar: recalled"
_REVIEW, _TODAY = "clinician_review", "same_day_review"


def _common(code: str, text: str, source: str, is_present: Fact, action: str, kind: Kind = "co_occurring") -> Condition:
    return Condition(code, kind, text, source, is_present, "relative", action, None)


_COMMON = (
    _common("bipolar_disorder", "Bipolar disorder. A clinician decides.", _BIPOLAR, Known.bipolar, _REVIEW),
    _common(
        "mdq_positive",
        "The mood questionnaire is positive: bipolar review first.",
        "instruments.mdq: recalled",
        lambda known: known.record.mdq_positive,
        _REVIEW,
    ),
    _common(
        "current_mania",
        "Mania now. Treatment waits for a review.",
        "safety_screens.urgent_flags.psychosis_or_mania",
        Known.mania_now,
        _TODAY,
    ),
    _common(
        "current_psychosis",
        "Psychosis now. Treatment waits for a review.",
        "safety_screens.urgent_flags.psychosis_or_mania",
        Known.psychosis_now,
        _TODAY,
    ),
    _common(
        "schizoaffective_disorder",
        "Schizoaffective disorder. A clinician decides.",
        "safety_screens.tms_screen.psychosis_now: payer_policies; seen",
        lambda known: known.diagnosis() == "schizoaffective",
        _REVIEW,
    ),
    _common(
        "under_18",
        "Under 18: the rules are for adults. A clinician decides.",
        "safety_screens.tms_screen.age_band: seen for 15-21; recalled for the rest",
        Known.under_age,
        _REVIEW,
        "precaution",
    ),
)


@cache
def _common_checks() -> tuple[tuple[Fact, PathwayFinding], ...]:
    return tuple((each.is_present, each.finding) for each in _COMMON if each.is_present is not None)


@cache
def conditions(pathway: Pathway) -> tuple[Condition, ...]:
    """Every condition that bears on one treatment, in the order of the screens."""
    screens = knowledge.safety_screens()
    esketamine, ketamine = screens["esketamine_screen"], screens["iv_ketamine"]
    parts: dict[Pathway, list[tuple[str, list[dict[str, Any]], dict[str, Any]]]] = {
        "tms": [("tms_screen", screens["tms_screen"]["questions"], {})],
        "esketamine": [
            ("esketamine_screen", esketamine["contraindications"], {}),
            ("esketamine_screen", esketamine["precautions"], {}),
        ],
        "iv_ketamine": [("iv_ketamine", ketamine["exclusions_and_cautions"], ketamine)],
    }
    own = [_condition(pathway, section, row, default) for section, rows, default in parts[pathway] for row in rows]
    codes = {each.code for each in own}
    common = [each for each in _COMMON if each.code not in codes]
    return (*own, *_added()[pathway], *common)


@dataclass(frozen=True)
class _Checks:
    """The conditions of one treatment, those that are the answer to their own question apart from the others."""

    rows: tuple[tuple[str, Fact | None, PathwayFinding], ...]
    others: tuple[tuple[str, Fact | None, PathwayFinding], ...]
    plain: frozenset[str]
    common: frozenset[str]
    missing: tuple[tuple[str, PathwayFinding], ...]


@cache
def _checks(pathway: Pathway) -> _Checks:
    every = conditions(pathway)
    common = frozenset(each.code for each in every if each in _COMMON)
    rows = tuple((each.code, each.is_present, each.finding) for each in every if each.code not in common)
    missing = tuple(
        (
            fact,
            PathwayFinding(
                f"missing_{fact}", "missing", f"Not known: {QUESTIONS[fact]}", "safety_screens", f"safety.{fact}"
            ),
        )
        for fact in MATTERS[pathway]
    )
    return _Checks(
        rows,
        tuple(row for row in rows if row[1] is not None),
        frozenset(code for code, is_present, _ in rows if is_present is None),
        common,
        missing,
    )


_MISSING_AGE = PathwayFinding(
    "missing_age", "missing", "Not known: the age. It is not approved under 18.", "safety_screens", "age"
)
_MISSING_DIAGNOSIS = PathwayFinding(
    "missing_diagnosis", "missing", "Not known: the diagnosis of this episode.", "trial_adequacy", "episode.diagnosis"
)


def findings(pathway: Pathway, known: Known) -> list[PathwayFinding]:
    """Conditions that are present and facts that matter and are missing."""
    checks, present = _checks(pathway), known.present
    rows = checks.others if present.isdisjoint(checks.plain) else checks.rows
    found = [
        finding for code, is_present, finding in rows if (code in present if is_present is None else is_present(known))
    ]
    found += [finding for finding in known.common if finding.code in checks.common]
    open_facts = known.open_facts
    if open_facts:
        found += [finding for fact, finding in checks.missing if fact in open_facts]
    if pathway == "esketamine" and known.under_age() is None and known.answer("under_18") is None:
        found.append(_MISSING_AGE)
    if known.diagnosis() is None:
        found.append(_MISSING_DIAGNOSIS)
    return found


# What cannot wait


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to act at once."""

    code: str
    level: str
    text: str

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "level": self.level, "text": self.text}


_SCREENER = {
    "intent": ("suicidal_intent", "Suicidal intent."),
    "plan": ("suicidal_plan", "A suicide plan."),
    "behaviour_3mo": ("suicidal_behavior_3_months", "Suicidal behavior in the last three months."),
}


def urgent(known: Known) -> list[Reason]:
    """Intent, plan, behavior in three months, psychosis or mania now: a person acts within the hour."""
    found = [
        Reason(code, "urgent", text)
        for field, (code, text) in _SCREENER.items()
        if known.record.cssrs is not None and getattr(known.record.cssrs, field)
    ]
    if known.psychosis_now():
        found.append(Reason("current_psychosis", "urgent", "Psychosis now."))
    if known.mania_now():
        found.append(Reason("current_mania", "urgent", "Mania now."))
    return found


@dataclass(frozen=True, slots=True)
class Flag:
    """A safety answer with its level in the table of who is told and when: urgent, same_day or lit."""

    code: str
    level: Literal["urgent", "same_day", "lit"]
    action: str
    text: str
    source: str

    def to_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "level": self.level,
            "action": self.action,
            "text": self.text,
            "source": self.source,
        }


_TABLE_LEVELS: dict[str, Literal["urgent", "same_day", "lit"]] = {
    "immediate": "urgent",
    "same_day": "same_day",
    "routine_plus": "lit",
}


@cache
def _flag(flag_id: str) -> Flag:
    rows = knowledge.safety_screens()["urgent_flags"]["flags"]
    row = next(row for row in rows if row["id"] == flag_id)
    level = "urgent" if flag_id == "psychosis_or_mania" else _TABLE_LEVELS[row["level"]]
    source = f"safety_screens.urgent_flags.{flag_id}: {', '.join(row.get('src', ())) or 'clinic'}"
    return Flag(flag_id, level, row["action"], f"{row['trigger']}.", f"{source}; {row.get('verified', 'recalled')}")


def flags(known: Known) -> list[Flag]:
    """Every flag of the screens that the record raises, most urgent first; a flag never changes another verdict."""
    scale, items = known.record.cssrs, known.record.phq9
    item9 = items[8] if items else None
    found = []
    if scale and (scale.intent or scale.plan or scale.behaviour_3mo):
        found.append(_flag("suicide_plan_or_intent"))
    if known.psychosis_now() or known.mania_now():
        found.append(_flag("psychosis_or_mania"))
    if scale and (scale.method or (scale.behaviour_lifetime and not scale.behaviour_3mo)):
        found.append(_flag("suicide_method_no_intent"))
    if item9 is not None and item9 >= 2:
        found.append(_flag("phq9_item9_high"))
    if (scale and (scale.wish_dead or scale.thoughts)) or item9 == 1:
        found.append(_flag("suicide_passive"))
    return found
