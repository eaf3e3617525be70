"""Start, save and send an intake. Every page is a row of its own; a safety answer opens its task in the same transaction."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from clinic import audit, clock, jobs
from clinic.audit import Actor, ActorKind
from clinic.db import AfterCommit, db, transaction
from clinic.errors import Conflict, Invalid
from clinic.intake import attachments, consents, pages, queries, record
from clinic.intake.models import Intake, IntakeConsent, IntakePage, IntakeState, IntakeTrial
from clinic.intake.queries import Leaf
from clinic.jobs import Job
from clinic.locations import queries as locations
from clinic.patients import links
from clinic.patients import operations as patients
from clinic.patients import queries as patient_queries
from clinic.patients.models import Channel, LinkPurpose, MessageStyle, Patient
from clinic.patients.operations import ContactChange, NewPatient
from clinic.tasks import operations as tasks
from clinic.tasks import safety
from clinic.tasks.models import TaskKind, TaskLevel
from clinic.tasks.safety import SafetyAnswers

CONSENTS = {"consents": ("care_team", "records"), "messages": ("email", "sms")}  # texts by page
MAX_TRIALS = 60
REVIEW_WITHIN_DAYS = 2  # open days of the clinic


@dataclass(frozen=True)
class Saved:
    """What came of saving: the page as it stands now, how soon a person has to act, and what another tab had saved."""

    leaf: Leaf
    level: TaskLevel | None = None
    clash: Leaf | None = None


def start_intake(*, language: str = "en") -> tuple[int, str]:
    """Open an intake; answers its id and the cookie value of the patient session that may fill it."""
    now = clock.now()
    with transaction():
        intake = Intake(
            state=IntakeState.OPEN,
            language=language if language in ("en", "es") else "en",
            started_at=now,
            saved_at=now,
        )
        db.session.add(intake)
        db.session.flush()
        audit.record(intake, "started", by=Actor(ActorKind.PATIENT, f"intake {intake.id}"))
        cookie = links.open_session(LinkPurpose.INTAKE, patient_id=None, intake_id=intake.id)
        return intake.id, cookie


def start_at_kiosk(patient_id: int | None, *, by: Actor) -> tuple[str, bool]:
    """Open a short patient session on this device, for the form that the person has not sent yet or for a new one.

    Answers its cookie value, and whether the form is new. What the record knows of the person stands in a new form already. Raises NotFound.
    """
    with transaction():
        patient = patient_queries.lock(patient_id) if patient_id is not None else None
        intake = queries.open_of(patient.id) if patient else None
        is_new = intake is None
        if intake is None:
            now = clock.now()
            language = patient.language if patient else "en"
            intake = Intake(state=IntakeState.OPEN, language=language, started_at=now, saved_at=now)
            intake.patient_id = patient_id
            db.session.add(intake)
            db.session.flush()
            for page, values in known_of(patient).items():
                answers = {"values": values, "form": ""}
                row = IntakePage(intake_id=intake.id, page=page, revision=1, answers=answers, is_complete=True)
                row.saved_at = now
                db.session.add(row)
        audit.record(intake, "handed_over", by=by)
        cookie = links.open_kiosk_session(LinkPurpose.INTAKE, patient_id=patient_id, intake_id=intake.id)
        return cookie, is_new


def known_of(patient: Patient | None) -> dict[str, dict[str, str]]:
    """The first two pages as the record has them."""
    if patient is None:
        return {}
    born = patient.birth_date
    about = {
        "given": patient.given_name,
        "family": patient.family_name,
        "birth_year": str(born.year),
        "birth_month": str(born.month),
        "birth_day": str(born.day),
    }
    contact = {"email": patient.email or "", "phone": patient.phone or "", "language": patient.language}
    return {"about": about, "contact": {name: value for name, value in contact.items() if value}}


def choose_language(intake_id: int, language: str, *, by: Actor) -> None:
    """The language that the person chose by the link on a page; an answer given before on `contact` follows it."""
    with transaction():
        intake = queries.lock(intake_id)
        if intake.patient_id is not None:
            patients.choose_language_within_transaction(intake.patient_id, language, by=by)
        if intake.language == language:
            return
        intake.language = language
        audit.record(intake, "language", by=by, language=language)
        row = db.session.scalar(select(IntakePage).filter_by(intake_id=intake_id, page="contact"))
        if row is not None and "language" in row.answers:
            row.answers = {**row.answers, "language": language}


def save_page(
    intake_id: int,
    page: str,
    values: Mapping[str, Any],
    *,
    is_complete: bool,
    revision: int,
    form: str,
    by: Actor,
) -> Saved:
    """Keep the answers of a page. `is_complete`: it was left, with answers that can be used.

    Answers that another form saved since `revision` are never overwritten: they come back as `clash`, nothing is
    written. A safety answer opens its task in any case. Raises AlreadyOver once the intake was sent.
    """
    with transaction() as after_commit:
        intake = _lock_open(intake_id)
        row = db.session.scalar(
            select(IntakePage).where(IntakePage.intake_id == intake_id, IntakePage.page == page).with_for_update()
        )
        before = queries.page_leaf(row) if row else queries.EMPTY
        fresh = dict(values)
        level = _raise_safety(intake, page, fresh, before, by=by, after_commit=after_commit)
        is_elsewhere = _is_elsewhere(before, fresh, revision, form) and page not in pages.LAST_ANSWER_COUNTS
        if is_elsewhere or _is_late(before, fresh, is_complete, form):
            return Saved(before, level, clash=before)
        if row is None or before.values != fresh or (is_complete and not before.is_complete):
            if row is None:
                row = IntakePage(intake_id=intake_id, page=page, revision=0)
                db.session.add(row)
            row.answers = {"values": fresh, "form": form}
            row.revision += 1
            row.is_complete = is_complete
            row.saved_at = intake.saved_at = clock.now()
            db.session.flush()
            if is_complete:
                audit.record(intake, "saved", by=by, page=page, revision=row.revision)
                _pass_on(intake, page, by=by)
        return Saved(queries.page_leaf(row), level)


def _lock_open(intake_id: int) -> Intake:
    intake = queries.lock(intake_id)
    queries.must_be_open(intake)
    return intake


def _is_elsewhere(before: Leaf, fresh: Mapping[str, Any], revision: int, form: str) -> bool:
    """Whether this would change or drop what another form saved since; answers that only join it are no clash."""
    loses = any(fresh.get(name) != said for name, said in before.values.items())
    return before.revision > revision and before.form != form and loses


def _is_late(before: Leaf, fresh: Mapping[str, Any], is_complete: bool, form: str) -> bool:
    """A draft that was on its way while the same form was sent: what was sent stands."""
    return not is_complete and before.is_complete and before.form == form and before.values != fresh


# -- safety ---------------------------------------------------------------------------------------------------------


def _raise_safety(
    intake: Intake, page: str, fresh: dict[str, Any], before: Leaf, *, by: Actor, after_commit: AfterCommit
) -> TaskLevel | None:
    answers = _safety_answers(intake, page, fresh, before)
    if answers is None:
        return None
    patient = queries.patient_of(intake)
    level = safety.raise_within_transaction(
        answers,
        source_key=f"intake:{intake.id}",
        openings=lambda: queries.openings(intake),
        patient_id=intake.patient_id,
        intake_id=intake.id,
        location_id=patient.preferred_location_id if patient else None,
        by=by,
    )
    if level is not None:
        after_commit.append(lambda: jobs.ring(Job.SWEEP_URGENT))
    return level


def _safety_answers(intake: Intake, page: str, fresh: dict[str, Any], before: Leaf) -> SafetyAnswers | None:
    if page == "phq9-9":
        return SafetyAnswers(item9=pages.item9({page: fresh}), previous_item9=_previous_item9(intake, before))
    if page == "cssrs-2":
        return SafetyAnswers(cssrs_intent=fresh.get("item4") == "1", cssrs_plan=fresh.get("item5") == "1")
    if page == "cssrs-3":
        return SafetyAnswers(behavior_3mo=fresh.get("item6") == "1" and fresh.get("recent") == "1")
    if page == "mind":
        return SafetyAnswers(
            psychosis_now=fresh.get("psychosis_now") == "yes", mania_now=fresh.get("mania_now") == "yes"
        )
    return None


def _previous_item9(intake: Intake, before: Leaf) -> int | None:
    """The answer of an earlier day; one of today that is changed is a correction, not a rise."""
    if before.saved_at is None or "answer" not in before.values:
        return None
    tz = queries.tz_of(intake)
    earlier = before.saved_at.astimezone(ZoneInfo(tz)).date() < clock.today(tz)
    return pages.item9({"phq9-9": before.values}) if earlier else None


# -- what a page means to the rest ----------------------------------------------------------------------------------


def _pass_on(intake: Intake, page: str, *, by: Actor) -> None:
    if page in ("about", "contact"):
        _keep_person(intake, by=by)
    elif page in CONSENTS:
        _keep_answers(intake, page, by=by)
        if page == "messages" and intake.patient_id is not None:
            _keep_consents(intake, by=by)


def _keep_person(intake: Intake, *, by: Actor) -> None:
    """Create or change the patient, once both pages about the person can be used. Raises Invalid."""
    saved = queries.leaves(intake.id)
    about, contact = saved.get("about", queries.EMPTY), saved.get("contact", queries.EMPTY)
    if not (about.is_complete and contact.is_complete):
        return
    born = record.date_of(about.values, "birth")
    if born is None:
        raise Invalid("The date of birth is missing.", fields=["birth_date"])
    given, family = about.values.get("given", ""), about.values.get("family", "")
    email, phone = contact.values.get("email"), contact.values.get("phone")
    language = contact.values.get("language") or intake.language
    if intake.patient_id is None:
        patient = patients.create_within_transaction(
            NewPatient(
                given_name=given,
                family_name=family,
                birth_date=born,
                email=email,
                phone=phone,
                language=language,
                tz=queries.tz_of(intake),
            ),
            by=by,
            source="intake",
        )
        db.session.flush()
        intake.patient_id = patient.id
        attachments.give_to_patient_within_transaction(intake)
        tasks.name_patient_within_transaction(intake_id=intake.id, patient_id=patient.id)
    else:
        person = _as_kept(patient_queries.lock(intake.patient_id))
        person |= {
            "given_name": given,
            "family_name": family,
            "birth_date": born,
            "email": email,
            "phone": phone,
            "language": language,
        }
        patients.change_within_transaction(intake.patient_id, ContactChange(**person), by=by, source="intake")
    intake.language = language


def _as_kept(patient: Patient) -> dict[str, Any]:
    names = ("given_name", "family_name", "birth_date", "email", "phone", "language", "tz", "payer")
    return {name: getattr(patient, name) for name in (*names, "preferred_location_id", "message_style")}


def _keep_consents(intake: Intake, *, by: Actor) -> None:
    answers = queries.values(intake.id).get("messages") or {}
    assert intake.patient_id is not None
    for channel in Channel:
        granted = record.yes_or_no(answers.get(channel))
        if granted is not None:
            patients.set_consent_within_transaction(intake.patient_id, channel, granted, by=by, source="intake")


def _keep_answers(intake: Intake, page: str, *, by: Actor) -> None:
    """Append each answer to a consent text that is new, or is about another text than before."""
    given = queries.values(intake.id).get(page) or {}
    for key in CONSENTS[page]:
        granted = record.yes_or_no(given.get(key))
        if granted is not None:
            text = _text_shown(key, given.get(f"{key}_text"), intake.language)
            answer_within_transaction(intake, text, granted, by=by)


def _text_shown(key: str, mark: Any, language: str) -> consents.Text:
    """The text whose mark came with the answer; without one the present text in the form's language."""
    try:
        found = consents.by_digest(key, bytes.fromhex(mark or ""))
    except ValueError:
        found = None
    return found or consents.shown(key, language)


