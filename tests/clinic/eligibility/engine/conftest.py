from collections.abc import Callable
from typing import Any

import pytest

from clinic.eligibility.engine import Assessment, IntakeRecord, assess

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make_trial() -> Make:
    """An adequate, failed trial of sertraline."""

    def make(drug: str | None = "sertraline", **overrides: Any) -> dict[str, Any]:
        row = {
            "drug": drug,
            "dose_mg_per_day": 100,
            "weeks": 10,
            "weeks_at_dose": 8,
            "adherence": "good",
            "outcome": "none",
            "stopped_reason": "inefficacy",
            "in_current_episode": True,
            "purpose": "depression",
            "role": "alone",
        }
        return row | overrides

    return make


@pytest.fixture
def make_record(make_trial: Make) -> Make:
    """An adult with every answer that matters given and no, and two adequate trials of two classes."""

    def make(**overrides: Any) -> dict[str, Any]:
        record = {
            "id": "r1",
            "as_of": "2026-11-20",
            "age": 40,
            "sex": "male",
            "episode": {
                "diagnosis": "mdd",
                "onset_weeks_ago": 60,
                "psychotic_features": False,
                "current_mania": False,
                "severity": "severe_without_psychosis",
                "ect_used": False,
            },
            "trials": [make_trial("sertraline"), make_trial("venlafaxine", dose_mg_per_day=150)],
            "psychotherapy": [{"type": "cbt", "sessions": 12, "adequate": True}],
            "phq9": [2, 2, 2, 2, 2, 2, 2, 2, 0],
            "cssrs": {
                "wish_dead": False,
                "thoughts": False,
                "method": False,
                "intent": False,
                "plan": False,
                "behaviour_lifetime": False,
                "behaviour_3mo": False,
            },
            "mdq_positive": False,
            "audit_c": 1,
            "safety": {
                "metal_in_head": False,
                "cochlear_implant": False,
                "pacemaker_or_icd": False,
                "vns_or_dbs": False,
                "seizure_history": False,
                "stroke_or_brain_lesion": False,
                "pregnant": False,
                "current_substance_use": False,
                "aneurysm_or_avm": False,
                "intracerebral_haemorrhage": False,
                "bp": [120, 80],
                "psychosis_history": False,
                "liver_impairment": "none",
            },
        }
        return record | overrides

    return make


@pytest.fixture
def run(make_record: Make) -> Callable[..., Assessment]:
    """Assess the default record with parts replaced; `using` goes to the engine."""

    def assess_with(using: dict[str, Any] | None = None, **overrides: Any) -> Assessment:
        return assess(IntakeRecord.model_validate(make_record(**overrides)), **(using or {}))

    return assess_with
