"""Settings of a site's hours, devices and rota: what a change would hit is listed first, and leads to a re-plan."""

from collections.abc import Callable
from datetime import time
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from clinic.db import db
from clinic.locations.models import Device, OpeningHours, Room, StaffShift
from clinic.scheduling.models import Outage, TreatmentSession
from tests.builders import make_device, make_location, make_profile, make_shifts, make_staff
from tests.clinic.scheduling.conftest import Scene
from tests.clinic.scheduling.test_outages import book

Post = Callable[..., Any]
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
AFTERNOONS = {f"{day}-{name}": wall for day in DAYS for name, wall in (("opens", "12:00"), ("closes", "18:00"))}
SHIFT = {"starts": "10:00", "ends": "19:00", "valid_from": "2026-12-07"}


@pytest.fixture
def manager(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any]) -> FlaskClient:
    sign_in("manager", locations=(scene.site,))
    make_profile()
    db.session.commit()
    return client


@pytest.fixture
def rows(scene: Scene) -> list[TreatmentSession]:
    return book(scene.patient.id)


def at(scene: Scene, path: str) -> str:
    return f"/staff/settings/locations/{scene.site.id}/{path}"


def first_shift(scene: Scene) -> StaffShift:
    found = db.session.scalars(select(StaffShift).order_by(StaffShift.weekday, StaffShift.id)).first()
    assert found is not None
    return found


def test_shorter_hours_show_who_would_be_hit_before_anything_changes(
    manager: FlaskClient, scene: Scene, rows: list[TreatmentSession], post: Post
) -> None:
    page = post(at(scene, "hours"), AFTERNOONS)
    html = unescape(page.text)
    assert page.status_code == 409
    assert f"This takes the place of {len(rows)} booked appointments." in html
    assert scene.patient.record_number in html
    assert 'name="monday-opens" value="12:00"' in html
    assert set(db.session.scalars(select(OpeningHours.opens))) == {time(8)}


def test_agreed_to_the_change_leads_to_the_replan(
    manager: FlaskClient, scene: Scene, rows: list[TreatmentSession], post: Post
) -> None:
    made = post(at(scene, "hours"), {**AFTERNOONS, "agreed": "1"})
    html = unescape(manager.get(made.location).text)
    assert "One person stays on the day." in html
    assert "has other hours or fewer people since Mon, Nov 23" in html
    assert "It did not happen" not in html
    assert "1 waits for a re-plan" in manager.get("/staff/outages").text
    assert set(db.session.scalars(select(OpeningHours.opens))) == {time(12)}


def test_hours_that_hit_nobody_are_saved_at_once(manager: FlaskClient, scene: Scene, post: Post) -> None:
    assert post(at(scene, "hours"), AFTERNOONS).location == at(scene, "hours").removesuffix("/hours")
    assert db.session.scalar(select(func.count()).select_from(Outage)) == 0


def test_a_device_is_added_and_a_wrong_one_is_explained(manager: FlaskClient, scene: Scene, post: Post) -> None:
    good = {"name": "TMS B", "kind": "tms", "protocols": ["itbs_left"], "turnover": "5"}
    assert "Already" not in post(at(scene, "devices"), good).text
    assert "TMS B" in manager.get(at(scene, "devices")).text
    twice = post(at(scene, "devices"), good)
    assert (twice.status_code, "There is a device TMS B at" in twice.text) == (422, True)
    chair = post(at(scene, "devices"), {**good, "name": "C", "kind": "chair"})
    assert "A chair does not give itbs_left." in unescape(chair.text)
    assert db.session.scalar(select(func.count()).select_from(Device)) == 2


def test_a_device_that_goes_to_another_site_leads_to_the_replan(
    manager: FlaskClient, scene: Scene, rows: list[TreatmentSession], post: Post, sign_in: Callable[..., Any]
) -> None:
    other = make_location(name="Laguna", slug="laguna")
    make_shifts(make_staff("operator", skills=("tms", "map")), other)
    sign_in("manager", locations=(scene.site, other))
    db.session.commit()
    page = at(scene, f"devices/{scene.device.id}")
    assert "To Laguna" in manager.get(page).text
    never = post(f"{page}/goes", {"to": "", "from_day": "9998-12-07", "reason": "moves"})
    assert "The year is not possible." in never.text
    made = post(f"{page}/goes", {"to": str(other.id), "from_day": "2026-12-07", "reason": "moves"})
    html = unescape(manager.get(made.location).text)
    assert "leaves for good on Mon, Dec 7" in html
    assert "A, Laguna" in html


