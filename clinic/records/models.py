"""What keeps a record from being deleted."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, Instant, PrimaryKey, Secret, UTCDateTime
from clinic.patients import sites


@sites.named("legal_hold_id")
class LegalHold(Base):
    """A record that must not be deleted, whatever its age: a lawsuit, an inquiry, the patient's own wish."""

    __tablename__ = "legal_holds"
    __table_args__ = (
        CheckConstraint("(lifted_at IS NULL) = (lifted_by IS NULL)", name="lifted_by_someone"),
        Index("legal_holds_present_key", "patient_id", unique=True, postgresql_where=text("lifted_at IS NULL")),
    )

    id: Mapped[PrimaryKey]
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    reason: Mapped[Secret]
    placed_by: Mapped[int] = mapped_column(ForeignKey("staff_users.id"))
    placed_at: Mapped[Instant]
    lifted_by: Mapped[int | None] = mapped_column(ForeignKey("staff_users.id"))
    lifted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
