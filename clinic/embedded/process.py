"""Starting and ending programs so that none outlives the process that started it."""

import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pwd import getpwnam, getpwuid

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
LOG_LIMIT = 10_000_000  # bytes; a longer log is set aside at the next start


# PostgreSQL's FATAL, Redis' level mark, a Python exception with its module, click's own.
_ERROR = re.compile(r"^.*\bFATAL: +|^\d+:\w+ .* # (?=\w)|^(?:[\w]+\.)*(?=\w+(?:Error|Exception): )|^Error: ")


class ServerError(Exception):
    """A part cannot run. The message is one line: what happened and what to do."""


@dataclass(frozen=True)
class Identity:
    """The unprivileged account that a server runs under when we are root."""

    uid: int
    gid: int

    def own(self, path: Path) -> None:
        """Hand `path` and everything in it to this account; modes stay as they are."""
        for found in (path, *path.rglob("*")):
            os.chown(found, self.uid, self.gid, follow_symlinks=False)

    @property
    def prefix(self) -> list[str]:
        """Command that drops root. The one capability kept opens parent folders that are closed to others.

        It has to count for access(2) too, which PostgreSQL asks about its own programs: without the secure bit the
        kernel answers as if a user who is not root had no capability.
        """
        return [
            "setpriv",
            f"--reuid={self.uid}",
            f"--regid={self.gid}",
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "--securebits=+no_setuid_fixup",
        ]


def server_identity(folder: Path) -> Identity | None:
    """Whom root lets a server with data in `folder` run as: its owner, else `nobody`. Not root: None.

    Raises ServerError where root cannot be dropped.
    """
    if os.geteuid() != 0:
        return None
    for place in (folder, *folder.parents[:1]):
        if place.exists() and place.stat().st_uid != 0:
            owner = place.stat()
            return _checked(Identity(owner.st_uid, owner.st_gid))
    try:
        account = getpwnam("nobody")
    except KeyError:
        raise ServerError(
            "The servers do not run as root and there is no account `nobody`: start as an ordinary user."
        ) from None
    return _checked(Identity(account.pw_uid, account.pw_gid))


@cache
def _checked(identity: Identity) -> Identity:
    try:
        getpwuid(identity.uid)
        done = subprocess.run([*identity.prefix, "true"], capture_output=True, text=True, check=False)
        problem = done.stderr.strip().splitlines()[-1:] if done.returncode else None
    except KeyError:
        problem = [f"user id {identity.uid} has no account"]
    except FileNotFoundError:
        problem = ["setpriv is missing"]
    if problem is not None:
        raise ServerError(
            f"The servers do not run as root ({''.join(problem)}): "
            "install util-linux for setpriv, or start as an ordinary user."
        )
    return identity


def launch(
    command: Sequence[str | Path],
    *,
    log: Path | None,
    identity: Identity | None = None,
    env: Mapping[str, str] | None = None,
    keep: Sequence[int] = (),
    at_parents_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, output appended to `log` (None: ours).

    Call from the main thread: the kernel sends `at_parents_death` when the calling thread ends, so that even
    kill -9 leaves nothing behind. `keep`: descriptors that the program inherits.
    """
    if identity:
        # Changing the user id clears the death signal, so setpriv sets it again afterwards.
        command = [*identity.prefix, f"--pdeathsig={at_parents_death.name}", *command]
    output = open_log(log) if log else None
    try:
        return subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            env=dict(env) if env is not None else None,
            cwd="/",
            pass_fds=keep,
            start_new_session=True,
            preexec_fn=_die_with_parent(at_parents_death),
        )
    except OSError as error:
        raise ServerError(f"Cannot start {command[0]}: {error.strerror}.") from error
    finally:
        if output is not None:
            os.close(output)


def _die_with_parent(sign: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(sign))
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return prepare


def open_log(path: Path) -> int:
    """Descriptor that appends to `path` (mode 0600); a log over LOG_LIMIT is first set aside as `.1`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name(path.name + ".1"))
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def end(process: subprocess.Popen[bytes], *signals: signal.Signals, patience: float = 15) -> None:
    """Send each signal in turn, wait `patience` seconds after each; what is left of the group is killed."""
    for sign in signals:
        if process.poll() is not None:
            break
        process.send_signal(sign)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def size(log: Path) -> int:
    """Bytes in a log that may not exist yet."""
    return log.stat().st_size if log.exists() else 0


def telling_line(log: Path, start: int = 0) -> str:
    """What a program that ended wrote after byte `start` that says most: its last error, else its last line."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(start if start <= size(log) else 0, size(log) - 16_000))
        lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR.search(line)]
    return _ERROR.sub("", (errors or lines or [""])[-1])[:400] if errors or lines else ""


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float) -> bool:
    """True once `ready()`; False when the process ended or the time is up."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.02)
    return False


def make_private(folder: Path) -> Path:
    """Create `folder` with mode 0700 where it does not exist, parents included."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only we can read, in one step: a reader sees the old text or the new."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    new.replace(path)


def take_lock(path: Path, *, patience: float) -> int | None:
    """Descriptor of `path` locked for us, or None when it stays taken for `patience` seconds.

    A program that inherits the descriptor holds the lock too, and so do its children: whoever gets it knows
    that all of them have ended.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                return None
        time.sleep(0.05)


def find_program(*names: str) -> Path | None:
    """The first of these programs on PATH."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    return None


def kill_orphans() -> None:
    """End and reap every child that we still have; only the supervisor's last act, once its own have ended."""
    for _ in range(50):
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        children = [pid for pid in _all_processes() if _parent(pid) == os.getpid()]
        if not children:
            return
        for pid in children:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):
        return 0


def say(text: str) -> None:
    """One line of progress for the person at the terminal."""
    show(f"daybreak: {text}")


def show(text: str) -> None:
    """Print; where nobody reads any more, the clinic works on."""
    with suppress(OSError):
        print(text, flush=True)
