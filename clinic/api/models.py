"""Remembered answers to POSTs, so that a repeated request is answered and not repeated."""

from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from clinic.db import Base, EncryptedJSON, Instant, PrimaryKey


class IdempotencyKey(Base):
    """The first answer to a POST of one token under one key, kept for 24 hours."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (
        Index("idempotency_keys_key_key", "token_id", "key", unique=True),
        Index("idempotency_keys_created_idx", "created_at"),
    )

    id: Mapped[PrimaryKey]
    token_id: Mapped[int] = mapped_column(ForeignKey("api_tokens.id"))
    key: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    status: Mapped[int | None] = mapped_column(SmallInteger)  # null while the first request runs
    answer: Mapped[Any | None] = mapped_column(EncryptedJSON)
    created_at: Mapped[Instant]
