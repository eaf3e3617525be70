"""Courses, and the one table of every appointment. The constraints here are the last word against a double booking."""

import uuid
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Uuid,
    event,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Instant, PrimaryKey, Secret, UTCDateTime, Word, one_of
from clinic.patients import sites
from clinic.scheduling import ledger_ddl


class CourseState(StrEnum):
    """States of a course; transitions in docs/states.md."""

    BOOKED = "booked"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    CANCELLED = "cancelled"


class SessionState(StrEnum):
    """States of an appointment; transitions in docs/states.md."""

    HELD = "held"  # kept for somebody until its hold runs out
    BOOKED = "booked"
    CONFIRMED = "confirmed"
    ARRIVED = "arrived"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class VisitKind(StrEnum):
    """Appointments that are no session of a course: one staff member, perhaps a room, never a device."""

    CONSULT = "consult"
    MEDICATION = "medication"
    THERAPY = "therapy"


class Mode(StrEnum):
    """How patient and staff meet."""

    IN_PERSON = "in_person"
    VIDEO = "video"


PERSON = "person"  # the staff need of a visit: the one who was named, no pool
HOLDS_PLACE = (
    SessionState.HELD,
    SessionState.BOOKED,
    SessionState.CONFIRMED,
    SessionState.ARRIVED,
    SessionState.COMPLETED,
)
HOLDS_PLACE_SQL = "state IN ('held', 'booked', 'confirmed', 'arrived', 'completed')"


def _exclusive(column: str, range_type: str, until: str, name: str) -> ExcludeConstraint:
    """No two appointments that hold their place share this thing. A NULL would join every range: it is left out."""
    return ExcludeConstraint(
        (text(f"{range_type}({column}, {column}, '[]')"), "&&"),
        (text(f"tstzrange(starts_at, {until}, '[)')"), "&&"),
        where=text(f"{HOLDS_PLACE_SQL} AND {column} IS NOT NULL"),
        using="gist",
        name=name,
    )


