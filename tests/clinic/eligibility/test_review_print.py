"""The review on paper: one document of a few pages, whatever was folded."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.clinic.eligibility.test_review import long_case, page_of
from tests.printing import printed, read

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]


def test_twelve_trials_and_three_payers_print_on_at_most_seven_pages(
    client: FlaskClient, sign_in: Any, now: Any, rings: Any, chromium: Any
) -> None:
    made = long_case()
    sign_in("prescriber")
    pdf = printed(chromium, page_of(client, made))
    assert len(pdf.pages) <= 7
    text = read(pdf)
    for words in (
        "1. Sertraline",
        "12. Fluoxetine",
        "at least 50 mg per day",
        "TRICARE",
        "Staging",
        "Not a payer's form",
    ):
        assert words in text
