"""The file of a backup: a header in plain text, then chunks of AES-256-GCM of which the last one says that it is the last.

A file that was cut short, changed, put together anew or made under other keys does not open. The key of a file is random and
lies in the header, wrapped under the data keys that were in force. Layout: MAGIC, length (4 bytes) and JSON of the header,
then chunks of length (4 bytes) and ciphertext. A chunk's nonce is its number and whether it is the last; what is
authenticated with each is the SHA-256 of everything before the first chunk.
"""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clinic.db import Keyring

MAGIC = b"DAYBREAK-BACKUP-1\n"
CHUNK = 1 << 20  # bytes of plain text
MOST_HEADER = 1 << 16


class BadBackup(Exception):
    """The file is no whole backup, or none that these keys open; the message says which."""


class BackupWriter:
    """Write a backup beside its place and put it there whole: an interrupted one leaves no file of that name."""

    def __init__(self, path: Path, keys: Keyring, about: dict[str, Any]) -> None:
        self.path, self.part = path, path.with_name(path.name + ".part")
        key = secrets.token_bytes(32)
        header = json.dumps({**about, "key": keys.encrypt(base64.b64encode(key).decode()).decode()}).encode()
        head = MAGIC + len(header).to_bytes(4, "big") + header
        self._cipher, self._bound = AESGCM(key), hashlib.sha256(head).digest()
        self._number, self._waiting = 0, b""
        self.part.unlink(missing_ok=True)
        descriptor = os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file: IO[bytes] = os.fdopen(descriptor, "wb")
        self._file.write(head)

    def write(self, data: bytes) -> None:
        """Add plain text."""
        self._waiting += data
        while len(self._waiting) > CHUNK:  # the last chunk is kept back: it is the one that is marked
            self._seal(self._waiting[:CHUNK], is_last=False)
            self._waiting = self._waiting[CHUNK:]

    def _seal(self, data: bytes, *, is_last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, is_last), data, self._bound)
        self._file.write(len(sealed).to_bytes(4, "big") + sealed)
        self._number += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _t: TracebackType | None
    ) -> None:
        """Mark the end and give the file its name; after a fault there is none."""
        try:
            if kind is None:
                self._seal(self._waiting, is_last=True)
                self._file.flush()
                os.fsync(self._file.fileno())
        finally:
            self._file.close()
            if kind is not None:
                self.part.unlink(missing_ok=True)
        if kind is None:
            self.part.replace(self.path)
            _sync_folder(self.path.parent)


def read_header(file: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    """What a backup says of itself, and what binds its chunks to that. Raises BadBackup."""
    if file.read(len(MAGIC)) != MAGIC:
        raise BadBackup("this is no backup of Daybreak")
    length = file.read(4)
    size = int.from_bytes(length, "big")
    header = file.read(size) if len(length) == 4 and size <= MOST_HEADER else b""
    try:
        about = json.loads(header)
        assert isinstance(about, dict)
        about["key"].encode("ascii")
    except (ValueError, KeyError, AttributeError, AssertionError):
        raise BadBackup("the header is damaged") from None
    return about, hashlib.sha256(MAGIC + length + header).digest()


def read_chunks(file: IO[bytes], keys: Keyring) -> Iterator[bytes]:
    """The plain text, chunk by chunk, after the header. Raises BadBackup, also for a file that ends too early."""
    file.seek(0)
    about, bound = read_header(file)
    try:
        cipher = AESGCM(base64.b64decode(keys.decrypt(about["key"].encode())))
    except ValueError:
        raise BadBackup(
            "none of CLINIC_DATA_KEYS opens this backup: give the keys that the clinic had when it was made"
        ) from None
    number = 0
    while length := file.read(4):
        size = int.from_bytes(length, "big")
        sealed = file.read(min(size, CHUNK + 16))
        if len(sealed) != size:
            raise BadBackup("the backup is not whole: it was cut short or changed")
        yield from _opened(cipher, number, sealed, bound, is_last=not file.peek(1))  # type: ignore[attr-defined]
        number += 1
    if number == 0:
        raise BadBackup("the backup is not whole: it ends after its header")


def _opened(cipher: AESGCM, number: int, sealed: bytes, bound: bytes, *, is_last: bool) -> Iterator[bytes]:
    try:
        yield cipher.decrypt(_nonce(number, is_last), sealed, bound)
    except InvalidTag:
        raise BadBackup(
            "the backup is not whole: it was cut short or changed" if is_last else "the backup was changed"
        ) from None


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder or Path(), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
