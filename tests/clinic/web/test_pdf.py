"""PDF out of templates: the same bytes, tagged, and values that cannot become source."""

import io
from datetime import UTC, date, datetime
from typing import Any

import pypdf
import pytest

from clinic.eligibility.letters import ReferrerLetter, referrer_letter
from clinic.web import pdf

AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def letter(**overrides: Any) -> ReferrerLetter:
    values: dict[str, Any] = {
        "clinic": "Harbor Clinic",
        "clinic_phone": "(714) 555-0100",
        "to_name": "Dr. Rao",
        "to_organization": "Family Practice",
        "patient": "Ada Example",
        "birth_date": date(1980, 5, 17),
        "record_number": "D-10001",
        "subject": "Your patient's visit with us",
        "paragraphs": ("Thank you for sending your patient to us.",),
        "issued_at": AT,
        "tz": "America/Los_Angeles",
    }
    return ReferrerLetter(**values | overrides)


def read(data: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(data))


def words(data: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in read(data).pages).split())


def test_the_same_content_and_instant_give_the_same_bytes() -> None:
    assert referrer_letter(letter()) == referrer_letter(letter())
    assert referrer_letter(letter()) != referrer_letter(letter(issued_at=AT.replace(hour=19)))


def test_a_letter_says_what_it_was_given_and_nothing_else() -> None:
    said = words(
        referrer_letter(letter(facts=(("Treatment", "TMS"),), signed_by="Dr. Ortiz", signed_role="Psychiatrist"))
    )
    for part in (
        "Harbor Clinic",
        "November 23, 2026",
        "Dr. Rao Family Practice",
        "About Ada Example, born May 17, 1980",
    ):
        assert part in said
    for part in ("Thank you for sending", "Treatment TMS", "Dr. Ortiz Psychiatrist", "Page 1 of 1", "10:00 PST"):
        assert part in said
    assert "None" not in said


def test_a_spanish_letter_carries_its_language() -> None:
    data = referrer_letter(letter(language="es", subject="La visita de su paciente", paragraphs=("Gracias.",)))
    assert read(data).trailer["/Root"]["/Lang"].startswith("es")
    assert "23 de noviembre de 2026" in words(data)


def test_a_file_is_tagged_titled_and_letter_size() -> None:
    found = read(referrer_letter(letter()))
    root = found.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"].value
    assert "/StructTreeRoot" in root
    assert found.metadata is not None
    assert found.metadata.title == "Your patient's visit with us, D-10001"
    assert (found.pages[0].mediabox.width, found.pages[0].mediabox.height) == (612, 792)
    assert b"pdfuaid" in root["/Metadata"].get_object().get_data()


@pytest.mark.parametrize(
    "name",
    [
        '#panic("x") #let a = 1',
        "$x^2$ \\ ] [ #[",
        '"quoted" `raw` */ // <label> @ref',
        "Ο'Hara — Ñandú",
        "#sys.inputs.data",
    ],
)
def test_a_value_is_never_source(name: str) -> None:
    assert name in words(referrer_letter(letter(patient=name)))


def test_text_from_right_to_left_is_set() -> None:
    said = words(referrer_letter(letter(patient="אבג Example")))
    assert "אבג" in said


def test_signs_without_a_glyph_do_not_keep_a_letter_back() -> None:
    assert referrer_letter(letter(patient="日本 😀 Example")).startswith(b"%PDF")


def test_signs_that_turn_a_line_around_are_taken_out() -> None:
    assert pdf.clean("a\u202eb\x00c\u2066\ufeff") == "abc"
    assert pdf.clean({"rows": ["x\ty", 3, None]}) == {"rows": ["x y", 3, None]}


def test_a_very_long_word_stays_on_the_page() -> None:
    data = referrer_letter(letter(patient="W" * 400))
    assert words(data).replace(" ", "").replace("\u200b", "").count("W") >= 400
    lines = [line for line in read(data).pages[0].extract_text().splitlines() if "WWWW" in line]
    assert max(map(len, lines)) < 110


def test_a_download_is_never_shown_inside_a_page() -> None:
    response = pdf.attachment(b"%PDF", "D-10001.pdf")
    assert response.headers["Content-Disposition"] == 'attachment; filename="D-10001.pdf"'
    assert response.headers["Cache-Control"] == "no-store"
