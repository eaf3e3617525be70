"""What workers listen to."""

from enum import StrEnum


class Queue(StrEnum):
    """Each queue has a worker of its own, so that a full one holds up no other."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"
