"""Assessments as the engine gave them, and what a prescriber decided on them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Boolean, CheckConstraint, Date, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import (
    Base,
    Encrypted,
    EncryptedBytes,
    EncryptedJSON,
    Instant,
    PrimaryKey,
    Secret,
    SecretJSON,
    SmallKey,
    UTCDateTime,
    Word,
    one_of,
)
from clinic.patients import sites


class Pathway(StrEnum):
    """Treatments that a decision can approve."""

    TMS = "tms"
    ESKETAMINE = "esketamine"
    IV_KETAMINE = "iv_ketamine"


class Verdict(StrEnum):
    """Words for a pathway."""

    LIKELY_ELIGIBLE = "likely_eligible"
    NOT_YET = "not_yet"
    NEEDS_REVIEW = "needs_review"
    CONTRAINDICATED = "contraindicated"


class TrdVerdict(StrEnum):
    """Words for the criteria of treatment-resistant depression."""

    MET = "met"
    NOT_MET = "not_met"
    UNDETERMINED = "undetermined"


class DecisionKind(StrEnum):
    """What a prescriber decided."""

    APPROVE = "approve"
    ASK = "ask"
    DECLINE = "decline"


@sites.named("assessment_id")
class Assessment(Base):
    """One run of the engine: the record as seen, the rules used, the whole answer. Never edited, only superseded."""

    __tablename__ = "assessments"
    __table_args__ = (
        one_of("trd", [*TrdVerdict]),
        one_of("tms", [*Verdict]),
        one_of("esketamine", [*Verdict]),
        one_of("iv_ketamine", [*Verdict]),
        Index(
            "assessments_present_key",
            "patient_id",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    intake_id: Mapped[int | None] = mapped_column(ForeignKey("intakes.id"))
    ruleset: Mapped[Word]
    ruleset_version: Mapped[str] = mapped_column(String(20))
    record: Mapped[SecretJSON]
    result: Mapped[SecretJSON]
    result_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    trd: Mapped[Word]
    tms: Mapped[Word]
    esketamine: Mapped[Word]
    iv_ketamine: Mapped[Word]
    is_urgent: Mapped[bool] = mapped_column(Boolean)
    rules: Mapped[Any] = mapped_column(JSONB, default=list)  # [[kind, key, version]]: every entry that was used
    payer_policies: Mapped[Any] = mapped_column(JSONB, default=list)  # ids of the catalogue's policies of this payer
    reason: Mapped[str | None] = mapped_column(Encrypted)  # why the same record was assessed again
    waits: Mapped[bool] = mapped_column(Boolean, default=True)  # false: made again, decided before, no verdict changed
    assessed_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class Decision(Base):
    """A prescriber's decision on one pathway. Appended: a new one supersedes the present one."""

    __tablename__ = "decisions"
    __table_args__ = (
        one_of("pathway", [*Pathway]),
        one_of("decision", [*DecisionKind]),
        CheckConstraint("decided_by IS NOT NULL OR token_id IS NOT NULL", name="decided_by_someone"),
        Index(
            "decisions_present_key",
            "patient_id",
            "pathway",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id"))
    pathway: Mapped[Word]
    decision: Mapped[Word]
    reason: Mapped[Secret]
    is_override: Mapped[bool] = mapped_column(Boolean)
    evaluation: Mapped[str | None] = mapped_column(Encrypted)  # the psychiatric evaluation that the signature covers
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("api_tokens.id"))
    decided_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RuleKind(StrEnum):
    """Entries of the catalogue that verdicts rest on."""

    RULESET = "ruleset"
    ADEQUACY = "adequacy"
    POLICY = "policy"
    DRUGS = "drugs"
    SCREENS = "screens"
    OPTIONS = "options"


class RuleVersion(Base):
    """An entry of the catalogue as it was when it was first used. The same version with other content is refused."""

    __tablename__ = "rule_versions"
    __table_args__ = (
        one_of("kind", [*RuleKind]),
        Index("rule_versions_version_key", "kind", "key", "version", unique=True),
    )

    id: Mapped[SmallKey]
    kind: Mapped[Word]
    key: Mapped[str] = mapped_column(String(80))
    version: Mapped[str] = mapped_column(String(20))
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    content: Mapped[Any] = mapped_column(JSON)  # not JSONB: the order of the file is kept
    first_used_at: Mapped[Instant]


class PolicyVerification(Base):
    """A person of the clinic read the payer's own text and holds our file to be true. Appended; the newest counts."""

    __tablename__ = "policy_verifications"
    __table_args__ = (
        Index(
            "policy_verifications_present_key",
            "policy",
            unique=True,
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    id: Mapped[SmallKey]
    policy: Mapped[str] = mapped_column(String(80))
    version: Mapped[str] = mapped_column(String(20))
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    is_on: Mapped[bool] = mapped_column(Boolean)  # false: switched off again
    verified_on: Mapped[date] = mapped_column(Date)
    note: Mapped[str | None] = mapped_column(Encrypted)  # where it was read
    verified_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    recorded_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class OpinionKind(StrEnum):
    """What a second prescriber thinks."""

    AGREE = "agree"
    DISAGREE = "disagree"
    NEED_MORE = "need_more"


@sites.named("opinion_id")
class Opinion(Base):
    """A second opinion that was asked for; `given_at` is null while it waits."""

    __tablename__ = "opinions"
    __table_args__ = (
        one_of("opinion", [*OpinionKind]),
        CheckConstraint("(given_at IS NULL) = (opinion IS NULL)", name="given_whole"),
        CheckConstraint("given_by IS DISTINCT FROM asked_by", name="second_person"),
        Index("opinions_patient_idx", "patient_id"),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id"))
    pathway: Mapped[Word]
    question: Mapped[Secret]
    asked_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    asked_of: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))  # null: any prescriber
    asked_at: Mapped[Instant]
    opinion: Mapped[str | None] = mapped_column(String(40))
    reason: Mapped[str | None] = mapped_column(Encrypted)
    given_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    given_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class AskState(StrEnum):
    """States of a short form sent to a patient; transitions in docs/states.md."""

    OPEN = "open"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"


@sites.named("ask_id")
class PatientAsk(Base):
    """Questions that the assessment left open, sent to the patient as one short form."""

    __tablename__ = "patient_asks"
    __table_args__ = (
        one_of("state", [*AskState]),
        CheckConstraint("(state = 'answered') = (answered_at IS NOT NULL)", name="answered"),
        Index("patient_asks_open_key", "patient_id", unique=True, postgresql_where=text("state = 'open'")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id"))
    state: Mapped[Word]
    questions: Mapped[SecretJSON]  # [{"field", "question"}], in order
    answers: Mapped[Any | None] = mapped_column(EncryptedJSON)  # by field, as typed; a draft while open
    note: Mapped[str | None] = mapped_column(Encrypted)  # the clinic's own words above the questions
    asked_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    asked_at: Mapped[Instant]
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


@sites.named("packet_id")
class Packet(Base):
    """A prior-authorization packet as it was issued: its statements with their evidence, and the PDF."""

    __tablename__ = "packets"
    __table_args__ = (Index("packets_patient_idx", "patient_id"),)

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    assessment_id: Mapped[int] = mapped_column(ForeignKey("assessments.id"))
    policy: Mapped[str] = mapped_column(String(80))
    policy_version: Mapped[str] = mapped_column(String(20))
    content: Mapped[SecretJSON]
    pdf: Mapped[bytes] = mapped_column(EncryptedBytes, deferred=True)
    pdf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    holes: Mapped[int]  # how many statements were missing when it was issued
    issued_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    issued_at: Mapped[Instant]


class PacketDraft(Base):
    """What a clinician adds before a packet is issued: the protocol asked for, and one paragraph in their own words."""

    __tablename__ = "packet_drafts"
    __table_args__ = (Index("packet_drafts_one_key", "patient_id", "policy", unique=True),)

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    policy: Mapped[str] = mapped_column(String(80))
    protocol: Mapped[str | None] = mapped_column(String(60))
    words: Mapped[str | None] = mapped_column(Encrypted)
    revision: Mapped[int]  # rises with every save, so that a second tab is noticed
    edited_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    edited_at: Mapped[Instant]