@sites.binds
@sites.named("course_id")
class Course(Base):
    """A series of sessions under one protocol, booked whole."""

    __tablename__ = "courses"
    __table_args__ = (
        one_of("state", [*CourseState]),
        Index("courses_patient_idx", "patient_id"),
        Index("courses_ended_idx", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
        Index("courses_created_idx", "created_at"),
        CheckConstraint("anchor_minute BETWEEN 0 AND 1439", name="anchor"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    decision_id: Mapped[int] = mapped_column(ForeignKey("decisions.id"))
    protocol: Mapped[str] = mapped_column(String(60))
    protocol_version: Mapped[str] = mapped_column(String(20))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"))  # home device
    anchor_minute: Mapped[int] = mapped_column(SmallInteger)  # usual start, minutes after midnight at the site
    planned_sessions: Mapped[int] = mapped_column(SmallInteger)
    cost: Mapped[int] = mapped_column(Integer)  # the planner's, minutes of deviation
    state: Mapped[Word]
    created_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@sites.binds
@sites.named("session_id")
class TreatmentSession(Base):
    """One appointment: a session of a course on a device, or a visit (`VisitKind`) with a staff member.

    The patient and a named staff member hold [starts, ends), device and room [starts, device_until).
    `spaced_until` is the earliest start of the next session of the same course (start + the protocol's hours between).
    `room_id` is set where one appointment at a time has the room. A visit by video has the site of its staff member.
    """

    __tablename__ = "treatment_sessions"
    __table_args__ = (
        one_of("state", [*SessionState]),
        one_of("mode", [*Mode]),
        CheckConstraint("need IN ('tms', 'map', 'obs', 'person')", name="need"),
        CheckConstraint("starts_at < ends_at AND ends_at <= device_until AND starts_at < spaced_until", name="order"),
        CheckConstraint("number >= 1", name="number"),
        CheckConstraint(
            "CASE WHEN kind IN ('consult', 'medication', 'therapy')"
            " THEN need = 'person' AND staff_id IS NOT NULL AND device_id IS NULL AND course_id IS NULL"
            " ELSE need <> 'person' AND staff_id IS NULL AND device_id IS NOT NULL AND mode = 'in_person'"
            " AND (course_id IS NOT NULL OR state = 'held') END",
            name="kind",
        ),
        CheckConstraint("(state = 'held') = (hold_id IS NOT NULL)", name="held"),
        CheckConstraint("mode <> 'video' OR room_id IS NULL", name="video_needs_no_room"),
        CheckConstraint(
            "(authorisation_id IS NULL OR self_pay_id IS NULL)"
            " AND (need <> 'person' OR (authorisation_id IS NULL AND self_pay_id IS NULL))",
            name="one_payer",
        ),
        CheckConstraint("patient_state IS NULL OR patient_state ~ '^[A-Z]{2}$'", name="patient_state"),
        CheckConstraint(
            "mode <> 'video' OR state <> 'completed' OR patient_state IS NOT NULL", name="video_records_the_state"
        ),
        _exclusive("device_id", "int4range", "device_until", "treatment_sessions_device_overlap"),
        _exclusive("patient_id", "int8range", "ends_at", "treatment_sessions_patient_overlap"),
        _exclusive("course_id", "int8range", "spaced_until", "treatment_sessions_spacing"),
        _exclusive("room_id", "int4range", "device_until", "treatment_sessions_room_overlap"),
        _exclusive("staff_id", "int4range", "ends_at", "treatment_sessions_staff_overlap"),
        Index("treatment_sessions_course_idx", "course_id", "number"),
        Index("treatment_sessions_location_idx", "location_id", "local_on"),
        Index("treatment_sessions_starts_idx", "starts_at", postgresql_where=text("state IN ('booked', 'confirmed')")),
        Index("treatment_sessions_patient_idx", "patient_id", "starts_at"),
        Index(
            "treatment_sessions_moved_idx",
            "starts_at",
            postgresql_where=text("revision > 0 AND state IN ('booked', 'confirmed')"),
        ),
        Index("treatment_sessions_cancelled_idx", "ended_at", postgresql_where=text("state = 'cancelled'")),
        Index("treatment_sessions_missed_idx", "ended_at", postgresql_where=text("state = 'no_show'")),
        Index("treatment_sessions_staff_idx", "staff_id", "starts_at", postgresql_where=text("staff_id IS NOT NULL")),
        Index("treatment_sessions_room_idx", "room_id", "starts_at", postgresql_where=text("room_id IS NOT NULL")),
        Index("treatment_sessions_hold_idx", "hold_id", postgresql_where=text("hold_id IS NOT NULL")),
        Index(
            "treatment_sessions_authorisation_idx",
            "authorisation_id",
            postgresql_where=text("authorisation_id IS NOT NULL"),
        ),
        Index("treatment_sessions_change_idx", "change_id", postgresql_where=text("change_id IS NOT NULL")),
    )

    id: Mapped[PrimaryKey]
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    device_id: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    room_id: Mapped[int | None] = mapped_column(ForeignKey("rooms.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    number: Mapped[int] = mapped_column(SmallInteger)  # 1-based, order in the protocol
    kind: Mapped[Word]  # mapping, daily, taper, ...; consult, medication, therapy
    need: Mapped[Word]  # staff pool, or `person`
    mode: Mapped[Word] = mapped_column(server_default=text("'in_person'"))
    patient_state: Mapped[str | None] = mapped_column(String(2))  # where the patient is at a visit by video
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    device_until: Mapped[Instant]
    spaced_until: Mapped[Instant]
    local_on: Mapped[date]
    with_threshold: Mapped[bool] = mapped_column(server_default=text("false"))  # the motor threshold is found anew
    state: Mapped[Word]
    revision: Mapped[int] = mapped_column(Integer)  # rises with every move; calendar SEQUENCE
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # the treatment itself began
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # completed, missed or cancelled at
    hold_id: Mapped[int | None] = mapped_column(ForeignKey("holds.id"))
    # Who pays: a payer within an authorisation, the patient who agreed to it, or (neither) nobody was asked yet.
    authorisation_id: Mapped[int | None] = mapped_column(ForeignKey("authorisations.id"))
    self_pay_id: Mapped[int | None] = mapped_column(ForeignKey("self_pay_agreements.id"))
    change_id: Mapped[int | None] = mapped_column(ForeignKey("schedule_changes.id"))  # the re-plan that moved it last

    @property
    def is_visit(self) -> bool:
        """A visit with a staff member, no session of a course."""
        return self.need == PERSON


class HoldPurpose(StrEnum):
    """For whom a place is kept."""

    PROPOSAL = "proposal"  # somebody chooses among whole courses
    OFFER = "offer"  # a place off the waiting list
    CHANGE = "change"  # an earlier time, until the patient says yes


class Hold(Base):
    """Places that nobody else gets before `expires_at`. A hold that ran out blocks nobody: who finds it lets it go."""

    __tablename__ = "holds"
    __table_args__ = (
        one_of("purpose", [*HoldPurpose]),
        CheckConstraint("created_at < expires_at", name="order"),
        Index("holds_expires_idx", "expires_at", postgresql_where=text("ended_at IS NULL")),
        Index("holds_patient_idx", "patient_id", postgresql_where=text("ended_at IS NULL")),
        Index("holds_proposal_key", "proposal_id", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    purpose: Mapped[Word]
    proposal_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("course_proposals.id"))
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[str | None] = mapped_column(String(40))  # booked, let_go, expired


class ChangeKind(StrEnum):
    """What made the clinic plan a person's dates anew."""

    DEVICE = "device"
    PERSON = "person"
    SITE = "site"
    CAPACITY = "capacity"  # other opening hours, a shorter rota: what is booked no longer fits


class ChangeState(StrEnum):
    """States of a re-plan; transitions in docs/states.md."""

    TOLD = "told"  # the new times hold; the patient may accept or decline
    ASKED = "asked"  # an earlier time is held until the patient says yes
    ACCEPTED = "accepted"
    DECLINED = "declined"
    LAPSED = "lapsed"  # no answer in time


@sites.named("change_id")
class ScheduleChange(Base):
    """One re-plan of one person: what one message tells, whatever the number of sessions it moved.

    `revision` rises where the same re-plan is planned anew before the patient answered. `moves` lists
    {session_id, from_at, to_at, from_device, to_device, to_location}; `to_at` null: no place was found.
    """

    __tablename__ = "schedule_changes"
    __table_args__ = (
        one_of("kind", [*ChangeKind]),
        one_of("state", [*ChangeState]),
        CheckConstraint("(state IN ('told', 'asked')) = (answered_at IS NULL)", name="answered"),
        Index("schedule_changes_patient_idx", "patient_id"),
        Index("schedule_changes_outage_idx", "outage_id"),
        Index("schedule_changes_open_idx", "answer_by", postgresql_where=text("state IN ('told', 'asked')")),
        Index("schedule_changes_created_idx", "created_at"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id"))
    outage_id: Mapped[int | None] = mapped_column(ForeignKey("outages.id"))
    kind: Mapped[Word]
    state: Mapped[Word]
    revision: Mapped[int] = mapped_column(Integer)
    moves: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[Instant]
    answer_by: Mapped[Instant]
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class OutageState(StrEnum):
    """States of an outage; transitions in docs/states.md."""

    OPEN = "open"  # nothing new is booked there; what is booked waits for the re-plan
    APPLIED = "applied"
    WITHDRAWN = "withdrawn"


class Outage(Base):
    """A device down, a staff member away, a site closed or with less capacity, and the plan for whom it hits.

    It counts from the moment it is known: `downtime_id`, `absence_id` or `closure_ids` say so to the planner.
    `preview` is a stored plan, `versions` the schedules that it was made on, `revision` how often it was made.
    `is_final`: the device or the treatment does not come back, so the sessions may move to other sites.
    """

    __tablename__ = "outages"
    __table_args__ = (
        one_of("kind", [*ChangeKind]),
        one_of("state", [*OutageState]),
        CheckConstraint("starts_at < ends_at", name="order"),
        CheckConstraint(
            "CASE kind WHEN 'device' THEN device_id IS NOT NULL WHEN 'person' THEN staff_id IS NOT NULL"
            " ELSE location_id IS NOT NULL END",
            name="subject",
        ),
        Index("outages_open_idx", "starts_at", postgresql_where=text("state = 'open'")),
        Index("outages_location_idx", "location_id", "ends_at"),
    )

    id: Mapped[PrimaryKey]
    kind: Mapped[Word]
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))  # none for a person of several sites
    device_id: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    reason: Mapped[str] = mapped_column(String(200))
    is_final: Mapped[bool]
    state: Mapped[Word]
    created_at: Mapped[Instant]
    applied_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    downtime_id: Mapped[int | None] = mapped_column(Integer)
    absence_id: Mapped[int | None] = mapped_column(Integer)
    closure_ids: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    revision: Mapped[int] = mapped_column(Integer)
    preview: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    versions: Mapped[dict[str, int]] = mapped_column(JSONB)
    previewed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class WaitState(StrEnum):
    """States of somebody on the waiting list; transitions in docs/states.md."""

    WAITING = "waiting"
    OFFERED = "offered"
    BOOKED = "booked"
    LEFT = "left"


class OfferState(StrEnum):
    """States of an offer off the waiting list; transitions in docs/states.md."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"


@sites.named("entry_id")
class WaitlistEntry(Base):
    """Somebody who waits for a course: what they wish, how urgent it is, and when the list was last looked through."""

    __tablename__ = "waitlist_entries"
    __table_args__ = (
        one_of("state", [*WaitState]),
        CheckConstraint("priority BETWEEN 0 AND 2", name="priority"),
        CheckConstraint("(state IN ('booked', 'left')) = (ended_at IS NOT NULL)", name="ended"),
        Index(
            "waitlist_entries_open_key",
            "patient_id",
            "protocol",
            unique=True,
            postgresql_where=text("state IN ('waiting', 'offered')"),
        ),
        Index("waitlist_entries_waiting_idx", "priority", "created_at", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    protocol: Mapped[str] = mapped_column(String(60))
    wish: Mapped[dict[str, Any]] = mapped_column(JSONB)
    priority: Mapped[int] = mapped_column(SmallInteger)  # 2 is most urgent
    state: Mapped[Word]
    created_at: Mapped[Instant]
    looked_at: Mapped[Instant]  # what was freed since then may help
    quiet_until: Mapped[Instant]  # after a no, others come first
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@sites.named("offer_id")
class WaitlistOffer(Base):
    """A course that somebody on the list could have, held until `expires_at`. Answered once."""

    __tablename__ = "waitlist_offers"
    __table_args__ = (
        one_of("state", [*OfferState]),
        CheckConstraint("(state = 'open') = (answered_at IS NULL)", name="answered"),
        Index("waitlist_offers_one_open_key", "entry_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("waitlist_offers_open_idx", "expires_at", postgresql_where=text("state = 'open'")),
        Index("waitlist_offers_answered_idx", "answered_at", postgresql_where=text("state IN ('declined', 'expired')")),
        Index("waitlist_offers_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    entry_id: Mapped[int] = mapped_column(ForeignKey("waitlist_entries.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    proposal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("course_proposals.id"))
    gain: Mapped[int] = mapped_column(Integer)  # by how much the planner's objective falls
    state: Mapped[Word]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class LineOutcome(StrEnum):
    """What became of one person of a plan for several; transitions in docs/states.md."""

    BOOKED = "booked"
    OFFERED = "offered"
    LOST = "lost"  # it no longer fitted, or was no longer allowed: `said` names what


class WaitlistPlan(Base):
    """Courses for several who wait, planned together. It keeps no place: each course is checked again when it is booked."""

    __tablename__ = "waitlist_plans"
    __table_args__ = (CheckConstraint("0 <= bound AND bound <= cost", name="bound"),)

    id: Mapped[PrimaryKey]
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    cost: Mapped[int] = mapped_column(Integer)  # of all courses, and the price of everyone without one
    bound: Mapped[int] = mapped_column(Integer)  # no plan of this list costs less


class WaitlistPlanLine(Base):
    """One person of such a plan: a course, or the rule in the way; and what became of it."""

    __tablename__ = "waitlist_plan_lines"
    __table_args__ = (
        one_of("outcome", [*LineOutcome]),
        CheckConstraint("(proposal_id IS NULL) <> (reason IS NULL)", name="course_or_reason"),
        CheckConstraint("outcome IS NULL OR proposal_id IS NOT NULL", name="outcome_of_a_course"),
        Index("waitlist_plan_lines_key", "plan_id", "entry_id", unique=True),
        Index("waitlist_plan_lines_entry_idx", "entry_id"),
        Index("waitlist_plan_lines_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    plan_id: Mapped[int] = mapped_column(ForeignKey("waitlist_plans.id"))
    entry_id: Mapped[int] = mapped_column(ForeignKey("waitlist_entries.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    proposal_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("course_proposals.id"))
    reason: Mapped[str | None] = mapped_column(String(500))  # why there is no course, in words
    outcome: Mapped[str | None] = mapped_column(String(40))
    said: Mapped[str | None] = mapped_column(String(1000))  # why it was lost
    course_id: Mapped[int | None] = mapped_column(ForeignKey("courses.id"))


class ScheduleProof(Base):
    """One look through the whole calendar: what was checked and what was found."""

    __tablename__ = "schedule_proofs"

    id: Mapped[PrimaryKey]
    made_at: Mapped[Instant]
    appointments: Mapped[int] = mapped_column(Integer)
    violations: Mapped[int] = mapped_column(Integer)
    pending: Mapped[int] = mapped_column(Integer)  # hit by an outage or closure whose re-plan waits
    seconds: Mapped[int] = mapped_column(Integer)
    found: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)  # the first hundred


class ScheduleStep(Base):
    """What one operation changed, so that it can be taken back within two minutes.

    `rows` lists {id, before: {column: value} or null, revision, state}, `course` {id, before: {...}, state} or null.
    """

    __tablename__ = "schedule_steps"
    __table_args__ = (
        Index("schedule_steps_actor_idx", "actor_kind", "actor_key", "made_at"),
        Index("schedule_steps_made_idx", "made_at"),
    )

    id: Mapped[PrimaryKey]
    actor_kind: Mapped[Word]
    actor_key: Mapped[Word]
    action: Mapped[Word]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    rows: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    course: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    made_at: Mapped[Instant]
    undone_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@sites.named("authorisation_id")
class Authorisation(Base):
    """What a payer approved. `sessions_taken` counts the sessions that hold a place under it, booked and given ones.

    A trigger keeps the count and refuses a session outside dates, site, device or protocol (`ledger_ddl`); the CHECK
    refuses one too many. Whatever is NULL is not limited.
    """

    __tablename__ = "authorisations"
    __table_args__ = (
        CheckConstraint("sessions_taken BETWEEN 0 AND sessions_approved", name="not_exceeded"),
        CheckConstraint("sessions_approved BETWEEN 1 AND 400", name="approved"),
        CheckConstraint("valid_from <= valid_until", name="dates"),
        CheckConstraint("pathway IN ('tms', 'esketamine', 'iv_ketamine')", name="pathway_known"),
        Index("authorisations_patient_idx", "patient_id"),
        Index("authorisations_until_idx", "valid_until", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    payer: Mapped[str] = mapped_column(String(120))  # id of a policy, or a name
    number: Mapped[Secret]
    pathway: Mapped[Word]
    protocol: Mapped[str | None] = mapped_column(String(60))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    device_id: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    sessions_approved: Mapped[int] = mapped_column(SmallInteger)
    sessions_taken: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    valid_from: Mapped[date]
    valid_until: Mapped[date]  # included
    created_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # taken back by the payer, or entered wrongly


class SelfPayAgreement(Base):
    """The patient agreed to pay for sessions of a treatment themselves, having been told what they cost."""

    __tablename__ = "self_pay_agreements"
    __table_args__ = (
        CheckConstraint("pathway IN ('tms', 'esketamine', 'iv_ketamine')", name="pathway_known"),
        Index("self_pay_agreements_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    pathway: Mapped[Word]
    what: Mapped[Secret]  # what was said and agreed, price and number of sessions in words
    agreed_on: Mapped[date]
    created_at: Mapped[Instant]
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RuleOverride(Base):
    """A soft rule that somebody set aside for one appointment, with the reason."""

    __tablename__ = "rule_overrides"
    __table_args__ = (Index("rule_overrides_session_idx", "session_id"),)

    id: Mapped[PrimaryKey]
    session_id: Mapped[int] = mapped_column(ForeignKey("treatment_sessions.id"))
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    rule: Mapped[Word]
    reason: Mapped[Secret]
    actor_kind: Mapped[Word]
    actor_key: Mapped[Word]
    created_at: Mapped[Instant]


@sites.named("proposal_id")
class CourseProposal(Base):
    """A whole course that was offered. It keeps no place unless a `Hold` does: booking checks again."""

    __tablename__ = "course_proposals"
    __table_args__ = (Index("course_proposals_expires_idx", "expires_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    kind: Mapped[Word]  # earliest, steadiest, preferred_place
    protocol: Mapped[str] = mapped_column(String(60))
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB)  # location, anchor, home device, visits, cost and its parts
    created_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    course_id: Mapped[int | None] = mapped_column(BigInteger)  # set when it was booked


class FeedKind(StrEnum):
    """Whose appointments a calendar feed shows."""

    PATIENT = "patient"
    DEVICE = "device"
    LOCATION = "location"


def _one_in_use(kind: FeedKind) -> Index:
    """One address at a time; those before it were revoked."""
    return Index(
        f"calendar_feeds_{kind}_key",
        f"{kind}_id",
        unique=True,
        postgresql_where=text(f"revoked_at IS NULL AND {kind}_id IS NOT NULL"),
    )


class CalendarFeed(Base):
    """An address for a calendar program. The token is kept sealed, so that its owner can read it again."""

    __tablename__ = "calendar_feeds"
    __table_args__ = (
        one_of("kind", [*FeedKind]),
        CheckConstraint(
            "num_nonnulls(patient_id, device_id, location_id) = 1 AND CASE kind WHEN 'patient' THEN patient_id"
            " WHEN 'device' THEN device_id ELSE location_id END IS NOT NULL",
            name="subject",
        ),
        *(_one_in_use(kind) for kind in FeedKind),
    )

    id: Mapped[PrimaryKey]
    kind: Mapped[Word]
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patients.id"))
    device_id: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    location_id: Mapped[int | None] = mapped_column(ForeignKey("locations.id"))
    token: Mapped[Secret]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    content_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # of what was served last
    created_at: Mapped[Instant]
    changed_at: Mapped[Instant]  # when what it shows was last seen to differ
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class CourseStart(Base):
    """When a whole course could start at a site, as last computed for public pages. Never used to book."""

    __tablename__ = "course_starts"

    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"), primary_key=True)
    protocol: Mapped[str] = mapped_column(String(60), primary_key=True)
    starts_on: Mapped[date | None]  # none: no whole course fits into the months that are planned
    schedule_version: Mapped[int]
    computed_at: Mapped[Instant]


for statement in ledger_ddl.ALL:
    event.listen(TreatmentSession.__table__, "after_create", DDL(statement))
