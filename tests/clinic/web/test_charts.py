"""Positions are worked out by hand from the sizes that the module states."""

from datetime import date, timedelta

import pytest

from clinic.web import charts
from clinic.web.charts import AddOn, Ending, Level, Mark, PathSession, Score, Segment, WatchCheck

FLOOR, TOP = 154, 42


def sessions(*days: date, mark: Mark = Mark.PLANNED) -> list[PathSession]:
    return [PathSession(on=day, mark=mark, number=n) for n, day in enumerate(days, start=1)]


def test_zero_stands_on_the_floor_and_the_maximum_at_the_top():
    drawn = charts.trend([Score(0, 27, "a"), Score(36, 0, "b")], maximum=27, sessions=36)
    assert [point.y for point in drawn.points] == [TOP, FLOOR]


def test_the_scale_is_cropped_to_a_third_when_all_scores_are_low():
    drawn = charts.trend([Score(0, 9, "a")], maximum=27)
    assert drawn.points[0].y == TOP


def test_a_score_stands_at_the_sessions_delivered_before_it():
    drawn = charts.trend([Score(0, 20, "a"), Score(18, 10, "b"), Score(36, 5, "c")], maximum=27, sessions=36)
    assert [point.x for point in drawn.points] == [24, 156, 288]


def test_scores_are_ordered_by_session():
    drawn = charts.trend([Score(10, 12, "later"), Score(0, 20, "first")], maximum=27)
    assert [point.label for point in drawn.points] == ["first", "later"]


def test_a_missing_score_breaks_the_line_and_is_bridged_by_dots():
    scores = [Score(0, 20, "a"), Score(10, 18, "b"), Score(20, None, "c"), Score(30, 12, "d"), Score(36, 9, "e")]
    drawn = charts.trend(scores, maximum=27)
    assert len(drawn.lines) == 2
    assert len(drawn.gaps) == 1
    assert [point.y for point in drawn.points if point.total is None] == [FLOOR]


def test_one_score_is_a_dot_without_a_line():
    drawn = charts.trend([Score(0, 19, "a")], maximum=27)
    assert (len(drawn.answered), drawn.lines) == (1, ())


def test_no_score_draws_no_goal():
    drawn = charts.trend([], maximum=27)
    assert (drawn.points, drawn.goals, drawn.first) == ((), (), None)


def test_response_is_half_of_the_first_score_and_remission_the_cut_off():
    drawn = charts.trend([Score(0, 20, "a"), Score(36, 12, "b")], maximum=27, remission_below=5)
    assert [(goal.kind, goal.value) for goal in drawn.goals] == [("response", 10), ("remission", 5)]


def test_goals_that_lie_close_write_their_words_on_opposite_sides():
    drawn = charts.trend([Score(0, 11, "a")], maximum=27, remission_below=5)
    upper, lower = drawn.goals
    assert upper.text_y < upper.y
    assert lower.text_y > lower.y


def test_a_first_score_of_nought_has_no_half():
    assert charts.trend([Score(0, 0, "a")], maximum=27).goals == ()


def test_the_mark_spans_sessions_ten_to_fifteen():
    drawn = charts.trend([Score(0, 20, "a")], maximum=27, sessions=30)
    assert drawn.mark == (112.0, 44.0)


def test_a_course_too_short_for_the_mark_has_none():
    assert charts.trend([Score(0, 20, "a")], maximum=27, sessions=6).mark is None


def test_labels_that_would_overlap_are_left_out_but_the_latest_stays():
    scores = [Score(n, 10, str(n)) for n in (0, 1, 2, 35, 36)]
    drawn = charts.trend(scores, maximum=27, sessions=36)
    assert [point.session for point in drawn.points if point.has_label] == [0, 36]


def test_a_scale_without_a_maximum_is_refused():
    with pytest.raises(ValueError, match="maximum"):
        charts.trend([], maximum=0)


def test_a_time_line_begins_with_the_first_year_of_the_history():
    drawn = charts.timeline([[Segment(date(2024, 6, 1), date(2024, 9, 1), Level.AT)]], today=date(2026, 1, 1))
    assert [year for _, year in drawn.ticks] == [2024, 2025, 2026]
    assert drawn.ticks[0][0] == 0


