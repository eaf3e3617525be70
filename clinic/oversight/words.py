"""Parts of a record in plain words, for the person whom it is about."""

from flask_babel import lazy_gettext as _

PARTS = {
    "patients": _("your record"),
    "channel_consents": _("how we may write to you"),
    "intakes": _("your history"),
    "intake_consents": _("what you agreed to"),
    "attachments": _("your files"),
    "assessments": _("the review of your history"),
    "decisions": _("a decision on your treatment"),
    "opinions": _("a second opinion"),
    "patient_asks": _("questions to you"),
    "packets": _("papers for your insurance"),
    "packet_drafts": _("papers for your insurance"),
    "releases": _("your summary"),
    "release_drafts": _("your summary"),
    "plan_items": _("your plan"),
    "referrals": _("a referral"),
    "patient_questions": _("what you asked"),
    "tasks": _("something to do for you"),
    "courses": _("your visits"),
    "treatment_sessions": _("your visits"),
    "surveys": _("your check-ins"),
    "scores": _("your check-ins"),
    "screen_scores": _("scores"),
    "messages": _("messages to you"),
    "link_requests": _("a link for you"),
    "record_openings": _("your record"),
}
OTHER = _("another part of your record")

ROLES = {
    "front_desk": _("front desk"),
    "operator": _("device operator"),
    "nurse": _("nurse"),
    "therapist": _("therapist"),
    "prescriber": _("prescriber"),
    "manager": _("manager"),
}


def parts(entities: set[str]) -> list[str]:
    """The parts in words, each once, in order."""
    return sorted({str(PARTS.get(entity, OTHER)) for entity in entities})
