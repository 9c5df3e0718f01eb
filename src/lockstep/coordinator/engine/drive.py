"""At work on one release: decide, store, send, gather what came back, and decide again.

A drive goes on for as long as requests of the release are on their way. Each round is one commit: it stores the
answers that have come, what follows from them, and what is about to be sent; only then is anything sent. Requests of
one round go out at the same time. Their answers are stored together: those that come while others are awaited wait a
moment for company, longer each time, unless one of them is a refusal, which must stop the others at once.

Nothing leaves once the lease has run out, as it may have while this process was held up: another worker may have been
told since that the release is to be canceled. The sender looks for the last time when it has a connection and its
first byte is about to leave, and so it does for a cancel that this drive has learnt of since.

The drive ends in the commit that finds nothing on its way. Nothing can be missed then, since that commit has read
everything it depends on. It refuses nothing and remembers nothing: whatever it holds when it is killed is in doubt in
the rows already.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from lockstep.coordinator.core.decide import Decision, Worker, decide, give_back
from lockstep.coordinator.core.errors import LeaseLost, Unavailable
from lockstep.coordinator.core.joint import JOINT_RULES, JointRule
from lockstep.coordinator.core.model import Change, Lease, Release, Snapshot
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.replies import Receipt
from lockstep.coordinator.core.sends import Send
from lockstep.coordinator.core.standing import CANCELS
from lockstep.coordinator.ports import Announcer, Clock, ReleaseStore, TaskServices
from lockstep.protocol.messages import Action, Refusal, Reply, Request, Silence
from lockstep.protocol.states import SETTLED_RELEASES

log = structlog.get_logger("lockstep.engine")

FIRST_COMPANY_S = 0.1
"""How long the first answers wait for company; twice as long after each round without a new state."""

LONGEST_COMPANY_S = 1.0
STORE_PAUSE_S = 1.0
"""The pause before a commit is tried again when the database does not answer."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a drive acts upon, and how patient it is."""

    store: ReleaseStore
    task_services: TaskServices
    announcer: Announcer
    clock: Clock
    policy: Policy
    worker: Worker
    study_url: Callable[[str], str]
    rules: tuple[JointRule, ...] = JOINT_RULES


