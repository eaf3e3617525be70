"""Every page that patients and visitors read, rendered in a language: for tests that read them all."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

from flask import Flask, request, request_started
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.intake import pages as intake_pages
from clinic.patients import links
from clinic.patients import operations as patients
from clinic.patients.models import LinkPurpose, Patient, PatientSession
from clinic.patients.signin import COOKIE
from clinic.reminders import signed
from clinic.reminders.signed import Use
from clinic.web import access
from clinic.web.access import Audience
from tests.builders import (
    TESTER,
    course_sessions,
    eligible_record,
    make_course,
    make_device,
    make_location,
    make_message,
    make_offer,
    make_patient,
    make_profile,
    make_shifts,
    make_staff,
)


class Pages(dict[str, str]):
    """HTML of pages by what they are, and the endpoints that they came from."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoints: set[str] = set()


UNREAD = ("api.", "hooks.", "health.", "people.", "security.", "static", "web.")  # for programs and staff
DATA = {"eligibility.drug_names", "patients.calendar", "scheduling.calendar"}  # public, and no pages
MEDICINES = ("Zoloft", "venlafaxine")


def rendered(app: Flask, language: str) -> Pages:
    """The pages by a name, each once; raises where one does not open. Needs the `database` and `now` fixtures."""
    make_profile(promises_safety_call=True)
    sites = [make_location(), make_location()]
    device = make_device(sites[0])
    make_device(sites[1], kind="chair", protocols=["esketamine_trd", "iv_ketamine_induction"])
    walk = _Walk(app, language)
    with request_started.connected_to(lambda *_args, **_more: walk.pages.endpoints.add(str(request.endpoint)), app):
        _open_all(walk, sites, device, language)
    return walk.pages


def _open_all(walk: "_Walk", sites: list[Any], device: Any, language: str) -> None:
    walk.public(sites[0].slug)
    walk.intake()
    patient = make_patient(language=language, preferred_location_id=sites[0].id, consents={"email": True})
    walk.links(patient)
    walk.own(patient, "the start")
    walk.errors()
    walk.course(patient, device)
    walk.asked(make_patient(language=language, preferred_location_id=sites[0].id))
    walk.released(patient)
    walk.dates(patient, device)
    walk.own(patient, "a course")


def unopened(app: Flask, opened: set[str]) -> set[str]:
    """Endpoints of pages for patients and visitors that `rendered` does not open."""
    found = set()
    for rule in app.url_map.iter_rules():
        declared = access.declared(app, rule.endpoint)
        is_read = declared is not None and declared.audience in (Audience.PATIENT, Audience.PUBLIC)
        if is_read and "GET" in (rule.methods or ()) and not rule.endpoint.startswith(UNREAD):
            found.add(rule.endpoint)
    return found - opened - DATA


