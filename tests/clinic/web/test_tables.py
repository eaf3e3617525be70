"""Tables for spreadsheets."""

import csv
import io

import pytest

from clinic.web import tables
from tests.builders import make_device, make_location


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
def test_no_text_becomes_a_formula(text) -> None:
    row = next(csv.reader(io.StringIO(tables.as_csv([text], []), newline="")))
    assert row == [f"'{text}"] or tables.plain(text) == f"'{text}"


def test_numbers_and_nothing_stay_what_they_are() -> None:
    assert tables.as_csv(["a", "b", "c"], [[-1, None, "x"]]).splitlines() == ["a,b,c", "-1,,x"]


def test_a_device_named_like_a_formula_is_none_in_the_table_of_capacity(client, sign_in, now, database) -> None:
    site = make_location()
    make_device(site, name="=cmd|' /C calc'!A0")
    sign_in("manager")
    assert ",'=cmd" in client.get(f"/staff/capacity/{site.slug}.csv").text
