"""The courier: brings every event to every receiver, after it was committed and beside everything else.

It is level-triggered, as the engine is. Five times a second at the most it asks the outbox to whom something is owed,
and begins a round for each of those; a receiver that is slow or away occupies its own round and nobody else's. A round
claims a batch, tries what is in it one after the other, and records what came of it, well before its claim runs out;
then it begins again, until nothing is owed.

What was tried and not recorded, because the process was killed, is tried again: every event arrives at least once,
and under the same id each time. The courier changes no release and no event, and nothing waits for it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from lockstep.coordinator.core.announcing import (
    Delivery,
    Outcome,
    Receiver,
    ReceiverKind,
    tried_aside,
    tried_in_line,
)
from lockstep.coordinator.core.errors import LeaseLost, Unavailable
from lockstep.coordinator.ports import Carrier, Clock, Feed, Outbox

log = structlog.get_logger("lockstep.announcements")

LOOK_INTERVAL_S: Final = 1.0
"""How long an event lies that was committed by another process, or whose receiver is due again, at the most."""

COMPANY_S: Final = 0.2
"""The pause after a commit was heard of: the commits of a busy moment are one round, and two of the database's."""

RECORD_AFTER_S: Final = 1.0
"""A batch is recorded after so long, whatever is left of it, so that little is sent twice after a crash."""

SPARE_S: Final = 30.0
"""How long a claim holds beyond the tries that a round may begin with and end with: for a busy machine."""

Observer = Callable[[ReceiverKind, Outcome], None]


def unobserved(kind: ReceiverKind, outcome: Outcome) -> None:
    """Take note of nothing."""


@dataclass
class Courier:
    """Brings events to receivers.

    Attributes:
        outbox: whom events are owed to.
        carriers: the way to each kind of receiver.
        clock: the time.
        worker: the name of this process, among those that work on the same database.
        alone: no other process can be at work on the database.
        observe: is told of every try.
        try_s: how long one try takes at the most, in seconds.
    """

    outbox: Outbox
    carriers: Mapping[ReceiverKind, Carrier]
    clock: Clock
    worker: str
    alone: bool = False
    observe: Observer = unobserved
    try_s: float = 30
    _rounds: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def run(self, feed: Feed) -> None:
        """Work until cancelled; what was tried by then is recorded."""
        with feed.subscribe(None) as subscription:
            try:
                while True:
                    await self._look()
                    if await subscription.wait(LOOK_INTERVAL_S):
                        await asyncio.sleep(COMPANY_S)
            finally:
                for task in self._rounds.values():
                    task.cancel()
                await asyncio.gather(*self._rounds.values(), return_exceptions=True)

    async def catch_up(self) -> None:
        """Begin a round for everybody to whom something is owed, and wait until all rounds are over."""
        await self._look()
        await asyncio.gather(*self._rounds.values())

    async def _look(self) -> None:
        try:
            owed = await self.outbox.owed(self.clock.now(), alone=self.alone)
        except Unavailable as error:
            log.warning("store_unavailable", reason=str(error))
            return
        except Exception:
            log.exception("look_broke")
            return
        for receiver_id in owed:
            if receiver_id not in self._rounds:
                self._rounds[receiver_id] = asyncio.create_task(self._rounds_of(receiver_id))

    async def _rounds_of(self, receiver_id: str) -> None:
        try:
            while await self._round(receiver_id):
                pass
        except (LeaseLost, Unavailable) as error:
            log.info("round_left", receiver=receiver_id, reason=str(error))
        except Exception:
            log.exception("round_broke", receiver=receiver_id)
        finally:
            del self._rounds[receiver_id]

    async def _round(self, receiver_id: str) -> bool:
        """Claim a batch, try it and record it; return whether anything was tried."""
        now = self.clock.now()
        until = now + timedelta(seconds=RECORD_AFTER_S + 2 * self.try_s + SPARE_S)
        batch = await self.outbox.claim(receiver_id, self.worker, now, until=until, alone=self.alone)
        if batch is None:
            return False
        receiver, tried = batch.receiver, list[Delivery]()
        loop = asyncio.get_running_loop()
        end = loop.time() + RECORD_AFTER_S
        try:
            for delivery in batch.line:
                outcome = await self._carry(receiver, delivery)
                receiver, after = tried_in_line(receiver, delivery, outcome, self.clock.now())
                tried.append(after)
                if receiver.cursor < delivery.event.position or not receiver.enabled or loop.time() >= end:
                    break
            for delivery in batch.aside if receiver.enabled else ():
                outcome = await self._carry(receiver, delivery)
                receiver, after = tried_aside(receiver, delivery, outcome, self.clock.now())
                tried.append(after)
                if not receiver.enabled or loop.time() >= end:
                    break
        finally:
            await self.outbox.record(receiver, tried)
        return bool(tried) and receiver.enabled

    async def _carry(self, receiver: Receiver, delivery: Delivery) -> Outcome:
        event = delivery.event
        try:
            outcome = await self.carriers[receiver.kind].carry(receiver, event)
        except Exception as error:
            log.exception("carrying_broke", receiver=receiver.kf_id, announced=event.kf_id)
            outcome = Outcome(taken=False, error=f"the try broke: {type(error).__name__}")
        self.observe(receiver.kind, outcome)
        if not outcome.taken:
            log.info("not_delivered", receiver=receiver.kf_id, announced=event.kf_id, reason=outcome.error)
        return outcome
