"""What claimed rows are held against and worded from: read for a whole batch at once, a few statements whatever its size."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, BigInteger, any_, bindparam, select, text
from sqlalchemy.orm import aliased, load_only

from clinic.config import Settings
from clinic.db import Asked, db, loaded
from clinic.eligibility.models import PatientAsk
from clinic.intake.models import Intake
from clinic.patients.models import Channel, LinkRequest
from clinic.reminders.finding import PAPERS_MISSING
from clinic.reminders.models import Message, MessageText
from clinic.reminders.purposes import TRAITS, Purpose
from clinic.reminders.wording import Parts, Place, When
from clinic.scheduling.models import Authorisation, Course, Mode, SessionState, TreatmentSession
from clinic.staff.models import PasswordLink, StaffUser
from clinic.surveys.models import Survey
from clinic.tasks.models import Task

UPCOMING = (SessionState.BOOKED, SessionState.CONFIRMED)
TOOK_OR_TAKES_PLACE = (*UPCOMING, SessionState.ARRIVED, SessionState.COMPLETED)
ABOUT_ALL_VISITS = (Purpose.COURSE_BOOKED, Purpose.WEEKLY_DIGEST)
LONGEST_WAIT = timedelta(days=5)  # between a row and its message

_LACKING = text(
    f"SELECT DISTINCT (t.subject ->> 'assessment_id')::bigint FROM tasks t"  # noqa: S608 - our own constant
    f" WHERE t.subject ->> 'assessment_id' = ANY(:ids) AND {PAPERS_MISSING}"
)


@dataclass(frozen=True, kw_only=True)
class Addressee:
    """A patient, as a message needs them. `granted`: the present answer for the channel, None where never asked."""

    patient_id: int
    address: str | None
    granted: bool | None
    is_dead: bool
    tz: str
    language: str
    style: str
    told_today: int


class Person(NamedTuple):
    """What the row of a patient says of them."""

    id: int
    email: str | None
    phone: str | None
    tz: str
    language: str
    message_style: str


class Clinic(NamedTuple):
    """Who writes."""

    short_name: str
    phone: str


_COUNTED = ", ".join(f"'{purpose}'" for purpose, trait in TRAITS.items() if trait.keeps_quiet)
_COMMON_SQL = """jsonb_build_object(
        'clinic', coalesce((SELECT jsonb_build_array(short_name, phone) FROM clinic_profile), '["Daybreak", ""]'),
        'consents', coalesce((
            SELECT jsonb_agg(jsonb_build_array(patient_id, channel, granted)) FROM channel_consents
            WHERE patient_id {people} AND superseded_at IS NULL), '[]'),
        'dead', coalesce((
            SELECT jsonb_agg(jsonb_build_array(p.id, d.channel)) FROM patients p
            CROSS JOIN LATERAL (VALUES ('email', p.email_blind), ('sms', p.phone_blind)) v (channel, blind)
            JOIN dead_addresses d ON d.channel = v.channel AND d.address_blind = v.blind AND d.cleared_at IS NULL
            WHERE p.id {people}), '[]'),
        'told', coalesce((
            SELECT jsonb_agg(jsonb_build_array(patient_id, channel, extract(epoch FROM sent_at))) FROM messages
            WHERE patient_id {people} AND created_at > :created AND sent_at > :lately AND purpose IN ({own})), '[]'),
        'places', coalesce((SELECT jsonb_agg(jsonb_build_array(id, name, address, tz)) FROM locations), '[]'),
        'texts', coalesce((
            SELECT jsonb_agg(jsonb_build_array(key, language, version, parts)) FROM message_texts
            WHERE superseded_at IS NULL), '[]'))
