"""Why a course is as it is: visit by visit, what blocks what looks better, why not sooner, and its long gaps by name."""

from dataclasses import replace
from datetime import date

import pytest

from clinic.protocols.base import catalogue
from clinic.scheduling.planner import (
    ALL_DAY,
    Booking,
    best_course,
    question_for,
    visit_reasons,
    why_not_sooner,
)
from clinic.scheduling.planner.instance import from_instance, parse_instance
from tests.clinic.scheduling.planner.builders import (
    make_device,
    make_location,
    make_occupancy,
    make_person,
    make_request,
    make_visit,
    tool,
)

NINE = Booking("north-1", 1, 480, 25, "tms", id="b1")
THANKSGIVING = {3: "Thanksgiving", 4: "Day after Thanksgiving"}  # days from Monday 23 November 2026


def three_in_a_row(**overrides):
    return make_request(3, visits=tuple(make_visit(gap=(1, 1)) for _ in range(3)), latest_start=0, **overrides)


def planned(request, occupancy, bookings=()):
    plan = best_course(request, occupancy)
    return plan, visit_reasons(plan, request, occupancy, bookings)


def test_a_taken_time_is_named_with_its_booking_what_it_costs_and_what_opens_it():
    occupancy = make_occupancy(bookings=[NINE, *(Booking("north-1", d, 510, 205, "tms") for d in (0, 2))])
    plan, reasons = planned(three_in_a_row(), occupancy, [NINE])
    assert (plan.anchor, plan.cost) == (480, 30)
    assert [r.blocked is not None for r in reasons] == [False, True, False]
    blocked = reasons[1].blocked
    assert (blocked.rules, blocked.bookings, blocked.saves) == (("device_is_free", "staff_are_free"), (NINE,), 30)
    assert blocked.text == "Tue Jan 6 at 8:00 on north-1: every fitting device time is taken"
    assert blocked.opens == "the booking at 8:00-8:25 moves"  # and with it the one operator


def test_the_parts_of_the_visits_add_up_to_the_plan():
    occupancy = make_occupancy(bookings=[NINE])
    plan, reasons = planned(make_request(5), occupancy)
    assert tuple(map(sum, zip(*(r.parts.terms for r in reasons), strict=True))) == plan.parts.terms


@pytest.mark.parametrize(
    ("overrides", "rule", "opens"),
    [
        ({"busy": ((1, 480, 540),)}, "patient_is_free", "the patient's other appointment moves"),
        (
            {"windows": (((480, 720),), ((510, 720),), *(((480, 720),),) * 5)},
            "inside_one_window",
            "the patient comes at that time",
        ),
    ],
)
def test_what_the_patient_would_have_to_change_is_said(overrides, rule, opens):
    taken = [Booking("north-1", d, 510, 205, "tms") for d in (0, 2)]
    _, reasons = planned(three_in_a_row(**overrides), make_occupancy(bookings=taken))
    assert (reasons[1].blocked.rules, reasons[1].blocked.opens) == ((rule,), opens)


def test_a_pool_that_is_used_up_names_the_bookings_that_draw_on_it():
    other = Booking("north-2", 1, 480, 25, "tms", id="b2")
    devices = [make_device(), make_device("north-2", capabilities=frozenset())]
    taken = [Booking("north-1", d, 510, 205, None) for d in (0, 2)]
    occupancy = make_occupancy(devices=devices, bookings=[other, *taken])
    _, reasons = planned(three_in_a_row(), occupancy, [other, *taken])
    assert (reasons[1].blocked.rules, reasons[1].blocked.bookings) == (("staff_are_free",), (other,))
    assert reasons[1].blocked.opens == "one more member of staff is there"


def test_every_rule_in_the_way_is_named():
    occupancy = make_occupancy(bookings=[NINE, *(Booking("north-1", d, 510, 205, "tms") for d in (0, 2))])
    _, reasons = planned(three_in_a_row(busy=((1, 480, 505),)), occupancy, [NINE])
    assert reasons[1].blocked.rules == ("patient_is_free", "device_is_free", "staff_are_free")
    assert reasons[1].blocked.opens == "the patient's other appointment moves and the booking at 8:00-8:25 moves"


def free_of(occupancy, bookings):
    other = occupancy.copy()
    for booking in bookings:
        other.release(booking)
    return other


@pytest.mark.parametrize(("seed", "grid"), [(108, 10), (107, 5)])
def test_a_cheaper_place_is_always_blocked_and_gives_what_it_says_when_it_opens(seed, grid):
    instance = parse_instance(tool("instances").make("online", seed=seed, grid=grid, util=0.9))
    question = from_instance(instance)
    bookings = [Booking(b.dev, b.day, b.t, b.dur, b.need, id=b.id) for b in instance.bookings]
    checked = 0
    for request in question.requests.values():
        plan = best_course(request, question.occupancy)
        if plan is None:
            continue
        for reason in visit_reasons(plan, request, question.occupancy, bookings):
            blocked = reason.blocked
            own = reason.parts.tod + reason.parts.dev + reason.parts.pref
            assert blocked is not None or own == 0 or reason.number == 1
            if blocked is None or not blocked.bookings or set(blocked.rules) - {"device_is_free", "staff_are_free"}:
                continue
            better = best_course(request, free_of(question.occupancy, blocked.bookings))
            assert better.cost <= plan.cost - blocked.saves
            checked += 1
            if checked == 12:
                return
    assert checked >= 3


