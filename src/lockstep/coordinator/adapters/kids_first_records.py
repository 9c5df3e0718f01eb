"""What the coordinators of the field write about their records, read into ours.

The words are those of their REST API (`docs/how-to/move.md`); a Lockstep speaks the same and says a little more, which
is taken. What a record cannot be read without is told as a reason why it is left out; what can be mended is mended, and
that is told as well.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from lockstep.coordinator.core.history import OF_ONE_LEFT_OUT, History, Kind, Piece, Remark
from lockstep.coordinator.core.model import EventType, Release, Task
from lockstep.coordinator.core.records import Event, ReleaseNote, Study, TaskService, TaskView
from lockstep.coordinator.core.versions import Version
from lockstep.protocol.errors import BadMessage
from lockstep.protocol.ids import Prefix, is_id
from lockstep.protocol.states import ReleaseState, TaskState, task_state

Row = Mapping[str, Any]

ID: Final = "kf_id"
LONGEST_STUDY_ID: Final = 11
_LARGEST: Final = 2**31 - 1
_LIMITS: Final = {"author": 100, "client_id": 150, "url": 200, "tag": 50}
_NAMES: Final = {Kind.STUDY: _LARGEST, Kind.SERVICE: 100, Kind.RELEASE: 256}
_SPELLINGS: Final = {"cancelled": "canceled", "cancelling": "canceling"}
_ENDED_EARLY: Final = frozenset({ReleaseState.FAILED, ReleaseState.CANCELED})
_FULL: Final = 100


class _BadRecord(Exception):
    """A record cannot be read; the text is half a sentence that says why."""


def piece_of(kind: Kind, rows: Sequence[Row], total: int) -> Piece:
    """Return what a page of a list holds, the oldest first."""
    return _Page(kind, rows).piece(total)


class _Page:
    """A page while it is read."""

    def __init__(self, kind: Kind, rows: Sequence[Row]) -> None:
        self._kind = kind
        self._rows = rows
        self._left_out: list[Remark] = []
        self._altered: list[Remark] = []
        self._moments: dict[str, datetime] = {}
        self._tasks: list[TaskView] = []
        self._notes: list[ReleaseNote] = []

    def piece(self, total: int) -> Piece:
        history = self._releases() if self._kind is Kind.RELEASE else History()
        if self._kind is Kind.STUDY:
            history = History(studies=self._all(self._rows, Kind.STUDY, self._study))
        elif self._kind is Kind.SERVICE:
            history = History(services=self._all(self._rows, Kind.SERVICE, self._service))
        elif self._kind is Kind.EVENT:
            history = History(events=self._all(self._rows, Kind.EVENT, self._event))
        return Piece(total, history, self._left_out, self._altered)

    def _releases(self) -> History:
        releases = self._all(self._rows, Kind.RELEASE, self._release)
        return History(
            releases=releases,
            tasks=sorted(self._tasks, key=lambda view: view.task.created_at),
            notes=sorted(self._notes, key=lambda note: note.created_at),
            moments=self._moments,
        )

    def _all(self, rows: Sequence[Row], kind: Kind, read: Callable[[Row], Any]) -> list[Any]:
        records = []
        for row in rows:
            try:
                records.append(read(row))
            except _BadRecord as error:
                self._left_out.append(Remark(kind, str(row.get(ID)), str(error)))
                for name, part in (("tasks", Kind.TASK), ("notes", Kind.NOTE)):
                    parts = _rows(row, name)
                    self._left_out.extend(Remark(part, str(each.get(ID)), OF_ONE_LEFT_OUT) for each in parts)
        return records

    def _study(self, row: Row) -> Study:
        study_id = row.get(ID)
        if not isinstance(study_id, str) or not 0 < len(study_id) <= LONGEST_STUDY_ID:
            raise _BadRecord("has no id of a study, such as SD_8Y99QZJJ")
        name = self._name(row, Kind.STUDY)
        created_at = _time(row, "created_at") if row.get("created_at") else None
        return Study(study_id, name, row.get("visible") is not False, row.get("deleted") is True, created_at)

    def _service(self, row: Row) -> TaskService:
        url = row.get("url")
        if not isinstance(url, str) or not url:
            raise _BadRecord("shows no address; a token of somebody who may see addresses would help")
        failures = row.get("last_ok_status")
        return TaskService(
            _id(row, Prefix.TASK_SERVICE),
            self._name(row, Kind.SERVICE),
            self._text(row, "description", Kind.SERVICE, 500),
            self._text(row, "url", Kind.SERVICE),
            self._text(row, "author", Kind.SERVICE),
            _time(row, "created_at"),
            enabled=row.get("enabled") is not False,
            last_ok_status=min(failures, _LARGEST) if isinstance(failures, int) and failures > 0 else 0,
            client_id=self._text(row, "client_id", Kind.SERVICE),
        )

    def _release(self, row: Row) -> Release:
        release_id, state = _id(row, Prefix.RELEASE), _release_state(row.get("state"))
        created_at = _time(row, "created_at")
        studies = [
            each for each in _list(row, "studies") if isinstance(each, str) and 0 < len(each) <= LONGEST_STUDY_ID
        ]
        tags = [
            self._cut(each, "tag", Kind.RELEASE, release_id) for each in _list(row, "tags") if isinstance(each, str)
        ]
        release = Release(
            kf_id=release_id,
            name=self._name(row, Kind.RELEASE),
            version=_version(row.get("version")),
            studies=tuple(dict.fromkeys(studies)),
            created_at=created_at,
            step_since=created_at,
            description=self._text(row, "description", Kind.RELEASE, _LARGEST),
            author=self._text(row, "author", Kind.RELEASE),
            tags=tuple(tags),
            is_major=row.get("is_major") is True,
            state=state,
            ending=state if state in _ENDED_EARLY else None,
            partially_published=self._hanging_on(row, release_id, state),
        )
        if row.get("step_since"):
            self._moments[release_id] = _time(row, "published_at" if row.get("published_at") else "step_since")
        return release

    def _hanging_on(self, row: Row, release_id: str, state: ReleaseState) -> bool:
        """Read the tasks and notes of a release; return whether it ended when some services had published."""
        tasks: list[Task] = sorted(
            self._all(_rows(row, "tasks"), Kind.TASK, self._task), key=lambda task: task.created_at
        )
        services: set[str] = set()
        for task in tasks:
            if task.service_id in services:
                reason = f"is a second task of {task.service_id} in its release"
                self._left_out.append(Remark(Kind.TASK, task.kf_id, reason))
            else:
                self._tasks.append(TaskView(task, release_id))
            services.add(task.service_id)
        notes = self._all(_rows(row, "notes"), Kind.NOTE, lambda note: self._note(note, release_id))
        self._notes.extend(notes)
        published = any(task.state is TaskState.PUBLISHED for task in tasks)
        return row.get("partially_published") is True or (state in _ENDED_EARLY and published)

    def _task(self, row: Row) -> Task:
        task_id, created_at = _id(row, Prefix.TASK), _time(row, "created_at")
        service_id = linked(row.get("task_service"), Prefix.TASK_SERVICE)
        if service_id is None:
            raise _BadRecord("is of no task service")
        try:
            state = task_state(row.get("state"))
        except BadMessage as error:
            raise _BadRecord(f"is in a state that is none: {error}") from None
        progress = row.get("progress") or 0
        if not isinstance(progress, int) or not 0 <= progress <= _FULL:
            self._altered.append(Remark(Kind.TASK, task_id, "had a progress outside of 0 to 100, which was cut"))
            progress = min(max(progress, 0), _FULL) if isinstance(progress, int) else 0
        if row.get("state_since"):
            self._moments[task_id] = _time(row, "state_since")
        metrics = row.get("metrics")
        return Task(
            task_id,
            service_id,
            self._cut(str(row.get("service_name") or service_id), "name", Kind.TASK, task_id),
            "",
            created_at,
            created_at,
            created_at,
            state,
            progress,
            last_error=self._text(row, "last_error", Kind.TASK, _LARGEST),
            metrics=metrics if isinstance(metrics, dict) else None,
            preview=self._text(row, "preview", Kind.TASK, _LARGEST),
        )

    def _note(self, row: Row, release_id: str) -> ReleaseNote:
        return ReleaseNote(
            _id(row, Prefix.RELEASE_NOTE),
            self._text(row, "description", Kind.NOTE, _LARGEST),
            self._text(row, "author", Kind.NOTE),
            _time(row, "created_at"),
            release_id,
            linked(row.get("study")),
        )

    def _event(self, row: Row) -> Event:
        event_id = row.get(ID)
        if not isinstance(event_id, str) or not (is_id(event_id, Prefix.EVENT) or is_id(event_id, Prefix.TASK)):
            raise _BadRecord("has no id of an event, such as EV_8Y99QZJJ")
        try:
            event_type = EventType(str(row.get("event_type")).lower())
        except ValueError:
            self._altered.append(Remark(Kind.EVENT, event_id, f"was of the type {row.get('event_type')!r}, now info"))
            event_type = EventType.INFO
        return Event(
            0,
            event_id,
            event_type,
            self._text(row, "message", Kind.EVENT, _LARGEST),
            _time(row, "created_at"),
            linked(row.get("release"), Prefix.RELEASE),
            linked(row.get("task_service"), Prefix.TASK_SERVICE),
            linked(row.get("task"), Prefix.TASK),
            self._text(row, "actor", Kind.EVENT, 150),
        )

    def _name(self, row: Row, kind: Kind) -> str:
        if name := self._text(row, "name", kind, _NAMES[kind]).strip():
            return name
        self._altered.append(Remark(kind, str(row[ID]), "has no name there; shown by its id"))
        return str(row[ID])

    def _text(self, row: Row, name: str, kind: Kind, most: int = 0) -> str:
        return self._cut(str(row.get(name) or ""), name, kind, str(row.get(ID)), most)

    def _cut(self, text: str, name: str, kind: Kind, kf_id: str, most: int = 0) -> str:
        """Return a text without NUL, which not every database keeps, and no longer than there is room for."""
        most = most or _LIMITS.get(name, _NAMES[Kind.RELEASE])
        text = text.replace("\0", "")
        if len(text) > most:
            self._altered.append(Remark(kind, kf_id, f"has a {name} that was cut to {most} characters"))
        return text[:most]


def linked(link: object, prefix: Prefix | None = None) -> str | None:
    """Return the id at the end of a link, or one that stands alone; None when there is none of that kind."""
    if not isinstance(link, str):
        return None
    kf_id = link.rstrip("/").rpartition("/")[2]
    if prefix is None:
        return kf_id if 0 < len(kf_id) <= LONGEST_STUDY_ID else None
    return kf_id if is_id(kf_id, prefix) else None


def _id(row: Row, prefix: Prefix) -> str:
    kf_id = row.get(ID)
    if not isinstance(kf_id, str) or not is_id(kf_id, prefix):
        raise _BadRecord(f"has no id such as {prefix}_8Y99QZJJ")
    return kf_id


def _time(row: Row, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(row.get(name)))
    except ValueError:
        raise _BadRecord(f"has {row.get(name)!r} for {name}, which is no time") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _version(text: object) -> Version:
    try:
        version = Version.parse(str(text))
    except ValueError:
        raise _BadRecord(f"has {text!r} for its version; 1.2.3 would be one") from None
    if max(version.major, version.minor, version.patch) > _LARGEST:
        raise _BadRecord(f"has the version {text}, which is larger than any that can be kept")
    return version


def _release_state(word: object) -> ReleaseState:
    text = str(word).strip().lower()
    try:
        return ReleaseState(_SPELLINGS.get(text, text))
    except ValueError:
        raise _BadRecord(f"is in the state {word!r}, which is none of a release") from None


def _list(row: Row, name: str) -> list[Any]:
    value = row.get(name)
    return value if isinstance(value, list) else []


def _rows(row: Row, name: str) -> list[Row]:
    return [each for each in _list(row, name) if isinstance(each, dict)]