def test_a_treatment_that_is_booked_stays_on_its_device(
    manager: FlaskClient, scene: Scene, rows: list[TreatmentSession], post: Post
) -> None:
    page = post(at(scene, f"devices/{scene.device.id}/treatments"), {"protocols": ["tms_10hz_left_dash"]})
    assert (page.status_code, "is booked here 36 times more" in page.text) == (409, True)


def test_a_room_is_added_and_a_device_put_in_it(manager: FlaskClient, scene: Scene, post: Post) -> None:
    post(at(scene, "devices"), {"room_name": "Blue room", "shared": ""})
    room = db.session.scalars(select(Room)).one()
    post(at(scene, f"devices/{scene.device.id}/room"), {"room": str(room.id)})
    assert db.session.get_one(Device, scene.device.id).room_id == room.id


def test_a_shift_is_added_on_several_weekdays_or_on_none(manager: FlaskClient, scene: Scene, post: Post) -> None:
    person = make_staff("operator", skills=("tms",), locations=(scene.site,), name="Noor Haddad")
    sent = {**SHIFT, "person": str(person.id), "weekdays": ["0", "2"]}
    assert post(at(scene, "rota"), sent).location == at(scene, "rota")
    assert manager.get(at(scene, "rota")).text.count("Noor Haddad, ") == 2
    again = post(at(scene, "rota"), {**sent, "weekdays": ["1", "2"]})
    assert "This person works at Fullerton from 10:00 to 19:00 on that weekday already." in again.text
    mine = select(StaffShift.weekday).where(StaffShift.user_id == person.id).order_by(StaffShift.weekday)
    assert db.session.scalars(mine).all() == [0, 2]


def test_a_shift_that_ends_lists_who_is_left_without_an_operator(
    manager: FlaskClient, scene: Scene, rows: list[TreatmentSession], post: Post
) -> None:
    page = at(scene, f"rota/{first_shift(scene).id}")
    assert "works on Mondays from 08:00 to 18:00" in manager.get(page).text
    asked = post(f"{page}/end", {"last": "2026-12-01"})
    assert (asked.status_code, "This takes the place of 7 booked appointments." in asked.text) == (409, True)
    made = post(f"{page}/end", {"last": "2026-12-01", "agreed": "1"})
    assert "a shift of Staff" in manager.get(made.location).text


def test_a_shift_gets_other_hours(manager: FlaskClient, scene: Scene, post: Post) -> None:
    page = at(scene, f"rota/{first_shift(scene).id}")
    wrong = post(f"{page}/hours", {**SHIFT, "break_starts": "09:00", "break_ends": "09:30"})
    assert (wrong.status_code, "The break lies inside the shift." in wrong.text) == (422, True)
    ancient = post(f"{page}/hours", {**SHIFT, "valid_from": "0001-01-01"})
    assert (ancient.status_code, "The year is not possible." in ancient.text) == (422, True)
    assert post(f"{page}/hours", SHIFT).location == at(scene, "rota")
    assert "from Mon, Dec 7" in manager.get(at(scene, "rota")).text


@pytest.mark.parametrize("path", ["devices", "rota", "devices/1", "rota/1"])
def test_another_site_is_not_there(manager: FlaskClient, path: str) -> None:
    elsewhere = make_location()
    assert manager.get(f"/staff/settings/locations/{elsewhere.id}/{path}").status_code == 404


@pytest.mark.parametrize("path", ["devices", "rota"])
def test_only_managers_change_them(scene: Scene, client: FlaskClient, sign_in: Callable[..., Any], path: str) -> None:
    sign_in("front_desk")
    assert client.get(at(scene, path)).status_code == 403


@pytest.mark.parametrize("path", ["devices/{}/nothing", "rota/999/end"])
def test_an_unknown_change_is_not_there(manager: FlaskClient, scene: Scene, post: Post, path: str) -> None:
    assert post(at(scene, path.format(scene.device.id)), {}).status_code == 404


def test_an_empty_site_says_what_is_missing(client: FlaskClient, database: Any, sign_in: Callable[..., Any]) -> None:
    site = make_location(name="Northside")
    sign_in("manager", locations=(site,))
    db.session.commit()
    assert "No device at Northside yet" in client.get(f"/staff/settings/locations/{site.id}/devices").text
    assert "Nobody is on the rota at Northside" in client.get(f"/staff/settings/locations/{site.id}/rota").text
    make_device(site)
