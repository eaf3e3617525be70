"""People who work at the clinic, their roles and sites, and API tokens."""

from datetime import datetime
from enum import StrEnum

from flask_security import RoleMixin, UserMixin
from sqlalchemy import Boolean, ForeignKey, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic.db import Base, Encrypted, Instant, SmallKey, UTCDateTime, Word, one_of


class Role(StrEnum):
    """What a staff member or token may do; each route names the roles it serves."""

    FRONT_DESK = "front_desk"
    OPERATOR = "operator"
    NURSE = "nurse"
    THERAPIST = "therapist"
    PRESCRIBER = "prescriber"
    MANAGER = "manager"
    SERVICE = "service"  # tokens only


class StaffRole(Base, RoleMixin):
    """A role as Flask-Security knows it; the rows are the words of `Role`."""

    __tablename__ = "staff_roles"

    id: Mapped[SmallKey]
    name: Mapped[Word] = mapped_column(String(40), unique=True)
    description: Mapped[str | None] = mapped_column(String(200))


class StaffUserRole(Base):
    """Which staff member has which role."""

    __tablename__ = "staff_user_roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("staff_roles.id"), primary_key=True)


class StaffLocation(Base):
    """A site that a staff member may see. No row: no site."""

    __tablename__ = "staff_locations"

    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"), primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"), primary_key=True)


class StaffUser(Base, UserMixin):
    """A person who works here. Email and name are the clinic's own directory, so they stay readable."""

    __tablename__ = "staff_users"

    id: Mapped[SmallKey]
    email: Mapped[str] = mapped_column(String(255), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool]
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tf_primary_method: Mapped[str | None] = mapped_column(String(64))
    tf_totp_secret: Mapped[str | None] = mapped_column(Encrypted)
    skills: Mapped[list[str]] = mapped_column(ARRAY(String(10)))
    has_all_sites: Mapped[bool] = mapped_column(  # those of tomorrow too; otherwise the rows of `StaffLocation`
        Boolean, server_default=text("false")
    )
    licensed_in: Mapped[list[str]] = mapped_column(ARRAY(String(2)), server_default=text("'{}'"))  # states, e.g. CA
    morning_mail: Mapped[bool] = mapped_column(server_default=text("true"))  # what the day holds, at seven
    roles: Mapped[list[StaffRole]] = relationship(secondary="staff_user_roles", lazy="selectin")  # type: ignore[assignment]


class ApiToken(Base):
    """A bearer token of another system. Only its SHA-256 is kept."""

    __tablename__ = "api_tokens"
    __table_args__ = (one_of("role", [*Role]),)

    id: Mapped[SmallKey]
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[Word]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    has_all_sites: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    created_at: Mapped[Instant]
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ApiTokenLocation(Base):
    """A site whose patients a token reaches."""

    __tablename__ = "api_token_locations"

    token_id: Mapped[int] = mapped_column(ForeignKey("api_tokens.id"), primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("locations.id"), primary_key=True)