"""
_COMMON = text("SELECT " + _COMMON_SQL.format(people="= ANY(:ids)", own=_COUNTED))


_SAID = (
    "id", "course_id", "patient_id", "location_id", "device_id", "state", "starts_at", "ends_at", "local_on", "need",
    "mode", "revision",
)  # fmt: skip
_SAID_OF_SESSIONS = [getattr(TreatmentSession, name) for name in _SAID]


class Known(NamedTuple):
    """What was read: what every row needs, and of a single row its session and whether it is the first of its course."""

    common: dict[str, Any]
    sessions: Sequence[tuple[TreatmentSession, bool]] | None = None


def known_of(row: Sequence[Any]) -> Known:
    """What `of_one` answered."""
    *of_session, is_first, common = row
    return Known(common, [(loaded(TreatmentSession, of_session, _SAID), is_first)] if of_session[0] is not None else [])


def told_since(now: datetime) -> dict[str, datetime]:
    """How far back it is looked for what the person was told."""
    return {"created": now - LONGEST_WAIT, "lately": now - timedelta(hours=26)}


def _is_first() -> Any:
    """Whether no session of its course came or comes before a session."""
    before = aliased(TreatmentSession)
    earlier = select(before.id).where(
        before.course_id == TreatmentSession.course_id,
        before.starts_at < TreatmentSession.starts_at,
        before.state.in_(TOOK_OR_TAKES_PLACE),
    )
    return TreatmentSession.course_id.is_not(None) & ~earlier.exists()


@cache
def of_one() -> Asked:
    """All that a single row needs: its session, whether it is the first of its course, and what every row needs."""
    row = aliased(Message, name="m")
    common = _COMMON_SQL.format(people="= m.patient_id", own=_COUNTED)
    of_row = text(common).bindparams(created=None, lately=None)
    statement = select(*_SAID_OF_SESSIONS, _is_first(), of_row).select_from(row)
    with_session = statement.outerjoin(TreatmentSession, TreatmentSession.id == row.session_id)
    return Asked(with_session.where(row.id == bindparam("wanted", None, BigInteger)))


@cache
def _many_sessions() -> Any:
    statement = select(TreatmentSession, _is_first()).options(load_only(*_SAID_OF_SESSIONS))
    wanted = TreatmentSession.id == any_(bindparam("sessions", type_=ARRAY(BigInteger)))
    return statement.where(wanted).execution_options(populate_existing=True)


class Facts:
    """Everything that the rows of one batch need. Each kind is read when it is first asked for, for all rows.

    known: what was read with the claim.
    """

    def __init__(
        self,
        rows: Sequence[Message],
        people: Mapping[int, Person],
        settings: Settings,
        now: datetime,
        known: Known | None = None,
    ) -> None:
        self._known = known
        self.rows = rows
        self.people = people
        self.settings = settings
        self.now = now
        self.worded: list[Message] = []  # rows that were given their words in this claim

    def addressee(self, row: Message) -> Addressee | None:
        """To whom a row goes; None where they are no patient."""
        if row.patient_id is None:
            return None
        patient = self.people[row.patient_id]
        key = (row.patient_id, row.channel)
        midnight = self.now.astimezone(ZoneInfo(patient.tz)).replace(hour=0, minute=0, second=0, microsecond=0)
        return Addressee(
            patient_id=patient.id,
            address=patient.email if row.channel == Channel.EMAIL else patient.phone,
            granted=self._consents.get(key),
            is_dead=key in self._dead,
            tz=patient.tz,
            language=patient.language,
            style=patient.message_style,
            told_today=sum(at >= midnight for at in self._told[key]),
        )

    # -- what every row needs: one statement, asked after the people are locked, so that it sees what they said last

    @cached_property
    def _read(self) -> Known:
        return self._known or Known(db.session.scalar(_COMMON, {**told_since(self.now), "ids": list(self.people)}))

    @property
    def _common(self) -> dict[str, Any]:
        return self._read.common

    @cached_property
    def clinic(self) -> Clinic:
        return Clinic(*self._common["clinic"])

    @cached_property
    def _consents(self) -> dict[tuple[int, str], bool]:
        return {(patient_id, channel): granted for patient_id, channel, granted in self._common["consents"]}

    @cached_property
    def _dead(self) -> set[tuple[int, str]]:
        return {(patient_id, channel) for patient_id, channel in self._common["dead"]}

    @cached_property
    def _told(self) -> dict[tuple[int, str], list[datetime]]:
        """When the person was told something of their course lately, over each channel."""
        told: dict[tuple[int, str], list[datetime]] = defaultdict(list)
        for patient_id, channel, sent_at in self._common["told"]:
            told[patient_id, channel].append(datetime.fromtimestamp(sent_at, UTC))
        return told

    @cached_property
    def _places(self) -> dict[int, Place]:
        return {key: Place(name, address, tz) for key, name, address, tz in self._common["places"]}

    @cached_property
    def texts(self) -> dict[tuple[str, str], tuple[int, Parts]]:
        """The clinic's own texts in force: version and parts by key and language."""
        return {(key, language): (version, parts) for key, language, version, parts in self._common["texts"]}

    def note_told(self, row: Message) -> None:
        """One more message to the person in this batch."""
        if row.patient_id is not None and TRAITS[Purpose(row.purpose)].keeps_quiet:
            self._told[row.patient_id, row.channel].append(self.now)

    # -- what rows are about

    @cached_property
    def _sessions(self) -> Sequence[Any]:
        if self._read.sessions is not None:
            return self._read.sessions
        wanted = [row.session_id for row in self.rows if row.session_id is not None]
        return db.session.execute(_many_sessions(), {"sessions": wanted}).all() if wanted else []

    @cached_property
    def sessions(self) -> dict[int, TreatmentSession]:
        return {session.id: session for session, _ in self._sessions}

    @cached_property
    def firsts(self) -> set[int]:
        """Sessions of the rows before which no session of their course took or takes place."""
        return {session.id for session, is_first in self._sessions if is_first}

    @cached_property
    def courses(self) -> dict[int, Course]:
        return _by_id(Course, (row.course_id for row in self.rows))

    @cached_property
    def surveys(self) -> dict[int, Survey]:
        return _by_id(Survey, (row.survey_id for row in self.rows))

    @cached_property
    def tasks(self) -> dict[int, Task]:
        return _by_id(Task, (row.task_id for row in self.rows))

    @cached_property
    def staff(self) -> dict[int, StaffUser]:
        return _by_id(StaffUser, (row.staff_id for row in self.rows))

    @cached_property
    def authorizations(self) -> dict[int, Authorisation]:
        wanted = (number_of(row) for row in self.rows if row.purpose == Purpose.AUTHORIZATION_ENDING)
        return _by_id(Authorisation, wanted)

    @cached_property
    def requests(self) -> dict[int, LinkRequest]:
        return _by_id(LinkRequest, (number_of(row) for row in self.rows if row.purpose == Purpose.LINK))

    @cached_property
    def password_links(self) -> dict[int, PasswordLink]:
        return _by_id(PasswordLink, (number_of(row) for row in self.rows if row.purpose == Purpose.STAFF_LINK))

    @cached_property
    def asks(self) -> dict[int, PatientAsk]:
        return _by_id(PatientAsk, (number_of(row) for row in self.rows if row.matter.startswith("q:")))

    @cached_property
    def intakes(self) -> dict[int, Intake]:
        return _by_id(Intake, (number_of(row) for row in self.rows if row.matter.startswith("i:")))

    @cached_property
    def lacking(self) -> set[int]:
        """Assessments of the rows that still wait for the person's papers."""
        wanted = [number_of(row) for row in self.rows if row.purpose == Purpose.DOCUMENTS_MISSING]
        return set(db.session.scalars(_LACKING, {"ids": [str(one) for one in wanted]})) if wanted else set()

    @cached_property
    def _upcoming(self) -> dict[int, list[TreatmentSession]]:
        wanted = {row.patient_id for row in self.rows if row.purpose in ABOUT_ALL_VISITS}
        found: dict[int, list[TreatmentSession]] = defaultdict(list)
        statement = select(TreatmentSession).where(
            TreatmentSession.patient_id.in_(wanted),
            TreatmentSession.state.in_(UPCOMING),
            TreatmentSession.starts_at > self.now,
        )
        for session in db.session.scalars(statement.order_by(TreatmentSession.starts_at)):
            found[session.patient_id].append(session)
        return found

    def upcoming(self, row: Message) -> list[TreatmentSession]:
        """Booked sessions of the row's patient that lie ahead: of its course where it names one."""
        assert row.patient_id is not None
        return [one for one in self._upcoming[row.patient_id] if row.course_id in (None, one.course_id)]

    def named(self, sessions: Iterable[TreatmentSession]) -> list[When]:
        """Visits as messages name them."""
        return [When(one.starts_at, self._places[one.location_id], one.mode == Mode.VIDEO) for one in sessions]

    def place(self, location_id: int) -> Place:
        return self._places[location_id]


def own_texts() -> dict[tuple[str, str], tuple[int, Parts]]:
    """The clinic's own texts in force: version and parts by key and language."""
    rows = db.session.execute(
        select(MessageText.key, MessageText.language, MessageText.version, MessageText.parts).where(
            MessageText.superseded_at.is_(None)
        )
    )
    return {(row.key, row.language): (row.version, row.parts) for row in rows}


def number_of(row: Message) -> int:
    """The number in an occurrence like `l:12`."""
    return int(row.matter.partition(":")[2])


def _by_id(model: Any, ids: Iterable[int | None]) -> dict[int, Any]:
    wanted: Collection[int] = {key for key in ids if key is not None}
    if not wanted:
        return {}
    statement = select(model).where(model.id.in_(wanted)).execution_options(populate_existing=True)
    return {row.id: row for row in db.session.scalars(statement)}
