import os
import signal
import sys
import time
from pathlib import Path

import pytest

from clinic.embedded import process
from clinic.embedded.process import Identity, ServerError, launch, open_log, server_identity, take_lock, telling_line


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("2026-01-01 10:00:00 UTC [7] FATAL:  lock file exists\n2026-01-01 LOG:  bye\n", "lock file exists"),
        ("7:M 21 Nov 2026 03:41:58.205 # Failed listening on port 1\n", "Failed listening on port 1"),
        (
            'Traceback:\n  File "x"\nclinic.config.SettingsError: CLINIC_PORT is wrong\n',
            "SettingsError: CLINIC_PORT is wrong",
        ),
        (
            "ModuleNotFoundError: No module named 'flask'\n[INFO] Worker exiting\n",
            "ModuleNotFoundError: No module named 'flask'",
        ),
        ("Error: no such option\n", "no such option"),
        ("all was well\n\n", "all was well"),
        ("", ""),
    ],
)
def test_the_line_that_says_why_is_found(tmp_path, log, line):
    path = tmp_path / "log"
    path.write_text("an Error: of an earlier run\n" + log)
    assert telling_line(path, start=len("an Error: of an earlier run\n")) == line


def test_a_long_log_is_set_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "LOG_LIMIT", 10)
    path = tmp_path / "web.log"
    path.write_text("x" * 11)
    os.close(open_log(path))
    assert path.read_text() == ""
    assert (tmp_path / "web.log.1").read_text() == "x" * 11


def test_a_lock_is_free_only_when_the_last_inheritor_has_ended(tmp_path):
    lock = take_lock(tmp_path / "lock", patience=0)
    child = launch([sys.executable, "-c", "import time; time.sleep(60)"], log=tmp_path / "log", keep=[lock])
    os.close(lock)
    assert take_lock(tmp_path / "lock", patience=0) is None
    process.end(child)
    assert take_lock(tmp_path / "lock", patience=0) is not None


def test_a_program_that_ignores_signals_is_killed_with_its_children(tmp_path):
    script = "import signal, subprocess, sys; signal.signal(15, signal.SIG_IGN); print('up', flush=True); subprocess.run(['sleep', '60'])"
    log = tmp_path / "log"
    child = launch([sys.executable, "-c", script], log=log)
    while "up" not in log.read_text():
        time.sleep(0.02)
    time.sleep(0.2)
    process.end(child, signal.SIGTERM, patience=0.2)
    assert child.returncode == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while running_in_group(child.pid):  # the kernel delivers the signal, and init buries the orphan, in their own time
        assert time.monotonic() < deadline, "a child outlived its parent"
        time.sleep(0.02)


def running_in_group(group: int) -> list[str]:
    """Processes of a group that are more than an entry waiting for its parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = stat.read_text().rsplit(")", 1)[1].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            found.append(stat.parent.name)
    return found


def test_without_setpriv_root_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Identity, "prefix", ["no-such-setpriv"])
    process._checked.cache_clear()
    with pytest.raises(ServerError, match="install util-linux for setpriv, or start as an ordinary user"):
        server_identity(tmp_path / "data")
    process._checked.cache_clear()
