"""The lease: who may decide while requests are on their way, and who takes over."""

from datetime import timedelta

import pytest

from lockstep.coordinator.core.decide import Worker
from lockstep.coordinator.core.errors import LeaseHeld, LeaseLost
from lockstep.coordinator.core.model import Delivery, Lease
from lockstep.protocol.messages import Action, Answer, Refusal
from lockstep.protocol.states import ReleaseState, TaskState
from tests.table import Table, task_id


def another(table: Table, name: str = "worker 2", *, alone: bool = False) -> None:
    """Let another worker sit down at the table."""
    table.worker, table.held_epoch = Worker(name, alone), 0


def test_a_decision_that_sends_nothing_takes_no_lease() -> None:
    table = Table("")
    table.decide()
    assert (table.release.lease, table.held_epoch) == (Lease(), 0)


def test_the_lease_is_taken_with_the_first_send_and_given_back_after_the_last_answer() -> None:
    """The epoch stays behind: no other worker will ever have the same."""
    table = Table("A")
    table.decide()
    until = table.now + timedelta(seconds=table.policy.lease_s)
    assert table.release.lease == Lease("worker 1", until, 1)
    table.hear(Action.INITIALIZE, {"A": Answer()})
    table.hear(Action.START, {"A": Answer()})
    assert (table.release.lease, table.held_epoch) == (Lease(epoch=1), 0)
    table.pass_time(30)
    assert table.release.lease.epoch == 2


def test_another_worker_is_turned_away_until_the_lease_has_run_out() -> None:
    table = Table("A")
    table.decide()
    before = table.snapshot
    another(table)
    with pytest.raises(LeaseHeld):
        table.decide()
    assert before == table.snapshot
    table.now += timedelta(seconds=table.policy.lease_s)
    table.decide()
    assert (table.release.lease.owner, table.held_epoch) == ("worker 2", 2)


def test_a_worker_that_is_alone_does_not_wait_for_a_dead_one() -> None:
    table = Table("A")
    table.decide()
    another(table, alone=True)
    assert table.sent() == {"A": Action.GET_STATUS}
    assert table.held_epoch == 2


def test_a_lease_in_its_own_name_that_it_does_not_hold_is_left_over() -> None:
    """A drive that broke off; the next one of the same worker takes it, under a new epoch."""
    table = Table("A")
    table.decide()
    another(table, "worker 1")
    assert table.sent() == {"A": Action.GET_STATUS}
    assert table.held_epoch == 2


def test_a_worker_that_was_replaced_can_store_nothing() -> None:
    """Neither while the other is at work, nor when it has finished."""
    table = Table("A")
    table.decide()
    first, epoch = table.worker, table.held_epoch
    table.now += timedelta(hours=1)
    another(table)
    table.decide()
    for finish in (False, True):
        if finish:
            table.hear(Action.GET_STATUS, {"A": Refusal(404, "unknown")})
            table.land()
            table.land()
        held, table.worker, table.held_epoch = (table.worker, table.held_epoch), first, epoch
        before = table.snapshot
        with pytest.raises(LeaseLost):
            table.hear(Action.INITIALIZE, {"A": Answer()})
        assert before == table.snapshot
        table.worker, table.held_epoch = held


def test_only_the_worker_that_was_replaced_is_forgotten_not_what_it_sent() -> None:
    """Of two services, one had answered: the other is asked whether the request came."""
    table = Table("AB")
    table.decide()
    table.hear(Action.INITIALIZE, {"A": Answer()})
    assert table.task("B").delivery is Delivery.SENT
    table.crash()
    assert table.sent() == {"B": Action.GET_STATUS}
    assert table.land(Answer(TaskState.PENDING)) == dict.fromkeys("AB", Action.START)


def test_a_callback_needs_no_lease() -> None:
    """It is taken while a worker has requests on their way, and the worker finds it at its next decision."""
    table = Table("AB")
    table.started()
    table.pass_time(30)
    lease = table.release.lease
    table.call_back("A", TaskState.STAGED)
    assert table.release.lease == lease
    table.call_back("B", TaskState.STAGED)
    assert table.state is ReleaseState.STAGED
    assert table.release.look_at == table.now
    table.land(Answer(TaskState.RUNNING))
    assert (table.state, table.release.lease.owner) == (ReleaseState.STAGED, None)


def test_the_last_of_a_crashed_workers_requests_is_not_mistaken_for_a_new_one() -> None:
    """An epoch of the past marks a request that nobody awaits, and is never given again."""
    table = Table("A")
    epochs = []
    for _ in range(5):
        table.decide()
        epochs.append(table.task("A").flight_epoch)
        table.crash()
    assert epochs == [1, 2, 3, 4, 5]
    assert table.tasks[task_id("A")].told is Action.INITIALIZE