def test_a_bar_at_the_minimum_dose_reaches_the_minimum_line():
    drawn = charts.timeline([[Segment(date(2025, 1, 1), date(2025, 7, 1), Level.AT, 1.0)]], today=date(2026, 1, 1))
    assert drawn.rows[0][0].y == drawn.minimum_y


def test_a_bar_is_never_taller_than_twice_the_minimum_nor_too_narrow_to_see():
    day = date(2025, 1, 1)
    bar = charts.timeline([[Segment(day, day, Level.AT, 9.0)]], today=date(2026, 1, 1)).rows[0][0]
    assert (bar.height, bar.width) == (26, 3)


def test_a_treatment_still_taken_ends_open_at_today():
    drawn = charts.timeline([[Segment(date(2025, 1, 1), None, Level.AT)]], today=date(2026, 1, 1), width=400)
    bar = drawn.rows[0][0]
    assert bar.is_open
    assert bar.x + bar.width == 400


def test_a_segment_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="ends before"):
        charts.timeline([[Segment(date(2025, 2, 1), date(2025, 1, 1), Level.AT)]], today=date(2026, 1, 1))


def test_an_empty_history_still_has_a_scale():
    assert charts.timeline([], today=date(2026, 3, 1)).ticks == ((0.0, 2026),)


BAR = Segment(date(2025, 1, 1), date(2025, 7, 1), Level.AT)


def test_an_add_on_stands_on_the_scale_of_the_bars():
    added = AddOn(date(2025, 1, 1), None, "lithium")
    drawn = charts.timeline([[BAR]], today=date(2026, 1, 1), add_ons=[[added]], width=365)
    assert (drawn.rails[0][0].x, drawn.rails[0][0].width, drawn.rails[0][0].is_open) == (0, 365, True)
    with pytest.raises(ValueError, match="ends before"):
        charts.timeline([[BAR]], today=date(2026, 1, 1), add_ons=[[AddOn(date(2025, 2, 1), date(2025, 1, 1), "x")]])


def test_an_ending_stands_behind_its_bar_or_over_it_at_the_edge():
    still = Segment(date(2025, 8, 1), None, Level.AT)
    drawn = charts.timeline(
        [[BAR], [still], []], today=date(2026, 1, 1), endings=[Ending.NONE, Ending.PARTIAL, Ending.NONE]
    )
    assert [sign and sign.is_above for sign in drawn.signs] == [False, True, None]
    assert drawn.signs[0].x == drawn.rows[0][0].x + drawn.rows[0][0].width


def test_no_ending_is_drawn_where_none_is_given():
    assert charts.timeline([[BAR]], today=date(2026, 1, 1), endings=[None]).signs == (None,)


def test_a_row_that_ended_before_the_scale_says_its_years():
    old = Segment(date(2015, 11, 1), date(2016, 2, 1), Level.AT)
    drawn = charts.timeline([[old], [BAR]], today=date(2026, 1, 1), since=date(2025, 1, 1))
    assert drawn.earlier == ("2015 to 2016", "")
    assert [year for _, year in drawn.ticks] == [2025, 2026]
    assert drawn.rows[0] == ()


def test_many_years_are_labelled_with_gaps():
    drawn = charts.timeline([[Segment(date(2006, 1, 1), date(2007, 1, 1), Level.AT)]], today=date(2026, 1, 1))
    assert [year for _, year in drawn.ticks] == [2006, 2011, 2016, 2021, 2026]


def test_the_right_edge_is_left_to_open_ends():
    drawn = charts.timeline([[BAR]], today=date(2026, 1, 1), width=400)
    assert (drawn.part(0), drawn.part(400)) == (0, 95)


def test_weeks_are_columns_that_start_on_monday():
    path = charts.course_path(sessions(date(2026, 11, 25), date(2026, 11, 30)))
    assert [week.monday for week in path.weeks] == [date(2026, 11, 23), date(2026, 11, 30)]


