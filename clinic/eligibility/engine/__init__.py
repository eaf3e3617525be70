"""The pure eligibility engine: an intake record in, verdicts with their reasons out."""

from clinic.eligibility.engine.assess import Assessment, assess
from clinic.eligibility.engine.record import IntakeRecord

__all__ = ["Assessment", "IntakeRecord", "assess"]