def answer_within_transaction(intake: Intake, text: consents.Text, granted: bool, *, by: Actor) -> None:
    """A yes or a no to a consent text, as a step of another operation. The same answer again adds nothing."""
    before = db.session.scalar(
        select(IntakeConsent)
        .where(IntakeConsent.intake_id == intake.id, IntakeConsent.consent == text.key)
        .order_by(IntakeConsent.id.desc())
        .limit(1)
    )
    if before is not None and (before.granted, before.text_hash) == (granted, text.digest):
        return
    db.session.add(
        IntakeConsent(
            intake_id=intake.id,
            consent=text.key,
            version=text.version,
            language=text.language,
            text_hash=text.digest,
            granted=granted,
            answered_at=clock.now(),
        )
    )
    audit.record(intake, "consent", by=by, consent=text.key, version=text.version, granted=granted)


def change_consent(patient_id: int, key: str, granted: bool, *, language: str, by: Actor) -> None:
    """What a patient answers later, on the own pages; a no takes an earlier yes back from now on.

    Raises Invalid for a consent that is not kept here, Conflict for a person without a form.
    """
    if key not in consents.KEYS or key in consents.CHANNELS:
        raise Invalid("no such consent", fields=["consent"])
    with transaction():
        patient_queries.lock(patient_id)
        intake = queries.newest_of(patient_id)
        if intake is None:
            raise Conflict("there is no form to which this belongs")
        answer_within_transaction(intake, consents.shown(key, language), granted, by=by)


