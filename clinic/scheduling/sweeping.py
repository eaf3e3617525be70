"""What time alone changes in the calendar. Each row in its own transaction, so that one bad row stops no other."""

import logging
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError

from clinic.audit import system
from clinic.db import db
from clinic.errors import ClinicError
from clinic.scheduling import answering, deltas, holding, together, undoing, waiting

log = logging.getLogger(__name__)
BY = system("scheduling")


def sweep() -> int:
    """End what ran out: holds, offers, re-plans that nobody answered; offer what came free. Answers how many that were."""
    undoing.forget_old()
    deltas.forget_old()
    together.forget_old()
    count = _each("change", answering.unanswered(), lambda x: answering.lapse_change(x, by=BY))
    count += _each("offer", waiting.run_out(), lambda x: waiting.lapse(x, by=BY))
    holds = [hold_id for hold_id, _ in holding.run_out()]
    count += _each("hold", holds, lambda x: holding.let_go(x, outcome=holding.EXPIRED, by=BY))
    return count + len(waiting.offer_freed(by=BY))


def _each(what: str, ids: Iterable[int], do: Callable[[int], object]) -> int:
    count = 0
    for row_id in ids:
        try:
            do(row_id)
            count += 1
        except (ClinicError, SQLAlchemyError) as error:
            log.warning("%s %d not ended: %s", what, row_id, type(error).__name__)
            db.session.rollback()
    return count
