"""People who work at the clinic, their roles and sites, and API tokens."""

from datetime import datetime
from enum import StrEnum

from flask_security import RoleMixin, UserMixin, WebAuthnMixin
from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic.db import (
    Base,
    Encrypted,
    EncryptedJSON,
    Instant,
    PrimaryKey,
    SecretJSON,
    SmallKey,
    UTCDateTime,
    Word,
    one_of,
)


class Role(StrEnum):
    """What a staff member or token may do; each route names the roles it serves."""

    FRONT_DESK = "front_desk"
    OPERATOR = "operator"
    NURSE = "nurse"
    THERAPIST = "therapist"
    PRESCRIBER = "prescriber"
    MANAGER = "manager"
    SERVICE = "service"  # tokens only


STAFF_ROLES = frozenset(map(str, Role)) - {str(Role.SERVICE)}  # those that a person may have


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
    __table_args__ = (CheckConstraint("NOT (active AND closed_at IS NOT NULL)", name="closed"),)

    id: Mapped[SmallKey]
    email: Mapped[str] = mapped_column(String(255), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool]  # may sign in; False without `closed_at`: locked for a while
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # left the clinic
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
    tf_last_counter: Mapped[int | None] = mapped_column(BigInteger)  # of the last code that was taken: none works twice
    fs_webauthn_user_handle: Mapped[str | None] = mapped_column(String(64), unique=True)  # type: ignore[assignment]
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(  # type: ignore[assignment]
        MutableList.as_mutable(EncryptedJSON)
    )
    roles: Mapped[list[StaffRole]] = relationship(secondary="staff_user_roles", lazy="selectin")  # type: ignore[assignment]
    webauthn: Mapped[list["Passkey"]] = relationship(  # type: ignore[assignment]
        back_populates="user", cascade="all, delete-orphan", order_by="Passkey.id"
    )


class Passkey(Base, WebAuthnMixin):
    """A passkey or security key of a staff member (WebAuthn). The private half never leaves the person's device."""

    __tablename__ = "staff_passkeys"
    __table_args__ = (Index("staff_passkeys_user_idx", "user_id"),)

    id: Mapped[SmallKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary(1024), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    name: Mapped[str] = mapped_column(String(64))
    usage: Mapped[str] = mapped_column(String(64))  # "first": instead of a password; "secondary": besides it
    sign_count: Mapped[int] = mapped_column(Integer)
    transports: Mapped[list[str] | None] = mapped_column(ARRAY(String(40)))
    backup_state: Mapped[bool] = mapped_column(Boolean)
    device_type: Mapped[str] = mapped_column(String(64))
    extensions: Mapped[str | None] = mapped_column(String(255))
    lastuse_datetime: Mapped[Instant]
    user: Mapped[StaffUser] = relationship(back_populates="webauthn")


class StaffSession(Base):
    """A signed-in browser of a staff member. Ends by signing out, by a revocation, or by itself when idle or too old."""

    __tablename__ = "staff_sessions"
    __table_args__ = (
        CheckConstraint("created_at <= last_seen_at", name="order"),
        Index("staff_sessions_open_idx", "user_id", postgresql_where=text("ended_at IS NULL")),
        Index("staff_sessions_last_idx", "user_id", "created_at"),
    )

    id: Mapped[PrimaryKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    methods: Mapped[list[str]] = mapped_column(ARRAY(String(20)))  # how the person proved who they are
    address: Mapped[str] = mapped_column(Encrypted)
    browser: Mapped[str] = mapped_column(Encrypted)  # as it calls itself
    created_at: Mapped[Instant]
    last_seen_at: Mapped[Instant]
    verified_at: Mapped[Instant]  # when the person last proved who they are
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class PasswordLink(Base):
    """A link by which a staff member sets a password: the first one, or one in place of what was forgotten. Works once.

    The row is the wish; the token is made when the mail leaves, and only its SHA-256 is kept.
    """

    __tablename__ = "staff_password_links"
    __table_args__ = (
        Index("staff_password_links_asked_idx", "requested_at"),
        Index(
            "staff_password_links_open_key",
            "user_id",
            unique=True,
            postgresql_where=text("spent_at IS NULL AND ended_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    requested_at: Mapped[Instant]
    expires_at: Mapped[Instant]
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    spent_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)  # a later one took its place, or the account ended


class SignInFailure(Base):
    """A sign-in that did not work. Kept a day; who and from where are keyed digests."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (
        Index("sign_in_failures_account_idx", "account", "occurred_at"),
        Index("sign_in_failures_address_idx", "address", "occurred_at"),
    )

    id: Mapped[PrimaryKey]
    account: Mapped[bytes] = mapped_column(LargeBinary(32))
    address: Mapped[bytes] = mapped_column(LargeBinary(32))
    device: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # a browser that this account signed in with before
    occurred_at: Mapped[Instant]


class HeldForm(Base):
    """What a staff member had typed when the session ended, until they are back. One a page."""

    __tablename__ = "held_forms"
    __table_args__ = (Index("held_forms_page_key", "user_id", "path", unique=True),)

    id: Mapped[PrimaryKey]
    user_id: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    path: Mapped[str] = mapped_column(String(500))
    content: Mapped[SecretJSON]  # {"action", "fields": [[name, value], ...], "focus": name}
    held_at: Mapped[Instant]


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