# -- medicines ------------------------------------------------------------------------------------------------------


def add_trial(intake_id: int, key: str, drug: str, *, by: Actor) -> str:
    """Add a medicine row and answer its key; a key that was used answers its row. Raises Invalid, Conflict."""
    try:
        key = str(uuid.UUID(key))
    except ValueError:
        raise Invalid("This page is out of date. Load it again.", fields=["key"]) from None
    with transaction():
        intake = _lock_open(intake_id)
        known = db.session.scalar(
            select(IntakeTrial.id).where(IntakeTrial.intake_id == intake_id, IntakeTrial.key == key)
        )
        if known is not None:
            return key
        count, last = db.session.execute(
            select(func.count(), func.max(IntakeTrial.position)).where(IntakeTrial.intake_id == intake_id)
        ).one()
        if count >= MAX_TRIALS:
            raise Conflict(f"This list holds {MAX_TRIALS} medicines. Tell us about the others when we talk.")
        now = clock.now()
        row = IntakeTrial(
            intake_id=intake_id,
            key=key,
            position=(last or 0) + 1,
            answers={"values": {"drug": drug}, "revision": 0, "form": "", "done": []},
            saved_at=now,
        )
        db.session.add(row)
        intake.saved_at = now
        audit.record(row, "added", by=by)
        return key


