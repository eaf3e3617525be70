"""Loopback ports for our own servers."""

import random
import socket

HOST = "127.0.0.1"
# Below what Linux (32768) and other systems (49152) hand to outgoing connections. In that range a connection of anybody
# can sit on a server's port while it is down, even one of a client that tries to reach it.
PORTS = range(20_000, 32_000)
_TRIES = 200


def free_port() -> int:
    """A port that nothing has and that no outgoing connection will be given. Raises OSError when none is found."""
    chance = random.SystemRandom()
    for port in (chance.choice(PORTS) for _ in range(_TRIES)):
        if is_free(port):
            return port
    raise OSError(f"no free port on {HOST} from {PORTS.start} to {PORTS.stop - 1}")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
