"""What features above say about their own tasks on the Today page."""

from collections.abc import Callable
from typing import NamedTuple

from clinic.tasks.models import Task


class Target(NamedTuple):
    """What a task leads to: the page where it is done, the verb of its button, a sentence without health data."""

    url: str
    verb: str
    text: str = ""


TARGETS: dict[str, Callable[[Task], Target | None]] = {}  # by task kind


def target_of(task: Task) -> Target | None:
    """Where the task is done; None where the feature did not say."""
    return TARGETS[task.kind](task) if task.kind in TARGETS else None
