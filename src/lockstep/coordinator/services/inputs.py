"""What people may write, field by field: the one statement of names, types and lengths on input.

Every face hands over what it was given as a mapping and gets a checked value back, or `Invalid` with a sentence for
each field that is wrong. The REST face documents itself from the same models. What needs the store or the world (is
there such a study, does the service answer) is not asked here but by the commands.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lockstep.coordinator.core.errors import Invalid
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import NewEvent, NewRelease
from lockstep.coordinator.services.fields import (
    EMPTY_IS_NONE,
    ClientId,
    NoteText,
    Percent,
    ReleaseLink,
    ReleaseStateWord,
    ServiceLink,
    StudyIds,
    StudyLink,
    Tags,
    TaskLink,
    TaskStateWord,
    Url,
    line,
    text,
)
from lockstep.coordinator.services.sentences import REQUIRED, sentences
from lockstep.protocol.messages import Findings
from lockstep.protocol.wire import read_findings


class Input(BaseModel):
    """What a caller wrote. Fields that are not ours are ignored, as clients in the field expect."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReleaseInput(Input):
    """A release to be started."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["studies"]}, {"required": ["study_ids"]}]})

    name: Annotated[str, line(256)]
    description: Annotated[str, text(5000), Field(description="Markdown.")] = ""
    studies: StudyIds = Field(default_factory=list)
    study_ids: StudyIds = Field(default_factory=list, description="The older name of `studies`.")
    tags: Tags = Field(default_factory=list)
    is_major: Annotated[bool, Field(description="It changes the shape of the data: the next major version.")] = False
    author: Annotated[str, line(100)] = "admin"

    @model_validator(mode="after")
    def _has_studies(self) -> Self:
        if not self.studies and not self.study_ids:
            raise ValueError(REQUIRED)
        return self

    def new_release(self) -> NewRelease:
        """Return what is to be created; studies that were named twice are in it once."""
        return NewRelease(
            name=self.name,
            studies=tuple(dict.fromkeys(self.studies or self.study_ids)),
            description=self.description,
            author=self.author,
            tags=tuple(self.tags),
            is_major=self.is_major,
        )


class ReleaseEdit(Input):
    """A change to a release: the fields that are given, and no others; the state `publishing` publishes it."""

    name: Annotated[str, line(256)] = ""
    description: Annotated[str, text(5000), Field(description="Markdown.")] = ""
    studies: Annotated[StudyIds, Field(description="Those that it has; they do not change.")] = Field(
        default_factory=list
    )
    tags: Tags = Field(default_factory=list)
    is_major: Annotated[bool, Field(description="Until it is published, which fixes its version.")] = False
    state: ReleaseStateWord = None


class ReleaseReplacement(ReleaseEdit):
    """A change to a release by clients that send all of it; what they leave out stays as it is."""

    name: Annotated[str, line(256)]
    studies: Annotated[StudyIds, Field(description="Those that it has; they do not change.")]


class NoteInput(Input):
    """A note on a release, or on one study in it."""

    description: NoteText
    release: ReleaseLink
    study: Annotated[StudyLink | None, EMPTY_IS_NONE] = None
    author: Annotated[str, line(100)] = "admin"


class NoteEdit(Input):
    """A change to a note. Which release and study it is on does not change."""

    description: NoteText
    release: Annotated[ReleaseLink | None, EMPTY_IS_NONE] = None
    study: Annotated[StudyLink | None, EMPTY_IS_NONE] = None


class NotePatch(NoteEdit):
    """A change to a note; without a description, none."""

    description: NoteText = ""


class EventInput(Input):
    """Something that happened elsewhere. What is about a task is about its release and its service too."""

    event_type: Literal["info", "warning", "error"] = "info"
    message: Annotated[str, line(1000)]
    release: Annotated[ReleaseLink | None, EMPTY_IS_NONE] = None
    task_service: Annotated[ServiceLink | None, EMPTY_IS_NONE] = None
    task: Annotated[TaskLink | None, EMPTY_IS_NONE] = None

    def new_event(self) -> NewEvent:
        """Return what is to be stored."""
        return NewEvent(EventType(self.event_type), self.message, self.release, self.task_service, self.task)


class TaskInput(Input):
    """A service's part in a release, which every enabled service has from the start."""

    release: ReleaseLink
    task_service: ServiceLink


class ServiceInput(Input):
    """A task service to be registered."""

    name: Annotated[str, line(100)]
    url: Url
    description: Annotated[str, text(500)] = ""
    author: Annotated[str, line(100)] = "admin"
    enabled: Annotated[bool, Field(description="It takes part in new releases.")] = True
    client_id: ClientId = ""


class ServiceEdit(Input):
    """A change to a task service: the fields that are given, and no others."""

    name: Annotated[str, line(100)] = ""
    url: Url = ""
    description: Annotated[str, text(500)] = ""
    author: Annotated[str, line(100)] = ""
    enabled: bool = True
    client_id: ClientId = ""


class ServiceReplacement(ServiceEdit):
    """A change to a task service by clients that send all that they know of it; what they leave out stays as it is."""

    name: Annotated[str, line(100)]
    url: Url


class TaskReport(Input):
    """What a task service reports about its task: a state, a progress, or both, and what else it has to say."""

    state: TaskStateWord = None
    progress: Percent = None
    error: Annotated[Any, Field(description="Why the task failed: a sentence; what is no text is left out.")] = None
    metrics: Annotated[
        Any,
        Field(description="What was counted: an object, by names of the service's own; what is none is left out."),
    ] = None
    preview: Annotated[
        Any, Field(description="Where what was staged can be looked at: an address; what is none is left out.")
    ] = None
    heartbeat: Annotated[Any, Field(description="The task is at work, whatever the progress.")] = None

    @property
    def findings(self) -> Findings:
        """Return what it says beside state and progress; what cannot be meant is left out, as in an answer."""
        return read_findings(self.model_dump(include={"error", "metrics", "preview", "heartbeat"}, exclude_unset=True))


Model = TypeVar("Model", bound=BaseModel)


def check(model: type[Model], fields: Mapping[str, Any], *, strict: bool = True) -> Model:
    """Return what a caller wrote, checked.

    Args:
        model: what it should be.
        fields: what was written.
        strict: the types must be right as they are, as in JSON; otherwise `"true"` is a boolean, as in a form.

    Raises:
        Invalid: it is not; with a sentence for each field that is wrong.
    """
    try:
        return model.model_validate(fields, strict=strict)
    except ValidationError as error:
        raise Invalid(sentences(error.errors(include_url=False))) from None
