import socket
from pathlib import Path

from clinic.embedded.ports import HOST, PORTS, free_port, is_free

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_outgoing_connection_is_given_such_a_port() -> None:
    assert PORTS.stop <= int(OUTGOING.read_text().split()[0])


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.create_server((HOST, free_port())) as server:
        assert not is_free(server.getsockname()[1])


def test_a_found_port_can_be_listened_on() -> None:
    with socket.create_server((HOST, free_port())) as server:
        assert server.getsockname()[1] in PORTS
