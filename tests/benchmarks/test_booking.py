from datetime import UTC, datetime

from benchmarks.booking import bare_of
from clinic.scheduling import writing
from tests.builders import make_course, make_patient


def test_the_bare_transaction_knows_every_column_that_a_booking_writes(database: object) -> None:
    course = make_course(make_patient(), [datetime(2027, 3, 8, 18, tzinfo=UTC)])
    assert {*bare_of(course.id).columns, "course_id"} == set(writing.INSERT_SESSIONS.compile().params)
