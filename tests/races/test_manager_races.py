"""Two managers change the same thing at the same moment: each other's role, a shift."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from threading import Barrier

import pytest
from flask import Flask

from clinic.db import db
from clinic.errors import Conflict, NotFound, Refused
from clinic.locations import operations as locations
from clinic.scheduling import equipping
from clinic.staff import administration
from tests.builders import TESTER, actor_of, make_location, make_shifts, make_staff

pytestmark = pytest.mark.races


def test_two_who_close_each_others_account_leave_one_who_manages(
    committed_app: Flask, now: object, rings: object
) -> None:
    with committed_app.app_context():
        pair = [make_staff("manager", password="x") for _ in range(2)]
        ids, actors = [one.id for one in pair], [actor_of(one) for one in pair]
        db.session.commit()
        db.session.remove()
    together = Barrier(2)

    def close(n: int) -> str:
        with committed_app.app_context():
            together.wait()
            try:
                administration.close_account(ids[1 - n], reason="they go", by=actors[n])
                return "closed"
            except (Refused, Conflict) as refusal:
                return type(refusal).__name__
            finally:
                db.session.remove()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(close, range(2))) == ["Refused", "closed"]


def test_a_shift_that_another_took_off_the_rota_meanwhile_is_gone(
    committed_app: Flask, now: object, rings: object
) -> None:
    def end() -> None:
        with committed_app.app_context():
            equipping.end_shift(shift_id, date(2025, 12, 31), at=site_id, by=TESTER)

    with committed_app.app_context(), ThreadPoolExecutor(1) as another:
        site = make_location()
        make_shifts(make_staff("operator"), site)
        site_id, seen = site.id, locations.shifts_of(site.id, date(2026, 1, 5))
        shift_id = seen[0].id
        db.session.commit()
        locations.shift(shift_id)
        another.submit(end).result()
        with pytest.raises(NotFound):
            equipping.end_shift(shift_id, date(2026, 2, 2), at=site_id, by=TESTER)
