"""What a process keeps of calendars: those of a network's sites at once, and no more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any, cast

import numpy as np
import pytest
from flask import Flask

from clinic.locations.models import Location
from clinic.scheduling import appointments, capacity, holding, operations, queries
from clinic.scheduling.capacity import KEPT_SITES, Snapshot, Warm
from clinic.scheduling.wishes import CourseWish
from tests.builders import TESTER
from tests.clinic.scheduling.conftest import Scene

START = date(2026, 11, 23)


def test_the_calendar_that_was_asked_for_longest_ago_gives_way() -> None:
    warm, keys = Warm(), [(frozenset({n}), START, 182) for n in range(KEPT_SITES + 1)]
    for key in keys[:-1]:
        warm.keep(key, Snapshot(START, 182, {}, {}, {}, cast(Any, None)))
    first = warm.get(keys[0])
    warm.keep(keys[-1], Snapshot(START, 182, {}, {}, {}, cast(Any, None)))
    assert first is not None
    assert [key for key in keys if warm.get(key) is None] == [keys[1]]


# -- what another process did -----------------------------------------------------------------------------------------


@contextmanager
def another_process(app: Flask) -> Iterator[None]:
    """What is done here tells nothing to the calendars that were warm before."""
    mine = app.extensions.pop("clinic-capacity", None)
    yield
    app.extensions["clinic-capacity"] = mine


def proposed(scene: Scene) -> Any:
    return operations.propose_courses(scene.patient.id, CourseWish("itbs_left"), by=TESTER).proposal_ids[0]


def books(scene: Scene) -> int:
    return operations.book_course(scene.patient.id, proposal_id=proposed(scene), by=TESTER).course_id


def moves(scene: Scene) -> None:
    last = queries.sessions(books(scene))[-1]
    appointments.move_session(last.id, starts_at=last.starts_at + timedelta(minutes=30), by=TESTER)


def ends(scene: Scene) -> None:
    operations.cancel_course(books(scene), reason="", by=TESTER)


def holds(scene: Scene) -> None:
    holding.hold_proposal(proposed(scene), by=TESTER)


def confirms(scene: Scene) -> None:
    proposal_id = proposed(scene)
    holding.hold_proposal(proposal_id, by=TESTER)
    operations.book_course(scene.patient.id, proposal_id=proposal_id, by=TESTER)


WAYS = pytest.mark.parametrize("does", [books, moves, ends, holds, confirms])


@WAYS
def test_what_another_process_booked_is_taken_over_without_reading_the_site(
    app: Flask, scene: Scene, monkeypatch: pytest.MonkeyPatch, does: Callable[[Scene], Any]
) -> None:
    capacity.snapshot({scene.site.id})
    with another_process(app):
        does(scene)
        fresh = capacity.as_it_would_be(scene.site.id, until=START)
    monkeypatch.setattr(capacity, "read_site", None)
    mine = capacity.snapshot({scene.site.id})
    assert mine.fresh_until == fresh.fresh_until or does is confirms  # it looks again when the hold would have run out
    assert_same(mine, fresh)


@WAYS
def test_what_this_process_booked_is_known_without_reading_anything(
    app: Flask, scene: Scene, monkeypatch: pytest.MonkeyPatch, does: Callable[[Scene], Any]
) -> None:
    capacity.snapshot({scene.site.id})
    does(scene)
    fresh = capacity.as_it_would_be(scene.site.id, until=START)
    monkeypatch.setattr(capacity, "read_site", None)
    monkeypatch.setattr("clinic.scheduling.deltas.since", None)
    assert_same(capacity.snapshot({scene.site.id}), fresh)


def assert_same(mine: Snapshot, fresh: Snapshot) -> None:
    assert mine.versions == fresh.versions
    assert mine.bookings == fresh.bookings
    assert np.array_equal(mine.occupancy.device_free_run, fresh.occupancy.device_free_run)
    assert np.array_equal(mine.occupancy.staff_free_run["tms"], fresh.occupancy.staff_free_run["tms"])


def test_a_version_of_which_nothing_is_known_has_the_site_read_again(app: Flask, scene: Scene) -> None:
    capacity.snapshot({scene.site.id})
    with another_process(app):
        books(scene)
        raised = Location.__table__.update().values(schedule_version=Location.schedule_version + 1)  # type: ignore[attr-defined]
        queries.db.session.execute(raised)
        scene.device.turnover_minutes = 20
        queries.db.session.commit()
    mine = capacity.snapshot({scene.site.id})
    assert mine.devices[scene.device.id].turnover == 20
    assert mine.bookings == capacity.as_it_would_be(scene.site.id, until=START).bookings
