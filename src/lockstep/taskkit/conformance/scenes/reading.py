"""What the service reads of the data service, and what it makes of data that it cannot have."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs, urlsplit

from lockstep.protocol.messages import Action
from lockstep.protocol.states import TaskState
from lockstep.taskkit.conformance.played import PAGED, Subject
from lockstep.taskkit.conformance.scene import Scene
from lockstep.taskkit.conformance.scenes.order import cancel_is_answered, over_is_over

_T = TaskState
_PLACE: Final = frozenset({"after", "after_uuid", "limit"})
"""Parameters that say which page of a list is meant, and nothing about what is in the list."""


async def read_failure(scene: Scene) -> None:
    """Refuse the data to a task that wants to stage them; once it has failed, it cannot be begun again."""
    subject = scene.new()
    subject.data_status = 500
    await scene.bring(subject, _T.PENDING)
    await scene.accepted(Action.START, subject)
    seen = await scene.until(subject, _T.STAGED)
    if not subject.data_reads and seen.state is _T.STAGED:
        reason = "it read nothing from the played data service"
        scene.report.leave_open(reason, "failure-is-said", "failure-is-not-staged", "pages-keep-filters")
        return
    sentence = f"All data were refused, and after {scene.options.patience_s:g} s the task is {seen.state}."
    scene.judge("failure-is-said", seen, sentence, fine=seen.state in {_T.FAILED, _T.STAGED})
    if subject.data_reads and seen.state in {_T.FAILED, _T.STAGED}:
        sentence = f"All {len(subject.data_reads)} requests for data were refused, and the task is staged."
        scene.judge("failure-is-not-staged", seen, sentence, fine=seen.state is _T.FAILED)
    if seen.state is _T.FAILED:
        await over_is_over(scene, subject, _T.FAILED)
        cancel_is_answered(scene, await scene.ask(Action.CANCEL, subject), _T.FAILED)


async def pages(scene: Scene) -> None:
    """Stage a release of two studies whose lists have two pages, and see what is asked of the second ones.

    Raises:
        Stuck: the release cannot be staged.
    """
    subject = scene.new()
    await scene.bring(subject, _T.STAGED)
    firsts = set(_lists(subject, is_first=True))
    seconds = set(_lists(subject, is_first=False))
    if not seconds:
        scene.report.leave_open("it read no second page from the played data service", "pages-keep-filters")
        return
    never = sorted(firsts - seconds)
    asked = "; ".join(read for read in subject.data_reads if "after" in read)
    sentence = f"The second page of {' and of '.join(never)} was never asked for, but {asked}."
    scene.judge("pages-keep-filters", None, sentence, fine=not never)


def _lists(subject: Subject, *, is_first: bool) -> Iterator[str]:
    """Return the lists of two pages of which the service read the first or the other, with what it filtered by."""
    for read in subject.data_reads:
        parts = urlsplit(read)
        asked = parse_qs(parts.query)
        is_paged = parts.path.endswith(f"/{PAGED}") and _is_whole(asked)
        if is_paged and "study_id" in asked and ("after" in asked) is not is_first:
            filters = "&".join(f"{name}={asked[name][0]}" for name in sorted(asked.keys() - _PLACE))
            yield f"{parts.path}?{filters}"


def _is_whole(asked: dict[str, list[str]]) -> bool:
    """Tell whether a request wants the rows of a list and not only their number."""
    return asked.get("limit", [""])[0] != "1"
