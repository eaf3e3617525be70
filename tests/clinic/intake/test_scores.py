"""Scores that staff enter: within the instrument's range, appended, and part of the record."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import select

from clinic.db import db, transaction
from clinic.errors import Conflict, Invalid, NotFound
from clinic.intake import operations, queries, scores
from clinic.intake.models import ScreenScore
from clinic.intake.scores_entry import enter_score
from clinic.patients.models import Patient
from tests.builders import TESTER, eligible_record, make_patient, make_staff

DAY = date(2026, 11, 20)
YES = {"yes_count": 8, "same_time": True, "problem_level": "moderate"}


@pytest.fixture
def patient(database, now, rings) -> Patient:
    return make_patient()


@pytest.fixture
def sent(patient) -> Patient:
    with transaction() as after_commit:
        operations.add_sent_within_transaction(
            patient, eligible_record(mdq_positive=None), by=TESTER, after_commit=after_commit
        )
    return patient


def enter(patient: Patient, instrument: str, total: int | None = None, parts: Any = None, **more: Any) -> int:
    staff = make_staff("nurse")
    return enter_score(
        patient.id, instrument, total, parts, more.pop("taken_on", DAY), staff_id=staff.id, by=TESTER, **more
    )


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("mdq", 0, 13),
        ("dast10", 0, 10),
        ("isi", 0, 28),
        ("hamd17", 0, 52),
        ("madrs", 0, 60),
        ("cgi", 1, 7),
        ("qids_sr16", 0, 27),
        ("bdi2", 0, 63),
    ],
)
def test_each_instrument_has_the_range_of_its_file(key, low, high) -> None:
    entry = scores.entries()[key]
    assert (entry.low, entry.high, bool(entry.licence)) == (low, high, True)


@pytest.mark.parametrize(
    ("key", "total"), [("isi", -1), ("isi", 29), ("cgi", 0), ("cgi", 8), ("isi", None), ("isi", True)]
)
def test_a_total_out_of_range_is_refused(patient, key, total) -> None:
    with pytest.raises(Invalid) as refused:
        enter(patient, key, total)
    assert refused.value.details["fields"] == ["total"]


@pytest.mark.parametrize("total", [0, 28])
def test_the_ends_of_the_range_are_in_it(patient, total) -> None:
    enter(patient, "isi", total)


@pytest.mark.parametrize("key", ["phq9", "cssrs", "nonsense"])
def test_what_is_filled_in_here_is_not_entered(patient, key) -> None:
    with pytest.raises(Invalid):
        enter(patient, key, 1)


@pytest.mark.parametrize(
    ("change", "positive"),
    [
        ({}, True),
        ({"yes_count": 7}, True),
        ({"yes_count": 6}, False),
        ({"same_time": False}, False),
        ({"problem_level": "minor"}, False),
        ({"problem_level": "serious"}, True),
    ],
)
def test_the_mdq_is_positive_by_all_three_parts(change, positive) -> None:
    assert scores.is_positive(YES | change) is positive


@pytest.mark.parametrize("change", [{"yes_count": 14}, {"same_time": None}, {"problem_level": "huge"}])
def test_an_mdq_without_its_parts_is_refused(patient, change) -> None:
    with pytest.raises(Invalid) as refused:
        enter(patient, "mdq", None, YES | change)
    assert refused.value.details["fields"] == list(change)


def test_a_positive_mdq_goes_into_the_record(sent, rings) -> None:
    enter(sent, "mdq", None, YES)
    found = queries.latest_submitted(sent.id)
    assert found.record["mdq_positive"] is True
    assert [(row.path, row.source) for row in queries.amendments(found.id)] == [("mdq_positive", "score")]
    assert ("eligibility.assess", {"intake_id": found.id}) in rings


def test_a_total_goes_into_the_record_and_a_rating_without_a_place_does_not(sent) -> None:
    enter(sent, "madrs", 31)
    assert queries.latest_submitted(sent.id).record["scores"] == {"madrs": 31}
    before = queries.latest_submitted(sent.id).id
    enter(sent, "cgi", 5)
    assert queries.latest_submitted(sent.id).id == before


def test_the_newest_day_counts_whatever_was_entered_last(sent) -> None:
    enter(sent, "isi", 20)
    enter(sent, "isi", 9, taken_on=date(2026, 10, 1))
    assert queries.latest_submitted(sent.id).record["scores"] == {"isi": 20}


def test_a_correction_takes_the_place_and_both_stay(sent) -> None:
    first = enter(sent, "isi", 20)
    second = enter(sent, "isi", 12, corrects=first)
    assert [row.id for row in queries.screen_scores(sent.id)] == [second]
    assert [row.total for row in queries.every_score(sent.id)] == [12, 20]
    assert queries.latest_submitted(sent.id).record["scores"] == {"isi": 12}
    with pytest.raises(Conflict):
        enter(sent, "isi", 13, corrects=first)
    with pytest.raises(NotFound):
        enter(sent, "dast10", 3, corrects=second)


def test_a_day_to_come_is_refused(patient) -> None:
    with pytest.raises(Invalid):
        enter(patient, "isi", 5, taken_on=date(2026, 11, 24))


def test_a_form_that_is_sent_later_takes_the_scores_along(person) -> None:
    person.known()
    enter(db.session.get_one(Patient, person.intake.patient_id), "mdq", None, YES)
    person.send()
    assert person.intake.record["mdq_positive"] is True


# -- the page -------------------------------------------------------------------------------------------------------


def test_a_nurse_enters_and_corrects_a_score(sent, client, sign_in) -> None:
    sign_in("nurse")
    url = f"/staff/patients/{sent.id}/scores"
    page = client.get(f"{url}?instrument=isi").get_data(as_text=True)
    assert "copyright Morin" in page
    refused = client.post(f"{url}?instrument=isi", data={"total": "40", "taken_on": "2026-11-20"})
    assert refused.status_code == 422
    assert "from 0 to 28" in refused.get_data(as_text=True)
    assert client.post(f"{url}?instrument=isi", data={"total": "16", "taken_on": "2026-11-20"}).status_code == 302
    row = db.session.scalars(select(ScreenScore)).one()
    assert 'value="16"' in client.get(f"{url}?instrument=isi&corrects={row.id}").get_data(as_text=True)
    client.post(f"{url}?instrument=isi&corrects={row.id}", data={"total": "15", "taken_on": "2026-11-20"})
    assert [row.total for row in queries.screen_scores(sent.id)] == [15]
    assert client.get(f"{url}?instrument=isi&corrects={row.id}").status_code == 404


def test_the_mdq_is_entered_by_its_parts(sent, client, sign_in) -> None:
    sign_in("prescriber")
    data = {"yes_count": "9", "same_time": "yes", "problem_level": "serious", "taken_on": "2026-11-20"}
    assert client.post(f"/staff/patients/{sent.id}/scores?instrument=mdq", data=data).status_code == 302
    assert queries.latest_submitted(sent.id).record["mdq_positive"] is True


def test_scores_stand_beside_the_depression_score_on_the_record(sent, client, sign_in) -> None:
    enter(sent, "isi", 16)
    sign_in("therapist")
    page = client.get(f"/staff/patients/{sent.id}").get_data(as_text=True)
    assert "Insomnia Severity Index" in page
    assert "Nov 20, 2026" in page


@pytest.mark.parametrize("role", ["front_desk", "operator", "manager"])
def test_scores_are_for_clinical_roles(sent, client, sign_in, role) -> None:
    sign_in(role)
    assert client.get(f"/staff/patients/{sent.id}/scores").status_code == 403