def test_weekends_appear_only_where_a_session_needs_them():
    assert charts.course_path(sessions(date(2026, 11, 27))).weekdays == (0, 1, 2, 3, 4)
    assert charts.course_path(sessions(date(2026, 11, 28))).weekdays == (0, 1, 2, 3, 4, 5)


def test_an_empty_week_inside_a_course_keeps_its_column():
    path = charts.course_path(sessions(date(2026, 11, 23), date(2026, 12, 7)))
    assert len(path.weeks) == 3


def test_a_closed_day_is_marked_unless_a_session_stands_on_it():
    monday, tuesday = date(2026, 11, 23), date(2026, 11, 24)
    path = charts.course_path(sessions(monday), closed=[monday, tuesday])
    assert [day.is_closed for day in path.weeks[0].days] == [False, True, False, False, False]


def test_several_sessions_of_one_day_share_its_cell():
    day = date(2026, 11, 23)
    path = charts.course_path(sessions(*[day] * 10))
    assert path.most_in_a_day == 10


def test_the_next_session_and_the_counts_are_found():
    first = date(2026, 11, 23)
    path = charts.course_path(
        [PathSession(first, Mark.DONE, 1), PathSession(first + timedelta(days=1), Mark.NEXT, 2)], closed=[]
    )
    assert path.next is not None
    assert path.next.number == 2
    assert path.counts[Mark.DONE] == 1


def test_a_course_without_sessions_is_empty_not_an_error():
    assert charts.course_path([]).weeks == ()


def test_a_strip_shows_later_times_lower_and_stops_at_an_hour():
    day = date(2026, 11, 23)
    drawn = charts.strip([(day, 500), (day, 530), (day, 900)], wanted=500, first=day, last=day + timedelta(days=10))
    assert [y for _, y in drawn.dots] == [20, 28, 36]


def test_the_watch_rail_is_filled_by_the_minutes_gone():
    rail = charts.watch([WatchCheck(40, "next", "40 min")], elapsed=70, width=294, full=140)
    assert (rail.rail, rail.past) == (280, 140)
    assert rail.checks[0][0] == 87


def test_a_watch_not_started_has_no_past():
    rail = charts.watch([], elapsed=None)
    assert (rail.past, rail.elapsed_x) == (0, None)


def test_earlier_is_left_of_the_middle_and_later_right():
    earlier, later = charts.shift(-30), charts.shift(30)
    assert earlier.x + earlier.length == earlier.middle
    assert (later.x, later.length) == (later.middle, 27)


def test_the_best_cell_is_bold_and_ties_of_all_are_not():
    assert charts.best([3, 1, 2]) == (False, True, False)
    assert charts.best([0, 9, 0]) == (True, False, True)
    assert charts.best([4, 4]) == (False, False)
    assert charts.best([None, 5, 31], prefer="high") == (False, False, True)


def test_days_after_the_course_stand_to_the_right_of_it():
    scores = [Score(0, 20, "a"), Score(36, 9, "b"), Score(36, 8, "c", after_days=90), Score(36, 7, "d", after_days=180)]
    drawn = charts.trend(scores, maximum=27, sessions=36)
    course_ends = 288 - 264 * 0.26
    assert drawn.course_ends_x == pytest.approx(course_ends)
    assert [point.x for point in drawn.points] == [24, 219.4, 253.7, 288]


def test_happenings_stand_on_the_same_axis_and_never_on_each_other():
    happenings = [charts.Happening(18, "event", "headache"), charts.Happening(18, "dose", "110 %")]
    drawn = charts.trend([Score(0, 20, "a")], maximum=27, sessions=36, happenings=happenings)
    assert [(sign.x, sign.number, sign.kind) for sign in drawn.signs] == [(156, 1, "event"), (169, 2, "dose")]
    assert drawn.height == 182 + 26


def test_many_happenings_at_the_end_stay_in_the_picture():
    happenings = [charts.Happening(36, "dose", str(n)) for n in range(4)]
    drawn = charts.trend([Score(0, 20, "a")], maximum=27, sessions=36, happenings=happenings)
    assert [sign.x for sign in drawn.signs] == [249, 262, 275, 288]
