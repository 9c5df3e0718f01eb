"""What holds of every decision, whatever services, people, time and crashes did before it."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lockstep.coordinator.core.decide import Decision, decide
from lockstep.coordinator.core.errors import Conflict, Invalid
from lockstep.coordinator.core.model import Delivery, Lease, Snapshot
from lockstep.coordinator.core.policy import Policy
from lockstep.coordinator.core.replies import Receipt
from lockstep.coordinator.core.standing import CANCELS, cancel_delivered
from lockstep.protocol.messages import Action, Answer, Refusal, Silence
from lockstep.protocol.states import SETTLED_RELEASES, SETTLED_TASKS, ReleaseState, TaskState, reached
from tests.table import Table, task_id

POLICY = Policy(task_timeout_s=600, release_timeout_s=2000, cancel_delivery_s=3600)
REPLIES = st.one_of(
    st.builds(
        Answer, st.none() | st.sampled_from(TaskState), st.none() | st.integers(0, 100), st.none() | st.just("?")
    ),
    st.builds(Refusal, st.sampled_from([200, 302, 404, 500]), st.just("no")),
    st.builds(Silence, st.just("reset"), st.none() | st.just(5.0)),
)
LIKELY_REPLIES = st.one_of(st.just(Answer()), st.sampled_from(TaskState).map(Answer), REPLIES)


class Life(RuleBasedStateMachine):
    """One release with three services, and everything that can happen to it, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.table = Table("ABC", policy=POLICY)
        self.before: Snapshot = self.table.snapshot
        self.decision: Decision | None = None
        self.told_to_cancel = False

    def _decide(self, *receipts: Receipt) -> None:
        self.before = self.table.snapshot
        self.decision = self.table.decide(*receipts)

    @initialize(services=st.sampled_from(["", "A", "ABC"]), attempts=st.integers(1, 3))
    def begin(self, services: str, attempts: int) -> None:
        self.table = Table(services, policy=replace(POLICY, attempts=attempts))
        self._decide()

    @precondition(lambda self: self.table.flying)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        letters = data.draw(st.sets(st.sampled_from(sorted(self.table.flying)), min_size=1))
        receipts = [
            Receipt(task_id(letter), self.table.flying[letter], data.draw(LIKELY_REPLIES)) for letter in sorted(letters)
        ]
        self._decide(*receipts)

    @rule(seconds=st.sampled_from([0, 0.5, 1, 2, 30, 60, 300, 700, 4000]))
    def wait(self, seconds: float) -> None:
        self.table.now += timedelta(seconds=seconds)
        self._decide()

    @precondition(lambda self: self.table.tasks)
    @rule(data=st.data(), state=st.none() | st.sampled_from(TaskState), progress=st.none() | st.integers(0, 100))
    def call_back(self, data: st.DataObject, state: TaskState | None, progress: int | None) -> None:
        letter = data.draw(st.sampled_from([task.service_name for task in self.table.tasks.values()]))
        before = self.table.snapshot
        try:
            self.table.call_back(letter, state, progress)
        except (Conflict, Invalid):
            assert before == self.table.snapshot
        self._decide()

    @rule()
    def publish(self) -> None:
        try:
            self.table.publish()
        except Conflict:
            assert self.table.state is not ReleaseState.STAGED
        self._decide()

    @rule()
    def cancel(self) -> None:
        self.table.cancel()
        self._decide()

    @rule()
    def crash(self) -> None:
        self.table.crash()
        self._decide()

    @invariant()
    def a_second_decision_changes_nothing(self) -> None:
        """With nothing new, at the same time, neither a state, nor an event, nor a request."""
        table = self.table
        again = decide(table.snapshot, table.worker, (), table.now, table.policy, held_epoch=table.held_epoch)
        assert (again.change.release, again.change.tasks, again.change.events, again.sends) == (
            table.release,
            (),
            (),
            (),
        )

    @invariant()
    def every_send_is_marked(self) -> None:
        """What is to be sent is stored as sent, under the epoch of the lease that is stored with it."""
        if self.decision is None:
            return
        for send in self.decision.sends:
            task = self.table.tasks[send.task_id]
            assert (task.flight_epoch, task.service_url) == (self.decision.epoch, send.service_url)
            if send.action is Action.CANCEL:
                assert task.cancel in {Delivery.SENT, Delivery.DOUBTFUL}
            elif send.action is not Action.GET_STATUS:
                assert (task.told, task.delivery) == (send.action, Delivery.SENT)

    @invariant()
    def the_lease_is_held_while_requests_are_on_their_way(self) -> None:
        """And whoever finds the release after the holder's death finds it when the lease has run out."""
        release, table = self.table.release, self.table
        if table.flying:
            until = release.lease.until
            assert release.lease == Lease(table.worker.name, until, table.held_epoch)
            assert until is not None
            assert (release.look_at, until > table.now) == (until, True)
        else:
            assert (release.lease.owner, release.lease.until, table.held_epoch) == (None, None, 0)
            assert self.decision is None or release.look_at == self.decision.look_again_at

    @invariant()
    def it_is_looked_at_again_if_something_will_be_due(self) -> None:
        """Never in the past, so that nothing spins; and at all, unless only a person or a service can move it."""
        if self.decision is None:
            return
        due, table = self.decision.look_again_at, self.table
        assert due is None or due > table.now
        rests = table.state is ReleaseState.STAGED or (
            table.state in SETTLED_RELEASES
            and (table.state not in CANCELS or all(map(cancel_delivered, table.tasks.values())))
        )
        if not table.flying:
            assert (due is None) is rests

    @invariant()
    def only_what_differs_is_stored(self) -> None:
        if self.decision is not None:
            unchanged = [task for task in self.decision.change.tasks if task == self.before.tasks[task.kf_id]]
            assert unchanged == []

    @invariant()
    def no_step_begins_before_its_time(self) -> None:
        """Nobody is told to start or to publish while another is not so far, and nobody is after a cancel."""
        table = self.table
        actions = set(table.flying.values())
        if Action.START in actions and table.state not in CANCELS:
            assert all(reached(state, TaskState.PENDING) for state in table.states.values())
        if Action.PUBLISH in actions and table.state not in CANCELS:
            assert all(reached(state, TaskState.STAGED) for state in table.states.values())
            assert table.release.publish_order is not None
        sent = {send.action for send in self.decision.sends} if self.decision else set()
        assert not (self.told_to_cancel and sent - {Action.CANCEL})
        self.told_to_cancel = self.told_to_cancel or Action.CANCEL in sent

    @invariant()
    def a_settled_release_has_settled_tasks(self) -> None:
        if self.table.state in SETTLED_RELEASES:
            assert set(self.table.states.values()) <= SETTLED_TASKS
        if self.table.state is ReleaseState.PUBLISHED:
            assert set(self.table.states.values()) <= {TaskState.PUBLISHED}

    @invariant()
    def events_tell_of_every_move(self) -> None:
        """The last event of each task and of the release ends with the state that it is in."""
        states = {
            "release": self.table.state.value,
            **{key: task.state.value for key, task in self.table.tasks.items()},
        }
        for who, state in states.items():
            moves = [m.split() for m in self.table.messages if " changed from " in m and who in m.split()[:2]]
            assert [words[-1] for words in moves][-1:] == ([] if state == "waiting" else [state])
            assert [words[-1] for words in moves[:-1]] == [words[-3] for words in moves[1:]]


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
