"""The pages of the reference, each made from what the code says about itself.

A page is a text; nobody writes here. `PAGES` has them by their paths under `docs/`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from handbook.diagrams import Moves, mermaid
from lockstep import taskkit
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.settings import PREFIX, Settings
from lockstep.coordinator.web.app import OPERATIONS
from lockstep.coordinator.web.graphql.sdl import sdl
from lockstep.protocol.messages import Action, Request
from lockstep.protocol.states import RELEASE_MOVES, TASK_LINE, TASK_MOVES, TASK_WORDS
from lockstep.protocol.wire import request_to_json
from lockstep.taskkit import conformance, testing, wsgi
from lockstep.taskkit.conformance import LEVELS
from lockstep.taskkit.conformance.rules import RULES

_RELEASE_LINE: Final = ("waiting", "initializing", "running", "staged", "publishing", "published")
_MADE: Final = "<!-- Made by `make reference` from the code; change the code instead. -->"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((_MADE, f"# {title}", *parts)) + "\n"


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def settings() -> str:
    """Every setting with its default and what it is for."""
    rows = (
        (f"`{PREFIX}{name.upper()}`", _default(field.default), " ".join((field.description or "").split()))
        for name, field in Settings.model_fields.items()
    )
    return _page(
        "Settings",
        f"Settings are environment variables with the prefix `{PREFIX}`, also from a file `.env` in the working "
        "directory. A variable that is empty counts as not set. One that is wrong stops the start with a line that "
        "names it. Lists are written with commas between their parts.",
        _table(("Setting", "Default", "What it is for"), iter(rows)),
        "Task services read variables of their own: [those of release reports](../reports.md), and "
        "`LOCKSTEP_COORDINATOR_URL` and `LOCKSTEP_TASKS_DB` of [the task kit](../tutorial.md), and "
        "`LOCKSTEP_TASKS_ISSUER` and what belongs to it, by which "
        "[it knows its coordinator](../how-to/oidc.md#task-services).",
    )


def _default(value: object) -> str:
    if value is None or value in ("", ()):
        return ""
    text = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`"


def task_service() -> str:
    """What a task service is sent, what it answers, and the states between."""
    sent = Request(
        action=Action.START,
        task_id="TA_8BAN4D31",
        release_id="RE_9Z6MPQ2A",
        studies=("SD_BHJXBDQK",),
        urls=("https://data.example.org/studies/SD_BHJXBDQK",),
        epoch=7,
    )
    fields = "\n".join(f'  "{name}": {json.dumps(value)},' for name, value in request_to_json(sent).items()).rstrip(",")
    words = sorted(word for word, state in TASK_WORDS.items() if word != state)
    moves = (
        (f"`{state}`", ", ".join(f"`{m}`" for m in sorted(wanted)) or "settled") for state, wanted in TASK_MOVES.items()
    )
    levels = "\n".join(f"* level {n}: {meaning}" for n, meaning in enumerate(LEVELS))
    return _page(
        "The task service",
        "A task service answers two requests. `GET /status` says who it is, and `POST /tasks` takes the actions "
        f"{', '.join(f'`{action}`' for action in Action)}. [The rules](../rules.md) tell when each is sent and what "
        "becomes of the answers.",
        "## The states of a task",
        mermaid(TASK_LINE, _plain(TASK_MOVES)),
        _table(("From", "To"), moves),
        "Understood besides, and better not said: "
        + ", ".join(f"`{word}` (`{TASK_WORDS[word]}`)" for word in words)
        + ".",
        "## The states of a release",
        mermaid(_RELEASE_LINE, _plain(RELEASE_MOVES)),
        "## A request",
        f"```json\n{{\n{fields}\n}}\n```",
        "## What it has to do",
        "In four levels, which `lockstep check` [checks](../check.md):",
        levels,
        _table(("Rule", "What it says"), ((number, sentence) for number, sentence in RULES.items())),
    )


def task_kit() -> str:
    """The public names of the kit, each with what it says of itself."""
    parts = [
        part
        for module in (taskkit, testing, wsgi, conformance)
        for part in (
            f"## `{module.__name__}`",
            _told(module.__doc__),
            _table(
                ("Name", "What it is"),
                ((f"`{name}`", _told(_text_of(getattr(module, name)))) for name in module.__all__),
            ),
        )
    ]
    return _page(
        "The task kit",
        "What a service may import and rely on; everything else may change without a word. All of it is typed. "
        "[The tutorial](../tutorial.md) shows how it is used, and `help(lockstep.taskkit.TaskService)` tells every "
        "argument.",
        *parts,
    )


def _text_of(thing: object) -> str:
    """Return what a class or a function says of itself, and of a value its type."""
    return thing.__doc__ or "" if callable(thing) else f"A value of the type `{type(thing).__name__}`."


def _told(text: str | None) -> str:
    """Return the first paragraph, in one line."""
    return " ".join((text or "").strip().split("\n\n", 1)[0].split())


def graphql() -> str:
    """The schema in GraphQL's own language."""
    return _page(
        "GraphQL schema",
        "Asked at `POST /graphql`; [the page about GraphQL](../graphql.md) tells of limits and permissions.",
        f"```graphql\n{sdl().strip()}\n```",
    )


