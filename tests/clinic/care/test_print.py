"""The history is one page of paper, also with twelve medicines and large text."""

import io
import re
import unicodedata
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pypdf import PdfReader

import clinic
from tests.builders import eligible_record, failed_trial, make_patient
from tests.clinic.care.conftest import send

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("pages")]
STATIC = Path(clinic.__file__).parent / "web" / "static"
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


def printed(chromium: Browser, html: str, *, zoom: int = 100) -> PdfReader:
    """The page as Chromium prints it on Letter paper, with its own style sheets."""
    sheets = [
        STATIC / name.removeprefix("/static/") for name in re.findall(r'<link rel="stylesheet" href="([^"?]+)', html)
    ]
    styles = "".join(f"<style>{sheet.read_text()}</style>" for sheet in sheets)
    larger = f"<style>html {{ font-size: {zoom}% }}</style>"
    page_html = re.sub(r"<link [^>]*>|<script.*?</script>", "", html, flags=re.S).replace(
        "</head>", f"{styles}{larger}</head>"
    )
    page = chromium.new_page()
    page.set_content(page_html)
    data = page.pdf(format="Letter", prefer_css_page_size=True)
    page.close()
    return PdfReader(io.BytesIO(data))


def read(pdf: PdfReader) -> str:
    """The words of every page; some browsers set two letters as one sign (a ligature)."""
    return unicodedata.normalize("NFKC", " ".join(" ".join(page.extract_text() for page in pdf.pages).split()))


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
