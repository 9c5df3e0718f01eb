"""Listens for a shell script: checks that a request is one, runs `task.sh` with what it says, and answers for it.

    python listen.py 8080 FOLDER

Python's standard library and a POSIX shell with curl are all that is needed. Requests are answered one after the
other, so that the script need not think of two at once; what takes long, it leaves running behind it.
"""

import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SCRIPT = Path(__file__).with_name("task.sh")
ACTIONS = {"initialize", "start", "publish", "get_status", "cancel"}
ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
URL = re.compile(r"https?://[!-~]+")
BODY_LIMIT = 1_000_000
REFUSED = {3: 400, 4: 404}
"""What an exit status of the script means as an HTTP status; any other but 0 is a mistake of its own."""


class TaskHandler(BaseHTTPRequestHandler):
    """Answers `GET /status` and `POST /tasks`."""

    timeout = 5

    def do_GET(self) -> None:
        """Say who is here."""
        if self.path == "/status":
            self.answer(200, {"name": "shell", "version": "1.0.0", "message": "ready"})
        else:
            self.answer(404, {"message": "there is GET /status and POST /tasks"})

    def do_POST(self) -> None:
        """Have the script do what is asked."""
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if len(body) > BODY_LIMIT:
                raise ValueError(f"a body has {BODY_LIMIT} bytes at the most")
            variables = as_variables(json.loads(body))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
            self.answer(400, {"message": f"this is no request: {problem!r}"[:300]})
            return
        ran = subprocess.run(
            ["sh", SCRIPT],
            env=dict(os.environ, **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            self.answer(REFUSED.get(ran.returncode, 500), {"message": ran.stderr.strip()})
            return
        state, progress = ran.stdout.split()
        about = {"task_id": variables["TASK"], "release_id": variables["RELEASE"]}
        self.answer(200, {**about, "state": state, "progress": int(progress)})

    def not_here(self) -> None:
        """Refuse what is neither asked for nor sent."""
        self.answer(405, {"message": "there is GET /status and POST /tasks"})

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = not_here  # noqa: N815 - the library calls them so

    def answer(self, status: int, said: dict[str, object]) -> None:
        """Send JSON."""
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def as_variables(asked: dict[str, object]) -> dict[str, str]:
    """Return a request as variables of the environment; whatever is no request raises."""
    action, studies, urls = asked["action"], asked.get("studies") or [], asked.get("urls") or []
    task, release = asked.get("task_id") or asked["kf_id"], asked["release_id"]
    if action not in ACTIONS or not isinstance(studies, list) or not isinstance(urls, list):
        raise ValueError("an action, and lists of studies and urls, would be right")
    if not all(ID.fullmatch(name) for name in (task, release, *studies)) or not all(map(URL.fullmatch, urls)):
        raise ValueError("ids are letters, digits, _ and -, and urls addresses")
    pairs = [f"{study} {url}\n" for study, url in zip(studies, urls, strict=False)]
    return {"ACTION": str(action), "TASK": str(task), "RELEASE": str(release), "STUDIES": "".join(pairs)}


if __name__ == "__main__":
    folder = Path(sys.argv[2]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    HTTPServer(("127.0.0.1", int(sys.argv[1])), TaskHandler).serve_forever()
