"""The form of a new course for one person: what can be booked, approved treatments first."""

from collections import Counter
from typing import Any

from clinic.eligibility.queries import approved_pathways
from clinic.locations import queries as locations
from clinic.protocols.shapes import bookable
from clinic.scheduling.forms import CourseForm


def course_form(patient_id: int, **defaults: Any) -> CourseForm:
    """Protocols that some device gives: approved treatments first, then what most devices give."""
    sites = locations.active()
    offered = Counter(key for site in sites for device in site.devices for key in device.protocols)
    approved = approved_pathways(patient_id)
    known = sorted(
        (protocol for protocol in bookable().values() if protocol.gives in offered),
        key=lambda one: (one.modality not in approved, -offered[one.gives], one.name),
    )
    return CourseForm(
        protocols=[(one.key, one.name) for one in known], sites=[(site.id, site.name) for site in sites], **defaults
    )
