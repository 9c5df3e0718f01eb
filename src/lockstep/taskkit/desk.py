"""Where requests and work meet: every change of a task is made here, one at a time.

A request comes in (`act`), the table says what becomes of the task, the store makes it so, and only then is anybody
put to work. A worker is a thread that belongs to one task for as long as a function has to run for it. It asks what
is due by the task's state, runs that, settles what its end means, and looks again; so a cancel that comes in the
middle of staging needs no message but the changed state, and a worker that finds nothing due goes home. The same
look at the store brings everything back to work after the process was killed.

All of it is decided under one lock and carried out outside of it. `glance` takes neither the lock nor the store:
how a task at work is doing is known in memory, and asking for it must not wait for anything. Where other processes
share the store, what is in memory may be old, and the store is asked; who of them works on what is left to `watch`.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Event, Lock
from typing import Final

from lockstep.protocol.messages import Request
from lockstep.protocol.states import TaskState
from lockstep.taskkit.coordinator import Coordinator
from lockstep.taskkit.decisions import FIRST_PAUSE_S, LONGEST_PAUSE_S, Decisions
from lockstep.taskkit.lease import Lease
from lockstep.taskkit.report import Reporter
from lockstep.taskkit.store import AT_WORK, StoredTask, StoreUnavailable, TaskStore
from lockstep.taskkit.table import Refused, admitted, answer
from lockstep.taskkit.task import TaskFunction
from lockstep.taskkit.threads import start_thread
from lockstep.taskkit.watch import Watch
from lockstep.taskkit.work import DONE, WORK, Step, Work, Worker, failed, finished

_log = logging.getLogger("lockstep.taskkit")

STORE_PAUSE_S: Final = 1.0
"""How long to wait before the end of a work is written again when the store could not take it."""


class Desk:
    """The tasks of one service, their store and their workers."""

    def __init__(
        self,
        store: TaskStore,
        functions: Mapping[Work, TaskFunction],
        coordinator: Coordinator | None,
        reporter: Reporter,
        stop_patience_s: float,
    ) -> None:
        self.store = store
        self.is_started = False
        self._functions = functions
        self._coordinator = coordinator
        self._reporter = reporter
        self._stop_patience_s = stop_patience_s
        self._lock = Lock()
        self._stopping = Event()
        self._workers: dict[str, Worker] = {}
        self._lease = Lease(store.lease_s)
        self._watch = Watch(store, self._lease, self._workers, reporter, lock=self._lock, put_to_work=self._put_to_work)
        self._decisions = Decisions(coordinator, self.act) if coordinator is not None else None

    def start(self) -> None:
        """Open the store and go on with the work that a killed or stopped process left; again: nothing happens.

        Raises:
            StoreUnavailable: the tasks cannot be read.
        """
        with self._lock:
            if self.is_started:
                return
            self.store.open()
            self._stopping.clear()
            self._reporter.start(self.alive)
            self._watch.begin(self._stopping)
            if self._decisions is not None and (staged := self.store.staged()):
                start_thread(partial(self._clear_up, self._decisions, staged), "lockstep decisions")
            self.is_started = True

    def stop(self) -> None:
        """Stop the work, wait a little for its end, and give the store back. What was cut off runs again at `start`."""
        with self._lock:
            if not self.is_started:
                return
            self.is_started = False
            self._stopping.set()
            workers = list(self._workers.values())
            for worker in workers:
                worker.stop()
        deadline = time.monotonic() + self._stop_patience_s
        for worker in workers:
            if worker.thread is not None:
                worker.thread.join(max(0.0, deadline - time.monotonic()))
        if late := ", ".join(list(self._workers)):
            _log.warning("the work on %s did not stop in time; it runs again at the next start", late)
        self._reporter.stop()
        self._watch.end(deadline)
        self.store.close()

    def glance(self, task_id: str) -> StoredTask | None:
        """Return a task if a function is at work on it and nobody else can have changed it, at once."""
        worker = None if self._lease.is_shared else self._workers.get(task_id)
        return worker.seen() if worker is not None else None

    def alive(self) -> list[StoredTask]:
        """Return the tasks at work whose functions asked whether to go on since this was called last."""
        found = []
        for worker in list(self._workers.values()):
            step, seen = worker.step, worker.record if self._lease.is_shared else worker.seen()
            if step is not None and step.was_heard and seen.state in AT_WORK:
                step.was_heard = False
                found.append(seen)
        return found

    def look(self, task_id: str) -> StoredTask | None:
        """Return a task, or None when it is not known."""
        return self.glance(task_id) or self._stored(task_id)

    def act(self, request: Request) -> StoredTask:
        """Do what a request asks and return the task as it is then.

        Raises:
            Refused: the table says no.
            StoreUnavailable: the change cannot be stored, and was not made.
        """
        with self._lock:
            while True:
                seen = self._stored(request.task_id)
                after, refused = _answered(request, admitted(request, seen))
                after = after and self._lease.held(seen, after)
                if after is seen or self._keep(seen, after):
                    break
            if refused is not None:
                raise refused
            assert after is not None  # noqa: S101 - a task that is not known is refused or added
            if seen is None or seen.state is not after.state:
                what = (after.task_id, after.release_id, request.action, after.state)
                _log.info("task %s of release %s: %s, now %s", *what)
                self._put_to_work(after)
            return after

    def _stored(self, task_id: str) -> StoredTask | None:
        """Return a task as it is stored, with the progress of the work on it: that work may come to its end meanwhile.

        Whoever is looked up first cannot have gone before its end was stored, and what has ended is stored whole. Of a
        shared store every process tells what is stored, or progress would go back and forth with who is asked.
        """
        worker, seen = self._workers.get(task_id), self.store.get(task_id)
        if self._lease.is_shared or seen is None or worker is None or seen.state not in AT_WORK:
            return seen
        return replace(seen, progress=worker.seen().progress)

    def _keep(self, seen: StoredTask | None, after: StoredTask | None) -> bool:
        """Store a change unless somebody else was quicker."""
        if after is None:
            return True
        if seen is None:
            return self.store.add(after)
        if not self.store.replace(seen, after):
            return False
        if (worker := self._workers.get(after.task_id)) is not None and seen.state is after.state:
            worker.record = replace(worker.record, epoch=after.epoch)
        return True

    def _put_to_work(self, record: StoredTask) -> None:
        """Give a changed task to its worker, and stop what that is at: the task has moved on. Called under the lock."""
        worker = self._workers.get(record.task_id)
        if worker is not None:
            worker.record, worker.beaten_at = record, time.monotonic()
            worker.is_lost = not self._lease.is_mine(record)
            worker.stop()
        elif record.is_due and self._lease.is_mine(record):
            worker = Worker(record)
            worker.thread = start_thread(partial(self._work, worker), f"lockstep {record.task_id}")
            self._workers[record.task_id] = worker

    def _work(self, worker: Worker) -> None:
        """Be a worker: run what is due until nothing is. Publishing that was cut off may have been canceled since."""
        record = worker.record
        if self._decisions is not None and record.state is TaskState.PUBLISHING and record.attempt > 1:
            self._decisions.settle(record)
        while (step := self._next_step(worker)) is not None:
            error = step.run()
            self._settle(worker, step, error)

    def _next_step(self, worker: Worker) -> Step | None:
        with self._lock:
            record = worker.record
            if not record.is_due or worker.is_lost or self._stopping.is_set():
                del self._workers[record.task_id]
                return None
            function = self._functions.get(WORK.get(record.state, Work.CANCEL))
            worker.progress = 0
            worker.step = step = Step(
                record,
                function,
                self._coordinator,
                lambda percent: self._note(worker, step, percent),
                self._reporter.write,
            )
            return step

    def _note(self, worker: Worker, step: Step, percent: int) -> None:
        """Take in a progress; the coordinator hears of it when it is another than before, and stored if it must be."""
        if worker.step is step and percent != worker.progress and step.stored.state in AT_WORK:
            worker.progress = percent
            if not self._lease.is_shared:
                self._reporter.tell(step.stored.task_id, step.stored.state, percent)

    def _settle(self, worker: Worker, step: Step, error: BaseException | None) -> None:
        """Store what the end of a function means, as soon as the store can take it."""
        while True:
            try:
                with self._lock:
                    worker.step = None
                    while not self._conclude(worker, step, error):
                        pass
            except StoreUnavailable as unavailable:
                _log.error("the end of the work on task %s cannot be stored: %s", step.stored.task_id, unavailable)
                if self._stopping.wait(STORE_PAUSE_S):
                    return
            else:
                return

    def _conclude(self, worker: Worker, step: Step, error: BaseException | None) -> bool:
        """Store what the end of a function means if that is still for us to say; False: it has to be thought over."""
        record = worker.record
        has_moved_on = (record.state, record.attempt) != (step.stored.state, step.stored.attempt)
        if has_moved_on or (error is not None and step.is_stopped):
            return True
        stored = replace(step.stored, epoch=record.epoch)
        if error is not None and stored.state not in DONE:
            _log.error(
                "the cancel function failed on %s; it runs again at the next start", stored.task_id, exc_info=error
            )
            worker.record = replace(stored, cleanup_due=False)
            self._lease.leave_alone(stored.task_id)
            return True
        after = finished(stored, step) if error is None else failed(stored, worker.progress, error)
        after = self._lease.held(stored, after)
        if not self.store.replace(stored, after):
            self._watch.look_again(worker)
            return worker.is_lost
        worker.record = after
        if after.state is not stored.state:
            level = logging.INFO if error is None else logging.ERROR
            _log.log(level, "task %s of release %s is %s", after.task_id, after.release_id, after.state, exc_info=error)
            self._reporter.tell(after.task_id, after.state, after.progress, after.findings())
        return True

    def _clear_up(self, decisions: Decisions, staged: Sequence[StoredTask]) -> None:
        """Ask what became of tasks that were staged before this process began, until each question is answered."""
        pause_s = FIRST_PAUSE_S
        while staged := [task for task in staged if not self._stopping.is_set() and not decisions.settle(task)]:
            if self._stopping.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _answered(request: Request, seen: StoredTask | None) -> tuple[StoredTask | None, Refused | None]:
    """Return what is to be stored after a request, and the refusal if it is one: its epoch counts all the same."""
    try:
        return answer(request, seen), None
    except Refused as refused:
        return seen, refused
