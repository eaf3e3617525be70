"""Where features above put their parts of the Today page, and what they say about their own tasks."""

from collections.abc import Callable, Collection
from typing import NamedTuple

from markupsafe import Markup

from clinic.tasks.models import Task


class Target(NamedTuple):
    """What a task leads to: the page where it is done, the verb of its button, a sentence without health data."""

    url: str
    verb: str
    text: str = ""


SIDE: list[tuple[int, Callable[[Collection[int]], Markup | None]]] = []  # order, render(location ids)
TARGETS: dict[str, Callable[[Task], Target | None]] = {}  # by task kind


def add_side(order: int, render: Callable[[Collection[int]], Markup | None]) -> None:
    """Put a part beside the worklist: arrivals, devices."""
    SIDE.append((order, render))


def side_for(location_ids: Collection[int]) -> list[Markup]:
    """The parts beside the worklist, in order."""
    shown = (render(location_ids) for _, render in sorted(SIDE, key=lambda entry: entry[0]))
    return [part for part in shown if part is not None]


def target_of(task: Task) -> Target | None:
    """Where the task is done; None where the feature did not say."""
    return TARGETS[task.kind](task) if task.kind in TARGETS else None
