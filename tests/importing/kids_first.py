"""A coordinator of the Kids First family, as far as it can be read: REST and a few queries of GraphQL, over real HTTP.

It has what the real one has, its defects included: lists newest first, paged by offset without a limit, in no certain
order where two records are of the same moment; links made from the Host header; no hidden names in REST; two releases
with one version; a task in a state that nobody knows; events whose service was deleted; ids of events that begin with
TA. The releases are those that fixtures of the time show of the real one, in the tests' own words where they show none.
"""

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid5

from graphql import FieldNode, OperationDefinitionNode, StringValueNode, parse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lockstep.dataservice.catalogue import published_facts

Row = dict[str, Any]

NAMESPACE = UUID("5f9a1b1e-0f5f-4b7a-9d93-1f2d7a1f0c11")
TARGET, CHUNG = "SD_YNSSAPHE", "SD_46RR9ZR6"
REAL = (
    ("RE_EJTE6XDS", "0.7.0", "2018-11-07T16:32:43.271141", "Test Auth", "SD_ME0WME0W"),
    ("RE_QQ6FKPXZ", "3.15.0", "2019-03-06T20:46:36.609298", "Release Target in QA", TARGET),
    ("RE_W85M8TFN", "3.21.0", "2019-03-25T21:22:41.514803", "target test", TARGET),
    ("RE_FA9A6QGK", "3.22.0", "2019-03-26T15:40:20.051403", "redeploy test 2", TARGET),
    ("RE_VQNNVGD5", "3.23.0", "2019-03-26T16:26:19.914633", "fix repos try 3", TARGET),
    ("RE_XQ3XARN3", "3.46.0", "2019-07-17T20:12:10.771013", "Phenotypes nested", TARGET),
    ("RE_6C8YT1Y4", "3.60.0", "2019-10-30T17:31:00.425515", "Chung Prod Staging", CHUNG),
    ("RE_FXR1JBZA", "3.64.0", "2019-11-05T21:29:30.010585", "Test ETL", TARGET),
)
"""Releases of the real coordinator, all published: id, version, time of creation, name, the study that is known."""

REPORTS, SNAPSHOT = "TS_REP0RTS0", "TS_SNAPSH0T"
LINE = ("waiting", "initializing", "running", "staged", "publishing", "published")
TASK_LINE = ("waiting", "initialized", "running", "staged", "publishing", "published")
COLLECTIONS = ("tasks", "task-services", "releases", "release-notes", "events", "studies")
NODES = {"release": "releases", "task": "tasks", "taskService": "task-services", "event": "events"}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def uuid_of(kf_id: str) -> UUID:
    return uuid5(NAMESPACE, kf_id)


