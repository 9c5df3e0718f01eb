"""DynamoDB as moto plays it, on a loopback port that the system chose; prints the port and serves until killed.

One request is carried out at a time: moto looks at a condition and writes in two steps, between which another thread
may write, where DynamoDB does both in one.
"""

import logging
from collections.abc import Iterable
from threading import Lock
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

_application = DomainDispatcherApplication(create_backend_app)
_lock = Lock()


class _KeptAlive(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1


def one_at_a_time(environ: Any, start_response: Any) -> Iterable[bytes]:
    with _lock:
        return list(_application(environ, start_response))


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=_KeptAlive)
    print(server.port, flush=True)
    server.serve_forever()
