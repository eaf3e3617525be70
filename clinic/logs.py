"""What the logs of web and workers hold: when, how bad, which part, ids. Never what somebody typed.

The words of an exception may quote any value (a date that could not be read, the row that broke a constraint), so a
fault is written as its kinds and places: classes, files, lines, and the codes and names that a database gives.
"""

import logging
import time
import traceback
from collections.abc import Iterator
from types import TracebackType

_TASKS = "celery.app.trace"  # its message quotes the exception
_UNSEEN = {code: f"\\x{code:02x}" for code in (*range(0x20), 0x7F, *range(0x80, 0xA0))}
_ENDS = {0x2028: "\\u2028", 0x2029: "\\u2029"}  # a reader of logs may take them for ends of lines


class Lines(logging.Formatter):
    """One line an entry, UTC, whatever was handed in; the places of a fault below it."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - its base names it
        """The entry's first line. What was handed in ends no line and hides none."""
        about = getattr(record, "data", None)
        if record.name == _TASKS and record.exc_info and isinstance(about, dict):
            record.message = f"task {about.get('name')} [{about.get('id')}] failed"
        return super().formatMessage(record).translate(_UNSEEN | _ENDS)

    def formatException(  # noqa: N802 - its base names it
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Where it happened and what kind of fault it was, its causes first, without its words."""
        return "".join(_places(ei[1])).rstrip() if ei[1] is not None else ""


def _places(error: BaseException) -> Iterator[str]:
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _places(before)
        yield "then:\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{type(error).__module__}.{type(error).__qualname__}{_codes(error)}\n"


def _codes(error: BaseException) -> str:
    """What says more and tells of nobody: the system's or the database's code, and the constraint's name."""
    about = getattr(error, "diag", None)
    known = (getattr(error, "errno", None), getattr(error, "sqlstate", None), getattr(about, "constraint_name", None))
    told = " ".join(str(each) for each in known if each)
    return f" ({told})" if told else ""


def to_standard_error() -> None:
    """Let this process write such lines where nobody has set up anything else."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(Lines())
        root.addHandler(handler)
