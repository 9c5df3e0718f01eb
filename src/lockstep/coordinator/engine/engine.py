"""The engine of one process: starts a drive for every release that has something to be done about it.

It is level-triggered. A ring names a release that was changed, a look-at time in the database names one whose time
has come, and the sweep finds whatever a lost ring has left lying; all three lead to the same question, which the core
answers from what is stored. So a ring that is lost, doubled or late costs a delay and no more, and after a crash the
first sweep picks everything up. The engine never works twice at once on one release.

Where several engines share a database, the lease decides which of them works on a release. A ring that reaches another
one becomes a nudge to the holder, and an engine that ends gives back what it has not finished.
"""

import asyncio
from datetime import datetime, timedelta

import structlog

from lockstep.coordinator.core.errors import LeaseHeld, LeaseLost, NotFound, Unavailable
from lockstep.coordinator.engine.drive import Drive, World
from lockstep.coordinator.ports import Peers

log = structlog.get_logger("lockstep.engine")

SWEEP_INTERVAL_S = 5.0
"""How long a release whose ring was lost lies still at the most."""

BUSY_PAUSE = timedelta(seconds=0.5)
"""The pause before due releases are looked for again that somebody is at work on already; one whose drive ends sooner
and is due sooner is not kept waiting."""

MOST_DRIVES = 200
"""Releases that one process works on at the same time; the others stay due and come next."""


GIVE_BACK_S = 2.0
"""How long giving back may take when the engine ends; what is not given back then is taken when the lease runs out."""


class Engine:
    """Keeps every release going that this process may work on; `ring` is its doorbell.

    Args:
        world: what it acts upon.
        peers: the other engines on the same database; None where there are none.
        grace_s: how long the work at hand may still take when it ends, before it is given back.
    """

    def __init__(self, world: World, peers: Peers | None = None, grace_s: float = 0) -> None:
        self._world = world
        self._peers = peers
        self._grace_s = grace_s
        self._drives: dict[str, Drive] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._bell = asyncio.Event()
        self._next_look: datetime | None = None
        self._swept_at = world.clock.now()
        self._running = False

    async def ring(self, release_id: str) -> None:
        """Look at a release soon; one that is being worked on looks at itself again."""
        if drive := self._drives.get(release_id):
            drive.wake()
        elif self._running and len(self._drives) < MOST_DRIVES:
            self._start(release_id)
        else:
            self._bell.set()

    def nudge(self, release_id: str) -> None:
        """Have a release looked at again if it is being worked on here; another engine was told of a change to it."""
        if drive := self._drives.get(release_id):
            drive.wake()

    def offered(self, release_id: str) -> None:
        """Look at a release soon that another engine has given back; whoever is first has it."""
        if self._running and release_id not in self._drives and len(self._drives) < MOST_DRIVES:
            self._start(release_id)

    def pulse(self) -> datetime:
        """Return when this engine last looked for what is due; when it was made, as long as it has not."""
        return self._swept_at

    async def run(self) -> None:
        """Work until cancelled. Requests that are still on their way then are in doubt, as after a crash."""
        self._running = True
        try:
            while True:
                pause_s = await self._sweep()
                await self._sleep(pause_s)
        finally:
            self._running = False
            await self._lay_down()

    async def _lay_down(self) -> None:
        """End the work at hand: let it finish for a while, cut the rest, and give that back to the other engines."""
        if self._tasks and self._grace_s:
            await asyncio.wait(self._tasks, timeout=self._grace_s)
        cut = list(self._drives.values())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._peers is not None:
            await asyncio.gather(*(self._give_back(drive, self._peers) for drive in cut))

    async def _give_back(self, drive: Drive, peers: Peers) -> None:
        try:
            async with asyncio.timeout(GIVE_BACK_S):
                if await drive.give_back():
                    await peers.offer(drive.release_id)
        except (Unavailable, NotFound, TimeoutError) as error:
            log.warning("not_given_back", release=drive.release_id, reason=str(error) or "the database is away")

    async def _sweep(self) -> float:
        """Start a drive for each release that is due; return how long there will be nothing more to start."""
        self._bell.clear()
        store = self._world.store
        try:
            due = await store.due(self._world.clock.now(), MOST_DRIVES)
            for release_id in due:
                await self._look_at(release_id)
            now = self._swept_at = self._world.clock.now()
            self._next_look = now + BUSY_PAUSE if due else await store.next_look()
        except Unavailable as error:
            log.warning("store_unavailable", reason=str(error))
            return SWEEP_INTERVAL_S
        except Exception:
            log.exception("sweep_broke")
            return SWEEP_INTERVAL_S
        return self._until_next_look_s(now)

    async def _look_at(self, release_id: str) -> None:
        if len(self._drives) < MOST_DRIVES or release_id in self._drives:
            await self.ring(release_id)

    def _until_next_look_s(self, now: datetime) -> float:
        if self._next_look is None:
            return SWEEP_INTERVAL_S
        seconds = (self._next_look - now).total_seconds()
        return min(SWEEP_INTERVAL_S, max(0.0, seconds))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return

    def _start(self, release_id: str) -> None:
        drive = self._drives[release_id] = Drive(release_id, self._world)
        task = asyncio.create_task(self._drive(drive))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drive(self, drive: Drive) -> None:
        look_again_at: datetime | None = None
        try:
            look_again_at = await drive.run()
        except LeaseHeld as error:
            log.debug("drive_left", release=drive.release_id, reason=str(error))
            if self._peers is not None:
                await self._peers.nudge(drive.release_id)
        except (LeaseLost, NotFound) as error:
            log.info("drive_left", release=drive.release_id, reason=str(error))
        except Exception:
            log.exception("drive_broke", release=drive.release_id)
        finally:
            del self._drives[drive.release_id]
        sooner = look_again_at is not None and (self._next_look is None or look_again_at < self._next_look)
        if sooner or drive.ended or len(self._drives) == MOST_DRIVES - 1:
            self._bell.set()
