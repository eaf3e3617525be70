"""Where features above put their parts of a patient's pages. They register at import; nothing here knows them."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from flask import url_for
from markupsafe import Markup

from clinic.patients.models import LinkPurpose

Render = Callable[[int], Markup | None]  # given the patient's id; None where there is nothing to show


class Section(NamedTuple):
    """One part of a page. Lower `order` stands higher; no roles: any staff."""

    order: int
    render: Render
    roles: frozenset[str] = frozenset()


class Tab(NamedTuple):
    """One entry of the patient's tab bar."""

    order: int
    label: str
    endpoint: str
    icon: str


class Opened(NamedTuple):
    """What a spent link, or the session that it opened, is about."""

    purpose: str
    intake_id: int | None
    survey_id: int | None
    session_id: int | None
    ask_id: int | None


ALWAYS = 80  # parts of the home from this order on say nothing about a plan: the home may still call itself empty

SECTIONS: list[Section] = []  # the staff's record page
HOME: list[Section] = []  # the patient's own home; order below 20 is the light, from ALWAYS on what always stands there
TABS: list[Tab] = []
LANDING: dict[str, Callable[[Opened], str]] = {}  # by link purpose: address of the page that the link is for


def add_section(order: int, render: Render, roles: Collection[str] = ()) -> None:
    """Put a part on the staff's record page, for these roles or for all."""
    SECTIONS.append(Section(order, render, frozenset(map(str, roles))))


def add_home(order: int, render: Render) -> None:
    """Put a part on the patient's home."""
    HOME.append(Section(order, render))


def sections_for(patient_id: int, roles: frozenset[str]) -> list[Markup]:
    """The parts of the record that these roles may see, in order."""
    return [
        shown
        for section in sorted(SECTIONS, key=lambda section: section.order)
        if not section.roles or not section.roles.isdisjoint(roles)
        if (shown := section.render(patient_id)) is not None
    ]


def home_for(patient_id: int) -> tuple[list[Markup], list[Markup]]:
    """The parts of the patient's home, in order: what is planned or asked, and what always stands below it."""
    plan: list[Markup] = []
    more: list[Markup] = []
    for section in sorted(HOME, key=lambda section: section.order):
        part = section.render(patient_id)
        if part is not None:
            (plan if section.order < ALWAYS else more).append(part)
    return plan, more


def tabs(current: str) -> list[dict[str, object]]:
    """The tab bar, with the endpoint of the present page marked."""
    return [
        {"label": tab.label, "url": url_for(tab.endpoint), "icon": tab.icon, "current": tab.endpoint == current}
        for tab in sorted(TABS)
    ]


def landing(opened: Opened) -> str:
    """Where a person goes on after spending a link."""
    if opened.purpose in LANDING:
        return LANDING[opened.purpose](opened)
    if opened.purpose == LinkPurpose.INTAKE:
        return "/intake"
    if opened.purpose == LinkPurpose.SURVEY:
        return f"/surveys/{opened.survey_id}"
    if opened.purpose == LinkPurpose.VISIT:
        return "/visit"
    if opened.purpose == LinkPurpose.ASK:
        return f"/questions/{opened.ask_id}"
    return url_for("patients.home")