def operations() -> str:
    """Every operation of the REST API, with who may ask for it."""
    sections: dict[str, list[tuple[str, ...]]] = {}
    for each in sorted(OPERATIONS, key=lambda operation: (operation.path, _METHODS.index(operation.method))):
        told = " ".join((each.call.__doc__ or "").split())
        sections.setdefault(each.path.split("/")[1] or "/", []).append(
            (
                f"`{each.method} {each.path}`",
                re.split(r"(?<=\.)\s", told, maxsplit=1)[0],
                str(each.status),
                str(each.act or "anybody"),
            )
        )
    head = ("Operation", "What it does", "Answer", "For those who may")
    parts = [part for name, rows in sections.items() for part in (f"## {name}", _table(head, iter(rows)))]
    return _page(
        "REST operations",
        "A list of what there is. Every parameter, field and refusal is in the OpenAPI document, which a coordinator "
        "has at `/openapi.json`; [the page about the API](../api.md) tells what the operations have in common, and "
        "[the table of roles](../identity.md) who may do what.",
        *parts,
    )


def events() -> str:
    """What events are, and the words for every move."""
    moves = [
        (f"release RE_…, version 1.2.0 changed from {here} to {there}", there) for here, there in _each(RELEASE_MOVES)
    ]
    moves += [(f"task TA_… changed from {here} to {there}", there) for here, there in _each(TASK_MOVES)]
    rows = ((f"`{text}`", "error" if there in {"failed", "rejected"} else "info") for text, there in moves)
    return _page(
        "Events",
        "Whatever happens to a release is an event in the log. It has a type, a message, whose doing it was, and the "
        f"release, the task and the service that it is about. The types are {', '.join(f'`{t}`' for t in EventType)}.",
        "## Where they are read",
        "`GET /events` lists them, `GET /events/stream` sends them as they happen, [webhooks and a topic]"
        "(../announcements.md) bring them elsewhere, and `lockstep release watch` shows those of one release.",
        "## Every move",
        "In exactly these words, which programs in the field search for:",
        _table(("Message", "Type"), rows),
        "## What else is told",
        "Failures with their cause, requests that are repeated, who asked to publish or to cancel, a partial publish, "
        "and the release that another one waits for: [rules F9 to F17, and T3](../rules.md#when-something-fails).",
    )


def _plain(moves: Mapping[Any, frozenset[Any]]) -> Moves:
    return {str(here): frozenset(map(str, wanted)) for here, wanted in moves.items()}


def _each(moves: Mapping[Any, frozenset[Any]]) -> Iterator[tuple[str, str]]:
    for here, wanted in moves.items():
        for there in sorted(wanted):
            yield str(here), str(there)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "reference/settings.md": settings,
    "reference/task-service.md": task_service,
    "reference/task-kit.md": task_kit,
    "reference/operations.md": operations,
    "reference/graphql-schema.md": graphql,
    "reference/events.md": events,
}
