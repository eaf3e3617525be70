"""Assessments as the engine gave them, and what a prescriber decided on them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, LargeBinary, String, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Instant, PrimaryKey, Secret, SecretJSON, UTCDateTime, Word, one_of


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
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("api_tokens.id"))
    decided_at: Mapped[Instant]
    superseded_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
