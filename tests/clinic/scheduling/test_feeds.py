"""Calendar feeds, read back by a library that did not write them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import vobject
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.scheduling import appointments, calendar_file, feeds
from clinic.scheduling.calendar_file import Entry
from clinic.scheduling.models import CalendarFeed, FeedKind, TreatmentSession
from tests.builders import TESTER, course_sessions, make_course, make_patient, make_profile, make_staff, make_visit
from tests.clinic.scheduling.conftest import Scene

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
CLINICAL = re.compile(r"tms|session|treat|depress|ketamine|therapy|consult|itbs|stimul", re.IGNORECASE)


@pytest.fixture
def sessions(scene: Scene) -> list[TreatmentSession]:
    make_profile()
    course = make_course(scene.patient, [AT, AT + timedelta(days=1)], device=scene.device)
    db.session.commit()
    return list(course_sessions(course))


def read(client: FlaskClient, token: str) -> Any:
    answer = client.get(f"/calendar/{token}.ics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/calendar"
    calendar = vobject.readOne(answer.text)
    calendar.validate(raiseException=True)
    return calendar


def of_patient(scene: Scene) -> str:
    return feeds.open_feed(FeedKind.PATIENT, scene.patient.id, by=TESTER)


def test_another_library_reads_the_same_times(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    first, second = read(client, of_patient(scene)).vevent_list
    assert first.dtstart.value == AT
    assert first.dtstart.value.utcoffset() == timedelta(hours=-8)
    assert first.dtend.value - first.dtstart.value == timedelta(minutes=20)
    assert first.summary.value == "Visit at Harbor"
    assert first.status.value == "CONFIRMED"
    assert first.uid.value != second.uid.value


def test_a_move_keeps_the_uid_and_raises_the_sequence(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    token, session_id = of_patient(scene), sessions[0].id
    before = read(client, token).vevent_list[0]
    appointments.move_session(session_id, starts_at=AT + timedelta(hours=1), by=TESTER)
    after = read(client, token).vevent_list[0]
    assert after.uid.value == before.uid.value
    assert (before.sequence.value, after.sequence.value) == ("0", "1")
    assert after.dtstart.value == AT + timedelta(hours=1)


def test_what_was_cancelled_is_said_to_be_cancelled_for_a_month(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    token, session_id = of_patient(scene), sessions[1].id
    appointments.cancel_session(session_id, by=TESTER)
    event = read(client, token).vevent_list[1]
    assert (event.status.value, event.sequence.value) == ("CANCELLED", "1")
    with clock.frozen(NOW + timedelta(days=31)):
        assert len(read(client, token).vevent_list) == 1


def test_an_address_shows_nothing_after_it_was_revoked_or_renewed(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    old = of_patient(scene)
    assert of_patient(scene) == old
    new = feeds.renew_feed(FeedKind.PATIENT, scene.patient.id, by=TESTER)
    assert client.get(f"/calendar/{old}.ics").status_code == 404
    assert client.get(f"/calendar/{new}.ics").status_code == 200
    feeds.revoke_feed(FeedKind.PATIENT, scene.patient.id, by=TESTER)
    assert client.get(f"/calendar/{new}.ics").status_code == 404
    assert client.get("/calendar/nobody.ics").status_code == 404


def test_no_feed_has_a_clinical_word_or_a_name(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    make_visit(scene.patient, make_staff("therapist", name="Iris D."), scene.site, AT + timedelta(hours=3))
    db.session.commit()
    for kind, key in (
        (FeedKind.PATIENT, scene.patient.id),
        (FeedKind.DEVICE, scene.device.id),
        (FeedKind.LOCATION, scene.site.id),
    ):
        text = client.get(f"/calendar/{feeds.open_feed(kind, key, by=TESTER)}.ics").text
        assert "BEGIN:VEVENT" in text
        assert not CLINICAL.search(text), CLINICAL.search(text)
        assert scene.patient.family_name not in text
        assert scene.patient.record_number not in text


def test_a_device_feed_has_only_what_is_on_it(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    make_course(make_patient(), [AT])
    db.session.commit()
    token = feeds.open_feed(FeedKind.DEVICE, scene.device.id, by=TESTER)
    assert [event.summary.value for event in read(client, token).vevent_list] == [scene.patient.initials] * 2


def test_the_same_calendar_is_the_same_file_until_something_changes(
    scene: Scene, sessions: list[TreatmentSession], client: FlaskClient
) -> None:
    token, session_id = of_patient(scene), sessions[0].id
    url, first = f"/calendar/{token}.ics", client.get(f"/calendar/{token}.ics")
    with clock.frozen(NOW + timedelta(minutes=5)):
        same = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
        since = client.get(url, headers={"If-Modified-Since": first.headers["Last-Modified"]})
        assert (same.status_code, same.data) == (304, b"")
        assert since.status_code == 304
        appointments.move_session(session_id, starts_at=AT + timedelta(hours=1), by=TESTER)
        changed = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert changed.headers["Last-Modified"] > first.headers["Last-Modified"]


def test_the_address_is_sealed_in_the_database(scene: Scene, sessions: list[TreatmentSession]) -> None:
    token = of_patient(scene)
    stored = db.session.execute(db.text("SELECT token, token_hash FROM calendar_feeds")).one()
    assert token.encode() not in bytes(stored.token) + bytes(stored.token_hash)
    assert db.session.query(CalendarFeed).one().token == token


@pytest.mark.parametrize(
    ("instant", "hours"),
    [
        ("2027-03-12T17:00:00+00:00", -8),  # the Friday before the clocks change
        ("2027-03-15T16:00:00+00:00", -7),  # the Monday after
        ("2027-11-05T16:00:00+00:00", -7),
        ("2027-11-08T17:00:00+00:00", -8),
    ],
)
def test_nine_in_the_morning_stays_nine_over_clock_changes(instant: str, hours: int) -> None:
    at = datetime.fromisoformat(instant)
    entry = Entry("x", 0, at, at + timedelta(minutes=20), "America/Los_Angeles", "Visit", "")
    calendar = vobject.readOne(calendar_file.write("Harbor", [entry], changed_at=NOW).decode())
    found = calendar.vevent.dtstart.value
    assert (found.hour, found.utcoffset()) == (9, timedelta(hours=hours))
    assert found == at, "by the file's own rules of the zone, not by the reader's"


def test_two_sites_in_two_zones_bring_both_zones() -> None:
    entries = [
        Entry(tz, 0, NOW, NOW + timedelta(minutes=20), tz, "Visit", "") for tz in ("America/Phoenix", "America/Chicago")
    ]
    text = calendar_file.write("Harbor", entries, changed_at=NOW).decode()
    assert text.count("BEGIN:VTIMEZONE") == 2
    assert [event.dtstart.value for event in vobject.readOne(text).vevent_list] == [NOW, NOW]


def test_an_empty_calendar_is_one(scene: Scene, client: FlaskClient) -> None:
    make_profile()
    db.session.commit()
    assert "BEGIN:VCALENDAR" in client.get(f"/calendar/{of_patient(scene)}.ics").text


def test_a_patient_makes_renews_and_ends_the_address(
    scene: Scene, client: FlaskClient, sign_in_patient: Callable[..., Any], post: Callable[..., Any]
) -> None:
    make_profile()
    sign_in_patient(scene.patient)
    for act, words in (
        ("open", "webcal://"),
        ("renew", "The old one shows nothing"),
        ("revoke", "The address is gone"),
    ):
        assert post(f"/me/calendar/{act}").status_code == 302
        assert words in client.get("/me/calendar").text
    assert post("/me/calendar/eat").status_code == 404


def test_a_manager_sees_the_addresses_of_a_site(
    scene: Scene, client: FlaskClient, sign_in: Callable[..., Any], post: Callable[..., Any]
) -> None:
    make_profile()
    sign_in("manager", locations=(scene.site,))
    db.session.commit()
    page = "/staff/calendars/fullerton"
    assert post(f"{page}/device/{scene.device.id}/open").location == page
    assert f"/calendar/{db.session.query(CalendarFeed).one().token}.ics" in client.get(page).text
    assert post(f"{page}/device/999/open").status_code == 404
    assert post(f"{page}/patient/{scene.patient.id}/open").status_code == 404
