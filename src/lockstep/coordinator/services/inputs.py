"""What people may write, field by field: the one statement of names, types and lengths on input.

Every face hands over what it was given as a mapping and gets a checked value back, or `Invalid` with a sentence for
each field that is wrong. The REST face documents itself from the same models. What needs the store or the world (is
there such a study, does the service answer) is not asked here but by the commands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from lockstep.coordinator.core.errors import Invalid
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.core.records import NewEvent, NewRelease
from lockstep.protocol.errors import BadMessage
from lockstep.protocol.ids import ALPHABET, Prefix, is_id
from lockstep.protocol.messages import Findings
from lockstep.protocol.states import TASK_WORDS, ReleaseState, TaskState, task_state
from lockstep.protocol.wire import read_findings, read_progress

URL_LIMIT: Final = 200
_TEXT: Final = {"type": ["string", "null"]}
_OBJECT: Final = {"type": ["object", "null"]}
_REQUIRED: Final = "This field is required."
_NOT_NULL: Final = "This field may not be null."
RELEASE_WORDS: Final[Mapping[str, ReleaseState]] = {
    **{state.value: state for state in ReleaseState},
    "cancelled": ReleaseState.CANCELED,
    "cancelling": ReleaseState.CANCELED,
}
"""Every word that means a release state on input: our own, and those that clients in the field say."""

_NO_NUL: Final = r"^[^\u0000]*$"
_NOT_BLANK: Final = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def _line(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest, pattern=_NOT_BLANK)


def _text(longest: int) -> StringConstraints:
    return StringConstraints(strip_whitespace=True, max_length=longest, pattern=_NO_NUL)


def service_url(given: str) -> str:
    """Return the address of a task service as it is kept: with a scheme, and without a slash at the end.

    Raises:
        ValueError: it is no HTTP address, or one to which `/status` and `/tasks` cannot be added.
    """
    url = (given if "://" in given else f"http://{given}").rstrip("/")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isprintable() or any(mark in url for mark in " ?#\\@") or len(url) > URL_LIMIT:
        raise ValueError("Enter a valid URL. It looks like http://task:8282, with at most 200 characters.")
    return url


def _state(given: object) -> TaskState:
    if given is None:
        raise ValueError(_NOT_NULL)
    try:
        return task_state(given)
    except BadMessage as error:
        raise ValueError(f"{error}.") from None


def release_state(given: object) -> ReleaseState:
    """Return the release state that a word from outside means.

    Raises:
        ValueError: the word is no such state.
    """
    if given is None:
        raise ValueError(_NOT_NULL)
    if isinstance(given, str) and given in RELEASE_WORDS:
        return RELEASE_WORDS[given]
    raise ValueError(f"{_shown(given)} is not a state of a release; the states are {', '.join(ReleaseState)}.")


def _progress(given: object) -> int:
    try:
        return read_progress(given)
    except BadMessage as error:
        raise ValueError(f"{error}.") from None


_Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_LIMIT),
    AfterValidator(service_url),
    Field(description="Where the service answers `/status` and `/tasks`; `http://` is added when there is no scheme."),
]
_TaskState = Annotated[
    TaskState | None, BeforeValidator(_state), WithJsonSchema({"type": "string", "enum": list(TASK_WORDS)})
]
_ReleaseState = Annotated[
    ReleaseState | None, BeforeValidator(release_state), WithJsonSchema({"type": "string", "enum": list(RELEASE_WORDS)})
]
_Progress = Annotated[
    int | None,
    BeforeValidator(_progress),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number"},
                {"type": "string", "pattern": r"^ *-?[0-9]{1,9}(\.[0-9]{1,9})?%? *$"},
                {"type": "null"},
            ]
        }
    ),
    Field(description='Percent of the current step, cut to 0 to 100: `50`, `50.0`, `"50"`, `"50%"`; `null` is 0.'),
]
_Tags = Annotated[list[Annotated[str, _line(50)]], Field(max_length=100)]
_Studies = Annotated[
    list[Annotated[str, _line(100)]],
    Field(min_length=1, max_length=5000, description="The ids of the studies to release."),
]


_ClientId = Annotated[
    str,
    _text(100),
    Field(description="The client id of the service's own tokens, which may report on its tasks and no others."),
]


@dataclass(frozen=True, slots=True)
class _LinkTo:
    """Makes a text field one that names another thing: by its address, by its path, or by its id alone."""

    prefix: Prefix

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return core_schema.no_info_before_validator_function(self._id, handler(source))

    def __get_pydantic_json_schema__(self, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "type": "string",
            "pattern": rf"^([^?#\s]*/)?{self.prefix}_[{ALPHABET}]{{8}}$",
            "description": f"An address, or a path, that ends in the id, or the id alone: `{self.prefix}_00000000`.",
        }

    def _id(self, link: object) -> str:
        if link is None:
            raise ValueError(_NOT_NULL)
        kf_id = link.partition("?")[0].rstrip("/").rpartition("/")[2] if isinstance(link, str) else ""
        if not is_id(kf_id, self.prefix):
            raise ValueError(f"Invalid hyperlink - No URL match. An address that ends in {self.prefix}_… would be one.")
        return kf_id


_OrNone = BeforeValidator(lambda given: given or None)
"""Takes an empty field of a form for null."""

_ReleaseLink = Annotated[str, _LinkTo(Prefix.RELEASE)]
_ServiceLink = Annotated[str, _LinkTo(Prefix.TASK_SERVICE)]
_TaskLink = Annotated[str, _LinkTo(Prefix.TASK)]
_StudyLink = Annotated[str, _LinkTo(Prefix.STUDY)]
_NoteText = Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=_NOT_BLANK)]


class Input(BaseModel):
    """What a caller wrote. Fields that are not ours are ignored, as clients in the field expect."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReleaseInput(Input):
    """A release to be started."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["studies"]}, {"required": ["study_ids"]}]})

    name: Annotated[str, _line(256)]
    description: Annotated[str, _text(5000), Field(description="Markdown.")] = ""
    studies: _Studies = Field(default_factory=list)
    study_ids: _Studies = Field(default_factory=list, description="The older name of `studies`.")
    tags: _Tags = Field(default_factory=list)
    is_major: Annotated[bool, Field(description="It changes the shape of the data: the next major version.")] = False
    author: Annotated[str, _line(100)] = "admin"

    @model_validator(mode="after")
    def _has_studies(self) -> Self:
        if not self.studies and not self.study_ids:
            raise ValueError(_REQUIRED)
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

    name: Annotated[str, _line(256)] = ""
    description: Annotated[str, _text(5000), Field(description="Markdown.")] = ""
    studies: Annotated[_Studies, Field(description="Those that it has; they do not change.")] = Field(
        default_factory=list
    )
    tags: _Tags = Field(default_factory=list)
    is_major: Annotated[bool, Field(description="Until it is published, which fixes its version.")] = False
    state: _ReleaseState = None


class ReleaseReplacement(ReleaseEdit):
    """A change to a release by clients that send all of it; what they leave out stays as it is."""

    name: Annotated[str, _line(256)]
    studies: Annotated[_Studies, Field(description="Those that it has; they do not change.")]


class NoteInput(Input):
    """A note on a release, or on one study in it."""

    description: _NoteText
    release: _ReleaseLink
    study: Annotated[_StudyLink | None, _OrNone] = None
    author: Annotated[str, _line(100)] = "admin"


class NoteEdit(Input):
    """A change to a note. Which release and study it is on does not change."""

    description: _NoteText
    release: Annotated[_ReleaseLink | None, _OrNone] = None
    study: Annotated[_StudyLink | None, _OrNone] = None


class NotePatch(NoteEdit):
    """A change to a note; without a description, none."""

    description: _NoteText = ""


class EventInput(Input):
    """Something that happened elsewhere. What is about a task is about its release and its service too."""

    event_type: Literal["info", "warning", "error"] = "info"
    message: Annotated[str, _line(1000)]
    release: Annotated[_ReleaseLink | None, _OrNone] = None
    task_service: Annotated[_ServiceLink | None, _OrNone] = None
    task: Annotated[_TaskLink | None, _OrNone] = None

    def new_event(self) -> NewEvent:
        """Return what is to be stored."""
        return NewEvent(EventType(self.event_type), self.message, self.release, self.task_service, self.task)


class TaskInput(Input):
    """A service's part in a release, which every enabled service has from the start."""

    release: _ReleaseLink
    task_service: _ServiceLink