def save_trial(
    intake_id: int,
    key: str,
    step: int,
    values: Mapping[str, Any],
    *,
    fields: Collection[str],
    is_complete: bool,
    revision: int,
    form: str,
    by: Actor,
) -> Saved:
    """Keep the answers of one of a medicine's two pages. `fields` are all that stand on it.

    As with `save_page`, another tab's answers come back as `clash`.
    """
    with transaction():
        intake = _lock_open(intake_id)
        row = queries.trial(intake_id, key)
        before, done = queries.trial_leaf(row), set(row.answers["done"])
        fresh = {name: said for name, said in before.values.items() if name not in fields} | dict(values)
        is_late = not is_complete and step in done and before.form == form and fresh != before.values
        if is_late or _is_elsewhere(before, fresh, revision, form):
            return Saved(before, clash=before)
        # a draft that says what is kept already opens nothing again: it may be one that the send overtook
        after = done | {step} if is_complete else done - {step} if fresh != before.values else done
        if fresh != before.values or after != done:
            row.answers = {"values": fresh, "revision": before.revision + 1, "form": form, "done": sorted(after)}
            row.saved_at = intake.saved_at = clock.now()
            if is_complete:
                audit.record(row, "saved", by=by, step=step)
        return Saved(queries.trial_leaf(row))


def remove_trial(intake_id: int, key: str, *, by: Actor) -> None:
    """Take a medicine off the list; `restore_trial` brings it back."""
    _mark_trial(intake_id, key, removed_at=clock.now(), action="removed", by=by)


def restore_trial(intake_id: int, key: str, *, by: Actor) -> None:
    """Undo `remove_trial`: the row stands where it stood."""
    _mark_trial(intake_id, key, removed_at=None, action="restored", by=by)


def _mark_trial(intake_id: int, key: str, *, removed_at: datetime | None, action: str, by: Actor) -> None:
    with transaction():
        intake = _lock_open(intake_id)
        row = queries.trial(intake_id, key)
        if (row.removed_at is None) == (removed_at is None):
            return
        row.removed_at = removed_at
        intake.saved_at = clock.now()
        audit.record(row, action, by=by)


# -- sending --------------------------------------------------------------------------------------------------------


def submit_intake(intake_id: int, *, by: Actor) -> int:
    """Freeze the record, open the review, and answer the intake's id. A second call changes nothing.

    Raises Invalid where nobody is named yet, or the care team may not read it: `fields` names the pages.
    """
    with transaction() as after_commit:
        intake = queries.lock(intake_id)
        if intake.state != IntakeState.OPEN:
            return intake.id
        submit_within_transaction(intake, by=by, after_commit=after_commit)
        return intake.id


