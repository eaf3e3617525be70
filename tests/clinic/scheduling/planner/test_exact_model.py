"""The planner against an independent integer programme on small random worlds: the same optimum, or none in both."""

import random
from collections import Counter
from datetime import date, timedelta

import pytest

from clinic.scheduling.planner import (
    Booking,
    CourseRequest,
    Occupancy,
    VisitSpec,
    best_course,
    breaches,
    earliest_start,
    start_curve,
)
from tests.clinic.scheduling.planner.builders import make_device, make_location, make_person
from tests.clinic.scheduling.planner.exact_model import World, earliest_day, fits, least_cost, possible

DAYS = 12
KINDS = ("daily", "accelerated", "chair", "two sites", "continued", "hours 48", "hours 20")
ZONES = ("America/Los_Angeles", "America/New_York", "America/Phoenix")
# spring change on Sunday 8 March 2026, autumn change on Sunday 1 November, and a plain week
STARTS = (date(2026, 3, 4), date(2026, 10, 28), date(2026, 1, 5))


def small_world(rng, kind):
    zones = rng.sample(ZONES, 2) if kind in ("two sites", "hours 20", "hours 48") else [None, None]
    every_day = rng.random() < 0.4
    locations = [
        make_location(
            name,
            hours=(((480, 660),),) * 5 + ((((480, 600),), ((480, 600),)) if every_day else (((480, 600),), ())),
            closed=frozenset(rng.sample(range(DAYS), rng.choice([0, 1, 2]))),
            special={rng.randrange(DAYS): ((540, 660),)} if rng.random() < 0.3 else {},
            tz=tz,
        )
        for name, tz in zip(("north", "south"), zones, strict=True)
    ]
    device_kind = "chair" if kind == "chair" else "tms"
    devices = [
        make_device(
            name,
            name.split("-")[0],
            kind=device_kind,
            capabilities=frozenset({"std", "acc"} if name != "north-2" else {"std"}),
            down=((rng.randrange(DAYS), 480, 570),) if rng.random() < 0.3 else (),
        )
        for name in ("north-1", "north-2", "south-1")
    ]
    staff = [
        make_person(
            f"{place}-{n}",
            place,
            DAYS,
            skills=frozenset(skills),
            breaks=tuple((day, 540, 555) for day in range(DAYS)) if n == 0 else (),
        )
        for place in ("north", "south")
        for n, skills in enumerate((("tms", "map", "obs"), ("tms", "obs"))[: rng.choice([1, 2])])
    ]
    return World(rng.choice(STARTS), DAYS, locations, devices, staff, grid=rng.choice([15, 30]))


def crowd(rng, world, need):
    """Bookings that keep every rule, added one by one."""
    spec = VisitSpec(25, "std", need)
    asked = request_for([spec], world.devices[0].kind, locations={x.id: 0 for x in world.locations})
    for _ in range(rng.choice([0, 30, 100, 200])):
        device, day, start = rng.choice(world.devices), rng.randrange(DAYS), rng.randrange(480, 635, 5)
        if fits(world, asked, spec, device, day, start):
            world.bookings.append(Booking(device.id, day, start, 25, need))


def request_for(visits, device_kind, **overrides):
    facts = {"visits": tuple(visits), "device_kind": device_kind, "windows": (((480, 660),),) * 7}
    return CourseRequest(**{**facts, "locations": {"north": 0}, **overrides})


