"""Small planner facts, valid by default: a test spells out only what it is about."""

import importlib.util
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

from clinic.scheduling.planner import (
    ALL_DAY,
    CourseRequest,
    DeviceFacts,
    LocationFacts,
    Occupancy,
    PlannedVisit,
    RunningCourse,
    StaffFacts,
    VisitSpec,
)
from clinic.scheduling.planner.damage import sessions_of

DATA = Path(__file__).parents[3] / "data" / "planner"
MONDAY = date(2026, 1, 5)
WEEKDAYS_8_TO_12 = (((480, 720),),) * 5 + ((), ())


def tool(name: str) -> ModuleType:
    """The referee (`checker`) or the instance generator (`instances`)."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def make_visit(**overrides: Any) -> VisitSpec:
    facts: dict[str, Any] = {"duration": 25, "capability": "std", "need": "tms", "gap": (1, 4), "ideal": (1, 1)}
    return VisitSpec(**{**facts, **overrides})


def make_request(count: int = 3, **overrides: Any) -> CourseRequest:
    facts: dict[str, Any] = {
        "visits": tuple(make_visit() for _ in range(count)),
        "device_kind": "tms",
        "locations": {"north": 0},
    }
    return CourseRequest(**{**facts, **overrides})


def make_location(name: str = "north", **overrides: Any) -> LocationFacts:
    return LocationFacts(**{"id": name, "hours": WEEKDAYS_8_TO_12, **overrides})


def make_device(name: str = "north-1", location: str = "north", **overrides: Any) -> DeviceFacts:
    facts: dict[str, Any] = {"kind": "tms", "capabilities": frozenset({"std"}), "turnover": 5}
    return DeviceFacts(id=name, location=location, **{**facts, **overrides})


def make_person(name: str = "ann", location: str = "north", days: int = 14, **overrides: Any) -> StaffFacts:
    shifts = tuple((day, 0, 1440) for day in range(days))
    facts: dict[str, Any] = {"skills": frozenset({"tms", "map", "obs"}), "shifts": shifts}
    return StaffFacts(id=name, location=location, **{**facts, **overrides})


def make_occupancy(**overrides: Any) -> Occupancy:
    facts: dict[str, Any] = {
        "start": MONDAY,
        "days": 14,
        "locations": [make_location()],
        "devices": [make_device()],
        "staff": [make_person(days=overrides.get("days", 14))],
        "grid": 5,
    }
    facts.update(overrides)
    return Occupancy(facts.pop("start"), facts.pop("days"), **facts)


def make_running(
    occupancy: Occupancy, name: str, *places: tuple[int, str, int], missed: tuple[int, ...] = (), **overrides: Any
) -> RunningCourse:
    """A course with visits at (day, device, start), booked into the occupancy."""
    person = overrides.pop("person", None)
    request = make_request(len(places), continued=True, **overrides)
    placed = []
    for k, (spec, (day, device, start)) in enumerate(zip(request.visits, places, strict=True)):
        location = occupancy.device(device).location
        placed.append(
            PlannedVisit(k + 1, spec.kind, day, occupancy.date_of(day), device, location, start, start + spec.span)
        )
        if k not in missed:
            for session in sessions_of(spec, day, device, start):
                occupancy.book(session)
    return RunningCourse(name, request, tuple(placed), frozenset(missed), person)


__all__ = ["ALL_DAY", "MONDAY", "make_device", "make_location", "make_occupancy", "make_person", "make_request"]
