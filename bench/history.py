"""How the API answers with a short history and with a long one: every list, every single read, and `PATCH /tasks`.

Two figures of each. Under load, over several connections, what one process carries. Alone, over one connection, how
long one request takes, where nothing but its own work is in it.
"""

import json
import sqlite3
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlencode

import httpx

from bench import phases
from bench.fill import EVENTS_EACH, TASKS_EACH, fill
from bench.load import Load, load
from bench.processes import Served, coordinator, database, instant_services

HISTORIES: Final = (100, 100_000)
UNDER_LOAD: Final = 3_000
CONNECTIONS: Final = 8
ALONE: Final = 400

Ask = Callable[[int], tuple[str, str, bytes]]

_PAGE_OF_A_RELEASE: Final = """
query ($id: ID!) { release(id: $id) { id kfId version name state createdAt isMajor description author
  studies { edges { node { id kfId name createdAt } } } notes { edges { node { id description } } }
  tasks(first: 10) { edges { node { id kfId state taskService { id name } } } }
  events(first: 100, orderBy: "-created_at") { edges { node { id createdAt message } } } } }
"""


def section(dataservice_url: str) -> str:
    """Measure, and return what came of it in Markdown."""
    loaded: dict[int, Mapping[str, Load]] = {}
    alone: dict[int, Mapping[str, Load]] = {}
    for releases in HISTORIES:
        with _coordinator_with(releases, dataservice_url) as served:
            known = _known(served)
            loaded[releases] = _measured(served, _often_asked(known), UNDER_LOAD, CONNECTIONS)
            alone[releases] = _measured(served, _everything(known), ALONE, 1)
    few, many = HISTORIES
    return "\n".join(
        [
            "## The API as history grows\n",
            (
                f"{many:,} releases with {many * TASKS_EACH:,} tasks and {many * EVENTS_EACH:,} events, beside {few:,} "
                f"releases. {UNDER_LOAD:,} requests each over {CONNECTIONS} connections, the load made by a second "
                "process on the same machine: what one process carries.\n"
            ),
            f"| request | per second, p50, p99 with {few:,} releases | with {many:,} releases | p50 ratio |",
            "|---|---:|---:|---:|",
            *_lines(loaded[few], loaded[many], _throughput),
            f"\n{ALONE:,} requests each, one after another: what each takes by itself.\n",
            f"| request | p50, p99 with {few:,} releases | with {many:,} releases | p50 ratio |",
            "|---|---:|---:|---:|",
            *_lines(alone[few], alone[many], _times),
        ]
    )


@contextmanager
def _coordinator_with(releases: int, dataservice_url: str) -> Iterator[Served]:
    with TemporaryDirectory() as folder, instant_services(TASKS_EACH) as urls:
        with coordinator(Path(folder), dataservice_url) as served:
            phases.register(served, urls)
        fill(database(Path(folder)), releases)
        with coordinator(Path(folder), dataservice_url) as served:
            yield served


def _known(served: Served) -> Mapping[str, str]:
    """Return what requests name: a published release from the middle of the history, with what hangs on it."""
    connection = sqlite3.connect(f"file:{served.database}?mode=ro", uri=True)
    try:
        (middle,) = connection.execute("SELECT max(position) / 2 FROM release").fetchone()
        of_release = "FROM release WHERE position >= ? AND state = 'published' ORDER BY position LIMIT 1"
        release, name, *numbers = connection.execute(
            f"SELECT kf_id, name, major, minor, patch {of_release}",
            (middle,),
        ).fetchone()
        task, service = connection.execute(
            "SELECT kf_id, service_id FROM task WHERE release_id = ? LIMIT 1", (release,)
        ).fetchone()
        (event,) = connection.execute("SELECT kf_id FROM event WHERE release_id = ? LIMIT 1", (release,)).fetchone()
        note, study = connection.execute(
            "SELECT kf_id, study_id FROM release_note WHERE release_id = ?", (release,)
        ).fetchone()
    finally:
        connection.close()
    shown = httpx.get(f"{served.url}/releases/{release}").json()
    return {
        "release": release,
        "name": name,
        "version": ".".join(map(str, numbers)),
        "task": task,
        "service": service,
        "event": event,
        "note": note,
        "study": study,
        "time": shown["created_at"],
        "in_flight": _task_in_flight(served),
    }


