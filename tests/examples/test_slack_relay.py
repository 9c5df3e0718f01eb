"""The relay to Slack: what is signed and worth telling arrives, what is forged does not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from standardwebhooks import Webhook

from lockstep.stack.processes import free_ports
from tests.examples.processes import EXAMPLES
from tests.patience import PATIENCE_S

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STAGED = "release RE_9Z6MPQ2A, version 0.1.0 changed from running to staged"


@contextmanager
def slack() -> Iterator[tuple[str, list[str]]]:
    said: list[str] = []

    class Slack(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            said.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Slack) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", said
        server.shutdown()


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    (port,) = free_ports(1)
    with slack() as (slack_url, said), (tmp_path / "said").open("wb") as log:
        environment = {**os.environ, "SLACK_URL": slack_url, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
        path = str(EXAMPLES / "slack" / "relay.py")
        process = subprocess.Popen([sys.executable, path], env=environment, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}", said
        finally:
            process.kill()
            process.wait()


def sent(url: str, kind: str, message: str, secret: str = SECRET) -> int:
    body = json.dumps({"type": f"event.{kind}", "data": {"event_type": kind, "message": message}})
    now = datetime.now(UTC)
    signature = Webhook(secret).sign("EV_1", now, body)
    headers = {"webhook-id": "EV_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=PATIENCE_S) as web:
        return web.post(url, content=body, headers=headers).status_code


def test_what_is_worth_telling_is_told(relay: tuple[str, list[str]]) -> None:
    url, said = relay
    assert sent(url, "info", STAGED) == 204
    assert sent(url, "info", "task TA_QT3W0G1N changed from running to staged") == 204
    assert sent(url, "error", "partial publish: live in A & <B>; not in C") == 204
    assert said == [STAGED, ":x: partial publish: live in A &amp; &lt;B&gt;; not in C"]


def test_what_is_forged_is_refused(relay: tuple[str, list[str]]) -> None:
    url, said = relay
    assert sent(url, "error", "send your password", "whsec_" + "A" * 32) == 401
    assert said == []
