"""A Twilio-compatible gateway on loopback that counts what it accepted."""

import base64
import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    authorization: tuple[str, str]
    reference: str
    form: dict[str, str]


class FakeGateway:
    """`answers` are given in turn (status, headers, body); then everything is accepted. `delay` is seconds before."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.delay = 0.0
        self._lock = threading.Lock()
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                status, headers, body = gateway._take(self, form)
                time.sleep(gateway.delay)
                payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(payload)
                except OSError:
                    pass  # who asked was killed meanwhile

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        user, _, password = base64.b64decode(handler.headers["Authorization"].split()[1]).decode().partition(":")
        request = Request(handler.path, (user, password), handler.headers["I-Twilio-Idempotency-Token"], form)
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
            return self.answers.pop(0) if self.answers else (201, {}, {"sid": f"SM{number}", "status": "queued"})

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
