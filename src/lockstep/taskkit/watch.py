"""Watch over who works on what: what a process does because it was killed before, or because others share its store.

The desk begins it, and work that somebody left is taken up. Where the store is shared, a thread of its own then tells
the others again and again what is at work here and how far it is, takes up what one of them has left, and stops what is
no longer ours or may soon not be. In the end what was cut off is given back. `lease` says what is whose, and nothing is
decided about a task here but who works on it: the desk gives a task to a worker (`put_to_work`) and settles what the
work comes to. The coordinator hears of a progress once all processes can tell it.

The lock and the workers are the desk's.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event, Lock, Thread

from lockstep.taskkit.lease import Lease
from lockstep.taskkit.report import Reporter
from lockstep.taskkit.store import StoredTask, StoreUnavailable, TaskStore
from lockstep.taskkit.threads import start_thread
from lockstep.taskkit.work import Worker

_log = logging.getLogger("lockstep.taskkit")


class Watch:
    """The watch of one process over its workers, and over the tasks that have none."""

    def __init__(
        self,
        store: TaskStore,
        lease: Lease,
        workers: Mapping[str, Worker],
        reporter: Reporter,
        *,
        lock: Lock,
        put_to_work: Callable[[StoredTask], None],
    ) -> None:
        self._store = store
        self._lease = lease
        self._workers = workers
        self._lock = lock
        self._put_to_work = put_to_work
        self._reporter = reporter
        self._thread: Thread | None = None

    def begin(self, stopping: Event) -> None:
        """Take up what was left, and keep watch until the service stops. Called under the lock.

        Raises:
            StoreUnavailable: the tasks cannot be read.
        """
        self._lease.begin()
        self._take_up()
        if self._lease.is_shared:
            self._thread = start_thread(partial(self._keep, stopping), "lockstep watch")

    def end(self, deadline: float) -> None:
        """Wait for the end of the watch until a moment of `time.monotonic`, and give back what was cut off here."""
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))
            self._give_back()

    def look_again(self, worker: Worker) -> None:
        """Take in what somebody else has made of a task at work. Called under the lock."""
        seen, found = worker.record, self._store.get(worker.record.task_id)
        if found is None or not self._lease.is_mine(found):
            _log.warning("the work on task %s stops here: another process has taken it over", seen.task_id)
            worker.is_lost = True
            worker.stop()
        elif (found.state, found.attempt) != (seen.state, seen.attempt):
            self._put_to_work(found)
        else:
            worker.record = found

    def _take_up(self) -> None:
        """Go on with what nobody works on. Called under the lock."""
        for left in self._lease.free(self._store.due()):
            again = self._lease.taken_up(left)
            if not self._is_at_work_on(left) and self._store.replace(left, again):
                _log.info("task %s is taken up again (%s, attempt %d)", again.task_id, again.state, again.attempt)
                self._put_to_work(again)

    def _is_at_work_on(self, task: StoredTask) -> bool:
        """Tell whether a worker of ours has the task; one that an earlier start left behind has not."""
        return self._lease.is_shared and task.task_id in self._workers and self._lease.is_mine(task)

    def _keep(self, stopping: Event) -> None:
        """Say of the work of this process that it goes on, and take up what another has left, until it all ends."""
        while not stopping.wait(self._lease.beat_s):
            try:
                with self._lock:
                    for worker in list(self._workers.values()):
                        self._beat(worker)
                    self._take_up()
            except StoreUnavailable as unavailable:
                _log.warning("other processes cannot be told what is at work here: %s", unavailable)
                self._lease.forget()
            for worker in list(self._workers.values()):
                if not worker.is_lost and self._lease.is_at_risk(worker.beaten_at):
                    _log.error("the work on task %s stops here: another may take it over", worker.record.task_id)
                    worker.is_lost = True
                    worker.stop()

    def _beat(self, worker: Worker) -> None:
        seen, now = worker.record, time.monotonic()
        if seen.is_due and not worker.is_lost:
            beaten = replace(worker.seen(), beat=seen.beat + 1)
            if self._store.replace(seen, beaten):
                worker.record, worker.beaten_at = beaten, now
                if beaten.progress != seen.progress:
                    self._reporter.tell(beaten.task_id, beaten.state, beaten.progress)
            else:
                self.look_again(worker)

    def _give_back(self) -> None:
        """Let other processes have what was cut off here, at once."""
        with suppress(StoreUnavailable):
            for left in self._store.due():
                if self._lease.is_mine(left) and left.task_id not in self._workers:
                    self._store.replace(left, replace(left, holder=None))
