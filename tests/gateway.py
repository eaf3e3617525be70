"""A Twilio-compatible gateway on loopback that counts what it accepted, lists it, and can have a bad day."""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlsplit

HANG_UP = 0  # a status: the connection is closed without an answer


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    authorization: tuple[str, str]
    reference: str
    form: dict[str, str]


class FakeGateway:
    """`answers` are given in turn (status, headers, body), or what `fault(number)` says; then everything is accepted.

    `delay` is seconds before an answer. `accepted` is what was taken; `lies`: it is taken whatever the answer says.
    `lists`: the gateway says what it took. `now` is the instant that it writes on a message.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.accepted: list[Request] = []
        self.asked: list[dict[str, list[str]]] = []
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.fault: Callable[[int], tuple[int, bool, float] | None] = lambda number: None  # status, taken, delay
        self.delay = 0.0
        self.lies = False
        self.lists = False
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._listed: dict[str, list[dict[str, str]]] = {}
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                wanted = int(self.headers["Content-Length"])
                raw = self.rfile.read(wanted)
                if len(raw) < wanted:  # who asked was killed in the middle of it
                    self.close_connection = True
                    return
                form = dict(parse_qsl(raw.decode()))
                status, headers, body, delay = gateway._take(self, form)
                time.sleep(delay)
                self._answer(status, headers, body)

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                gateway.asked.append(query)
                if not gateway.lists:
                    self._answer(404, {}, {})
                    return
                with gateway._lock:
                    found = list(gateway._listed.get(query["To"][0], ()))
                self._answer(200, {}, {"messages": found[::-1]})

            def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
                payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                try:
                    if status == HANG_UP:
                        self.close_connection = True
                        self.connection.shutdown(2)
                        return
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(payload)
                except OSError:
                    self.close_connection = True  # who asked was killed meanwhile

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # a client that was killed

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> tuple[int, dict[str, str], Any, float]:
        user, _, password = base64.b64decode(handler.headers["Authorization"].split()[1]).decode().partition(":")
        request = Request(handler.path, (user, password), handler.headers["I-Twilio-Idempotency-Token"], form)
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            sid = f"SM{number}"
            headers: dict[str, str] = {}
            body: Any = {"sid": sid, "status": "queued"}
            status, delay = 201, self.delay
            fault = self.fault(number)
            taken = True
            if self.answers:
                status, headers, body = self.answers.pop(0)
                taken = self.lies or 200 <= status < 300
            elif fault is not None:
                status, taken, delay = fault
                body = body if status == 201 else {}
            if taken:
                self.accepted.append(request)
                row = {"sid": sid, "to": form["To"], "body": form["Body"], "date_created": format_datetime(self.now())}
                self._listed.setdefault(form["To"], []).append(row)
            return status, headers, body, delay

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
