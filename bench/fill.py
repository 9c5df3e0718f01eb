"""A database with as much history as asked for, written straight into the tables.

The rows are those that releases leave behind: published ones in their great majority, each with its tasks and the
events of its whole way, and every tenth canceled or failed.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, create_engine, insert, select

from lockstep.coordinator.core.model import Delivery, EventType
from lockstep.coordinator.store import tables
from lockstep.coordinator.store.bulk import insert_many
from lockstep.protocol.ids import Prefix, make_id
from lockstep.protocol.messages import Action
from lockstep.protocol.states import ReleaseState, TaskState

CHUNK = 2_000
BEGAN = datetime(2016, 1, 1, tzinfo=UTC)
TASKS_EACH = 5
EVENTS_EACH = 20
TAGS = ("quarterly", "hotfix", "trial", "embargo")
Row = dict[str, Any]


def fill(database: Path, releases: int) -> None:
    """Write so many ended releases into a database that has services and studies and no release yet."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        services = list(connection.scalars(select(tables.task_service.c.kf_id)))[:TASKS_EACH]
        studies = list(connection.scalars(select(tables.study.c.kf_id)))
        tallies: Counter[str] = Counter()
        for first in range(0, releases, CHUNK):
            numbers = range(first, min(first + CHUNK, releases))
            rows = [_release(number, studies) for number in numbers]
            _insert(connection, tables.release, rows)
            tallies.update(tables.releases_in(row["state"]) for row in rows)
            _belongings(connection, rows, services, tallies)
        for name, number in tallies.items():
            updated = connection.execute(
                tables.tally.update().where(tables.tally.c.name == name).values(n=tables.tally.c.n + number)
            )
            if not updated.rowcount:
                connection.execute(insert(tables.tally).values(name=name, n=number))
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def _belongings(connection: Connection, rows: list[Row], services: list[str], tallies: Counter[str]) -> None:
    tasks_of = {row["kf_id"]: list(_tasks(row, services)) for row in rows}
    tasks = [task for of in tasks_of.values() for task in of]
    events = [event for row in rows for event in _events(row, tasks_of[row["kf_id"]])]
    _insert(connection, tables.task, tasks)
    _insert(connection, tables.event, events)
    _insert(connection, tables.version_ledger, [_ledger(row) for row in rows])
    studies = [{"study_id": study, "release_position": row["position"]} for row in rows for study in row["studies"]]
    _insert(connection, tables.release_study, studies)
    tags = [{"tag": tag, "release_position": row["position"]} for row in rows for tag in row["tags"]]
    _insert(connection, tables.release_tag, tags)
    _insert(connection, tables.study_published, [public for row in rows for public in _public(row)])
    _insert(connection, tables.release_note, [_note(row) for row in rows])
    tallies.update(tables.tasks_in(task["state"]) for task in tasks)
    tallies.update(tables.events_of(EventType(event["event_type"])) for event in events)


def _insert(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        insert_many(connection, table, {name: [row[name] for row in rows] for name in rows[0]})


NUMBERS = count(1)


def _bits(bits: int) -> int:
    """Return numbers that look random and never meet, as forty random bits do among a million rows."""
    return next(NUMBERS) * 0x9E3779B97F4A7C15 % (1 << bits)


def _names(prefix: Prefix) -> Row:
    return {"kf_id": make_id(prefix, _bits), "uuid": secrets.token_hex(16)}


def _release(number: int, studies: list[str]) -> Row:
    published = number % 10 != 0
    state = ReleaseState.PUBLISHED if published else (ReleaseState.CANCELED, ReleaseState.FAILED)[number // 10 % 2]
    at = BEGAN + timedelta(minutes=number * 5)
    return {
        "position": number + 1,
        **_names(Prefix.RELEASE),
        "name": f"Release of week {number}",
        "description": "What this release brings.",
        "author": ("bench", "somebody")[number % 500 == 0],
        "tags": [TAGS[number % len(TAGS)]],
        "studies": [studies[number % len(studies)], studies[(number + 7) % len(studies)]],
        "is_major": number % 1000 == 0,
        "state": state,
        "major": 0,
        "minor": number + 1 if published else number,
        "patch": 0 if published else 1,
        "created_at": at,
        "step_since": at,
        "publish_order": number + 1 if published else None,
        "waits_for": None,
        "ending": None if published else state,
        "published_at": at if published else None,
        "partially_published": False,
        "look_at": None,
        "lease_owner": None,
        "lease_until": None,
        "lease_epoch": 4,
    }


def _tasks(release: Row, services: list[str]) -> Iterator[Row]:
    published = release["state"] is ReleaseState.PUBLISHED
    for service in services:
        yield {
            **_names(Prefix.TASK),
            "release_id": release["kf_id"],
            "service_id": service,
            "created_at": release["created_at"],
            "state_since": release["created_at"],
            "life_at": release["created_at"],
            "state": TaskState.PUBLISHED if published else TaskState.CANCELED,
            "progress": 100,
            "told": Action.PUBLISH if published else Action.START,
            "delivery": Delivery.ANSWERED,
            "cancel": Delivery.NONE if published else Delivery.ANSWERED,
            "flight_epoch": None,
            "attempts": 0,
            "due_at": None,
            "last_error": "",
        }


def _events(release: Row, tasks: list[Row]) -> Iterator[Row]:
    """The events of a release: every fourth about itself, the others about one of its tasks."""
    ended_badly = release["state"] is ReleaseState.FAILED
    for number in range(EVENTS_EACH):
        task = tasks[number % len(tasks)] if number % 4 and tasks else None
        subject = f"task {task['kf_id']}" if task else f"release {release['kf_id']}, version 0.0.{number}"
        yield {
            **_names(Prefix.EVENT),
            "event_type": "error" if ended_badly and number == EVENTS_EACH - 1 else "info",
            "message": f"{subject} changed from waiting to initializing",
            "created_at": release["created_at"] + timedelta(seconds=number),
            "release_id": release["kf_id"],
            "task_service_id": task["service_id"] if task else None,
            "task_id": task["kf_id"] if task else None,
            "actor": "lockstep",
        }


def _public(release: Row) -> Iterator[Row]:
    for study in release["studies"] if release["published_at"] else ():
        yield {
            "study_id": study,
            "published_at": release["published_at"],
            "release_position": release["position"],
        }


def _note(release: Row) -> Row:
    return {
        **_names(Prefix.RELEASE_NOTE),
        "description": "What this release brings for one of its studies.",
        "author": release["author"],
        "created_at": release["created_at"],
        "release_id": release["kf_id"],
        "study_id": release["studies"][0],
    }


def _ledger(release: Row) -> Row:
    kind = tables.PUBLISHING if release["state"] is ReleaseState.PUBLISHED else tables.CANDIDATE
    return {key: release[key] for key in ("major", "minor", "patch")} | {"kind": kind, "release_id": release["kf_id"]}