class KidsFirstCoordinator:
    """What is in its database, and how it behaves.

    Attributes:
        rows: every collection, in the order of creation.
        asked: the paths that were asked for.
        troubles: statuses that the next answers have, in place of what was asked for.
        between: called before each answer, so that something can change between two pages.
        shuffled: records of the same moment stand in another order each time.
        token: what a reader must show, if anything.
        graphql: whether there is a GraphQL that answers.
    """

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in COLLECTIONS}
        self.asked: list[str] = []
        self.troubles: list[int] = []
        self.between: Callable[[], None] = lambda: None
        self.shuffled = False
        self.token = ""
        self.graphql = True
        self._chance = random.Random(20181107)
        self._number = 0
        lists = [Route(f"/{name}", self._list) for name in COLLECTIONS]
        self.app = Starlette(
            routes=[Route("/", self._root), *lists, Route("/graphql", self._graphql, methods=["POST"])]
        )

    def new_id(self, prefix: str) -> str:
        self._number += 1
        alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
        number, text = self._number, ""
        for _ in range(8):
            number, digit = divmod(number, 32)
            text = alphabet[digit] + text
        return f"{prefix}_{text}"

    def study(self, kf_id: str, name: str | None, **fields: Any) -> None:
        self.rows["studies"][kf_id] = {
            "kf_id": kf_id,
            "name": name,
            "visible": True,
            "deleted": False,
            "created_at": at("2018-03-01T12:00:00"),
            **fields,
        }

    def service(self, kf_id: str, name: str, **fields: Any) -> None:
        self.rows["task-services"][kf_id] = {
            "kf_id": kf_id,
            "name": name,
            "description": f"does {name}",
            "last_ok_status": 0,
            "author": "admin",
            "url": f"http://{name.replace(' ', '-')}.kids-first.example",
            "created_at": at("2018-04-01T12:00:00"),
            "enabled": True,
            **fields,
        }

    def release(
        self,
        kf_id: str,
        version: str,
        created_at: datetime,
        *studies: str,
        state: str = "published",
        name: str = "Release",
        tells: bool = True,
        **fields: Any,
    ) -> None:
        """Put a release there with a task for each service; and, if it `tells`, with the events of its life."""
        self.rows["releases"][kf_id] = {
            "kf_id": kf_id,
            "name": name,
            "description": "",
            "state": state,
            "studies": list(studies),
            "version": version,
            "created_at": created_at,
            "tags": [],
            "author": "daniel@example.org",
            "is_major": False,
            **fields,
        }
        word = {"published": "published", "failed": "failed", "canceled": "canceled"}.get(state, "running")
        for service_id in self.rows["task-services"]:
            self.task(kf_id, service_id, created_at + timedelta(milliseconds=5), word)
        if tells:
            self._tell(kf_id, version, created_at, state)

    def task(self, release_id: str, service_id: str, created_at: datetime, state: str, **fields: Any) -> str:
        kf_id = self.new_id("TA")
        progress = 100 if state == "published" else 0
        self.rows["tasks"][kf_id] = {
            "kf_id": kf_id,
            "state": state,
            "progress": progress,
            "release": release_id,
            "task_service": service_id,
            "created_at": created_at,
            **fields,
        }
        return kf_id

    def note(self, release_id: str, study_id: str | None, text: str, created_at: datetime) -> str:
        kf_id = self.new_id("RN")
        self.rows["release-notes"][kf_id] = {
            "kf_id": kf_id,
            "description": text,
            "author": "admin",
            "created_at": created_at,
            "release": release_id,
            "study": study_id,
        }
        return kf_id

    def event(self, message: str, created_at: datetime, *, prefix: str = "EV", **fields: Any) -> str:
        kf_id = self.new_id(prefix)
        self.rows["events"][kf_id] = {
            "kf_id": kf_id,
            "event_type": "info",
            "message": message,
            "release": None,
            "task_service": None,
            "task": None,
            "created_at": created_at,
            **fields,
        }
        return kf_id

    def forget_service(self, kf_id: str) -> None:
        """Delete a service as the real one does: its tasks go with it, its events stay without a link."""
        del self.rows["task-services"][kf_id]
        gone = {task_id for task_id, task in self.rows["tasks"].items() if task["task_service"] == kf_id}
        self.rows["tasks"] = {task_id: task for task_id, task in self.rows["tasks"].items() if task_id not in gone}
        for event in self.rows["events"].values():
            event["task_service"] = None if event["task_service"] == kf_id else event["task_service"]
            event["task"] = None if event["task"] in gone else event["task"]

    def _tell(self, kf_id: str, version: str, created_at: datetime, state: str) -> None:
        moves = list(pairwise(LINE))
        if state in {"failed", "canceled"}:
            moves = [*moves[:2], ("running", "canceling"), ("canceling", state)]
        elif state != "published":
            moves = moves[: LINE.index(state)] if state in LINE else []
        prefix = "TA" if created_at < at("2019-01-01T00:00:00") else "EV"
        tasks = [task for task in self.rows["tasks"].values() if task["release"] == kf_id]
        of_tasks = dict(zip(pairwise(LINE), pairwise(TASK_LINE), strict=True))
        for number, move in enumerate(moves, 1):
            moment = created_at + timedelta(minutes=number)
            for task in tasks if move in of_tasks else ():
                self.event(
                    f"task {task['kf_id']} changed from {' to '.join(of_tasks[move])}",
                    moment - timedelta(seconds=1),
                    prefix=prefix,
                    release=kf_id,
                    task=task["kf_id"],
                    task_service=task["task_service"],
                )
            message = f"release {kf_id}, version {version} changed from {' to '.join(move)}"
            self.event(message, moment, prefix=prefix, release=kf_id)

    async def _root(self, request: Request) -> Response:
        return self._refused(request) or JSONResponse(
            {name: str(request.url_for("_root")) + name for name in COLLECTIONS}
        )

    async def _list(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if refused := self._refused(request):
            return refused
        self.between()
        name = request.url.path.strip("/")
        rows = self._newest_first(name)
        limit, offset = (_number(request, word) for word in ("limit", "offset"))
        limit = limit or 10
        shape = getattr(self, "_shape_of_" + name.replace("-", "_"))
        base = str(request.base_url).rstrip("/")
        more = f"{request.url.replace(query='')}?limit={limit}&offset={offset + limit}"
        return JSONResponse(
            {
                "count": len(rows),
                "next": more if offset + limit < len(rows) else None,
                "previous": None,
                "results": [shape(row, base) for row in rows[offset : offset + limit]],
            }
        )

    def _refused(self, request: Request) -> Response | None:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return JSONResponse({"detail": "Authentication credentials were not provided."}, 403)
        if self.troubles and (status := self.troubles.pop(0)):
            return HTMLResponse("<h1>Server Error (500)</h1>", status, headers={"Retry-After": "0"})
        return None

    def _newest_first(self, name: str) -> list[Row]:
        rows = list(self.rows[name].values())
        if self.shuffled:
            self._chance.shuffle(rows)
        return sorted(rows, key=lambda row: row["created_at"] or at("1970-01-01T00:00:00"), reverse=True)

    def _of(self, name: str, release_id: str) -> list[Row]:
        return [row for row in self._newest_first(name) if row["release"] == release_id]

    def _shape_of_studies(self, row: Row, base: str) -> Row:
        held = [release for release in self._newest_first("releases") if row["kf_id"] in release["studies"]]
        public = [release for release in held if release["state"] == "published"]
        return {
            "kf_id": row["kf_id"],
            "name": row["name"],
            "version": held[0]["version"] if held else None,
            "visible": row["visible"],
            "last_pub_version": public[0]["version"] if public else None,
            "last_pub_date": _text(public[0]["created_at"]) if public else None,
            "deleted": row["deleted"],
            "created_at": _text(row["created_at"]),
        }

    def _shape_of_task_services(self, row: Row, base: str) -> Row:
        names = ("kf_id", "name", "description", "last_ok_status", "author")
        health = "ok" if row["last_ok_status"] <= 3 else "down"
        known = {**{name: row[name] for name in names}, "health_status": health, "url": row["url"]}
        return {**known, "created_at": _text(row["created_at"]), "enabled": row["enabled"]}

    def _shape_of_releases(self, row: Row, base: str) -> Row:
        kf_id = row["kf_id"]
        return {
            "kf_id": kf_id,
            "name": row["name"],
            "description": row["description"],
            "notes": [self._shape_of_release_notes(note, base) for note in self._of("release-notes", kf_id)],
            "state": row["state"],
            "studies": row["studies"],
            "tasks": [self._shape_of_tasks(task, base) for task in self._of("tasks", kf_id)],
            "version": row["version"],
            "created_at": _text(row["created_at"]),
            "tags": row["tags"],
            "author": row["author"],
            "is_major": row["is_major"],
        }

    def _shape_of_tasks(self, row: Row, base: str) -> Row:
        service = self.rows["task-services"].get(row["task_service"])
        return {
            "kf_id": row["kf_id"],
            "state": row["state"],
            "progress": row["progress"],
            "release": f"{base}/releases/{row['release']}",
            "task_service": f"{base}/task-services/{row['task_service']}",
            "created_at": _text(row["created_at"]),
            "service_name": service["name"] if service else row.get("service_name"),
        }

    def _shape_of_release_notes(self, row: Row, base: str) -> Row:
        return {
            "kf_id": row["kf_id"],
            "description": row["description"],
            "author": row["author"],
            "created_at": _text(row["created_at"]),
            "release": f"{base}/releases/{row['release']}",
            "study": row["study"] and f"{base}/studies/{row['study']}",
        }

    def _shape_of_events(self, row: Row, base: str) -> Row:
        links = (("release", "releases"), ("task_service", "task-services"), ("task", "tasks"))
        return {
            "kf_id": row["kf_id"],
            "event_type": row["event_type"],
            "message": row["message"],
            **{name: row[name] and f"{base}/{of}/{row[name]}" for name, of in links},
            "created_at": _text(row["created_at"]),
        }

    async def _graphql(self, request: Request) -> Response:
        if not self.graphql:
            return PlainTextResponse("no GraphQL here", 404)
        document = parse((await request.json())["query"])
        operation = document.definitions[0]
        assert isinstance(operation, OperationDefinitionNode)
        fields = [field for field in operation.selection_set.selections if isinstance(field, FieldNode)]
        return JSONResponse({"data": {field.alias.value if field.alias else "": self._node(field) for field in fields}})

    def _node(self, field: FieldNode) -> Row | None:
        assert field.arguments
        value = field.arguments[0].value
        assert isinstance(value, StringValueNode)
        kf_id = base64.b64decode(value.value).decode().partition(":")[2]
        if kf_id not in self.rows[NODES[field.name.value]]:
            return None
        node: Row = {"kfId": kf_id, "uuid": str(uuid_of(kf_id))}
        if field.name.value == "release":
            for name, collection in (("tasks", "tasks"), ("notes", "release-notes")):
                ids = [row["kf_id"] for row in self._of(collection, kf_id)]
                node[name] = {"edges": [{"node": {"kfId": each, "uuid": str(uuid_of(each))}} for each in ids]}
        return node


def real() -> KidsFirstCoordinator:
    """A coordinator with the real releases and studies, and what the field has of oddities."""
    there = KidsFirstCoordinator()
    for study in published_facts()["studies"]:
        there.study(study["kf_id"], study["name"])
    there.study("SD_ME0WME0W", "Mr. Meow's Memorial Meow Studies")
    there.study(CHUNG, None, created_at=None)
    there.study(TARGET, "TARGET: Neuroblastoma", visible=False)
    there.service(REPORTS, "release reports")
    there.service(SNAPSHOT, "snapshot task", enabled=False, last_ok_status=7)
    for kf_id, version, created_at, name, study_id in REAL:
        there.release(kf_id, version, at(created_at), study_id, name=name)
    there.release("RE_SAMEVERS", "3.64.0", at("2019-11-06T10:00:00"), TARGET, CHUNG, name="Both took one number")
    there.release("RE_FA11EDXX", "3.64.1", at("2019-11-07T10:00:00"), CHUNG, state="failed", tags=["etl", "second try"])
    there.release("RE_CANCE1ED", "3.64.1", at("2019-11-08T10:00:00"), TARGET, state="canceled", is_major=True)
    there.note("RE_FXR1JBZA", TARGET, "Adds *forty* participants.", at("2019-11-05T22:00:00"))
    there.note("RE_FXR1JBZA", None, "For everybody.", at("2019-11-05T22:01:00"))
    there.event("the team was told by hand", at("2019-11-05T23:00:00"), event_type="warning")
    return there


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isdigit() else 0


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
