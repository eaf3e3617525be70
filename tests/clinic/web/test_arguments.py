"""A number in an address that no row can have is as good as none."""

import pytest

from clinic.web.arguments import LARGEST_ID, row_id, small_row_id
from tests.builders import make_patient, make_profile

PAGES = (
    "/staff/courses?after=", "/staff/eligibility?after=", "/staff/messages?before=", "/staff/messages?after=",
    "/staff/patients/{patient}/log?before=", "/staff/messages/in?before=", "/staff/records/due?after=", "/staff/reports/next-steps?after=",
    "/staff/reports/access?before=", "/staff/people?after=",
)  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_no_page_falls_over_a_number_without_end(client, database, sign_in, page) -> None:
    make_profile()
    sign_in("manager", "prescriber")
    path = page.format(patient=make_patient().id)
    for number in (2**31, 2**63, -(2**63) - 1, 10**30):
        assert client.get(f"{path}{number}").status_code == 200


@pytest.mark.parametrize("text", ["-1", str(LARGEST_ID + 1), "x", "1.5", ""])
def test_what_no_row_can_have_is_no_id(text) -> None:
    with pytest.raises(ValueError):
        row_id(text)


def test_the_largest_id_is_one() -> None:
    assert row_id(str(LARGEST_ID)) == LARGEST_ID
    assert small_row_id(str(2**31 - 1)) == 2**31 - 1
