"""Where features beside and above put their parts of the review page. They register at import; nothing here knows them."""

from collections.abc import Callable, Collection
from typing import Literal, NamedTuple

from markupsafe import Markup

from clinic.eligibility.models import Assessment

Render = Callable[[Assessment], Markup | None]  # given the assessment on the page; None where there is nothing to show
Place = Literal["side", "main"]


class Panel(NamedTuple):
    """One part of the review page. Lower `order` stands higher; no roles: every role that may read the page."""

    order: int
    render: Render
    place: Place = "side"
    roles: frozenset[str] = frozenset()


REVIEW_PANELS: list[Panel] = []


def add_panel(order: int, render: Render, *, place: Place = "side", roles: Collection[str] = ()) -> None:
    """Put a part on the review page: beside the evidence, or below it in the main column."""
    REVIEW_PANELS.append(Panel(order, render, place, frozenset(map(str, roles))))


def panels_for(assessment: Assessment, roles: frozenset[str]) -> dict[Place, list[Markup]]:
    """The parts that these roles may see, by place, in order."""
    found: dict[Place, list[Markup]] = {"side": [], "main": []}
    for panel in sorted(REVIEW_PANELS, key=lambda panel: panel.order):
        if panel.roles and panel.roles.isdisjoint(roles):
            continue
        part = panel.render(assessment)
        if part is not None:
            found[panel.place].append(part)
    return found
