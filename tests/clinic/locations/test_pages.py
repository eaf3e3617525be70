"""Public pages and settings."""

from datetime import date, time

import pytest

from clinic.locations import front, operations, presenter, queries
from clinic.locations.models import OpeningHours
from tests.builders import TESTER, make_device, make_location, make_profile


def test_tms_is_offered_only_where_a_device_gives_it(client, database) -> None:
    make_profile()
    with_tms = make_location(name="Northside", latitude=33.87, longitude=-117.92)
    make_device(with_tms)
    make_location(name="Southside", latitude=34.07, longitude=-118.4)
    page = client.get("/").text
    assert "Harbor Clinic" in page
    assert "No TMS here. Nearest: Northside" in page
    assert page.count("Northside") >= 2


def test_without_any_device_nothing_is_offered(client, database) -> None:
    make_profile()
    make_location()
    assert "What we offer" not in client.get("/").text


def test_the_front_page_stands_before_the_clinic_is_set_up(client, database) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/locations").status_code == 200


def test_the_next_start_comes_from_the_scheduler(client, database, monkeypatch) -> None:
    site = make_location()
    make_device(site)
    monkeypatch.setattr(
        front, "NEXT_STARTS", [lambda place: {"tms": date(2026, 11, 30)} if place.id == site.id else {}]
    )
    assert "Full courses of TMS can start November 30" in client.get("/").text


def test_ketamine_is_marked_as_not_approved(client, database) -> None:
    assert "Not FDA-approved for depression" in client.get("/treatments").text


def test_a_site_page_lists_hours_and_closures(client, database, now) -> None:
    site = make_location(slug="north", name="Northside")
    operations.start_closures(site.id, 2026, by=TESTER)
    page = client.get("/locations/north").text
    assert "Mon to Fri 8:00 am to 6:00 pm" in page
    assert "Thursday, November 26, 2026: Thanksgiving Day" in page
    assert client.get("/locations/nowhere").status_code == 404


def test_hours_of_like_days_stand_together(app) -> None:
    rows = [OpeningHours(weekday=day, opens=time(8), closes=time(17)) for day in (0, 1, 3)]
    rows += [OpeningHours(weekday=3, opens=time(18), closes=time(20))]
    with app.test_request_context():
        words = presenter.hours_words(rows)
    assert words == "Mon to Tue 8:00 am to 5:00 pm; Thu 8:00 am to 5:00 pm and 6:00 pm to 8:00 pm"


def test_only_managers_change_settings(client, database, sign_in) -> None:
    sign_in("front_desk")
    assert client.get("/staff/settings").status_code == 403


def test_a_manager_changes_granted_sites_only(client, post, database, sign_in) -> None:
    here, elsewhere = make_location(), make_location()
    sign_in("manager", locations=(here,))
    assert client.get(f"/staff/settings/locations/{here.id}").status_code == 200
    assert client.get(f"/staff/settings/locations/{elsewhere.id}").status_code == 404
    assert post(f"/staff/settings/locations/{elsewhere.id}/closures/start", {"year": "2026"}).status_code == 404


def test_hours_are_saved_from_the_table(post, database, sign_in) -> None:
    site = make_location()
    sign_in("manager", locations=(site,))
    sent = {
        "tuesday-opens": "09:00",
        "tuesday-closes": "12:00",
        "tuesday-reopens": "13:00",
        "tuesday-recloses": "17:00",
    }
    assert post(f"/staff/settings/locations/{site.id}/hours", sent).status_code == 302
    assert [(row.weekday, row.opens.hour, row.closes.hour) for row in queries.get(site.id).hours] == [
        (1, 9, 12),
        (1, 13, 17),
    ]


@pytest.mark.parametrize(
    "sent",
    [
        {"tuesday-opens": "09:00"},
        {"tuesday-opens": "late"},
        {"tuesday-opens": "12:00", "tuesday-closes": "09:00"},
        {"tuesday-opens": "09:00", "tuesday-closes": "14:00", "tuesday-reopens": "13:00", "tuesday-recloses": "17:00"},
    ],
)
def test_wrong_hours_name_the_day_and_change_nothing(post, database, sign_in, sent) -> None:
    site = make_location()
    sign_in("manager", locations=(site,))
    answer = post(f"/staff/settings/locations/{site.id}/hours", sent)
    assert answer.status_code == 422
    assert "The hours were not saved" in answer.text
    assert len(queries.get(site.id).hours) == 5


def test_closures_are_started_added_and_removed(client, post, database, now, sign_in) -> None:
    site = make_location()
    sign_in("manager", locations=(site,))
    base = f"/staff/settings/locations/{site.id}/closures"
    post(f"{base}/start", {"year": "2026"})
    post(base, {"on_date": "2026-12-24", "name": "Staff training"})
    assert post(base, {"on_date": "2026-12-24", "name": "Again"}).status_code == 409
    rows = queries.closures(site.id, date(2026, 1, 1), date(2026, 12, 31))
    assert len(rows) == 14
    post(f"{base}/{rows[0].id}/remove")
    page = client.get(f"/staff/settings/locations/{site.id}?year=2026").text
    assert "Staff training" in page
    assert "New Year" not in page


def test_the_clinic_says_who_it_is(post, database, sign_in) -> None:
    make_profile()
    sign_in("manager")
    post(
        "/staff/settings",
        {"name": "New Name", "short_name": "New", "phone": "+17145550100", "promises_safety_call": "y"},
    )
    profile = queries.profile()
    assert (profile.name, profile.promises_safety_call, profile.is_demo) == ("New Name", True, True)


def test_the_usual_holidays_are_named_in_the_pages_language(client, database, now) -> None:
    site = make_location()
    operations.add_closure(site.id, date(2026, 11, 26), "Thanksgiving Day", by=TESTER)
    operations.add_closure(site.id, date(2027, 12, 24), "Christmas Day (observed)", by=TESTER)
    operations.add_closure(site.id, date(2026, 12, 4), "Staff training", by=TESTER)
    page = client.get(f"/locations/{site.slug}", headers={"Accept-Language": "es"}).text
    assert "jueves, 26 de noviembre de 2026: Día de Acción de Gracias" in page
    assert "viernes, 24 de diciembre de 2027: Navidad (se guarda ese día)" in page
    assert "viernes, 4 de diciembre de 2026: Staff training" in page
