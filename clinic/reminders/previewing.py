"""The words of a message before it is due: for those who decide whether it goes out."""

from collections.abc import Sequence

from clinic.locations import queries as locations
from clinic.reminders.due import Purpose
from clinic.reminders.wording import Content, Place, When, compose
from clinic.scheduling import telling
from clinic.scheduling.telling import NewTime

LINK = {"en": "(link)", "es": "(enlace)"}  # each message gets a link of its own when it is sent


def moved(language: str, times: Sequence[NewTime]) -> str:
    """The text message about new times."""
    profile = locations.profile()
    sites = {each: locations.get(each) for time in times for each in (time.location_id, time.was_location_id)}
    places = {key: Place(site.name, site.address, site.tz) for key, site in sites.items()}
    content = Content(
        purpose=Purpose.SESSION_MOVED,
        language=language,
        clinic=profile.short_name if profile else "Daybreak",
        phone=profile.phone if profile else "",
        home="",
        url=LINK.get(language, LINK["en"]),
        visits=[When(time.starts_at, places[time.location_id]) for time in times],
        was=When(times[0].was_at, places[times[0].was_location_id]) if len(times) == 1 else None,
        tz=places[times[0].location_id].tz,
    )
    return compose(content, "sms").body


telling.SAYS.append(moved)
