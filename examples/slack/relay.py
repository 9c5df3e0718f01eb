"""Brings events of a coordinator to Slack: checks the signature, and passes on what people want to know."""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

SIGNS = {"warning": ":warning:", "error": ":x:"}
WORTH_TELLING = ("to staged", "to published", "to canceled")
BODY_LIMIT = 1_000_000


class Relay(BaseHTTPRequestHandler):
    """Takes one event. What it answers decides whether the event is sent again: not after 204, later after 503."""

    timeout = 10

    def do_POST(self) -> None:
        """Check, choose, pass on."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), BODY_LIMIT))
        try:
            event = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body.decode(), dict(self.headers))["data"]
            if text := wording(event["event_type"], event["message"]):
                post(os.environ["SLACK_URL"], text)
            self.send_response(204)
        except WebhookVerificationError:
            self.send_response(401)
        except OSError:
            self.send_response(503)
        self.end_headers()


def wording(kind: str, message: str) -> str | None:
    """Return what is said in the channel, or nothing."""
    if kind in SIGNS:
        return f"{SIGNS[kind]} {message}"
    return message if message.startswith("release ") and message.endswith(WORTH_TELLING) else None


def post(url: str, text: str) -> None:
    """Say something in the channel."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = json.dumps({"text": escaped}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=10):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8090"))), Relay).serve_forever()
