"""Every form of the application, sent wrong by everybody who can reach it: no fault, no hang, nothing half-written."""

import os
from random import Random

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from clinic import clock
from clinic.audit import sealing
from clinic.audit.verifying import verify
from clinic.db import db
from clinic.demo.load import load
from clinic.eligibility.models import Assessment, PatientAsk
from clinic.intake.models import Intake
from clinic.patients import links, sites
from clinic.patients.models import LinkPurpose, Patient, PatientSession
from clinic.patients.signin import COOKIE
from clinic.scheduling import proving
from clinic.scheduling.models import TreatmentSession
from clinic.staff import sessions
from clinic.surveys.models import Survey
from tests import builders
from tests.architecture.rows import Rows
from tests.conftest import NOW
from tests.fuzz.forms import PURPOSES, STAFF, Fuzzer

SEED = int(os.environ.get("SEED", "1"))
REQUESTS = int(
    os.environ.get("REQUESTS", "100000")
)  # of the long run: a part of it with a seed of its own, on a slow machine


def sign_in_as(app: Flask, caller: str, dice: Random) -> FlaskClient:
    """A fresh browser of this caller."""
    client = app.test_client()
    if caller in STAFF:
        _as_staff(client, caller)
    elif caller in PURPOSES:
        _as_patient(client, LinkPurpose(caller), dice)
    db.session.commit()
    return client


def _as_staff(client: FlaskClient, role: str) -> None:
    user = builders.make_staff(role)
    token = sessions.open_within_transaction(user.id, methods=["password"], address="127.0.0.1", browser="tests")
    with client.session_transaction() as cookie:
        cookie["_user_id"] = cookie["identity.id"] = user.fs_uniquifier
        cookie["_fresh"] = True
        cookie["fs_cc"] = "set"
        cookie["staff_session"] = token
        cookie["fs_paa"] = clock.now().timestamp()


def _as_patient(client: FlaskClient, purpose: LinkPurpose, dice: Random) -> None:
    """Somebody with what the link is about."""
    about = {"intake_id": Intake, "survey_id": Survey, "session_id": TreatmentSession, "ask_id": PatientAsk}
    name = {"intake": "intake_id", "survey": "survey_id", "visit": "session_id", "ask": "ask_id"}.get(purpose)
    model = about[name] if name else Patient
    rows = db.session.scalars(select(model).order_by(model.id.desc()).limit(30)).all()
    if not rows:
        name, model = None, Patient
        rows = db.session.scalars(select(Patient)).all()
    row = dice.choice(rows)
    ids = {name: row.id} if name else {}
    value = links.open_session(purpose, patient_id=row.id if model is Patient else row.patient_id, **ids)
    db.session.flush()
    opened = db.session.scalars(select(PatientSession).where(PatientSession.token_hash == links.digest(value))).one()
    opened.birth_date_checked_at = clock.now() if dice.random() < 0.9 else None
    client.set_cookie(COOKIE, value)


def fuzz(app: Flask, requests: int, seed: int, *, at_once: int) -> Fuzzer:
    """So many requests, `at_once` of them by one caller before the next has a turn."""
    fuzzer, dice = Fuzzer(app, seed), Random(seed)
    callers = [*STAFF, *PURPOSES, "stranger"]
    for turn in range(requests // at_once):
        caller = callers[(turn + seed) % len(callers)]
        fuzzer.run(sign_in_as(app, caller, dice), caller, at_once)
    return fuzzer


def broken_rules() -> set[str]:
    """What the calendar's own proof finds. Rows written past every operation may break one before anything is sent."""
    return {each.rule for each in proving.prove() if not each.pending}


@pytest.fixture
def everything(database, now, rings) -> None:
    """A patient with one row of each kind."""
    site = builders.make_location()
    builders.make_profile()
    rows = Rows(builders.make_patient(preferred_location_id=site.id), site)
    rows.id_of(Assessment)  # by the engine: what rests on one is not given an empty one then
    for model in sites.SUBJECTS.values():
        rows.id_of(model)
    db.session.commit()


def test_a_few_of_everybody_who_sends_forms_wrong(app, everything) -> None:
    before = broken_rules()
    fuzzer = fuzz(app, 300, SEED, at_once=25)
    assert "\n".join(fuzzer.problems) == ""
    assert broken_rules() <= before


@pytest.mark.soak
def test_a_hundred_thousand_leave_a_whole_clinic(committed_app, rings) -> None:
    with committed_app.app_context(), clock.frozen(NOW):
        load()
        fuzzer = fuzz(committed_app, REQUESTS, SEED, at_once=50)
        print(f"{sum(fuzzer.statuses.values())} requests, {dict(fuzzer.statuses)}, slowest {fuzzer.slowest}")
        print(*fuzzer.problems, sep="\n")
        assert "\n".join(fuzzer.problems) == ""
        assert broken_rules() == set()
        while sealing.seal():
            pass
        assert verify().problems == []
        db.session.remove()
