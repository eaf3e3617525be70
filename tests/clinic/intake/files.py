"""Small whole files of each kind, and ways to break them."""

import struct
import zlib


def png() -> bytes:
    """A picture of one grey pixel."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\x80")),
        (b"IEND", b""),
    )
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg() -> bytes:
    """The frame of a picture; what the scan holds is not looked at."""
    app0 = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    frame = b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00"
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x7f"
    return b"\xff\xd8" + app0 + frame + scan + b"\xff\xd9"


def pdf(words: str = "") -> bytes:
    """The frame of a document."""
    return b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\n%" + words.encode() + b"\nstartxref\n9\n%%EOF\n"


def heic(brand: bytes = b"heic") -> bytes:
    """The boxes of a picture of a phone."""
    boxes = ((b"ftyp", brand + b"\0\0\0\0mif1heic"), (b"meta", b"\0" * 12), (b"mdat", b"\x01" * 40))
    return b"".join(struct.pack(">I", 8 + len(body)) + name + body for name, body in boxes)
