"""The clinic's web process over one world, as `make run` starts it: gunicorn and its own Redis; and who asks it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.booking import PROTOCOL  # noqa: E402
from benchmarks.worlds import World  # noqa: E402
from clinic.embedded.ports import free_port  # noqa: E402
from clinic.embedded.process import end  # noqa: E402
from clinic.embedded.redis import RedisServer  # noqa: E402
from clinic.staff.models import Role  # noqa: E402
from clinic.staff.operations import create_token  # noqa: E402
from tests.builders import TESTER  # noqa: E402

STARTS_WITHIN = 60.0
KEPT_FOR = 3.0  # seconds without a call; the web process closes it after five


@dataclass(frozen=True)
class Web:
    """Its port, and a token for it. Each thread keeps its connection, as browsers and HTTP libraries do."""

    port: int
    token: str
    _kept: threading.local = field(default_factory=threading.local, repr=False)

    def get(self, path: str) -> tuple[int, Any]:
        """Status and answer."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and answer; under an Idempotency-Key, as a careful client sends it."""
        return self._ask("POST", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if body is not None:
            headers["Idempotency-Key"] = str(uuid4())
        connection = self._connection()
        try:
            connection.request(method, f"/api/v1{path}", body, headers)
            answer = connection.getresponse()
            status, said = answer.status, json.loads(answer.read())
        except OSError:
            connection.close()
            raise
        self._kept.asked_at = time.monotonic()
        return status, said

    def _connection(self) -> HTTPConnection:
        """This thread's; a new one where the other side may have closed it."""
        known: HTTPConnection | None = getattr(self._kept, "connection", None)
        if known is None or time.monotonic() - self._kept.asked_at > KEPT_FOR:
            if known is not None:
                known.close()
            known = self._kept.connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
            self._kept.asked_at = time.monotonic()
        return known

    def propose(self, patient_id: int, site: str, **more: Any) -> str:
        """Id of a proposed course."""
        wish = {"patient_id": patient_id, "protocol": PROTOCOL, "locations": [site], "count": 1, **more}
        status, answer = self.post("/course-proposals", wish)
        assert status == 200, answer
        assert answer["proposals"], answer
        return str(answer["proposals"][0]["id"])


@contextmanager
def served(world: World) -> Iterator[Web]:
    """The web process on this world, once it answers."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="daybreak-bench-") as folder, RedisServer(Path(folder) / "redis") as redis:
        with world.entered():
            token = create_token(name="benchmark", role=Role.SERVICE, by=TESTER)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLINIC_")},
            "CLINIC_INSTANCE": folder,
            "CLINIC_PORT": str(port),
            "CLINIC_DATABASE_URL": world.settings.database_url,
            "CLINIC_REDIS_URL": redis.url,
            "CLINIC_SECRET_KEYS": world.settings.secret_keys[0],
            "CLINIC_DATA_KEYS": world.settings.data_keys[0],
            "CLINIC_CLOCK_OFFSET": str(world.settings.clock_offset),
        }
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "clinic/embedded/gunicorn_conf.py",
            "--log-level",
            "warning",
            "clinic.app:create_app()",
        ]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=None, start_new_session=True
        )
        web = Web(port, token)
        try:
            _wait_for(web, process)
            yield web
        finally:
            end(process, signal.SIGTERM, patience=60)  # a busy machine: what was measured stays


def _wait_for(web: Web, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            status, answer = web.get("/protocols")
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                sys.exit("the web process did not start")
            time.sleep(0.2)
            continue
        assert status == 200, answer
        return
