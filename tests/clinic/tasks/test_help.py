"""What a page may say after a safety answer: only what is true, the same for every form."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from flask import g
from sqlalchemy import text

from clinic.db import db
from clinic.intake import operations, queries
from clinic.intake.models import Intake
from clinic.patients import links, signin
from clinic.patients.models import LinkPurpose
from clinic.tasks import help as alert_help
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import Task
from clinic.tasks.safety import SafetyAnswers
from clinic.web.access import PatientCaller
from tests.builders import TESTER, make_location, make_profile

ELEVEN = datetime(2026, 11, 23, 19, tzinfo=UTC)  # 11:00 in Los Angeles
TOMORROW = datetime(2026, 11, 24, 16, tzinfo=UTC)


@dataclass(frozen=True)
class Facts:
    is_open: bool
    call_by: datetime | None
    opens_at: datetime | None
    tz: str = "America/Los_Angeles"


def caller(is_kiosk: bool) -> PatientCaller:
    return PatientCaller(1, "sign_in", None, None, None, None, None, is_kiosk, None)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (Facts(True, ELEVEN, TOMORROW), "A person from the clinic will call you by 11:00 am."),
        (Facts(True, None, TOMORROW), "We cannot say when someone at the clinic reads this. Call or text 988 now."),
        (
            Facts(False, None, TOMORROW),
            "Nobody at the clinic reads this before Tue, Nov 24, 8:00 am. Call or text 988 now.",
        ),
        (Facts(False, None, None), "Nobody at the clinic reads this now. Call or text 988 now."),
    ],
)
def test_nothing_is_promised_that_is_not_so(app, now, facts, words) -> None:
    with app.test_request_context("/"):
        assert alert_help.promises(facts) == [words]


def test_at_a_device_of_the_clinic_people_are_near_in_its_hours_only(app, now) -> None:
    with app.test_request_context("/"):
        g.patient = caller(is_kiosk=True)
        assert "tell anyone who works here" in alert_help.promises(Facts(True, ELEVEN, None))[0]
        assert "Nobody at the clinic reads this" in alert_help.promises(Facts(False, None, None))[0]


def test_those_who_read_the_alert_learn_that_the_person_may_still_be_here(client, database, now, rings) -> None:
    make_profile()
    make_location()
    intake_id, _ = operations.start_intake()
    cookie = links.open_kiosk_session(LinkPurpose.INTAKE, patient_id=None, intake_id=intake_id)
    db.session.flush()
    client.set_cookie(signin.COOKIE, cookie)
    answer = client.post("/intake/phq9-9", data={"answer": "2", "form": "a", "revision": "0"})
    assert "/intake/safety" in answer.location
    assert "tell anyone who works here" in client.get(answer.location).text
    client.post("/intake/safety", data={"after": "phq9-9", "next": "person"})
    [task] = database.session.query(Task).filter_by(kind="safety")
    assert task.note == f"PHQ-9 item 9: 2; {safety.AT_A_KIOSK}; {safety.WANTS_A_PERSON}"


def test_the_answer_is_kept_and_help_is_shown_where_no_alert_can_be_opened(
    client, database, now, rings, monkeypatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        database.session.execute(text("SELECT 1 / 0"))

    make_profile()
    make_location()
    monkeypatch.setattr(tasks, "open_within_transaction", broken)
    client.post("/intake/start")
    intake_id = database.session.query(Intake.id).order_by(Intake.id.desc()).limit(1).scalar()
    answer = client.post("/intake/phq9-9", data={"answer": "3", "form": "a", "revision": "0"})
    assert "988" in client.get(answer.location).text
    assert queries.values(intake_id)["phq9-9"] == {"answer": "3"}


def test_at_home_nothing_is_added(app, database, now) -> None:
    safety_of = {"source_key": "survey:1", "openings": [], "patient_id": None, "intake_id": None, "location_id": None}
    with app.test_request_context("/"):
        g.patient = caller(is_kiosk=False)
        safety.raise_within_transaction(SafetyAnswers(item9=2), **safety_of, by=TESTER)
        database.session.commit()
        alert_help.note_kiosk("survey:1", by=TESTER)
    [task] = database.session.query(Task).filter_by(kind="safety")
    assert task.note == "PHQ-9 item 9: 2"
