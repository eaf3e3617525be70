"""`clinic run`: what `make run` calls."""

import ctypes
import os
import signal
import sys

import click

from clinic.config import SettingsError
from clinic.embedded.process import ServerError
from clinic.embedded.supervisor import Supervisor

_PR_SET_PDEATHSIG = 1


@click.command()
def run() -> None:
    """Run the whole clinic until Ctrl-C: PostgreSQL, Redis, web, worker and beat."""
    if "MAKELEVEL" in os.environ:
        # Were make killed, nobody would be left to tell us to stop.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    try:
        Supervisor(os.environ).run()
    except (ServerError, SettingsError) as error:
        sys.exit(f"daybreak: {error}")
    except OSError as error:
        sys.exit(f"daybreak: {error.strerror}: {error.filename or 'no file named'}")
