"""The history is one page of paper, also with twelve medicines and large text."""

import pytest

from tests.builders import eligible_record, failed_trial, make_patient
from tests.clinic.care.conftest import send
from tests.printing import printed, read

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
NAMES = (
    "Zoloft",
    "Prozac",
    "Lexapro",
    "Celexa",
    "Paxil CR",
    "Effexor XR",
    "Cymbalta",
    "Pristiq",
    "Wellbutrin XL",
    "Remeron",
    "Trintellix",
    "Viibryd",
)


@pytest.fixture
def history(client, sign_in_patient) -> str:
    patient = make_patient()
    trials = [
        failed_trial(
            name,
            100,
            started_on="2024-03",
            stopped_on="2024-06-02",
            stopped_reason="side_effects",
            side_effect="headache",
        )
        for name in NAMES
    ]
    send(patient, eligible_record(trials=trials, psychotherapy=[{"type": "CBT", "sessions": 14}]))
    sign_in_patient(patient)
    return client.get("/me/history").get_data(as_text=True)


def test_twelve_medicines_print_on_one_page(chromium, history) -> None:
    pdf = printed(chromium, history)
    assert len(pdf.pages) == 1, pdf.pages[1].extract_text()
    text = read(pdf)
    assert [name for name in NAMES if name not in text] == []
    assert "I would like to talk about what could come next" in text
    assert "Print" not in text


def test_large_text_loses_nothing(chromium, history) -> None:
    pdf = printed(chromium, history, zoom=200)
    text = read(pdf)
    assert [name for name in NAMES if name.split()[0] not in text] == []
