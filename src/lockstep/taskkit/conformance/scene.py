"""What a scene is played with: it asks the service as a coordinator does, waits, and judges cases.

Every answer is judged by what holds for all of them (`looks`); a scene then adds what it alone knows. It ends early by
`Stuck` when the service does not go where the scene has to begin; why, is a finding already.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import asynccontextmanager
from typing import Final

from lockstep.protocol.ids import Prefix, make_id
from lockstep.protocol.messages import ACCEPTED, Action, Refusal, Request, Silence
from lockstep.protocol.states import ENDED_EARLY, SETTLED_TASKS, TaskState, reached
from lockstep.protocol.wire import request_to_json
from lockstep.taskkit.conformance.exchange import Exchange, Speaker
from lockstep.taskkit.conformance.findings import Report
from lockstep.taskkit.conformance.looks import look
from lockstep.taskkit.conformance.options import Options
from lockstep.taskkit.conformance.played import Played, Subject

_T = TaskState
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json"}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_OF_BREAKING: Final = frozenset({"answered-at-all", "no-server-error", "status-answers", "cancel-answered"})
_COMES_S: Final = 1.0
_BUSY_TRIES: Final = 4
_LONGEST_BUSY_S: Final = 2.0
_OK: Final = 200

RESTING: Final = frozenset({_T.STAGED}) | SETTLED_TASKS
"""States in which no work is done."""

WAY: Final = ((_T.PENDING, Action.INITIALIZE), (_T.STAGED, Action.START), (_T.PUBLISHED, Action.PUBLISH))
"""Where a task stays by itself, and the action that leads there from the place before."""


class Stuck(Exception):
    """The task did not get to where the scene begins."""


class Scene:
    """A scene's hands, eyes and pen.

    Args:
        speaker: sends the requests.
        played: the played coordinator.
        report: where judgements go.
        options: what was chosen.
    """

    def __init__(self, speaker: Speaker, played: Played, report: Report, options: Options) -> None:
        self.speaker = speaker
        self.played = played
        self.report = report
        self.options = options
        self.subjects: list[Subject] = []

    def new(self, studies: int = 2) -> Subject:
        """Return a task of a release that nobody has heard of."""
        bits, chosen = self.options.random_bits, self.options.studies
        names = chosen or tuple(make_id(Prefix.STUDY, bits) for _ in range(studies))
        base = self.options.dataservice_url or self.played.url
        urls = tuple(f"{base.rstrip('/')}/studies/{name}" for name in names)
        subject = Subject(make_id(Prefix.TASK, bits), make_id(Prefix.RELEASE, bits), names, urls)
        self.subjects.append(subject)
        self.played.know(subject)
        return subject

    def judge(self, name: str, exchange: Exchange | None, seen: str, *, fine: bool) -> bool:
        """Judge a case by an exchange; `seen` is the sentence for when it is not fine.

        What broke is not judged further: that it broke says all.
        """
        if not fine and exchange is not None and exchange.is_broken and name not in _OF_BREAKING:
            return False
        asked, answered = (exchange.asked, exchange.answered) if exchange else ("", "")
        return self.report.judge(name, seen, fine=fine, asked=asked, answered=answered)

    def judge_state(self, name: str, exchange: Exchange, seen: str, *right: TaskState) -> bool:
        """Judge a case by the state that an answer tells; `seen` has a place for it.

        An unclear answer is not judged further, just as what broke is not: it is a finding already.
        """
        if exchange.is_unclear:
            return False
        return self.judge(name, exchange, seen.format(exchange.state or "unknown"), fine=exchange.state in right)

    async def ask(self, action: Action, subject: Subject, **extra: object) -> Exchange:
        """Ask for an action and judge the answer by what holds for every one.

        A service that is busy is asked again; so is one whose status came late, which can have been the network.
        """
        exchange = await self.say(action, subject, **extra)
        for _ in range(_BUSY_TRIES):
            reply = exchange.reply
            if not isinstance(reply, Silence) or reply.retry_after_s is None:
                break
            await asyncio.sleep(min(reply.retry_after_s, _LONGEST_BUSY_S))
            exchange = await self.say(action, subject, **extra)
        if action is Action.GET_STATUS and exchange.elapsed_s > self.options.at_once_s and not exchange.ran_out:
            exchange = await self.say(action, subject, **extra)
        look(self.judge, self.options, action, subject, exchange)
        return exchange

    async def say(self, action: Action, subject: Subject, **extra: object) -> Exchange:
        """Send an action and judge nothing."""
        subject.was_asked = True
        headers = {**_JSON, **self.speaker.identity(), "Idempotency-Key": f"{subject.task_id}:{action}"}
        return await self.speaker.send("POST", "/tasks", body_of(action, subject, **extra), headers)

    async def say_and_hang_up(self, action: Action, subject: Subject) -> Exchange:
        """Send an action whose answer is lost."""
        subject.was_asked = True
        return await self.speaker.send_and_hang_up("/tasks", body_of(action, subject), self.speaker.identity())

    async def state(self, subject: Subject) -> TaskState | None:
        """Return the state that the service tells of a task."""
        return (await self.ask(Action.GET_STATUS, subject)).state

    async def until(self, subject: Subject, *states: TaskState, patience_s: float | None = None) -> Exchange:
        """Ask for the status until it is one of some states, settled, refused or unclear, or patience is at its end."""
        end = time.monotonic() + (self.options.patience_s if patience_s is None else patience_s)
        pause_s = _FIRST_PAUSE_S
        while True:
            exchange = await self.ask(Action.GET_STATUS, subject)
            over = exchange.state in SETTLED_TASKS or exchange.is_refused or exchange.is_unclear
            if exchange.state in states or over or time.monotonic() > end:
                return exchange
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, 1.5 * pause_s)

    async def accepted(self, action: Action, subject: Subject, **extra: object) -> Exchange:
        """Ask for an action in its place, which has to be accepted.

        Raises:
            Stuck: it is not.
        """
        exchange = await self.ask(action, subject, **extra)
        if exchange.status is None:
            raise Stuck
        says_yes = exchange.status == _OK and (exchange.state is None or exchange.state in ACCEPTED[action])
        yes = says_yes and not isinstance(exchange.reply, Refusal)
        if not self.judge("action-accepted", exchange, f"{action} in its place was not accepted.", fine=yes):
            raise Stuck
        return exchange

    async def bring(self, subject: Subject, mark: TaskState) -> None:
        """Bring a new task to `pending`, `staged` or `published`.

        Raises:
            Stuck: it does not get there.
        """
        for state, action in WAY:
            if subject.state is None or not reached(subject.state, state):
                await self.accepted(action, subject)
                await self.arrive(subject, state)
            if state is mark:
                return

    async def arrive(self, subject: Subject, state: TaskState) -> None:
        """Wait until the service has brought a task to a state by itself.

        Raises:
            Stuck: it does not.
        """
        seen = await self.until(subject, state)
        if seen.state is not None and reached(seen.state, state):
            return
        if seen.is_unclear:
            raise Stuck
        if state is _T.PENDING:
            self.judge("status-is-true", seen, "The task was initialized, and get_status does not say so.", fine=False)
        elif seen.state is _T.FAILED:
            self._note_failure(seen)
        else:
            name = "staging-ends" if state is _T.STAGED else "publishing-ends"
            sentence = f"After {self.options.patience_s:g} s the task is {{}}, not {state}."
            self.judge_state(name, seen, sentence, state)
        raise Stuck

    @asynccontextmanager
    async def at_work(self, subject: Subject, action: Action) -> AsyncIterator[bool]:
        """Start or publish a task and hold it there; what is given tells whether it can be seen at work.

        A service that does not wait for what it asked of us (`Subject.waiting`) may end its work at any moment.

        Raises:
            Stuck: the action is refused.
        """
        subject.gate.clear()
        subject.release_gate.clear()
        try:
            await self.accepted(action, subject)
            wanted = _T.RUNNING if action is Action.START else _T.PUBLISHING
            await self._waits(subject)
            yield await self.state(subject) is wanted
        finally:
            subject.gate.set()
            subject.release_gate.set()

    async def _waits(self, subject: Subject) -> None:
        """Give the service a moment to come and ask for something."""
        end = time.monotonic() + _COMES_S
        while not subject.waiting and subject.state not in RESTING and time.monotonic() < end:
            await self.ask(Action.GET_STATUS, subject)
            await asyncio.sleep(_FIRST_PAUSE_S)

    async def clean_up(self) -> None:
        """Cancel every task that may not have ended."""
        left = [each for each in self.subjects if each.was_asked and each.state not in SETTLED_TASKS]
        for subject in left:
            subject.is_over = True
        await asyncio.gather(*(self.say(Action.CANCEL, subject) for subject in left))

    def _note_failure(self, seen: Exchange) -> None:
        why = (seen.fields or {}).get("error") or "it does not say why"
        reason = f"the service failed its task ({str(why)[:200]})"
        self.report.leave_open(reason, "staging-ends", "publishing-ends", needed=True)
        note = f"{reason[:1].upper()}{reason[1:]}. If it needs real studies, name them with --study and --dataservice."
        if note not in self.report.notes:
            self.report.notes.append(note)


async def together(*ways: Awaitable[object]) -> None:
    """Let several things happen at the same time, all to their end; what went wrong first in the row is raised then."""
    for outcome in await asyncio.gather(*ways, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def body_of(action: Action, subject: Subject, **extra: object) -> bytes:
    """Return the body of an action, with fields added or changed."""
    carries = action is not Action.GET_STATUS
    request = Request(
        action,
        subject.task_id,
        subject.release_id,
        subject.studies if carries else (),
        subject.urls if carries else (),
    )
    return json.dumps({**request_to_json(request), **extra}).encode()


def says_no(exchange: Exchange, states: Collection[TaskState] = ENDED_EARLY) -> bool:
    """Tell whether a coordinator takes an answer for a refusal: a status, or a state that contradicts."""
    return exchange.is_refused or exchange.state in states
