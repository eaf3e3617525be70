"""A backup opens whole or not at all."""

import io

import pytest

from clinic.backup import container
from clinic.backup.container import BackupWriter, BadBackup, read_chunks, read_header
from clinic.db import Keyring

KEYS = Keyring(["first key of the tests"])


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(container, "CHUNK", 64)


def made(tmp_path, data: bytes, keys: Keyring = KEYS) -> bytes:
    with BackupWriter(tmp_path / "b", keys, {"made_at": "today"}) as writer:
        writer.write(data)
    return (tmp_path / "b").read_bytes()


def opened(content: bytes, keys: Keyring = KEYS) -> bytes:
    return b"".join(read_chunks(io.BufferedReader(io.BytesIO(content)), keys))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128, 1000])
def test_what_goes_in_comes_out(small_chunks, tmp_path, size) -> None:
    data = bytes(n % 251 for n in range(size))
    assert opened(made(tmp_path, data)) == data


def test_a_file_that_was_cut_anywhere_does_not_open(small_chunks, tmp_path) -> None:
    content = made(tmp_path, b"x" * 300)
    for length in range(len(content)):
        with pytest.raises(BadBackup):
            opened(content[:length])


def test_a_file_in_which_any_byte_changed_does_not_open(small_chunks, tmp_path) -> None:
    content = made(tmp_path, b"x" * 300)
    for place in range(len(content)):
        with pytest.raises(BadBackup):
            opened(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def test_chunks_cannot_change_places_or_be_added(small_chunks, tmp_path) -> None:
    content = made(tmp_path, b"a" * 64 + b"b" * 64 + b"c" * 10)
    head = content.index(b'"}') + 2
    size = 4 + 64 + 16
    first, second, last = (
        content[head : head + size],
        content[head + size : head + 2 * size],
        content[head + 2 * size :],
    )
    for order in (
        (second, first, last),
        (first, last),
        (first, second, last, last),
        (first, first, second, last),
        (last,),
    ):
        with pytest.raises(BadBackup):
            opened(content[:head] + b"".join(order))


def test_nothing_of_the_content_is_in_the_file(tmp_path) -> None:
    assert b"Maria Example" not in made(tmp_path, b"Maria Example" * 50)


def test_the_header_is_readable_and_bound_to_the_content(tmp_path) -> None:
    content = made(tmp_path, b"x")
    assert read_header(io.BytesIO(content))[0]["made_at"] == "today"
    with pytest.raises(BadBackup, match="changed"):
        opened(content.replace(b"today", b"tOday"))


def test_other_keys_do_not_open_it_a_rotated_ring_does(tmp_path) -> None:
    content = made(tmp_path, b"x")
    assert opened(content, Keyring(["a newer key", "first key of the tests"])) == b"x"
    with pytest.raises(BadBackup, match="none of CLINIC_DATA_KEYS"):
        opened(content, Keyring(["a newer key"]))


def test_a_fault_on_the_way_leaves_no_file(tmp_path) -> None:
    with pytest.raises(RuntimeError), BackupWriter(tmp_path / "b", KEYS, {}) as writer:
        writer.write(b"x" * 100)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_fault_on_the_way_leaves_an_earlier_file_as_it_is(tmp_path) -> None:
    before = made(tmp_path, b"earlier")
    with pytest.raises(RuntimeError), BackupWriter(tmp_path / "b", KEYS, {}):
        raise RuntimeError
    assert (tmp_path / "b").read_bytes() == before
