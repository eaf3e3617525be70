import os
import socket
import stat
import time

import pytest

from clinic.embedded.instance import check_port, claim_instance, clock_offset, prepare_instance, shown_address
from clinic.embedded.process import ServerError


def test_a_new_instance_is_closed_to_others_and_its_parents_stay_as_they_were(tmp_path):
    tmp_path.chmod(0o755)
    prepare_instance(tmp_path / "in stance")
    assert stat.S_IMODE((tmp_path / "in stance").stat().st_mode) == 0o700
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_folder_that_holds_something_else_is_refused_untouched(tmp_path):
    tmp_path.chmod(0o755)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ServerError, match="holds something else"):
        prepare_instance(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_file_in_place_of_the_instance_is_one_line(tmp_path):
    (tmp_path / "instance").write_text("")
    with pytest.raises(ServerError, match="cannot be used"):
        prepare_instance(tmp_path / "instance")


def test_a_second_supervisor_is_told_who_holds_the_instance(tmp_path):
    locks = claim_instance(tmp_path)
    with pytest.raises(ServerError, match=f"already runs from .* \\(process {os.getpid()}\\)"):
        claim_instance(tmp_path)
    locks.release()
    claim_instance(tmp_path).release()


def test_the_clock_start_becomes_an_offset_once(tmp_path):
    start = "2027-03-13T07:00:00-08:00"
    first = clock_offset(tmp_path, start, "")
    assert first == pytest.approx(1_804_950_000 - time.time(), abs=2)
    time.sleep(0.05)
    assert clock_offset(tmp_path, start, "") == first
    assert clock_offset(tmp_path, "", "") == first


def test_another_start_or_an_offset_replaces_the_kept_one(tmp_path):
    first = clock_offset(tmp_path, "2027-03-13T07:00:00-08:00", "")
    assert clock_offset(tmp_path, "2027-03-13T08:00:00-08:00", "") == pytest.approx(first + 3600, abs=2)
    assert clock_offset(tmp_path, "", "0") == 0
    assert clock_offset(tmp_path, "", "") == 0


@pytest.mark.parametrize("text", ["tomorrow", "2027-03-13T07:00:00", "2027-13-13T07:00:00Z"])
def test_a_start_that_is_no_instant_is_refused(tmp_path, text):
    with pytest.raises(ServerError, match="give an instant with its offset"):
        clock_offset(tmp_path, text, "")


def test_a_taken_port_is_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} on 127.0.0.1 is taken by another program"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_a_host_that_is_no_address_is_one_line():
    with pytest.raises(ServerError, match="no address of this machine"):
        check_port("no-such-host.invalid", 8000)


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:8000"), ("0.0.0.0", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000")],
)
def test_the_address_shown_can_be_opened(host, address):
    assert shown_address(host, 8000) == address
