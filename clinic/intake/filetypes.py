"""What a file is, by its content: PDF, JPEG, PNG or HEIC, looked at to its end. Pure."""

import struct
import zlib
from collections.abc import Iterator

import puremagic

PDF, JPEG, PNG, HEIC = "application/pdf", "image/jpeg", "image/png", "image/heic"
ENDINGS = {PDF: ".pdf", JPEG: ".jpg", PNG: ".png", HEIC: ".heic"}
_HEAD = 4096  # what the sniffer is shown
_TAIL = 2048  # where a PDF's end mark stands
_PNG = b"\x89PNG\r\n\x1a\n"
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG markers that carry the picture's size
_SCAN, _END, _START = 0xDA, 0xD9, 0xD8
# One format goes by several names in the sniffer's table; HEIC is missing from it or taken for a film.
_ALSO = {PDF: {PDF}, JPEG: {JPEG, "image/pjpeg", "image/jpg"}, PNG: {PNG}, HEIC: {HEIC, "image/heif", "video/mp4"}}


def media_type(content: bytes) -> str | None:
    """The type that both the sniffer and the structure agree on; None for anything else, also for half a file."""
    seen = sniffed(content)
    for kind, is_whole in ((PDF, _is_pdf), (JPEG, _is_jpeg), (PNG, _is_png), (HEIC, _is_heic)):
        if (seen & _ALSO[kind] or (kind == HEIC and not seen)) and is_whole(content):
            return kind
    return None


def sniffed(content: bytes) -> frozenset[str]:
    """Every media type that the first bytes may be."""
    try:
        found = puremagic.magic_string(content[:_HEAD])
    except (puremagic.PureError, ValueError):  # nothing known, or nothing at all
        return frozenset()
    return frozenset(each.mime_type for each in found if each.mime_type)


def _is_pdf(content: bytes) -> bool:
    tail = content[-_TAIL:]
    return content.startswith((b"%PDF-1.", b"%PDF-2.")) and b"startxref" in tail and b"%%EOF" in tail


def _is_png(content: bytes) -> bool:
    if not content.startswith(_PNG):
        return False
    at, names = len(_PNG), []
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        body = content[at + 4 : at + 8 + length]
        end = at + 8 + length
        if end + 4 > len(content) or zlib.crc32(body) != struct.unpack_from(">I", content, end)[0]:
            return False
        names.append(body[:4])
        if len(names) == 1 and (body[:4] != b"IHDR" or length != 13 or not all(struct.unpack_from(">II", body, 4))):
            return False
        at = end + 4
        if body[:4] == b"IEND":
            return b"IDAT" in names
    return False


def _is_jpeg(content: bytes) -> bool:
    at, has_size = 2, False
    if not content.startswith(b"\xff\xd8"):
        return False
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            return False
        marker = content[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker in (_START, _END):
            return False
        (length,) = struct.unpack_from(">H", content, at + 2)
        if length < 2 or at + 2 + length > len(content):
            return False
        if marker in _FRAMES and length >= 8:
            has_size = all(struct.unpack_from(">HH", content, at + 5))
        at += 2 + length
        if marker == _SCAN:
            return has_size and content.find(b"\xff\xd9", at) >= 0
    return False


def _is_heic(content: bytes) -> bool:
    boxes = list(_boxes(content))
    if not boxes or boxes[0][0] != b"ftyp" or boxes[-1][2] != len(content):
        return False
    body = content[boxes[0][1] : boxes[0][2]]
    brands = {body[at : at + 4] for at in (0, *range(8, len(body) - 3, 4))}
    return bool(brands & _HEIC_BRANDS) and any(name == b"meta" for name, _, _ in boxes)


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the body and end of each outermost box; stops at the first that does not fit."""
    at = 0
    while at + 8 <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        start = at + 8
        if size == 1 and start + 8 <= len(content):
            (size,) = struct.unpack_from(">Q", content, start)
            start += 8
        end = len(content) if size == 0 else at + size
        if end < start or end > len(content):
            return
        yield name, start, end
        at = end