def question(seed):
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    world = small_world(rng, kind)
    need = "obs" if kind == "chair" else "tms"
    crowd(rng, world, need)
    gap, ideal = rng.choice([((1, 3), (1, 1)), ((1, 4), (1, 2)), ((2, 4), (2, 2))])
    if kind == "hours 48":
        gap, ideal = (2, 5), (2, 3)
    offsets = (0, 45, 90) if kind == "accelerated" else (0,)
    duration = 10 if kind == "accelerated" else rng.choice([25, 25, 55])
    length = rng.choice([2, 3, 4])
    usual = VisitSpec(duration, "acc" if kind == "accelerated" else "std", need, gap, ideal, offsets)
    visits = [usual] * length
    if kind != "continued" and rng.random() < 0.6:
        visits[0] = VisitSpec(40, "std", "map" if need == "tms" else need, consistent=False, kind="mapping")
    places = {"north": 0, "south": 6} if kind == "two sites" or rng.random() < 0.5 else {"south": 0}
    overrides = {
        "locations": places,
        "windows": (*(rng.choice([((480, 660),), ((510, 660),), ((480, 570), (600, 660))]) for _ in range(6)), ()),
        "given_on": frozenset(range(5)) if rng.random() < 0.4 else frozenset(range(7)),
        "release": rng.randrange(3),
        "latest_start": rng.choice([3, 6, 11]),
        "target": 2,
        "priority": rng.randrange(3),
        "away": frozenset(rng.sample(range(DAYS), rng.choice([0, 1, 2]))),
        "busy": ((rng.randrange(DAYS), 480, 560),) if rng.random() < 0.5 else (),
        "preferred": rng.choice([None, (480, 540)]),
        "min_hours": {"hours 20": 20, "hours 48": 48}.get(kind),
    }
    if kind == "hours 20":
        overrides["min_hours"] = rng.choice([20, 22, 23])
    if kind == "continued":
        overrides |= {"continued": rng.random() < 0.5, "previous_day": rng.randrange(3), "previous_start": 600}
        overrides |= {"not_before": overrides["previous_day"] + 1, "min_hours": rng.choice([None, 20])}
    return world, request_for(visits, world.devices[0].kind, **overrides)


def occupancy_of(world):
    return Occupancy(
        world.start,
        world.days,
        locations=world.locations,
        devices=world.devices,
        staff=world.staff,
        bookings=world.bookings,
        grid=world.grid,
        unit=5,
        observer_capacity=world.observer_capacity,
    )


QUICK = range(21)
LONG = range(21, 1000)


@pytest.mark.parametrize("seed", [*QUICK, *(pytest.param(s, marks=pytest.mark.soak) for s in LONG)])
def test_the_optimum_is_that_of_the_integer_programme(seed):
    world, request = question(seed)
    occupancy = occupancy_of(world)
    plan = best_course(request, occupancy)
    assert (plan and plan.cost) == least_cost(world, request)
    if plan is None:
        return
    placements = [(v.day, v.device, v.start) for v in plan.visits]
    assert breaches(request, occupancy, placements) == []
    index = {x.id: n for n, x in enumerate(world.devices)}
    for spec, (day, device, start) in zip(request.visits, placements, strict=True):
        assert (day, index[device], start) in possible(world, request, spec)


@pytest.mark.parametrize(
    "seed", [*range(1000, 1004), *(pytest.param(s, marks=pytest.mark.soak) for s in range(1004, 1200))]
)
def test_the_earliest_start_is_that_of_the_integer_programme(seed):
    world, request = question(seed)
    if request.continued:
        return
    occupancy = occupancy_of(world)
    wanted = earliest_day(world, request)
    assert earliest_start(request, occupancy) == wanted
    assert min((option.day for option in start_curve(request, occupancy)), default=None) == wanted


def test_the_worlds_hold_what_they_are_meant_to_try():
    asked = [question(seed) for seed in QUICK]
    found = Counter(best_course(request, occupancy_of(world)) is not None for world, request in asked)
    assert min(found.values()) >= 4  # optima and proofs
    assert any(len(request.visits[-1].offsets) == 3 for _, request in asked)
    assert {request.min_hours for _, request in asked} >= {None, 20, 48}
    assert any(request.busy for _, request in asked)
    assert any(request.previous_day is not None for _, request in asked)
    assert any(len({x.tz for x in world.locations}) == 2 for world, _ in asked)
    assert any(world.start + timedelta(days=4) == date(2026, 3, 8) for world, _ in asked)
