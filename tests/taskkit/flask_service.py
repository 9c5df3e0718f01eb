"""A Flask application with a task service inside, for real WSGI servers: `flask_service:app`.

What it works on and where is told by variables: `FOLDER`, `LOCKSTEP_TASKS_DB`, `LOCKSTEP_COORDINATOR_URL`.
"""

import os
from pathlib import Path

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from lockstep.reference import make_service
from lockstep.taskkit import store_at
from lockstep.taskkit.wsgi import WsgiService

tasks = WsgiService(make_service(Path(os.environ["FOLDER"]), store=store_at(os.environ["LOCKSTEP_TASKS_DB"])))
app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/task-service": tasks})  # type: ignore[method-assign]


@app.get("/hello")
def hello() -> str:
    return f"hello from {os.getpid()}"
