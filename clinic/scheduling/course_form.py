"""The form of a new course for one person: what can be booked, approved treatments first."""

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from clinic.eligibility.queries import approved_pathways
from clinic.locations import queries as locations
from clinic.protocols.base import Protocol
from clinic.protocols.shapes import bookable
from clinic.scheduling.forms import CourseForm

TAPERED, SEVERAL = "TMS, a session a weekday with taper", "TMS, several sessions a day"
KETAMINE, ONE_VISIT = "Ketamine and esketamine", "One visit: maintenance and boosters"
SHAPES = {"six_weeks": "TMS, six weeks without taper", "noridian": "TMS in blocks: 20 and 5, then 10 and 6"}
HEADINGS = (TAPERED, SEVERAL, KETAMINE, *SHAPES.values(), ONE_VISIT)


def grouped(protocols: Iterable[Protocol], first: Collection[str] = ()) -> dict[str, list[tuple[str, str]]]:
    """Choices under headings by kind of course, kinds with one of the modalities `first` in front."""
    found: dict[str, list[Protocol]] = {}
    for one in protocols:
        found.setdefault(_heading(one), []).append(one)
    order = sorted(found, key=lambda x: (not any(one.modality in first for one in found[x]), HEADINGS.index(x)))
    return {heading: [(one.key, one.name) for one in found[heading]] for heading in order}


def _heading(protocol: Protocol) -> str:
    shape = protocol.key.partition(".")[2]
    if len(protocol.visits) == 1:
        return ONE_VISIT
    if shape in SHAPES:
        return SHAPES[shape]
    if protocol.modality != "tms":
        return KETAMINE
    return SEVERAL if any(len(visit.offsets) > 1 for visit in protocol.visits) else TAPERED


def course_form(patient_id: int, **defaults: Any) -> CourseForm:
    """Protocols that some device gives: approved treatments first, then what most devices give."""
    sites = locations.active()
    offered = Counter(key for site in sites for device in site.devices for key in device.protocols)
    approved = approved_pathways(patient_id)
    known = sorted(
        (protocol for protocol in bookable().values() if protocol.gives in offered),
        key=lambda one: (one.modality not in approved, -offered[one.gives], one.name),
    )
    return CourseForm(protocols=grouped(known, approved), sites=[(site.id, site.name) for site in sites], **defaults)
