"""What the REST face shows, in the order of fields that clients know: the newer fields come after the known ones.

Each shape is a type and the function that makes it, so that the type checker holds the two together, and the OpenAPI
document is generated from what is really sent. Links are absolute; a release's studies are bare ids, as ever.
"""

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from lockstep.coordinator.core.model import Release, Task
from lockstep.coordinator.core.records import Event, ReleaseNote, ReleaseView, Study, TaskService, TaskView
from lockstep.coordinator.web.answers import time
from lockstep.protocol.ids import ALPHABET, Prefix
from lockstep.protocol.states import DECISIONS, Decision, ReleaseState, TaskState


def id_pattern(*prefixes: Prefix) -> str:
    """Return the pattern of an id of some kinds."""
    return f"^({'|'.join(prefixes)})_[{ALPHABET}]{{8}}$"


Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-31T12:00:00.000000Z"])]
Link = Annotated[str, Field(json_schema_extra={"format": "uri"})]
_Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$", examples=["0.1.0"])]
_TaskState = Annotated[str, Field(json_schema_extra={"enum": list(TaskState)})]
_ReleaseState = Annotated[str, Field(json_schema_extra={"enum": list(ReleaseState)})]
_ReleaseId = Annotated[str, Field(pattern=id_pattern(Prefix.RELEASE))]
_TaskId = Annotated[str, Field(pattern=id_pattern(Prefix.TASK))]
ServiceId = Annotated[str, Field(pattern=id_pattern(Prefix.TASK_SERVICE))]
_EventId = Annotated[str, Field(pattern=id_pattern(Prefix.EVENT, Prefix.TASK))]
_NoteId = Annotated[str, Field(pattern=id_pattern(Prefix.RELEASE_NOTE))]
_StudyId = Annotated[str, Field(examples=["SD_DYPMEHHF"])]
_Percent = Annotated[int, Field(ge=0, le=100, description="Of the current step.")]


class DetailShape(TypedDict):
    """An error in a sentence."""

    detail: str


FieldErrorsShape = Annotated[
    dict[str, list[str] | dict[str, list[str]]],
    Field(description="Sentences by field; those about something in a list by its index."),
]


class TaskShape(TypedDict):
    """One service's part in a release."""

    kf_id: _TaskId
    state: _TaskState
    progress: _Percent
    release: Link
    task_service: Link
    created_at: Time
    service_name: str
    state_since: Time
    updated_at: Annotated[Time, Field(description="The last change of state or progress.")]
    attempts: Annotated[int, Field(ge=0, description="Requests in a row that the service did not answer.")]
    last_error: Annotated[str, Field(description="The last thing that went wrong; empty when nothing did.")]
    metrics: Annotated[dict[str, Any] | None, Field(description="What the service has counted, by its own names.")]
    preview: Annotated[str, Field(description="Where what was staged can be looked at; empty when nobody said.")]


class NoteShape(TypedDict):
    """A note on a release, or on one study in it."""

    kf_id: _NoteId
    description: str
    author: str
    created_at: Time
    release: Link
    study: Link | None


class ReleaseShape(TypedDict):
    """A set of studies on its way to every service."""

    kf_id: _ReleaseId
    name: str
    description: str
    notes: list[NoteShape]
    state: _ReleaseState
    studies: list[_StudyId]
    tasks: list[TaskShape]
    version: _Version
    created_at: Time
    tags: list[str]
    author: str
    is_major: bool
    step_since: Annotated[Time, Field(description="When the current state began.")]
    published_at: Time | None
    partially_published: Annotated[bool, Field(description="It was stopped when some services had published already.")]
    waits_for: Annotated[Link | None, Field(description="The release that is published first, for a study in both.")]


class DecisionShape(TypedDict):
    """What was decided about a release, for a service that was away."""

    kf_id: _ReleaseId
    decision: Annotated[
        str,
        Field(
            json_schema_extra={"enum": list(Decision)},
            description="`cancel` also of a release that is not known: it will not be published.",
        ),
    ]
    state: Annotated[_ReleaseState | None, Field(description="None of a release that is not known.")]
    version: Annotated[_Version | None, Field(description="The final one where the decision is `publish`.")]


