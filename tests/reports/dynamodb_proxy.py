"""Somebody who stands in front of DynamoDB and may answer in its place, lose what it answers, or look inside."""

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

Body = dict[str, Any]

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})


@dataclass
class Request:
    """One request: its operation, its body, and its number among those of the operation, from 1."""

    operation: str
    body: Body
    number: int

    @property
    def is_write(self) -> bool:
        return self.operation in WRITES


@dataclass
class Answer:
    """What is answered in the place of DynamoDB."""

    status: int = 400
    body: Any = field(default_factory=dict)
    kind: str = "application/x-amz-json-1.0"


class Lost(Exception):
    """Break the connection off instead of answering."""


@dataclass
class Proxy:
    """The proxy's address, what it does, and what it was asked.

    `before` may answer itself, change the body, wait, or raise `Lost`; `after` may change what DynamoDB answered, or
    raise `Lost` although the request was carried out.
    """

    url: str = ""
    before: Callable[[Request], Answer | None] = lambda _: None
    after: Callable[[Request, Body], None] = lambda _, __: None
    asked: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def note(self, operation: str, body: Body) -> Request:
        with self.lock:
            self.asked.append(operation)
            return Request(operation, body, self.asked.count(operation))


def refused(code: str) -> Answer:
    return Answer(400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "so it is"})


THROTTLED = refused("ProvisionedThroughputExceededException")


@contextmanager
def proxied(behind: str) -> Iterator[Proxy]:
    """Stand in front of the DynamoDB at an address, for the length of a `with`."""
    proxy = Proxy()
    there = urlsplit(behind).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            request = proxy.note(self.headers["X-Amz-Target"].split(".")[1], json.loads(content))
            try:
                answer = proxy.before(request) or self._forward(request)
            except Lost:
                self.close_connection = True
                return
            sent = answer.body.encode() if isinstance(answer.body, str) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)
            self.wfile.flush()

        def _forward(self, request: Request) -> Answer:
            connection = http.client.HTTPConnection(there, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
            connection.request("POST", "/", json.dumps(request.body), headers)
            answered = connection.getresponse()
            body = json.loads(answered.read())
            connection.close()
            if answered.status == 200:
                proxy.after(request, body)
            return Answer(answered.status, body)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