# -- why not sooner


def test_each_weekday_before_the_start_says_what_is_missing():
    taken = [Booking("north-1", day, 480, 235, "tms") for day in (0, 2)]
    request = make_request(3, visits=tuple(make_visit(gap=(1, 1)) for _ in range(3)))
    plan = best_course(request, make_occupancy(bookings=taken))
    found = why_not_sooner(plan, request, make_occupancy(bookings=taken))
    assert [(x.day, x.visit, x.rule) for x in found] == [
        (0, 1, "device_is_free"),
        (1, 2, "device_is_free"),
        (2, 1, "device_is_free"),
        (3, 3, "location_is_open"),
        (4, 2, "location_is_open"),
    ]
    assert found[1].text.startswith("Tue Jan 6: visit 2 (daily) fits on no day")


def test_a_sooner_start_that_costs_more_is_called_possible():
    taken = [Booking("north-1", day, 480, 205, "tms") for day in (0, 2)]  # only from 11:30
    taken += [Booking("north-1", day, 600, 115, "tms") for day in (1, 3)]  # only until 10:00
    request = make_request(4, latest_start=9)
    plan = best_course(request, make_occupancy(bookings=taken))
    sooner = why_not_sooner(plan, request, make_occupancy(bookings=taken))[0]
    dearer = best_course(replace(request, latest_start=0), make_occupancy(bookings=taken)).cost - plan.cost
    assert (sooner.rule, sooner.text) == ("possible", f"Mon Jan 5: possible, but {dearer} dearer")


def test_a_running_course_has_no_sooner_start():
    request = make_request(2, continued=True, previous_day=0, previous_start=480, not_before=1)
    occupancy = make_occupancy()
    assert why_not_sooner(best_course(request, occupancy), request, occupancy) == ()


# -- gaps by name


def over_thanksgiving(*, named=True, **overrides):
    location = make_location(closed=frozenset(THANKSGIVING), closed_names=THANKSGIVING if named else {})
    return make_occupancy(start=date(2026, 11, 23), locations=[location], **overrides)


def long_course(**overrides):
    return make_request(5, visits=tuple(make_visit(gap=(1, 7)) for _ in range(5)), latest_start=0, **overrides)


def test_thanksgiving_is_named_with_its_dates():
    (gap,) = best_course(long_course(), over_thanksgiving()).gaps
    assert (gap.after, gap.days, gap.expected) == (3, 5, False)
    assert (gap.from_date, gap.to_date) == (date(2026, 11, 25), date(2026, 11, 30))
    assert gap.text == (
        "5 days from Wed Nov 25 to Mon Nov 30: Thu Nov 26 closed (Thanksgiving), "
        "Fri Nov 27 closed (Day after Thanksgiving)"
    )


def test_a_closure_without_a_name_is_just_closed():
    (gap,) = best_course(long_course(), over_thanksgiving(named=False)).gaps
    assert [cause.text for cause in gap.causes] == ["Thu Nov 26 closed", "Fri Nov 27 closed"]


def test_a_day_away_beside_the_closure_is_named_too():
    (gap,) = best_course(long_course(away=frozenset({7})), over_thanksgiving()).gaps
    assert gap.days == 6
    assert gap.causes[-1].text == "Mon Nov 30 the patient is away"


def test_a_weekend_is_no_named_gap_and_neither_is_a_long_weekend():
    location = make_location(closed=frozenset({0}))  # Friday to Tuesday: four days
    occupancy = make_occupancy(locations=[location], start=date(2026, 1, 12))
    request = make_request(2, continued=True, previous_day=-3, previous_start=480)
    assert best_course(request, occupancy).gaps == ()


def test_a_gap_to_the_last_delivered_session_is_named():
    request = replace(long_course(), continued=True, previous_day=1, previous_start=480, not_before=3, first_number=8)
    (gap,) = best_course(request, over_thanksgiving()).gaps
    assert (gap.after, gap.days) == (7, 6)
    assert gap.text.startswith("6 days from Tue Nov 24 to Mon Nov 30: Wed Nov 25")


def test_what_the_protocol_spaces_out_is_expected():
    occupancy = make_occupancy(
        days=90, devices=[make_device(kind="chair", capabilities=frozenset(catalogue()))], staff=[make_person(days=90)]
    )
    request = question_for(catalogue()["esketamine_trd"], occupancy, windows=ALL_DAY)
    gaps = best_course(request, occupancy).gaps
    assert [gap.days >= 6 for gap in gaps[-4:]] == [True] * 4  # the weekly optimisation phase
    assert all(gap.expected and gap.text.endswith("as the protocol asks") for gap in gaps)