class Drive:
    """The work on one release, for as long as something of it is on its way.

    Attributes:
        ended: the release has ended, for which others may have waited.
    """

    def __init__(self, release_id: str, world: World) -> None:
        self.release_id = release_id
        self.ended = False
        self._world = world
        self._epoch = 0
        self._lease = Lease()
        self._canceling = False
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._receipts: list[Receipt] = []
        self._arrived = asyncio.Event()
        self._woken = False
        self._grounded = False
        self._company_s = FIRST_COMPANY_S

    def wake(self) -> None:
        """Say that the release was changed by somebody else."""
        self._woken = True
        self._arrived.set()

    async def run(self) -> datetime | None:
        """Work until nothing is on its way; return when the release must be looked at again.

        Raises:
            LeaseHeld: another worker is at work on it.
            LeaseLost: another worker has taken it over, or could have.
        """
        try:
            while not self._grounded:
                receipts, self._receipts = self._receipts, []
                decision = await self._commit(receipts)
                self._epoch, release = decision.epoch, decision.change.release
                self._lease, self._canceling = release.lease, release.state in CANCELS
                self.ended = release.state in SETTLED_RELEASES
                for send in decision.sends:
                    self._take_off(send, release)
                if not self._flights and not self._woken and not self._receipts:
                    return decision.look_again_at
                if decision.sends:
                    self._company_s = FIRST_COMPANY_S
                await self._gather(decision.look_again_at)
            raise LeaseLost(f"the lease of epoch {self._epoch} ran out before everything was sent")
        finally:
            for flight in self._flights.values():
                flight.cancel()

    async def give_back(self) -> bool:
        """Leave the release to another worker at once, after `run` was cancelled; return whether there was anything.

        Raises:
            Unavailable: the database does not answer; the lease runs out by itself.
        """
        if not self._epoch:
            return False
        world = self._world

        def decide(snapshot: Snapshot) -> tuple[Change, bool]:
            change = give_back(snapshot, world.worker, self._epoch, world.clock.now())
            return change, change.release != snapshot.release

        return await world.store.change(self.release_id, decide)

    async def _commit(self, receipts: list[Receipt]) -> Decision:
        """Store the next decision; while the database does not answer, keep the receipts and try again."""
        self._woken = False
        while True:
            try:
                decision = await self._world.store.change(self.release_id, partial(self._decide, receipts))
            except Unavailable as error:
                log.warning("store_unavailable", release=self.release_id, reason=str(error))
                await asyncio.sleep(STORE_PAUSE_S)
                continue
            if decision.change.events or decision.change.tasks:
                await self._world.announcer.announce(self.release_id)
            return decision

    def _decide(self, receipts: list[Receipt], snapshot: Snapshot) -> tuple[Change, Decision]:
        world = self._world
        decision = decide(
            snapshot,
            world.worker,
            receipts,
            world.clock.now(),
            world.policy,
            held_epoch=self._epoch,
            rules=world.rules,
        )
        return decision.change, decision

    def _take_off(self, send: Send, release: Release) -> None:
        self._flights[send.task_id] = asyncio.create_task(self._fly(send, release))

    async def _fly(self, send: Send, release: Release) -> None:
        reply = await self._ask(send, release)
        self._receipts.append(Receipt(send.task_id, send.action, reply))
        del self._flights[send.task_id]
        if len(self._receipts) == 1 or not self._flights or isinstance(reply, Refusal):
            self._arrived.set()

    def _may_leave(self, action: Action) -> bool:
        """Tell whether a request may leave now: the lease holds, and the release is not being canceled since."""
        until = self._lease.until
        if until is None or self._world.clock.now() >= until:
            self._grounded = True
            self._arrived.set()
            return False
        return not self._canceling or action in {Action.GET_STATUS, Action.CANCEL}

    async def _ask(self, send: Send, release: Release) -> Reply:
        studies: tuple[str, ...] = ()
        if send.action is not Action.GET_STATUS:
            studies = release.studies
        urls = tuple(map(self._world.study_url, studies))
        request = Request(send.action, send.task_id, release.kf_id, studies, urls, release.lease.epoch)
        try:
            may_leave = partial(self._may_leave, send.action)
            return await self._world.task_services.send(send.service_url, request, release.uuid, may_leave)
        except Exception as error:
            log.exception("send_broke", release=release.kf_id, task=send.task_id, action=send.action)
            return Silence(f"the request broke: {type(error).__name__}")

    async def _gather(self, look_again_at: datetime | None) -> None:
        """Wait for something to decide upon: answers, somebody's change, a time that has come, the lease's renewal."""
        await self._wait(self._time_left_s(look_again_at))
        if self._receipts:
            await self._wait_for_company()

    async def _wait_for_company(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + min(self._company_s, self._renewal_s)
        self._company_s = min(self._company_s * 2, LONGEST_COMPANY_S)
        while self._flights and not self._woken and not self._urgent() and loop.time() < until:
            await self._wait(until - loop.time())

    async def _wait(self, seconds: float) -> None:
        """Wait until an answer arrives, or for so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        except TimeoutError:
            return
        self._arrived.clear()

    def _urgent(self) -> bool:
        return any(isinstance(receipt.reply, Refusal) for receipt in self._receipts)

    def _time_left_s(self, look_again_at: datetime | None) -> float:
        """Return how long nothing needs doing: until the next due time, and well within the lease."""
        if look_again_at is None:
            return self._renewal_s
        return max(0.0, min(self._renewal_s, (look_again_at - self._world.clock.now()).total_seconds()))

    @property
    def _renewal_s(self) -> float:
        """How long a round may wait for something to come, and once more for company, well within the lease."""
        return self._world.policy.lease_s / 3
