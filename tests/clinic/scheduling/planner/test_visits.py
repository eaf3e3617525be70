"""Parts of a course: what is booked first, a stage that is confirmed later, and what is owed after a break."""

import pytest

from clinic.protocols.base import catalogue
from clinic.protocols.shapes import bookable
from clinic.scheduling.planner.visits import next_stage, opening_part, part_of, rest_of, stage_ends, visits_of

ITBS, SAINT = catalogue()["itbs_left"], catalogue()["saint_snt"]
NORIDIAN = bookable()["itbs_left.noridian"]


def test_a_slot_holds_the_turnover():
    visits = visits_of(catalogue()["tms_10hz_left_dash"], grid=10, turnover=5)
    assert [v.duration for v in visits[:2]] == [85, 25]
    assert visits_of(ITBS, grid=10, turnover=5)[1].duration == 15


def test_a_course_in_another_shape_is_given_by_the_same_devices():
    assert {v.capability for v in visits_of(NORIDIAN)} == {"itbs_left"}


@pytest.mark.parametrize(("protocol", "ends"), [(ITBS, [36]), (SAINT, [51]), (NORIDIAN, [25, 41])])
def test_stages_end_where_their_sessions_do(protocol, ends):
    assert stage_ends(protocol) == ends
    assert opening_part(protocol).sessions == ends[0]


def test_the_extension_follows_the_25_and_nothing_follows_it():
    stage, part = next_stage(NORIDIAN, 25)
    assert (stage.id, stage.needs_improvement_percent) == ("extension", 25)
    assert (part.numbers[0], part.sessions, part.visits[0].kind) == (26, 16, "daily")
    assert next_stage(NORIDIAN, 41) is None
    assert next_stage(NORIDIAN, 24) is None
    assert next_stage(ITBS, 36) is None


def test_a_part_begins_inside_an_accelerated_day():
    part = part_of(SAINT, 26, 51)  # mapping is 1, then days of ten: 2-11, 12-21, 22-31
    assert part.numbers == (26, 32, 42)
    assert part.visits[0].offsets == (0, 60, 120, 180, 240, 300)
    assert [len(v.offsets) for v in part.visits] == [6, 10, 10]


def test_the_rest_of_a_daily_course_keeps_its_gap_within_a_week():
    rest = rest_of(ITBS, delivered=12, planned=36, days_since=7)
    assert (rest.part.numbers[0], rest.part.sessions, rest.follows, rest.review) == (13, 24, True, "")


def test_a_longer_break_lets_the_gap_go_and_asks_for_a_prescriber():
    rest = rest_of(ITBS, delivered=12, planned=36, days_since=8)
    assert not rest.follows
    assert rest.review.startswith("8 days since the last session, over 7; ")
    assert "recalled" in rest.review


def test_nothing_delivered_needs_no_review():
    rest = rest_of(SAINT, delivered=0, planned=51)
    assert (rest.part, rest.follows, rest.review) == (opening_part(SAINT), False, "")


def test_a_day_that_was_broken_off_goes_on_as_a_shorter_day_with_a_review():
    rest = rest_of(SAINT, delivered=25, planned=51, days_since=1)
    assert ([len(v.offsets) for v in rest.part.visits], rest.follows) == ([6, 10, 10], True)
    assert rest.review.startswith("visit 4 was broken off: its last 6 sessions are planned as a day of their own; ")


def test_a_day_missed_between_accelerated_days_asks_for_a_review():
    rest = rest_of(SAINT, delivered=31, planned=51, days_since=2)
    assert ([len(v.offsets) for v in rest.part.visits], rest.follows) == ([10, 10], False)
    assert rest.review.startswith("2 days since the last session, over 1; five days in a row")


def test_an_accelerated_course_that_goes_on_the_next_day_needs_none():
    assert rest_of(SAINT, delivered=31, planned=51, days_since=1).review == ""


def test_chairs_without_a_stated_break_are_reviewed_beyond_their_own_gap():
    esketamine = catalogue()["esketamine_trd"]
    assert rest_of(esketamine, delivered=3, planned=12, days_since=5).follows
    assert rest_of(esketamine, delivered=3, planned=12, days_since=6).review == "6 days since the last session, over 5"


def test_a_staged_course_owes_only_what_was_confirmed():
    assert rest_of(NORIDIAN, delivered=10, planned=25).part.numbers[-1] == 25
    assert rest_of(NORIDIAN, delivered=10, planned=41).part.numbers[-1] == 41


@pytest.mark.parametrize("delivered", [36, 37, -1])
def test_a_course_that_owes_nothing_has_no_rest(delivered):
    with pytest.raises(ValueError, match="delivered"):
        rest_of(ITBS, delivered=delivered, planned=36)
