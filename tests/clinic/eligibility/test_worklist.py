"""The worklist: filters in the address, paging, what an empty answer says."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from clinic import clock
from clinic.db import db
from clinic.eligibility.operations import submit_record
from tests.builders import TESTER, eligible_record, failed_trial, make_location, make_patient, make_profile


@pytest.fixture(autouse=True)
def _quiet(client: FlaskClient, now: Any, rings: Any) -> None:
    make_profile()


def sent(**overrides: Any) -> str:
    place = overrides.pop("place", None)
    patient = make_patient(preferred_location_id=place.id if place else None)
    submit_record(patient.id, eligible_record(**overrides), by=TESTER)
    return patient.record_number


def listed(client: FlaskClient, query: str) -> str:
    answer = client.get(f"/staff/eligibility?{query}")
    assert answer.status_code == 200
    page: str = answer.text
    return page[page.index("</header>") :] if "<tbody>" not in page else page[page.index("<thead>") :]


@pytest.mark.parametrize(
    "query", ["verdict=trd:not_met", "verdict=tms:not_yet", "verdict=esketamine:not_yet", "verdict=iv_ketamine:not_yet"]
)
def test_a_verdict_filters(client: FlaskClient, sign_in: Any, query: str) -> None:
    met, unmet = sent(), sent(trials=[failed_trial("sertraline", 150)])
    sign_in("prescriber")
    page = listed(client, query)
    assert (met in page, unmet in page) == (False, True)


def test_a_payer_filters_by_the_policies_that_name_it(client: FlaskClient, sign_in: Any) -> None:
    cigna, aetna, other = sent(payer="Cigna"), sent(payer="Aetna"), sent()
    sign_in("prescriber")
    page = listed(client, "payer=Aetna")
    assert [number in page for number in (cigna, aetna, other)] == [False, True, False]
    page = listed(client, "payer=none")
    assert [number in page for number in (cigna, aetna, other)] == [False, False, True]


def test_urgent_ones_and_one_site_filter(client: FlaskClient, sign_in: Any) -> None:
    here, there = make_location(), make_location()
    calm = sent(place=here)
    scale = {**eligible_record()["cssrs"], "plan": True}
    urgent = sent(place=there, cssrs=scale)
    sign_in("prescriber", locations=(here, there))
    assert (urgent in listed(client, "urgent=y"), calm in listed(client, "urgent=y")) == (True, False)
    assert (urgent in listed(client, f"site={here.id}"), calm in listed(client, f"site={here.id}")) == (False, True)


def test_waiting_since_filters(client: FlaskClient, sign_in: Any) -> None:
    with clock.frozen(clock.now() - timedelta(days=4)):
        old = sent()
    new = sent()
    sign_in("prescriber")
    assert (old in listed(client, "since=3"), new in listed(client, "since=3")) == (True, False)
    assert old not in listed(client, "since=7")


def test_a_record_number_finds_one_with_or_without_its_letter(client: FlaskClient, sign_in: Any) -> None:
    one, other = sent(), sent()
    sign_in("prescriber")
    for typed in (one, one.removeprefix("D-"), one.lower()):
        page = listed(client, f"q={typed}")
        assert (one in page, f"{other}</a>" in page) == (True, False)


def test_a_filter_that_does_not_exist_is_no_fault(client: FlaskClient, sign_in: Any) -> None:
    number = sent()
    sign_in("prescriber")
    assert number in listed(client, "verdict=perhaps&site=999&since=x&payer=Nobody&after=abc")


def test_an_empty_answer_says_why_and_leads_back(client: FlaskClient, sign_in: Any) -> None:
    sign_in("prescriber")
    assert "Everything that was sent has a decision." in listed(client, "")
    sent()
    page = listed(client, "q=D-1")
    assert "No history fits these filters" in page
    assert "Show all that wait" in page


def test_pages_keep_the_filters(client: FlaskClient, sign_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic.eligibility.views.PAGE", 1)
    first, second = sent(), sent()
    sign_in("prescriber")
    page = listed(client, "verdict=trd:met")
    assert (first in page, second in page) == (True, False)
    link = page[page.index('rel="next" href="') + 17 :].split('"')[0].replace("&amp;", "&")
    assert "verdict=trd:met" in link.replace("%3A", ":")
    assert second in client.get(link).text


def test_the_list_takes_the_same_queries_for_one_row_and_for_many(
    client: FlaskClient, sign_in: Any, count_statements: Any
) -> None:
    sent()
    sign_in("prescriber")
    one = reads(client, count_statements)
    for _ in range(8):
        sent(payer="Cigna")
    assert reads(client, count_statements) == one


def reads(client: FlaskClient, count_statements: Any) -> int:
    db.session.commit()
    db.session.remove()
    with count_statements() as statements:
        listed(client, "")
    return sum(1 for each in statements if each.startswith("SELECT"))


def test_the_table_has_at_most_seven_columns(client: FlaskClient, sign_in: Any) -> None:
    sent()
    sign_in("prescriber")
    page = listed(client, "")
    assert page[page.index("<thead>") : page.index("</thead>")].count("<th") - 1 <= 7