class PublishShape(ReleaseShape):
    """A release that is being published, and what clients in the field look for in the answer."""

    message: str


class ServiceShape(TypedDict):
    """A registered task service."""

    kf_id: ServiceId
    name: str
    description: str
    last_ok_status: Annotated[int, Field(ge=0, description="Failed health checks since the last good one.")]
    author: str
    health_status: Annotated[str, Field(json_schema_extra={"enum": ["ok", "down"]})]
    url: Link
    created_at: Time
    enabled: Annotated[bool, Field(description="It takes part in new releases.")]
    client_id: Annotated[str, Field(description="The client whose tokens are the service's own; empty for none.")]


class StudyShape(TypedDict):
    """A study of the data service."""

    kf_id: _StudyId
    name: str
    version: Annotated[_Version | None, Field(description="Of the newest release that holds it.")]
    visible: bool
    last_pub_version: Annotated[_Version | None, Field(description="Of the newest published release that holds it.")]
    last_pub_date: Annotated[Time | None, Field(description="When that release was created.")]
    deleted: bool
    created_at: Time | None


class CurrentShape(TypedDict):
    """A published release, as the public sees it."""

    kf_id: _ReleaseId
    name: str
    description: str
    version: _Version
    is_major: bool
    published_at: Annotated[Time, Field(description="When the last of its services had published.")]
    studies: list[_StudyId]
    tags: list[str]
    notes: list[NoteShape]
    release: Link


class EventShape(TypedDict):
    """Something that happened."""

    kf_id: _EventId
    event_type: Annotated[str, Field(json_schema_extra={"enum": ["info", "warning", "error"]})]
    message: str
    release: Link | None
    task_service: Link | None
    task: Link | None
    created_at: Time
    actor: Annotated[str, Field(description="Whose doing it was; `lockstep` for the coordinator's own.")]


class SyncShape(TypedDict):
    """What a sync of the studies came to."""

    status: Annotated[str, Field(json_schema_extra={"const": "ok"})]
    new: Annotated[int, Field(ge=0)]
    deleted: Annotated[int, Field(ge=0)]
    restored: Annotated[int, Field(ge=0, description="Studies that had been deleted and are there again.")]
    message: str


class SyncFailedShape(DetailShape):
    """Why there was no sync."""

    status: Annotated[str, Field(json_schema_extra={"const": "error"})]
    message: str


class StatusShape(TypedDict):
    """Who answers here, and whether all is well."""

    name: str
    version: str
    commit: Annotated[str, Field(description="The deployed commit; empty when nobody said.")]
    code: int
    message: str
    database: Annotated[str, Field(description="`ok`, or what is wrong with it.")]
    queue: Annotated[str, Field(description="`ok`, or how long a release has been due that nobody looked at.")]
    worker: Annotated[str, Field(description="`ok`, or for how long the worker has not looked for work.")]


class CheckedShape(TypedDict):
    """What a check was begun for."""

    status: Annotated[str, Field(json_schema_extra={"const": "ok"})]
    message: str


class HealthCheckedShape(TypedDict):
    """The health of every service was looked at."""

    status: Annotated[str, Field(json_schema_extra={"const": "ok"})]


RootShape = TypedDict(
    "RootShape",
    {
        "tasks": Link,
        "task-services": Link,
        "releases": Link,
        "release-notes": Link,
        "events": Link,
        "studies": Link,
    },
)
"""Where the collections are."""


def decision_shape(release_id: str, release: Release | None) -> DecisionShape:
    """Return what was decided about a release; None for one that is not known."""
    return {
        "kf_id": release_id,
        "decision": Decision.CANCEL if release is None else DECISIONS[release.state],
        "state": None if release is None else release.state,
        "version": None if release is None else str(release.version),
    }


