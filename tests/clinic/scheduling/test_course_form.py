"""What can be booked, under headings by kind of course."""

from clinic.protocols.shapes import bookable
from clinic.scheduling.course_form import HEADINGS, grouped
from clinic.scheduling.forms import StartsForm


def test_every_protocol_stands_under_one_heading_and_keeps_its_name_first() -> None:
    found = grouped(bookable().values())
    assert list(found) == list(HEADINGS)
    assert sorted(key for group in found.values() for key, _ in group) == sorted(bookable())
    assert ("saint_snt", "Accelerated iTBS, SAINT / SNT") in found["TMS, several sessions a day"]
    assert all(len(bookable()[key].visits) == 1 for key, _ in found["One visit: maintenance and boosters"])


def test_what_is_approved_comes_first() -> None:
    assert next(iter(grouped(bookable().values(), {"esketamine"}))) == "Ketamine and esketamine"


def test_a_grouped_list_is_one_select_that_takes_its_own_choices_only(app) -> None:
    with app.test_request_context("/?protocol=itbs_left"):
        form = StartsForm(formdata=None, protocols=grouped(bookable().values()), protocol="itbs_left")
        html = form.protocol()
    assert html.count("<optgroup label=") == 6
    assert '<option selected value="itbs_left">' in html
