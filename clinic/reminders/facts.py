"""What claimed rows are held against and worded from: read for a whole batch at once, a few statements whatever its size."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import aliased

from clinic.config import Settings
from clinic.db import db
from clinic.eligibility.models import PatientAsk
from clinic.intake.models import Intake
from clinic.locations import queries as locations
from clinic.locations.models import ClinicProfile, Location
from clinic.patients.models import Channel, ChannelConsent, LinkRequest, Patient
from clinic.reminders.models import DeadAddress, Message, MessageText
from clinic.reminders.purposes import TRAITS, Purpose
from clinic.reminders.wording import Parts, Place, When
from clinic.scheduling.models import Course, Mode, SessionState, TreatmentSession
from clinic.staff.models import StaffUser
from clinic.surveys.models import Survey
from clinic.tasks.models import Task

UPCOMING = (SessionState.BOOKED, SessionState.CONFIRMED)
TOOK_OR_TAKES_PLACE = (*UPCOMING, SessionState.ARRIVED, SessionState.COMPLETED)
ABOUT_ALL_VISITS = (Purpose.COURSE_BOOKED, Purpose.WEEKLY_DIGEST)
LONGEST_WAIT = timedelta(days=5)  # between a row and its message


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


class Facts:
    """Everything that the rows of one batch need. Each kind is read when it is first asked for, for all rows."""

    def __init__(
        self, rows: Sequence[Message], patients: Mapping[int, Patient], settings: Settings, now: datetime
    ) -> None:
        self.rows = rows
        self.patients = patients
        self.settings = settings
        self.now = now

    def addressee(self, row: Message) -> Addressee | None:
        """To whom a row goes; None where they are no patient."""
        if row.patient_id is None:
            return None
        patient = self.patients[row.patient_id]
        key = (row.patient_id, row.channel)
        blind = patient.email_blind if row.channel == Channel.EMAIL else patient.phone_blind
        midnight = self.now.astimezone(ZoneInfo(patient.tz)).replace(hour=0, minute=0, second=0, microsecond=0)
        return Addressee(
            patient_id=patient.id,
            address=patient.email if row.channel == Channel.EMAIL else patient.phone,
            granted=self._consents.get(key),
            is_dead=(row.channel, blind) in self._dead,
            tz=patient.tz,
            language=patient.language,
            style=patient.message_style,
            told_today=sum(at >= midnight for at in self._told[key]),
        )

    @cached_property
    def profile(self) -> ClinicProfile | None:
        return locations.profile()

    @cached_property
    def _consents(self) -> dict[tuple[int, str], bool]:
        rows = db.session.execute(
            select(ChannelConsent.patient_id, ChannelConsent.channel, ChannelConsent.granted).where(
                ChannelConsent.patient_id.in_(self.patients), ChannelConsent.superseded_at.is_(None)
            )
        )
        return {(row.patient_id, row.channel): row.granted for row in rows}

    @cached_property
    def _dead(self) -> set[tuple[str, bytes | None]]:
        blinds = {blind for one in self.patients.values() for blind in (one.email_blind, one.phone_blind) if blind}
        rows = db.session.execute(
            select(DeadAddress.channel, DeadAddress.address_blind).where(
                DeadAddress.address_blind.in_(blinds), DeadAddress.cleared_at.is_(None)
            )
        )
        return {(row.channel, row.address_blind) for row in rows}

    @cached_property
    def _told(self) -> dict[tuple[int, str], list[datetime]]:
        """When the person was told something of their course lately, over each channel."""
        own = [str(purpose) for purpose, trait in TRAITS.items() if trait.keeps_quiet]
        found = db.session.execute(
            select(Message.patient_id, Message.channel, Message.sent_at).where(
                Message.patient_id.in_(self.patients),
                Message.created_at > self.now - LONGEST_WAIT,
                Message.sent_at > self.now - timedelta(hours=26),
                Message.purpose.in_(own),
            )
        )
        told: dict[tuple[int, str], list[datetime]] = defaultdict(list)
        for row in found:
            told[row.patient_id, row.channel].append(row.sent_at)
        return told

    def note_told(self, row: Message) -> None:
        """One more message to the person in this batch."""
        if row.patient_id is not None and TRAITS[Purpose(row.purpose)].keeps_quiet:
            self._told[row.patient_id, row.channel].append(self.now)

    # -- what rows are about

    @cached_property
    def sessions(self) -> dict[int, TreatmentSession]:
        return _by_id(TreatmentSession, (row.session_id for row in self.rows))

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
    def requests(self) -> dict[int, LinkRequest]:
        return _by_id(LinkRequest, (number_of(row) for row in self.rows if row.purpose == Purpose.LINK))

    @cached_property
    def asks(self) -> dict[int, PatientAsk]:
        return _by_id(PatientAsk, (number_of(row) for row in self.rows if row.matter.startswith("q:")))

    @cached_property
    def intakes(self) -> dict[int, Intake]:
        return _by_id(Intake, (number_of(row) for row in self.rows if row.matter.startswith("i:")))

    @cached_property
    def firsts(self) -> set[int]:
        """Sessions of the rows before which no session of their course took or takes place."""
        before = aliased(TreatmentSession)
        earlier = select(before.id).where(
            before.course_id == TreatmentSession.course_id,
            before.starts_at < TreatmentSession.starts_at,
            before.state.in_(TOOK_OR_TAKES_PLACE),
        )
        wanted = [row.session_id for row in self.rows if row.session_id is not None]
        firsts = select(TreatmentSession.id).where(
            TreatmentSession.id.in_(wanted), TreatmentSession.course_id.is_not(None), ~earlier.exists()
        )
        return set(db.session.scalars(firsts))

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

    @cached_property
    def _places(self) -> dict[int, Place]:
        rows = db.session.execute(select(Location.id, Location.name, Location.address, Location.tz))
        return {row.id: Place(row.name, row.address, row.tz) for row in rows}

    def named(self, sessions: Iterable[TreatmentSession]) -> list[When]:
        """Visits as messages name them."""
        return [When(one.starts_at, self._places[one.location_id], one.mode == Mode.VIDEO) for one in sessions]

    def place(self, location_id: int) -> Place:
        return self._places[location_id]

    @cached_property
    def texts(self) -> dict[tuple[str, str], tuple[int, Parts]]:
        """The clinic's own texts in force: version and parts by key and language."""
        return own_texts()


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
