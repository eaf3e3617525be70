"""The clinic and its sites: hours, closures, devices, staff shifts. Wall time belongs to the site."""

from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Numeric,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic.db import Base, Instant, SmallKey, UTCDateTime, Word, one_of


class DeviceKind(StrEnum):
    """What a device is."""

    TMS = "tms"
    CHAIR = "chair"  # ketamine and esketamine


class ClinicProfile(Base):
    """The clinic as a whole; one row. Name and slogan are data, never code."""

    __tablename__ = "clinic_profile"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(200))
    short_name: Mapped[str] = mapped_column(String(30))  # begins every text message
    slogan: Mapped[str] = mapped_column(String(300))
    phone: Mapped[str] = mapped_column(String(20))
    promises_safety_call: Mapped[bool] = mapped_column(Boolean)  # shows "a person will call you by" in clinic hours
    is_demo: Mapped[bool] = mapped_column(Boolean)


class Location(Base):
    """A site."""

    __tablename__ = "locations"

    id: Mapped[SmallKey]
    slug: Mapped[Word] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    address: Mapped[str] = mapped_column(String(300))
    zip_code: Mapped[str] = mapped_column(String(10))
    latitude: Mapped[float | None] = mapped_column(Numeric(8, 5, asdecimal=False))
    longitude: Mapped[float | None] = mapped_column(Numeric(8, 5, asdecimal=False))
    tz: Mapped[str] = mapped_column(String(60))
    phone: Mapped[str] = mapped_column(String(20))
    note: Mapped[str] = mapped_column(Text)  # shown on public pages, e.g. that hours are demo data
    chairs_per_observer: Mapped[int] = mapped_column(SmallInteger)
    schedule_version: Mapped[int]  # rises with every change of hours, devices, shifts or bookings
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    hours: Mapped[list["OpeningHours"]] = relationship(back_populates="location", order_by="OpeningHours.weekday")
    devices: Mapped[list["Device"]] = relationship(back_populates="location", order_by="Device.id")


class OpeningHours(Base):
    """Open from `opens` to `closes`, site's wall time; weekday 0 is Monday. Several rows a day are allowed."""

    __tablename__ = "opening_hours"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("opens < closes", name="order"),
        UniqueConstraint("location_id", "weekday", "opens"),
    )

    id: Mapped[SmallKey]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    weekday: Mapped[int] = mapped_column(SmallInteger)
    opens: Mapped[time]
    closes: Mapped[time]
    location: Mapped[Location] = relationship(back_populates="hours")


class Closure(Base):
    """A date on which a site is closed all day."""

    __tablename__ = "closures"
    __table_args__ = (UniqueConstraint("location_id", "on_date"),)

    id: Mapped[SmallKey]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    on_date: Mapped[date]
    name: Mapped[str] = mapped_column(String(100))


class Room(Base):
    """A room. One appointment at a time has it, unless it is shared (chairs side by side, a waiting area)."""

    __tablename__ = "rooms"
    __table_args__ = (UniqueConstraint("location_id", "name"),)

    id: Mapped[SmallKey]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    name: Mapped[str] = mapped_column(String(60))
    is_shared: Mapped[bool] = mapped_column(Boolean)
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Device(Base):
    """A stimulator or a treatment chair. Treatments are offered where a device is able to give them."""

    __tablename__ = "devices"
    __table_args__ = (
        one_of("kind", [*DeviceKind]),
        CheckConstraint("turnover_minutes BETWEEN 0 AND 60", name="turnover"),
        UniqueConstraint("location_id", "name"),
    )

    id: Mapped[SmallKey]
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    name: Mapped[str] = mapped_column(String(60))
    kind: Mapped[Word]
    protocols: Mapped[list[str]] = mapped_column(ARRAY(String(60)))  # keys of clinic/protocols that it can give
    turnover_minutes: Mapped[int] = mapped_column(SmallInteger)
    room_id: Mapped[int | None] = mapped_column(ForeignKey("rooms.id"), index=True)  # where it stands
    retired_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    location: Mapped[Location] = relationship(back_populates="devices")


class DeviceDowntime(Base):
    """A span in which a device cannot be used (maintenance, fault)."""

    __tablename__ = "device_downtimes"
    __table_args__ = (CheckConstraint("starts_at < ends_at", name="order"),)

    id: Mapped[SmallKey]
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), index=True)
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    reason: Mapped[str] = mapped_column(String(200))


class StaffAbsence(Base):
    """A span in which a staff member is not there, whatever the rota says."""

    __tablename__ = "staff_absences"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="order"),
        Index("staff_absences_user_idx", "user_id", "ends_at"),
    )

    id: Mapped[SmallKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    starts_at: Mapped[Instant]
    ends_at: Mapped[Instant]
    reason: Mapped[str] = mapped_column(String(200))


class StaffShift(Base):
    """Weekly presence of a staff member at a site, wall time, from `valid_from` until `valid_until` (both included)."""

    __tablename__ = "staff_shifts"
    __table_args__ = (
        CheckConstraint("weekday BETWEEN 0 AND 6", name="weekday"),
        CheckConstraint("starts < ends", name="order"),
        Index("staff_shifts_location_idx", "location_id"),
        Index(
            "staff_shifts_one_place_key",
            "user_id",
            "weekday",
            "starts",
            unique=True,
            postgresql_where=text("valid_until IS NULL"),
        ),
    )

    id: Mapped[SmallKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"))
    weekday: Mapped[int] = mapped_column(SmallInteger)
    starts: Mapped[time]
    ends: Mapped[time]
    break_starts: Mapped[time | None]
    break_ends: Mapped[time | None]
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
