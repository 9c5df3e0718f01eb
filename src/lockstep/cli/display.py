"""What a person sees of a release that is under way.

At a terminal: a heading, a line with a bar for each service, and above them the events as they come. Elsewhere: one
line for each event and each change of progress, with tabs between time, who, and what. Both are told the same things
by `watching` and the demo, and neither knows where they come from.
"""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from lockstep.cli.tables import STATE_STYLES, age, clean, is_terminal
from lockstep.protocol.states import SETTLED_RELEASES, TASK_LINE, TaskState

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

Json = dict[str, Any]

IN_WORDS: Final = {
    "waiting": "about to begin",
    "initializing": "asking every service whether it can take part",
    "running": "the services are staging the studies",
    "staged": "ready for review; publish or cancel it",
    "publishing": "the services are publishing",
    "published": "live on every service",
    "canceling": "being canceled on every service",
    "canceled": "stopped on every service",
    "failed": "stopped on every service, since something went wrong",
}

_BAR_WIDTH: Final = 32
_ROWS_AROUND: Final = 7
_REFRESHES_PER_SECOND: Final = 8


class Display(Protocol):
    """What is told about a release."""

    def release(self, release: Json) -> None:
        """The release with its tasks is like this now."""

    def event(self, event: Json) -> None:
        """This happened."""

    def note(self, sentence: str) -> None:
        """Something that is not of the release has to be said."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; what is there to be read stays."""


def display() -> Display:
    """Return the display that suits our output."""
    return LiveDisplay() if is_terminal() else PlainDisplay()


def state_in_words(release: Json) -> str:
    """Return what a release's state means to a person."""
    if release["state"] == "staged" and release["waits_for"]:
        return f"waits to be published until release {release['waits_for'].rpartition('/')[2]} has ended"
    if release["partially_published"]:
        return "live on some of its services, stopped on the others"
    state = str(release["state"])
    return IN_WORDS.get(state, state)


def service_names(release: Json) -> dict[str, str]:
    """Return the names of a release's services by the links of their tasks, as events have them."""
    return {str(task["kf_id"]): clean(task["service_name"]) for task in release["tasks"]}


def who(event: Json, names: dict[str, str]) -> str:
    """Return whom an event is about."""
    task_id = (event["task"] or "").rpartition("/")[2]
    return names.get(task_id, "a service") if task_id else "release"


class _Quiet:
    """Displays that need no beginning and no end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class NoDisplay(_Quiet):
    """Shows nothing: the document at the end says it all."""

    def release(self, release: Json) -> None:
        """Show nothing."""

    def event(self, event: Json) -> None:
        """Show nothing."""

    def note(self, sentence: str) -> None:
        """Say it where it is in nobody's way."""
        print(sentence, file=sys.stderr)


class PlainDisplay(_Quiet):
    """Lines."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._progress: dict[str, tuple[str, int]] = {}

    def release(self, release: Json) -> None:
        """Print a line for the release when it is new, and for every progress that changed."""
        if not self._names:
            self._line(release["step_since"], "release", f"{release['state']}: {state_in_words(release)}")
        self._names = service_names(release)
        for task in release["tasks"]:
            before, now = self._progress.get(task["kf_id"]), (task["state"], task["progress"])
            if before != now and before is not None and before[0] == now[0]:
                self._line(task["updated_at"], self._names[task["kf_id"]], f"{task['state']} {task['progress']} %")
            self._progress[task["kf_id"]] = now

    def event(self, event: Json) -> None:
        """Print a line."""
        self._line(event["created_at"], who(event, self._names), event["message"])

    def note(self, sentence: str) -> None:
        """Print it where it does not mix with the lines."""
        print(sentence, file=sys.stderr)

    @staticmethod
    def _line(*fields: str) -> None:
        print("\t".join(map(clean, fields)))


class LiveDisplay:
    """A picture that is drawn anew several times a second, under the events."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        self._shown: Json | None = None
        self._names: dict[str, str] = {}
        self._live = Live(get_renderable=self._picture, console=self._console, refresh_per_second=_REFRESHES_PER_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def release(self, release: Json) -> None:
        """Draw it from now on."""
        self._shown, self._names = release, service_names(release)

    def event(self, event: Json) -> None:
        """Print it above the picture."""
        from rich.text import Text

        style = {"error": "red", "warning": "yellow"}.get(event["event_type"], "")
        at = clean(event["created_at"])[11:19]
        about, message = who(event, self._names), clean(event["message"])
        self._console.print(Text.assemble((at, "dim"), "  ", (about, "bold"), "  ", (message, style)))

    def note(self, sentence: str) -> None:
        """Print it above the picture."""
        from rich.text import Text

        self._console.print(Text(sentence, style="yellow"))

    def _picture(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        if self._shown is None:
            return Text("…", style="dim")
        release = self._shown
        tasks = release["tasks"]
        room = max(3, self._console.height - _ROWS_AROUND)
        shown = tasks if len(tasks) <= room else _least_far(tasks)[: room - 1]
        parts: list[RenderableType] = [Text(), *_heading(release), _bars(shown)]
        if len(shown) < len(tasks):
            parts.append(Text(_summary(len(shown), tasks), style="dim"))
        return Group(*parts)


def _heading(release: Json) -> "Iterable[Text]":
    from rich.text import Text

    state = release["state"]
    style = STATE_STYLES.get(state, "")
    yield Text.assemble((clean(release["name"]), "bold"), f"  {release['kf_id']}  version {release['version']}")
    time = f"{age(release['step_since'])} ago" if state in SETTLED_RELEASES else f"for {age(release['step_since'])}"
    yield Text.assemble((state, style), ": ", state_in_words(release), (f"  {time}", "dim"))


def _bars(tasks: Sequence[Json]) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(width=_BAR_WIDTH)
    table.add_column(justify="right", no_wrap=True)
    for task in tasks:
        state, progress = task["state"], task["progress"]
        style = STATE_STYLES.get(state, "")
        table.add_row(
            Text(clean(task["service_name"])),
            Text(clean(state), style=style),
            ProgressBar(total=100, completed=progress, width=_BAR_WIDTH, complete_style=style, finished_style=style),
            f"{progress} %",
        )
    return table


def _least_far(tasks: Sequence[Json]) -> list[Json]:
    """Return tasks with those first that a person would want to see: the ones that went wrong, then the slowest."""
    line = [state.value for state in TASK_LINE]

    def far(task: Json) -> tuple[int, int]:
        state = task["state"]
        return (line.index(state) if state in line else -1, task["progress"])

    return sorted(tasks, key=far)


def _summary(shown: int, tasks: Sequence[Json]) -> str:
    states = Counter(task["state"] for task in tasks)
    parts = ", ".join(f"{states[state]} {state}" for state in TaskState if states[state])
    return f"{shown} of {len(tasks)} services shown; of all: {parts}"
