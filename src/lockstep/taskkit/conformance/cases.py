"""What is checked, as data: each case with its rule, its level, how strictly it is meant, and what to do about it.

A MUST that fails costs the level; a SHOULD is a warning. The scenes play with the service and judge these cases by
their names; a name that is not here does not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lockstep.taskkit.conformance.rules import RULES


class Force(StrEnum):
    """How strictly a case is meant."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is checked.

    Attributes:
        name: what it is called, in reports and on the command line.
        rule: the number of its rule in the rule book.
        level: the level that it belongs to, 0 to 3.
        force: whether it must or should hold.
        remedy: what to do when it does not.
    """

    name: str
    rule: str
    level: int
    force: Force
    remedy: str

    @property
    def sentence(self) -> str:
        """The rule's sentence."""
        return RULES[self.rule]


LEVELS: Final = (
    "speaks the protocol",
    "repeats safely",
    "survives its own restart",
    "fences stale callers",
)
"""What a service can do that has reached a level."""

_MUST, _SHOULD = Force.MUST, Force.SHOULD

_ALL: Final = (
    Case("status-answers", "K1", 0, _MUST, 'Answer GET /status with 200 and {"name": …}, without asking who asks.'),
    Case("status-name-on-top", "K1", 0, _SHOULD, "Put `name` at the top of the object, and `version` beside it."),
    Case("action-accepted", "K2", 0, _MUST, "Answer a well-formed action in its place with 200 and the state it leads "
         "to: initialize pending, start running, publish publishing."),
    Case("answer-is-an-object", "K2", 0, _SHOULD, "Answer every action with a JSON object."),
    Case("status-is-true", "K2", 0, _MUST, "Keep each task's state, and let get_status answer it with 200."),
    Case("state-is-a-word", "K3", 0, _MUST, "Say one of the seven states; a coordinator takes any other word for a "
         "refusal."),
    Case("state-in-plain-words", "K3", 0, _SHOULD, "Use the plain words; old ones are understood by this coordinator, "
         "but not by every reader."),
    Case("progress-is-a-number", "K4", 0, _SHOULD, "Send `progress` as a number from 0 to 100 in every answer."),
    Case("progress-rises", "K4", 0, _SHOULD, "Let progress only rise within a step, and be 100 at its end."),
    Case("ids-not-mixed-up", "K5", 0, _MUST, "Answer about the task that was asked for; look for state that tasks "
         "share."),
    Case("ids-named", "K5", 0, _SHOULD, "Put task_id and release_id into every answer."),
    Case("answered-at-all", "K6", 0, _MUST, "Answer first and work afterwards: do the work in a thread, a task or a "
         "queue."),
    Case("status-at-once", "K6", 0, _MUST, "Keep what get_status needs at hand, and the work away from where it is "
         "answered."),
    Case("action-at-once", "K6", 0, _SHOULD, "Store what is to be done, answer, and work afterwards."),
    Case("no-server-error", "K7", 0, _MUST, "Find the exception in the service's log; catch what callers can cause."),
    Case("refusal-says-why", "K7", 0, _SHOULD, 'Answer a refusal with JSON such as {"message": "…"}; people read '
         "it in the release's events."),
    Case("staging-ends", "K8", 0, _MUST, "Set the task `staged` when its work is done, or `failed`; see that no branch "
         "leaves it running."),
    Case("publishing-ends", "K8", 0, _MUST, "Set the task `published` when that is done, or `failed`."),
    Case("unknown-refused", "K9", 0, _MUST, "Look the task up first, and refuse what was never initialized."),
    Case("unknown-is-404", "K9", 0, _SHOULD, "Use 404 for it, so that nobody takes it for another kind of refusal."),
    Case("unknown-stays-unknown", "K9", 0, _MUST, "Create a task on initialize and nowhere else."),
    Case("publish-needs-staged", "K10", 0, _MUST, "Check the state before publishing; 400 unless it is staged."),
    Case("cancel-answered", "K11", 0, _MUST, "Answer cancel with 200 in every state; a coordinator asks for a day "
         "otherwise."),
    Case("cancel-cancels", "K11", 0, _MUST, "Set the task `canceled` on cancel, from pending, running and staged."),
    Case("canceled-stays", "K11", 0, _MUST, "Let the work look at the task's state before it writes one: what ends "
         "after a cancel is thrown away."),
    Case("over-is-over", "K12", 0, _MUST, "Check the state on initialize, start and publish; refuse what has ended."),
    Case("bad-body-refused", "K13", 0, _MUST, "Check the body before anything else and answer 400."),
    Case("bad-value-refused", "K13", 0, _SHOULD, "Check the kinds of values too: ids are texts of a sane length, "
         "studies and urls lists of texts."),
    Case("bad-body-is-400", "K13", 0, _SHOULD, "Use 400 for it."),
    Case("bad-body-does-nothing", "K13", 0, _MUST, "Check the whole body before anything is stored."),
    Case("tasks-apart", "K14", 0, _MUST, "Keep state by task id; look for globals and shared objects."),
    Case("task-has-one-release", "K14", 0, _SHOULD, "Refuse a request that names the task under another release."),
    Case("report-comes", "K15", 0, _SHOULD, "Send PATCH {coordinator}/tasks/{id} when a state is reached, so that "
         "nobody waits for the next poll."),
    Case("report-is-well-formed", "K15", 0, _MUST, "Send PATCH with a JSON object that holds `state`, in a word of the "
         "protocol."),
    Case("report-is-true", "K15", 0, _MUST, "Report what was stored, after it was stored, and nothing after a cancel."),
    Case("report-has-identity", "K15", 0, _SHOULD, "Send `Authorization: Bearer …`; coordinators refuse reports "
         "without it."),
    Case("failure-is-said", "K16", 0, _MUST, "Catch what the work raises, and set the task `failed` with the reason."),
    Case("failure-is-not-staged", "K16", 0, _SHOULD, "Check every answer of the data service, and fail rather than "
         "leave out."),
    Case("pages-keep-filters", "K16", 0, _SHOULD, "Ask for every page of a list with the filters of the first; the "
         "link to the next page lacks some."),
    Case("identity-missing", "K17", 0, _MUST, "Check the Authorization header before the body, on every action."),
    Case("identity-forged", "K17", 0, _MUST, "Check the token's signature against its issuer's keys."),
    Case("identity-expired", "K17", 0, _MUST, "Check the token's `exp`."),
    Case("repeat-changes-nothing", "K18", 1, _MUST, "Look at the state first; where the task is there already, or "
         "further, change nothing."),
    Case("repeat-is-200", "K18", 1, _SHOULD, "Answer 200 with the present state: the effect is there."),
    Case("repeat-works-once", "K18", 1, _MUST, "Begin the work in the change from pending to running, which happens "
         "once."),
    Case("at-once-is-once", "K19", 1, _MUST, "Make the change of state one comparison and change in the store, and "
         "begin work only where it succeeded."),
    Case("lost-answer-counts", "K20", 1, _MUST, "Do not tie the work to the connection; what was accepted is done."),
    Case("work-outlives-reports", "K21", 1, _MUST, "Catch what goes wrong with a report; it is polled for anyway."),
    Case("state-told-again", "K22", 1, _SHOULD, "Check the answer to a report, and send it again after a pause."),
    Case("published-stays", "K23", 1, _MUST, "Let no action change a published task."),
    Case("restart-forgets-nothing", "K24", 2, _MUST, "Keep the tasks on disk or in a database, and write before "
         "answering."),
    Case("restart-takes-up", "K25", 2, _MUST, "At the start, look for tasks that are running or publishing and go on "
         "with them."),
    Case("restart-stages", "K25", 2, _SHOULD, "Run the work again rather than give it up; let it bear that."),
    Case("epoch-named", "K26", 3, _MUST, "Store the highest `epoch` with the task, also of refused requests, and name "
         "it in the answers."),
    Case("stale-refused", "K27", 3, _MUST, "Compare the request's `epoch` with the task's before anything else, in the "
         "same transaction as the change."),
    Case("stale-changes-nothing", "K27", 3, _MUST, "Refuse first, then look what was asked."),
    Case("epoch-is-optional", "K28", 3, _MUST, "Leave requests without an `epoch` alone."),
    Case("bad-epoch-refused", "K28", 3, _SHOULD, "Check that `epoch` is a whole number from 0."),
    Case("epoch-outlives-restart", "K29", 3, _MUST, "Keep the epoch where the state is kept."),
)  # fmt: skip

CASES: Final[Mapping[str, Case]] = {case.name: case for case in _ALL}
"""Every case by its name, in the order of the levels and the rules."""