class _Walk:
    def __init__(self, app: Flask, language: str) -> None:
        self.app, self.language, self.pages = app, language, Pages()
        self.client = self._browser()

    def _browser(self) -> FlaskClient:
        client = self.app.test_client()
        client.environ_base["HTTP_ACCEPT_LANGUAGE"] = self.language
        return client

    def open(self, address: str, name: str = "", *, status: int = 200, **form: Any) -> str:
        """Load a page, or send a form, and keep what came; a page that sends on elsewhere is not kept."""
        answer = self.client.post(address, data=form) if form else self.client.get(address)
        assert answer.status_code in (status, 302), (address, answer.status_code, answer.text[:500])
        if answer.status_code == status and answer.mimetype == "text/html":
            self.pages[name or address] = answer.text
        return answer.text if answer.status_code == status else str(answer.location)

    def sign_in(self, patient: Patient | None, purpose: str, *, checked: bool = True, **about: int) -> None:
        value = links.open_session(LinkPurpose(purpose), patient_id=patient.id if patient else None, **about)
        db.session.flush()
        row = db.session.query(PatientSession).filter_by(token_hash=links.digest(value)).one()
        row.birth_date_checked_at = clock.now() if checked else None
        db.session.flush()
        self.client = self._browser()
        self.client.set_cookie(COOKIE, value)

    # -- the parts ----------------------------------------------------------------------------------------------------

    def public(self, slug: str) -> None:
        for rule in self.app.url_map.iter_rules():
            declared = access.declared(self.app, rule.endpoint)
            if (
                declared is not None
                and declared.audience is Audience.PUBLIC
                and "GET" in (rule.methods or ())
                and not rule.arguments
                and not rule.endpoint.startswith(UNREAD)
                and rule.endpoint not in DATA
            ):
                self.open(rule.rule)
        self.open(f"/locations/{slug}")
        self.open("/link", "the link form, refused", status=422, contact="?")

    def intake(self) -> None:
        self.client.post("/intake/start")
        self.open("/intake/later", "stop before we know the person")
        self.fault("about", given="", birth_month="2", birth_day="31", birth_year="1980")
        self.leave(
            "about", given="Ada", family="Example", birth_month="5", birth_day="17", birth_year="1980", sex="female"
        )
        self.leave("contact", email="ada@example.org", phone="714 555 0123", language=self.language)
        for drug in MEDICINES:
            key = self.leave("medicines", drug=drug, add="1").split("/")[-2]
            for step in (1, 2, 3, 4):
                self.open(f"/intake/medicines/{key}/{step}", f"a medicine, {step}")
        self.leave(f"medicines/{key}/1", dose="50", weeks="4-7", at_dose="changed", from_year="2025", to_year="2024")
        self.fault(f"medicines/{key}/1", dose="a lot", weeks="x", from_year="2025", to_year="2024")
        self.leave("medicines", drug="", none="")
        self.leave("therapy", had="yes", kinds=list(intake_pages.THERAPIES))
        for page in intake_pages.PAGES:
            self.open(f"/intake/{page}")
        self.leave("phq9-9", answer="1")
        self.open("/intake/safety?after=phq9-9", "the safety card of the form")
        for address in ("/intake/later", "/intake/review", *self.simple("intake.", "/intake")):
            self.open(address)
        self.client.post("/intake/review")
        self.open("/intake/done")

    def simple(self, endpoint: str, address: str) -> Iterator[str]:
        """Addresses without parts to fill in, of one feature."""
        for rule in self.app.url_map.iter_rules():
            declared = access.declared(self.app, rule.endpoint)
            is_own = declared is not None and declared.audience is Audience.PATIENT
            if is_own and "GET" in (rule.methods or ()) and not rule.arguments and rule.rule.startswith(address):
                yield rule.rule

    def leave(self, page: str, **values: Any) -> str:
        html = self.client.get(f"/intake/{page}").text
        answer = self.client.post(f"/intake/{page}", data=hidden(html) | values)
        return str(answer.location or "")

    def fault(self, page: str, **values: Any) -> None:
        html = self.client.get(f"/intake/{page}").text
        answer = self.client.post(f"/intake/{page}", data=hidden(html) | values)
        if answer.status_code == 422:
            self.pages[f"{page}, refused"] = answer.text

    def links(self, patient: Patient) -> None:
        self.client = self._browser()
        token = links.make_link(LinkPurpose.SIGN_IN, patient_id=patient.id)
        db.session.flush()
        self.open(f"/l/{token}", "a link")
        self.open("/l/unknown", "an unknown link", status=404)
        self.client.post(f"/l/{token}")
        self.open(f"/l/{token}", "a link that this browser opened")
        self.client = self._browser()
        self.open(f"/l/{token}", "an old link", status=410)
        self.open(f"/l/{token}/fresh", "a fresh link is sent", sent="1")
        self.sign_in(patient, "sign_in", checked=False)
        self.open("/birth-date")
        self.open("/birth-date", "the birth date, refused", status=422, month="2", day="30", year="1980")

    def own(self, patient: Patient, when: str) -> None:
        self.sign_in(patient, "sign_in")
        for address in self.simple("", "/me"):
            self.open(address, f"{address}, {when}")

    def errors(self) -> None:
        self.client = self._browser()
        self.open("/nothing-here", "no such page", status=404)

    def course(self, patient: Patient, device: Any) -> None:
        from clinic.surveys.models import Survey

        first = datetime(2026, 11, 16, 18, tzinfo=UTC)
        days = [first + timedelta(days=n) for n in range(28) if (first + timedelta(days=n)).weekday() < 5]
        course = make_course(patient, days, device=device, state="running")
        sessions = course_sessions(course)
        for session in sessions[:4]:
            session.state, session.ended_at = "completed", session.ends_at
        sessions[4].state = "no_show"
        survey = Survey(
            patient_id=patient.id,
            course_id=course.id,
            occasion="session:5",
            instruments=["phq9", "sleep_clinic", "side_effects_tms"],
            milestone=5,
            state="open",
            due_at=clock.now(),
            late_after=clock.now() + timedelta(hours=72),
            is_late=False,
        )
        db.session.add(survey)
        db.session.flush()
        keys = self.client.application.config["SETTINGS"].secret_keys
        message = make_message(patient, session_id=sessions[6].id, course_id=course.id)
        page = f"/r/{signed.sign(Use.VISIT, message.id, keys)}"
        for said in ("", "late", "cannot", "coming"):
            if said:
                self.client.post(f"{page}/{sessions[6].id}/{said}")
            self.open(page, f"{page} {said}")
        offer = make_offer(sessions[6], [clock.now() + timedelta(days=n) for n in (10, 11)], now=clock.now())
        told = make_message(patient, purpose="freed_slot", occurrence=f"o:{offer.id}")
        place = f"/o/{signed.sign(Use.OFFER, told.id, keys)}"
        self.open(place, "a place that is held")
        self.client.post(f"{place}/no")
        self.open(place, "a place that was left", status=410)
        end = f"/unsubscribe/{signed.sign(Use.MAIL, patient.id, keys)}"
        self.open(end)
        self.client.post(end)
        self.open(end, f"{end} ended")
        patients.set_consent(patient.id, "email", True, by=TESTER, source="tests")
        self.sign_in(patient, "survey", survey_id=survey.id)
        self.client.get(f"/surveys/{survey.id}")
        for number in range(1, 15):
            self.open(f"/surveys/{survey.id}/{number}")
        self.open(f"/surveys/{survey.id}/14/medical")
        self.client.post(f"/surveys/{survey.id}/9", data={"answer": "1"})
        for rest in ("safety", "more/1", "more/2", "more/3", "send"):
            self.open(f"/surveys/{survey.id}/{rest}")
        self.client.post(f"/surveys/{survey.id}/send")
        self.open(f"/surveys/{survey.id}/done")
        self.sign_in(patient, "sign_in")
        self.open("/me/papers")
        self.open("/surveys")
        self.open(f"/me/visits/{sessions[6].id}/cannot-come", "a visit that cannot be kept")

    def dates(self, patient: Patient, device: Any) -> None:
        """Other times, new times after an outage, and a course that came free."""
        from clinic.scheduling import queries
        from clinic.scheduling.models import CourseProposal, ScheduleChange, WaitlistEntry, WaitlistOffer
        from clinic.scheduling.wishes import CourseWish, PlannedSession

        make_shifts(make_staff("operator", skills=("tms", "map")), device.location)
        ahead = [visit for visit in queries.visits_of_patient(patient.id) if visit.starts_at > clock.now()]
        self.sign_in(patient, "sign_in")
        for visit in (ahead[2], ahead[-1]):
            self.open(f"/me/visits/{visit.id}/cannot-come", f"another time, {visit.number}")
        at = ahead[3].starts_at
        move = {"session_id": ahead[3].id, "from_at": at.isoformat(), "to_location": device.location_id}
        move |= {"from_location": device.location_id}
        soon = clock.now() + timedelta(hours=20)
        changes = [
            ScheduleChange(
                patient_id=patient.id,
                kind="device",
                state=state,
                revision=1,
                moves=[{**move, "to_at": (at + timedelta(hours=2)).isoformat()}, {**move, "to_at": None}],
                created_at=clock.now(),
                answer_by=soon,
                answered_at=None if state in ("told", "asked") else clock.now(),
            )
            for state in ("told", "asked", "accepted", "lapsed")
        ]
        wish = CourseWish("itbs_left")
        entry = WaitlistEntry(
            patient_id=patient.id,
            protocol=wish.protocol,
            wish=wish.as_json(),
            priority=0,
            state="offered",
            created_at=clock.now(),
            looked_at=clock.now(),
            quiet_until=clock.now(),
        )
        sessions = [
            PlannedSession(n, "daily", "tms", device.id, device.location_id, visit.starts_at, visit.ends_at)
            for n, visit in enumerate(ahead, start=1)
        ]
        plan = CourseProposal(
            id=uuid4(),
            patient_id=patient.id,
            kind="earliest",
            protocol=wish.protocol,
            request=wish.as_json(),
            plan={"sessions": [session.as_json() for session in sessions]},
            created_at=clock.now(),
            expires_at=soon,
        )
        db.session.add_all([*changes, entry, plan])
        db.session.flush()
        offer = WaitlistOffer(
            entry_id=entry.id,
            patient_id=patient.id,
            proposal_id=plan.id,
            gain=1,
            state="open",
            created_at=clock.now(),
            expires_at=soon,
        )
        db.session.add(offer)
        db.session.flush()
        for change in changes:
            self.open(f"/me/changes/{change.id}", f"new times, {change.state}")
        self.open("/me", "the start, with questions")
        self.open(f"/me/offers/{offer.id}", "an offer")
        offer.state, offer.answered_at = "expired", clock.now()
        db.session.flush()
        self.open(f"/me/offers/{offer.id}", "an offer that is over")

    def asked(self, patient: Patient) -> None:
        from clinic.eligibility import asking, operations, queries

        record = eligible_record()
        gone = ("dose_mg_per_day", "weeks_at_dose", "outcome", "adherence")
        for name in gone:
            del record["trials"][1][name]
        del record["safety"]["bp"], record["episode"]["psychotic_features"], record["mdq_positive"]
        _, assessment_id = operations.submit_record(patient.id, record, by=TESTER)
        asks = asking.askable(queries.assessment(assessment_id).result["ask"])
        staff = make_staff("prescriber")
        ask_id = asking.send_ask(assessment_id, [one["field"] for one in asks], "", staff_id=staff.id, by=TESTER)
        self.sign_in(patient, "ask", ask_id=ask_id)
        self.client.get(f"/questions/{ask_id}")
        for step in range(1, 20):
            if self.client.get(f"/questions/{ask_id}/{step}").status_code == 200:
                self.open(f"/questions/{ask_id}/{step}")
        for rest in ("later", "safety", "done"):
            self.open(f"/questions/{ask_id}/{rest}")

    def released(self, patient: Patient) -> None:
        from clinic.audit import Actor, ActorKind
        from clinic.care import drafting, operations
        from clinic.care.speaking import speaking
        from clinic.eligibility import operations as eligibility
        from clinic.eligibility import queries as assessments

        eligibility.submit_record(patient.id, eligible_record(), by=TESTER)
        staff = make_staff("prescriber")
        by = Actor(ActorKind.STAFF, str(staff.id))
        row = assessments.present_assessment(patient.id)
        assert row is not None
        with self.app.test_request_context("/"), speaking(self.language):
            content = drafting.build(row.result, row.record)
        revision = operations.start_draft(patient.id, row.id, content, language=self.language, staff_id=staff.id, by=by)
        step = {"en": "Talk with your doctor.", "es": "Hable con su médico."}[self.language]
        revision = operations.save_draft(
            patient.id,
            content,
            next_step=step,
            next_step_on=date(2026, 12, 3),
            revision=revision,
            staff_id=staff.id,
            by=by,
        )
        operations.release(patient.id, revision=revision, staff_id=staff.id, by=by)


def hidden(html: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', html))