def submit_within_transaction(
    intake: Intake, *, by: Actor, after_commit: AfterCommit, opens_review: bool = True
) -> None:
    """As `submit_intake`, as a step of another operation that has locked the open intake."""
    saved = queries.leaves(intake.id)
    missing = [page for page in ("about", "contact") if not saved.get(page, queries.EMPTY).is_complete]
    if not missing and saved.get("consents", queries.EMPTY).values.get("care_team") == "no":
        raise Invalid("Your care team may not read this form.", fields=["consents"])
    if (missing and not intake.base_record) or intake.patient_id is None:
        raise Invalid("We need to know who you are first.", fields=missing or ["about"])
    _keep_choices(intake, {page: leaf.values for page, leaf in saved.items()}, by=by)
    record_now = queries.record_of(intake.id)
    send_within_transaction(intake, record_now, by=by, after_commit=after_commit, opens_review=opens_review)


def add_sent_within_transaction(
    patient: Patient, intake_record: dict[str, Any], *, by: Actor, after_commit: AfterCommit
) -> Intake:
    """Keep a record that was taken elsewhere as a sent intake. The caller has checked the record and locked the person."""
    now = clock.now()
    intake = Intake(
        state=IntakeState.OPEN, patient_id=patient.id, language=patient.language, started_at=now, saved_at=now
    )
    db.session.add(intake)
    db.session.flush()
    intake.base_record = intake_record
    send_within_transaction(intake, intake_record, by=by, after_commit=after_commit)
    return intake


def _keep_choices(intake: Intake, saved: pages.Pages, *, by: Actor) -> None:
    """Insurance, place and message style move to the patient; consents were kept as they were given, or are now."""
    assert intake.patient_id is not None
    patient = patient_queries.lock(intake.patient_id)
    person = _as_kept(patient)
    known = locations.names()
    chosen = [place for place in record.places(saved.get("places") or {}) if place in known]
    style = (saved.get("messages") or {}).get("style")
    person["payer"] = ((saved.get("cover") or {}).get("payer") or "").strip() or patient.payer
    person["preferred_location_id"] = chosen[0] if chosen else patient.preferred_location_id
    person["message_style"] = style if style in {str(each) for each in MessageStyle} else patient.message_style
    patients.change_within_transaction(patient.id, ContactChange(**person), by=by, source="intake")
    if "messages" in saved:
        _keep_consents(intake, by=by)


def send_within_transaction(
    intake: Intake,
    intake_record: dict[str, Any],
    *,
    by: Actor,
    after_commit: AfterCommit,
    opens_review: bool = True,
    at: datetime | None = None,
) -> None:
    """Freeze the record of an open intake, in place of the one that was sent before, as a step of another operation.

    Its review opens; with `opens_review` False only where that of the older one was still open.
    """
    now = at or clock.now()
    older = select(Intake).where(
        Intake.patient_id == intake.patient_id, Intake.state == IntakeState.SUBMITTED, Intake.id != intake.id
    )
    for earlier in db.session.scalars(older.order_by(Intake.id).with_for_update()):
        earlier.state = IntakeState.SUPERSEDED
        audit.record(earlier, "superseded", by=by, intake_id=intake.id)
        closed = tasks.close_matching_within_transaction(
            kind=TaskKind.REVIEW_INTAKE, intake_id=earlier.id, outcome="superseded", by=by
        )
        opens_review = opens_review or bool(closed)
    intake.record = intake_record
    intake.state = IntakeState.SUBMITTED
    intake.submitted_at = intake.saved_at = now
    db.session.flush()
    audit.record(intake, "submitted", by=by)
    if opens_review:
        _open_review(intake, by=by)
    intake_id = intake.id
    after_commit.append(lambda: jobs.ring(Job.ASSESS_INTAKE, intake_id=intake_id))


def _open_review(intake: Intake, *, by: Actor) -> None:
    patient = queries.patient_of(intake)
    place = patient.preferred_location_id if patient else None
    tasks.open_within_transaction(
        kind=TaskKind.REVIEW_INTAKE,
        level=TaskLevel.ROUTINE,
        dedupe_key=f"review_intake:{intake.id}",
        for_role="prescriber",
        due_at=locations.closing_on_open_day(place, queries.tz_of(intake), REVIEW_WITHIN_DAYS),
        by=by,
        patient_id=intake.patient_id,
        intake_id=intake.id,
        location_id=place,
    )


def request_link(intake_id: int, *, by: Actor) -> None:
    """Ask that a link to this form be sent over a channel that we know. Raises Conflict where none is known."""
    intake = queries.get(intake_id)
    if intake.patient_id is None:
        raise Conflict("We do not know yet where to send a link.")
    patients.request_link(intake.patient_id, LinkPurpose.INTAKE, intake_id=intake_id, by=by)