class ServiceInput(Input):
    """A task service to be registered."""

    name: Annotated[str, _line(100)]
    url: _Url
    description: Annotated[str, _text(500)] = ""
    author: Annotated[str, _line(100)] = "admin"
    enabled: Annotated[bool, Field(description="It takes part in new releases.")] = True
    client_id: _ClientId = ""


class ServiceEdit(Input):
    """A change to a task service: the fields that are given, and no others."""

    name: Annotated[str, _line(100)] = ""
    url: _Url = ""
    description: Annotated[str, _text(500)] = ""
    author: Annotated[str, _line(100)] = ""
    enabled: bool = True
    client_id: _ClientId = ""


class ServiceReplacement(ServiceEdit):
    """A change to a task service by clients that send all that they know of it; what they leave out stays as it is."""

    name: Annotated[str, _line(100)]
    url: _Url


class TaskReport(Input):
    """What a task service reports about its task: a state, a progress, or both, and what else it has to say."""

    state: _TaskState = None
    progress: _Progress = None
    error: Annotated[Any, Field(description="Why the task failed, a sentence.", json_schema_extra=_TEXT)] = None
    metrics: Annotated[
        Any, Field(description="What was counted, by names of the service's own.", json_schema_extra=_OBJECT)
    ] = None
    preview: Annotated[
        Any, Field(description="Where what was staged can be looked at, an address.", json_schema_extra=_TEXT)
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


def sentences(errors: Sequence[ErrorDetails], *, inside: int = 0) -> dict[str, list[str]]:
    """Return what is wrong, by field; the key of something inside a list is `field.index`.

    `inside` is how many steps of each error's place lead to the fields, such as 1 where they are a query.
    """
    said: dict[str, list[str]] = {}
    for error in errors:
        where = [str(part) for part in error["loc"][inside:]] or ["studies"]
        path = ".".join(where[:2]) if where[0] == "tags" else where[0]
        sentence = _sentence(error)
        if sentence not in said.setdefault(path, []):
            said[path].append(sentence)
    return said


def _sentence(error: ErrorDetails) -> str:
    """Return one error in our words; clients in the field know some of them."""
    given, limits = error["input"], error.get("ctx", {})
    if error["type"] == "value_error":
        return str(limits["error"])
    if given is None and error["type"] != "missing":
        return _NOT_NULL
    words = _WORDS.get(error["type"])
    if error["type"] == "string_pattern_mismatch":
        words = "This field may not be blank." if "\0" not in str(given) else "This text has a NUL character in it."
    if error["type"] == "too_short" and error["loc"][0] in {"studies", "study_ids"}:
        words = "Must have at least one study"
    if words is None:
        return f"{error['msg']}."
    return words.format(**limits, given=_shown(given), type=type(given).__name__)


def _shown(given: object) -> str:
    longest = 60
    text = ascii(given)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


_WORDS: Final = {
    "missing": _REQUIRED,
    "string_type": "This must be a text, not {given}.",
    "string_unicode": "This text has a character in it that is none (half of a surrogate pair).",
    "string_too_short": "This field may not be blank.",
    "string_too_long": "This text is too long; at most {max_length} characters are allowed.",
    "list_type": 'Expected a list of items but got type "{type}".',
    "too_short": "At least {min_length} is needed.",
    "too_long": "This list is too long; at most {max_length} are allowed.",
    "bool_type": "This must be true or false, not {given}.",
    "bool_parsing": "This must be true or false, not {given}.",
    "int_parsing": "This must be a whole number, not {given}.",
    "int_parsing_size": "This number is too large.",
    "int_type": "This must be a whole number, not {given}.",
    "greater_than_equal": "This number is too small; {ge} is the least.",
    "less_than_equal": "This number is too large; {le} is the most.",
    "literal_error": "{given} is not one of {expected}.",
}
