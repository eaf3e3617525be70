"""What every template may use."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy.exc import OperationalError

from clinic.web import context


def test_dates_and_times_are_shown_in_the_given_zone() -> None:
    instant = datetime(2026, 12, 1, 4, 5, tzinfo=UTC)
    assert context.day(instant, "America/Los_Angeles") == "Mon, Nov 30"
    assert context.long_day(date(2026, 11, 30)) == "Monday, November 30, 2026"
    assert context.clock24(instant, "America/Los_Angeles") == "20:05"
    assert context.clock12(instant, "America/Los_Angeles") == "8:05 pm"
    assert context.clock12(datetime(2026, 7, 1, 7, 0, tzinfo=UTC), "America/Los_Angeles") == "12:00 am"


def test_an_instant_without_a_zone_is_not_shown() -> None:
    with pytest.raises(ValueError, match="zone"):
        context.day(datetime(2026, 12, 1, tzinfo=UTC))


def test_the_staff_bar_shows_what_the_roles_open_in_the_usual_order(client, database, sign_in) -> None:
    sign_in("manager")
    page = client.get("/staff/").text
    assert page.index(">Today<") < page.index(">Patients<") < page.index(">Settings<")
    sign_in("front_desk")
    assert ">Settings<" not in client.get("/staff/").text


def test_a_page_stands_when_what_stands_on_every_page_cannot_be_read(client, database, monkeypatch) -> None:
    def broken() -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    monkeypatch.setitem(context._PROVIDERS, "clinic_profile", broken)
    assert client.get("/nothing-here").status_code == 404


def test_the_name_of_a_questionnaire_stays_in_one_piece_and_its_text_escaped() -> None:
    assert context.unbroken("<PHQ-9> rose") == '&lt;<span class="nowrap">PHQ-9</span>&gt; rose'