def release_shape(view: ReleaseView, base: str) -> ReleaseShape:
    """Return a release as it is shown; `base` is the address that links begin with."""
    release = view.release
    link = f"{base}/releases/{release.kf_id}"
    return {
        "kf_id": release.kf_id,
        "name": release.name,
        "description": release.description,
        "notes": [note_shape(note, base) for note in view.notes],
        "state": release.state.value,
        "studies": list(release.studies),
        "tasks": [_task_shape(task, link, base) for task in view.tasks],
        "version": str(release.version),
        "created_at": time(release.created_at),
        "tags": list(release.tags),
        "author": release.author,
        "is_major": release.is_major,
        "step_since": time(release.step_since),
        "published_at": time(release.published_at) if release.published_at else None,
        "partially_published": release.partially_published,
        "waits_for": _link(base, "releases", release.waits_for),
    }


def task_shape(view: TaskView, base: str) -> TaskShape:
    """Return a task as it is shown."""
    return _task_shape(view.task, f"{base}/releases/{view.release_id}", base)


def _task_shape(task: Task, release_link: str, base: str) -> TaskShape:
    return {
        "kf_id": task.kf_id,
        "state": task.state.value,
        "progress": task.progress,
        "release": release_link,
        "task_service": f"{base}/task-services/{task.service_id}",
        "created_at": time(task.created_at),
        "service_name": task.service_name,
        "state_since": time(task.state_since),
        "updated_at": time(task.life_at),
        "attempts": task.attempts,
        "last_error": task.last_error,
        "metrics": None if task.metrics is None else dict(task.metrics),
        "preview": task.preview,
    }


def note_shape(note: ReleaseNote, base: str) -> NoteShape:
    """Return a release note as it is shown."""
    return {
        "kf_id": note.kf_id,
        "description": note.description,
        "author": note.author,
        "created_at": time(note.created_at),
        "release": f"{base}/releases/{note.release_id}",
        "study": _link(base, "studies", note.study_id),
    }


def current_shape(view: ReleaseView, base: str) -> CurrentShape:
    """Return a published release as the public sees it."""
    release = view.release
    return {
        "kf_id": release.kf_id,
        "name": release.name,
        "description": release.description,
        "version": str(release.version),
        "is_major": release.is_major,
        "published_at": time(release.published_at or release.step_since),
        "studies": list(release.studies),
        "tags": list(release.tags),
        "notes": [note_shape(note, base) for note in view.notes],
        "release": f"{base}/releases/{release.kf_id}",
    }


def service_shape(service: TaskService, base: str) -> ServiceShape:  # noqa: ARG001 - one signature for every shape
    """Return a task service as it is shown."""
    return {
        "kf_id": service.kf_id,
        "name": service.name,
        "description": service.description,
        "last_ok_status": service.last_ok_status,
        "author": service.author,
        "health_status": service.health_status,
        "url": service.url,
        "created_at": time(service.created_at),
        "enabled": service.enabled,
        "client_id": service.client_id,
    }


def study_shape(study: Study, base: str) -> StudyShape:  # noqa: ARG001 - one signature for every shape
    """Return a study as it is shown."""
    return {
        "kf_id": study.kf_id,
        "name": study.name,
        "version": str(study.version) if study.version else None,
        "visible": study.visible,
        "last_pub_version": str(study.last_pub_version) if study.last_pub_version else None,
        "last_pub_date": time(study.last_pub_date) if study.last_pub_date else None,
        "deleted": study.deleted,
        "created_at": time(study.created_at) if study.created_at else None,
    }


def event_shape(event: Event, base: str) -> EventShape:
    """Return an event as it is shown."""
    return {
        "kf_id": event.kf_id,
        "event_type": event.event_type.value,
        "message": event.message,
        "release": _link(base, "releases", event.release_id),
        "task_service": _link(base, "task-services", event.task_service_id),
        "task": _link(base, "tasks", event.task_id),
        "created_at": time(event.created_at),
        "actor": event.actor,
    }


def _link(base: str, collection: str, kf_id: str | None) -> str | None:
    return f"{base}/{collection}/{kf_id}" if kf_id else None
