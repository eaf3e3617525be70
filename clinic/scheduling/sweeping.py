"""What time alone changes in the calendar. Each row in its own transaction, so that one bad row stops no other."""

import logging

from sqlalchemy.exc import SQLAlchemyError

from clinic.audit import system
from clinic.db import db
from clinic.errors import ClinicError
from clinic.scheduling import holding, undoing

log = logging.getLogger(__name__)
BY = system("scheduling")


def sweep() -> int:
    """End every hold that ran out; answers how many. What nobody can take back any more is dropped."""
    count = 0
    undoing.forget_old()
    for hold_id, _ in holding.run_out():
        try:
            count += holding.let_go(hold_id, outcome=holding.EXPIRED, by=BY)
        except (ClinicError, SQLAlchemyError) as error:
            log.warning("hold %d not ended: %s", hold_id, type(error).__name__)
            db.session.rollback()
    return count
