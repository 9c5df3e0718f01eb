"""After an outage of the service: what became of the releases that it was away from.

A task that is staged waits for a word that may have been said meanwhile, and one that was being published may have been
canceled. So the coordinator is asked what was decided (rules D1 to D4), and the answer is acted on as if it had been
sent: published or thrown away by the table of actions, and by nobody else. Nothing follows from no answer, a refusal or
"undecided"; the task stays as it is, and the coordinator tells or asks in its own time.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from lockstep.protocol.messages import Action, Request
from lockstep.protocol.states import Decision, TaskState
from lockstep.taskkit.coordinator import Coordinator, CoordinatorError
from lockstep.taskkit.store import StoredTask, StoreUnavailable
from lockstep.taskkit.table import Refused
from lockstep.taskkit.threads import make_loop

_log = logging.getLogger("lockstep.taskkit")

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 300.0
"""How long to wait before a coordinator that gave no answer is asked again, at most."""

MEANT: Final = {
    (TaskState.STAGED, Decision.PUBLISH): Action.PUBLISH,
    (TaskState.STAGED, Decision.CANCEL): Action.CANCEL,
    (TaskState.PUBLISHING, Decision.CANCEL): Action.CANCEL,
}
"""What a decision asks of a task; nothing where there is no entry."""


class Decisions:
    """Asks a coordinator, and has the answers acted on by `act`."""

    def __init__(self, coordinator: Coordinator, act: Callable[[Request], StoredTask]) -> None:
        self._coordinator = coordinator
        self._act = act

    def settle(self, task: StoredTask) -> bool:
        """Ask about a task and act on the answer; False when there was none. It may take as long as a request."""
        try:
            decision = self._ask(task)
        except CoordinatorError as error:
            _log.warning("task %s stays %s until the coordinator speaks: %s", task.task_id, task.state, error)
            return True
        if decision is None:
            return False
        if (action := MEANT.get((task.state, decision))) is not None:
            self._carry_out(action, task)
        return True

    def _ask(self, task: StoredTask) -> Decision | None:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            return runner.run(self._coordinator.decision(task.release_id, task.task_id))

    def _carry_out(self, action: Action, task: StoredTask) -> None:
        _log.info("release %s was decided while this service was away: %s", task.release_id, action)
        try:
            self._act(Request(action, task.task_id, task.release_id))
        except Refused:
            _log.info("task %s has moved on meanwhile", task.task_id)
        except StoreUnavailable as error:
            _log.warning("task %s stays %s until the coordinator speaks: %s", task.task_id, task.state, error)
