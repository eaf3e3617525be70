"""The plans name every protocol, only what can be sent, and a source for each line."""

from typing import Any

import pytest
from pydantic import ValidationError

from clinic.instruments import scoring
from clinic.protocols.shapes import bookable
from clinic.surveys.plans import Ask, Plans, plan_of, plans, rhythm_of, sendable


@pytest.mark.parametrize("protocol", sorted(bookable()))
def test_whatever_can_be_booked_has_a_plan(protocol: str) -> None:
    assert plan_of(protocol) is not None
    assert rhythm_of(protocol, bookable()[protocol].session_count) is not None


def test_a_payers_blocks_end_their_phases_earlier() -> None:
    key = next(key for key in bookable() if key.startswith("itbs_left.") and "noridian" in key)
    rhythm = rhythm_of(key, 25)
    assert rhythm is not None
    assert [n for n, asked in rhythm.at_session.items() if "gad7" in asked] == [10, 20, 25]
    assert rhythm.weekly_until == 20


def test_every_line_names_its_source() -> None:
    assert all(ask.src for plan in plans().plans for ask in plan.asks)
    assert all(flag.src for plan in plans().plans for flag in plan.flags)


def test_every_free_questionnaire_that_a_person_answers_can_be_sent() -> None:
    assert set(sendable()) == {
        "phq9",
        "phq2",
        "gad7",
        "audit_c",
        "pcptsd5",
        "cssrs",
        "side_effects_tms",
        "side_effects_ketamine",
        "sleep_clinic",
        "mood_clinic",
    }


@pytest.mark.parametrize("key", ["isi", "madrs", "cgi"])
def test_what_is_not_free_or_a_clinicians_is_not_sent(key: str) -> None:
    with pytest.raises(ValidationError, match="cannot be sent"):
        Ask(at="baseline", instruments=(key,), src=("product",))


def test_an_ask_without_its_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="every says its sessions"):
        Ask(at="every", instruments=("phq9",), src=("product",))


def test_a_source_that_is_not_there_is_refused() -> None:
    data: dict[str, Any] = plans().model_dump()
    data["sources"] = {}
    with pytest.raises(ValidationError, match="no source"):
        Plans.model_validate(data)


def test_the_points_of_daily_tms_are_those_of_the_plan() -> None:
    rhythm = rhythm_of("itbs_left", 36)
    assert rhythm is not None
    assert sorted(rhythm.at_session) == [5, 10, 15, 20, 25, 30, 35, 36]
    assert sorted(rhythm.after_days) == [30, 90, 180]
    assert rhythm.weekly_until == 30


@pytest.mark.parametrize(
    ("own", "list_name"), [("side_effects_tms", "tms_items"), ("side_effects_ketamine", "ketamine_items")]
)
def test_our_side_effect_questions_are_the_items_of_the_catalog(own: str, list_name: str) -> None:
    named = scoring.load("side_effects_clinic").data[list_name]
    assert [item.key for item in scoring.load(own).items] == named
