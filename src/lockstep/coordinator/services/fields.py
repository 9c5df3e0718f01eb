"""The kinds of fields that people fill in: what each may hold, how it is read, and how it is documented.

`inputs` makes its models of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema

from lockstep.coordinator.services.sentences import NOT_NULL, shown
from lockstep.protocol.errors import BadMessage
from lockstep.protocol.ids import ALPHABET, Prefix, is_id
from lockstep.protocol.states import TASK_WORDS, ReleaseState, TaskState, task_state
from lockstep.protocol.wire import read_progress

URL_LIMIT: Final = 200
RELEASE_WORDS: Final[Mapping[str, ReleaseState]] = {
    **{state.value: state for state in ReleaseState},
    "cancelled": ReleaseState.CANCELED,
    "cancelling": ReleaseState.CANCELED,
}
"""Every word that means a release state on input: our own, and those that clients in the field say."""

_NO_NUL: Final = r"^[^\u0000]*$"
_NOT_BLANK: Final = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def line(longest: int) -> StringConstraints:
    """Return what a text must be that may not be blank."""
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest, pattern=_NOT_BLANK)


def text(longest: int) -> StringConstraints:
    """Return what a text must be that may be empty."""
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
        raise ValueError(NOT_NULL)
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
        raise ValueError(NOT_NULL)
    if isinstance(given, str) and given in RELEASE_WORDS:
        return RELEASE_WORDS[given]
    raise ValueError(f"{shown(given)} is not a state of a release; the states are {', '.join(ReleaseState)}.")


def _progress(given: object) -> int:
    try:
        return read_progress(given)
    except BadMessage as error:
        raise ValueError(f"{error}.") from None


Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_LIMIT),
    AfterValidator(service_url),
    Field(description="Where the service answers `/status` and `/tasks`; `http://` is added when there is no scheme."),
]
TaskStateWord = Annotated[
    TaskState | None, BeforeValidator(_state), WithJsonSchema({"type": "string", "enum": list(TASK_WORDS)})
]
ReleaseStateWord = Annotated[
    ReleaseState | None, BeforeValidator(release_state), WithJsonSchema({"type": "string", "enum": list(RELEASE_WORDS)})
]
Percent = Annotated[
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
Tags = Annotated[list[Annotated[str, line(50)]], Field(max_length=100)]
StudyIds = Annotated[
    list[Annotated[str, line(100)]],
    Field(min_length=1, max_length=5000, description="The ids of the studies to release."),
]


ClientId = Annotated[
    str,
    text(100),
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
            raise ValueError(NOT_NULL)
        kf_id = link.partition("?")[0].rstrip("/").rpartition("/")[2] if isinstance(link, str) else ""
        if not is_id(kf_id, self.prefix):
            raise ValueError(f"Invalid hyperlink - No URL match. An address that ends in {self.prefix}_… would be one.")
        return kf_id


@dataclass(frozen=True, slots=True)
class _EmptyIsNone:
    """Takes an empty text, which is what a form has for it, for null; and nothing else that is empty."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return core_schema.no_info_before_validator_function(
            lambda given: None if given == "" else given, handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler(schema)
        return {**described, "anyOf": [*described["anyOf"], {"type": "string", "maxLength": 0}]}


EMPTY_IS_NONE: Final = _EmptyIsNone()

ReleaseLink = Annotated[str, _LinkTo(Prefix.RELEASE)]
ServiceLink = Annotated[str, _LinkTo(Prefix.TASK_SERVICE)]
TaskLink = Annotated[str, _LinkTo(Prefix.TASK)]
StudyLink = Annotated[str, _LinkTo(Prefix.STUDY)]
NoteText = Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=_NOT_BLANK)]
