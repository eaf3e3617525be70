"""Two managers take each other's role at the same moment: one of them stays."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask

from clinic.db import db
from clinic.errors import Conflict, Refused
from clinic.staff import administration
from tests.builders import actor_of, make_staff

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