def _task_in_flight(served: Served) -> str:
    """Return a task that may report progress: one of a release that waits for its review."""
    release = str(served.post("/releases", name="in flight", studies=[phases.STUDY])["kf_id"])
    until = time.monotonic() + 30
    while (shown := httpx.get(f"{served.url}/releases/{release}").json())["state"] != "staged":
        if time.monotonic() > until:
            raise TimeoutError(f"{release} was not staged")
        time.sleep(0.05)
    return str(shown["tasks"][0]["kf_id"])


def _often_asked(known: Mapping[str, str]) -> Mapping[str, Ask]:
    return {
        "GET /releases": _got("/releases"),
        "GET /releases/{id}": _got(f"/releases/{known['release']}"),
        "PATCH /tasks/{id}": _progress(known),
    }


def _everything(known: Mapping[str, str]) -> Mapping[str, Ask]:
    """Return a request of every list with each of its filters and orders, of every single read, and of a report."""
    lists = {
        "/releases": (
            *("", "state=published", "state=failed&state=canceled", "study={study}", "tags=trial", "author=somebody"),
            *("name={name}", "version={version}", "is_major=true", "created_after={time}", "published_before={time}"),
            *("search=week 7", "ordering=name", "ordering=-version", "ordering=-published_at"),
            *("state=published&state=failed&author=bench", "created_after={time}&state=failed&ordering=state"),
        ),
        "/tasks": ("", "release={release}", "task_service={service}", "state=published", "created_before={time}"),
        "/events": (
            *("", "release={release}", "task={task}", "task_service={service}", "event_type=error"),
            *("created_after={time}", "search=nowhere", "ordering=created_at"),
            *("created_before={time}&event_type=info", "task_service={service}&ordering=event_type"),
            "task_service={service}&event_type=error",
        ),
        "/release-notes": ("", "release={release}", "study={study}", "author=bench", "ordering=author"),
        "/task-services": ("", "enabled=true"),
        "/studies": ("", "search=a"),
        "/studies/{study}/releases": ("",),
    }
    kinds = {
        f"GET {path}{query and '?'}{query}": _listed(path, query, known) for path in lists for query in lists[path]
    }
    single = (
        *("/releases/{release}", "/tasks/{task}", "/releases/{release}/tasks/{task}", "/events/{event}"),
        *("/release-notes/{note}", "/task-services/{service}", "/studies/{study}", "/studies/{study}/current"),
        *("/releases/current", "/releases/at?time={time}", "/releases/feed"),
    )
    kinds |= {f"GET {path}": _got(path.format(**known)) for path in single}
    return {**kinds, "POST /graphql (a release's page)": _graphql(known), "PATCH /tasks/{id}": _progress(known)}


def _listed(path: str, query: str, known: Mapping[str, str]) -> Ask:
    pairs = [part.split("=", 1) for part in query.split("&") if part]
    written = urlencode([(name, value.format(**known)) for name, value in pairs])
    return _got(f"{path.format(**known)}?{written}")


def _got(path: str) -> Ask:
    return lambda _: ("GET", path, b"")


def _progress(known: Mapping[str, str]) -> Ask:
    return lambda n: ("PATCH", f"/tasks/{known['in_flight']}", b'{"progress": %d}' % (n % 100))


def _graphql(known: Mapping[str, str]) -> Ask:
    node = b64encode(f"ReleaseNode:{known['release']}".encode()).decode()
    body = json.dumps({"query": _PAGE_OF_A_RELEASE, "variables": {"id": node}}).encode()
    return lambda _: ("POST", "/graphql", body)


def _measured(served: Served, kinds: Mapping[str, Ask], number: int, connections: int) -> Mapping[str, Load]:
    loads = {}
    for name, ask in kinds.items():
        load(served.url, ask, number=max(10, number // 10), connections=connections)
        loads[name] = load(served.url, ask, number=number, connections=connections)
    return loads


def _lines(few: Mapping[str, Load], many: Mapping[str, Load], said: Callable[[Load], str]) -> Iterator[str]:
    for name, before in few.items():
        after = many[name]
        yield f"| `{name}` | {said(before)} | {said(after)} | {after.p50_ms / before.p50_ms:.2f} |"


def _throughput(measured: Load) -> str:
    return f"{measured.per_second:,.0f}/s, {_times(measured)}"


def _times(measured: Load) -> str:
    return f"{measured.p50_ms:.1f} ms, {measured.p99_ms:.1f} ms"
