import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from clinic.embedded import postgres
from clinic.embedded.postgres import PostgresServer, socket_folder
from clinic.embedded.process import ServerError
from clinic.embedded.redis import RedisServer
from clinic.embedded.supervisor import empty_database

pytestmark = pytest.mark.embedded


def connect(server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(server.url().replace("+psycopg", ""), autocommit=True)


@pytest.fixture
def postgres_folder(tmp_path: Path) -> Path:
    return tmp_path / "a path with spaces" / ("long" * 40) / "postgres"


def test_postgres_keeps_its_data_in_a_long_path_with_spaces(postgres_folder):
    with PostgresServer(postgres_folder) as server, connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with PostgresServer(postgres_folder) as server, connect(server) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
        assert connection.execute("SELECT current_setting('fsync')").fetchone() == ("on",)


def test_postgres_comes_back_after_kill_9(postgres_folder):
    server = PostgresServer(postgres_folder)
    server.start()
    with connect(server) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    server.process.kill()
    server.process.wait()
    server.start()
    with connect(server) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)
    server.stop()


def test_a_lock_that_names_another_program_is_no_obstacle(postgres_folder):
    server = PostgresServer(postgres_folder, durable=False)
    server.start()
    server.process.kill()
    server.process.wait()
    lock = server.data / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server.start()
    server.stop()


def test_postgres_lets_nobody_in_without_the_password(postgres_folder):
    with PostgresServer(postgres_folder, durable=False) as server:
        for user in ("clinic", "postgres"):
            with pytest.raises(psycopg.OperationalError, match=r"no password supplied|no pg_hba.conf entry"):
                psycopg.connect(host=str(socket_folder(server.folder)), user=user, dbname="clinic")
        with connect(server) as connection:
            assert connection.info.parameter_status("is_superuser") == "off"


def test_a_database_can_be_emptied_and_filled_again(postgres_folder):
    with PostgresServer(postgres_folder, durable=False) as server:
        for _ in range(2):
            with connect(server) as connection:
                connection.execute("CREATE TABLE filled (n int)")
            empty_database(server.url())


def test_two_servers_do_not_meet(tmp_path):
    with (
        PostgresServer(tmp_path / "one", durable=False) as one,
        PostgresServer(tmp_path / "two", durable=False) as two,
    ):
        assert socket_folder(one.folder) != socket_folder(two.folder)
        assert one.url() != two.url()


def test_the_socket_folder_is_ours_alone_or_refused(postgres_folder):
    place = socket_folder(postgres_folder)
    place.mkdir(mode=0o755)
    try:
        with pytest.raises(ServerError, match="belongs to somebody else"):
            PostgresServer(postgres_folder, durable=False).start()
    finally:
        place.rmdir()


def test_no_mode_outside_the_folder_is_changed(tmp_path):
    parent = tmp_path / "closed"
    parent.mkdir(mode=0o700)
    before = [folder.stat().st_mode for folder in (parent, *parent.parents)]
    with PostgresServer(parent / "postgres", durable=False), RedisServer(parent / "redis"):
        pass
    assert [folder.stat().st_mode for folder in (parent, *parent.parents)] == before


def test_the_programs_themselves_may_lie_in_a_closed_folder(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    installed = postgres.binaries()
    wheel = installed.parents[1]
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, closed / part.name)
    monkeypatch.setattr(postgres, "binaries", lambda: closed / installed.relative_to(wheel.parent))
    with PostgresServer(tmp_path / "data", durable=False) as server:
        assert server.process.poll() is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has root to give up")
def test_as_root_the_servers_run_unprivileged(tmp_path):
    with PostgresServer(tmp_path / "p", durable=False) as database, RedisServer(tmp_path / "r") as valkey:
        for server in (database, valkey):
            assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0


def test_redis_keeps_its_data_and_port_over_kill_9(tmp_path):
    server = RedisServer(tmp_path / "with space" / 'quo"te')
    server.start()
    address = server.url
    redis.Redis.from_url(address).set("kept", "7")
    time.sleep(1.1)  # its log of changes is written out once a second
    server.process.kill()
    server.process.wait()
    server.start()
    assert server.url == address
    assert redis.Redis.from_url(address).get("kept") == b"7"
    server.stop()


def test_redis_wants_the_password(tmp_path):
    with RedisServer(tmp_path) as server, pytest.raises(redis.AuthenticationError):
        redis.Redis.from_url(server.url.replace(server.url.split(":")[2].split("@")[0], "wrong")).ping()


def test_servers_end_with_a_starter_that_was_killed(tmp_path):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from clinic.embedded.postgres import PostgresServer; from clinic.embedded.redis import RedisServer\n"
        "folder = Path(sys.argv[1])\n"
        "p = PostgresServer(folder / 'p', durable=False); r = RedisServer(folder / 'r')\n"
        "p.start(); r.start(); print(p.process.pid, r.process.pid, flush=True); time.sleep(60)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    servers = [int(pid) for pid in starter.stdout.readline().split()]
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in servers):
        assert time.monotonic() < deadline, "a server outlived its starter"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
