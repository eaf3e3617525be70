"""The pages of a check-in: one item of a scale alone, our own questions together, nothing needless."""

import pytest

from clinic.instruments import scoring
from clinic.surveys import flow

THREE = ("phq9", "sleep_clinic", "side_effects_tms")


def test_items_of_a_scale_stand_alone_and_our_own_by_four() -> None:
    sizes = [len(page.keys) for page in flow.pages(THREE)]
    assert sizes == [1] * 9 + [1] + [2] + [4, 4, 2]


def test_the_difficulty_question_is_asked_only_where_there_was_a_problem() -> None:
    none = {f"phq9.{n}": 0 for n in range(1, 10)}
    assert flow.first_open(THREE, none) == 11
    assert flow.first_open(THREE, none | {"phq9.3": 1}) == 10
    assert flow.following(THREE, 9, none) == 11
    assert flow.before(THREE, 11, none) == 9


def test_no_to_the_gate_ends_the_questionnaire() -> None:
    assert flow.first_open(("pcptsd5",), {"pcptsd5.gate": 0}) is None
    assert flow.first_open(("pcptsd5",), {"pcptsd5.gate": 1}) == 2


def test_a_skipped_question_is_not_open() -> None:
    assert flow.first_open(("phq2",), {"phq2.1": None}) == 2
    assert flow.is_answered("phq2", {"phq2.1": None}) is False
    assert flow.is_answered("phq2", {"phq2.1": 0}) is True


def test_the_screener_asks_three_to_five_only_after_a_yes() -> None:
    assert flow.screener_open({}) == 1
    assert flow.screener_open({"cssrs.1": 1, "cssrs.2": 0}) == 3
    assert flow.screener_open({"cssrs.1": 1, "cssrs.2": 1}) == 2
    assert flow.screener_open({"cssrs.1": 0, "cssrs.2": None, "cssrs.6": None}) is None


def test_the_time_is_said_honestly() -> None:
    assert flow.minutes(("phq9",)) == 2
    assert flow.minutes(THREE) == 4


@pytest.mark.parametrize(
    "draft",
    [
        {"pcptsd5.gate": 0},
        {"pcptsd5.gate": 1},
        {"pcptsd5.gate": 1, "pcptsd5.1": 0, "pcptsd5.2": 0, "pcptsd5.3": 0, "pcptsd5.4": 0, "pcptsd5.5": 0},
        {"pcptsd5.1": 1},
    ],
)
def test_a_score_turns_back_into_the_answers_that_made_it(draft: dict[str, int]) -> None:
    items, gate = flow.answers_of("pcptsd5", draft), flow.gate_of("pcptsd5", draft)
    back = flow.draft_of("pcptsd5", items, scoring.score("pcptsd5", items, gate=gate))
    assert {key: value for key, value in back.items() if value is not None} == draft
