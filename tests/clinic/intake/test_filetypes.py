"""What a file is: only what the sniffer and the whole structure agree on."""

import struct
import tracemalloc
import zlib

import pytest

from clinic.intake import attachments, filetypes
from tests.clinic.intake import files

WHOLE = {
    "image/png": files.png(),
    "image/jpeg": files.jpeg(),
    "application/pdf": files.pdf(),
    "image/heic": files.heic(),
}
NOT_OURS = {
    "empty": b"",
    "text": b"Zoloft 50 mg, 12 weeks",
    "page": b"<html><script>alert(1)</script></html>",
    "drawing": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "program": b"MZ\x90\x00" + b"\0" * 200,
    "archive": b"PK\x03\x04" + b"\0" * 200,
    "film": b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + b"\0\0\0\x10moov" + b"\0" * 8,
    "gif": b"GIF89a\x01\0\x01\0\0\0\0;",
    "name of a PDF only": b"%PDF-1.7\n",
    "page after a PDF's mark": b"%PDF-1.7\n<html></html>",
    "start of a PNG only": files.png()[:20],
    "PNG with a wrong sum": files.png().replace(b"IDATx", b"IDATy"),
    "PNG whose head is empty": files.png()[:8]
    + b"\0\0\0\0IHDR"
    + struct.pack(">I", zlib.crc32(b"IHDR"))
    + files.png()[-12:],
    "archive in a PDF's clothes": b"%PDF-1.7\nPK\x03\x04" + b"\0" * 5000,
    "start of a JPEG only": files.jpeg()[:24],
    "JPEG without an end": files.jpeg()[:-2],
    "HEIC cut off": files.heic()[:-10],
    "HEIC of another brand": files.heic(b"qt  ").replace(b"mif1heic", b"qt  qt  "),
}


@pytest.mark.parametrize(("kind", "content"), WHOLE.items(), ids=list(WHOLE))
def test_a_whole_file_is_known_by_its_content(kind, content) -> None:
    assert filetypes.media_type(content) == kind


@pytest.mark.parametrize("brand", [b"mif1", b"heix", b"msf1"])
def test_the_brands_of_phones_are_known(brand) -> None:
    assert filetypes.media_type(files.heic(brand)) == "image/heic"


@pytest.mark.parametrize("content", NOT_OURS.values(), ids=list(NOT_OURS))
def test_anything_else_is_nothing(content) -> None:
    assert filetypes.media_type(content) is None


@pytest.mark.parametrize("kind", list(WHOLE))
def test_no_half_of_a_file_breaks_the_reader(kind) -> None:
    whole = WHOLE[kind]
    for end in range(len(whole)):
        filetypes.media_type(whole[:end])
        filetypes.media_type(whole[:end] + b"\xff" * 8 + whole[end:])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("list.pdf", "list.pdf"),
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\Users\\ana\\my list.PDF", "my list.pdf"),
        ("list.pdf.exe", "list.pdf.pdf"),
        ("", "file.pdf"),
        (".pdf", "pdf.pdf"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie x.pdf"),
        ("\u202egnp.tsil", "gnp.pdf"),
        ("Lista de medicinas de José.pdf", "Lista de medicinas de José.pdf"),
        ("x" * 500 + ".pdf", "x" * 120 + ".pdf"),
    ],
)
def test_a_name_is_shown_and_never_a_path(given, kept) -> None:
    assert attachments.safe_name(given, "application/pdf") == kept


def test_a_picture_that_would_fill_the_memory_is_looked_at_and_never_unpacked() -> None:
    """Sixty thousand by sixty thousand points in a few bytes: ten gigabytes for whoever draws it."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(b"IHDR" + head))
    bomb = files.png()[:16] + head + crc + files.png()[33:]
    assert filetypes.media_type(bomb) == "image/png"


def test_what_unpacks_to_much_is_not_unpacked() -> None:
    packed = b"IDAT" + zlib.compress(bytes(20_000_000))
    chunk = struct.pack(">I", len(packed) - 4) + packed + struct.pack(">I", zlib.crc32(packed))
    bomb = files.png()[:33] + chunk + files.png()[-12:]
    tracemalloc.start()
    try:
        assert filetypes.media_type(bomb) == "image/png"
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
