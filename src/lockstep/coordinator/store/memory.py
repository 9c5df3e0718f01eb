"""The store in memory: the one that the simulation runs a hundred thousand seeds on.

Every method does its work between two awaits, so that it is atomic in one event loop without a lock; whatever can
fail is done before the first thing is changed. Nothing is kept for speed that a few hundred releases do not need.
"""

import secrets
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from lockstep.coordinator.core.history import History, Sorted
from lockstep.coordinator.core.model import EventType
from lockstep.coordinator.ports import Outbox, People
from lockstep.coordinator.store.fresh import FreshIds, RandomBits
from lockstep.coordinator.store.memory_catalogue import MemoryCatalogue
from lockstep.coordinator.store.memory_changing import MemoryChanges
from lockstep.coordinator.store.memory_graph import MemoryBatches
from lockstep.coordinator.store.memory_history import Bringing
from lockstep.coordinator.store.memory_outbox import MemoryOutbox
from lockstep.coordinator.store.memory_people import MemoryPeople
from lockstep.coordinator.store.memory_releases import MemoryReleases
from lockstep.coordinator.store.memory_story import MemoryStory
from lockstep.coordinator.store.memory_tables import Tables
from lockstep.protocol.states import ReleaseState, TaskState


class MemoryStore(MemoryChanges, MemoryReleases, MemoryStory, MemoryCatalogue, MemoryBatches):
    """All that the coordinator remembers, until the process ends."""

    def __init__(self, random_bits: RandomBits = secrets.randbits) -> None:
        super().__init__(Tables(), FreshIds(random_bits))
        self._outbox = MemoryOutbox(self._tables.events, self._ids)
        self.outbox: Outbox = self._outbox
        self.people: People = MemoryPeople(self._tables.client_of_task)
        self._chores: dict[str, datetime] = {}

    async def claim(self, chore: str, now: datetime, until: datetime) -> bool:
        """Claim a piece of periodic work if it is due."""
        if (due_at := self._chores.get(chore)) is not None and due_at > now:
            return False
        self._chores[chore] = until
        return True

    async def bring(self, given: History, now: datetime, *, rehearse: bool = False) -> Sorted:
        """Store part of another coordinator's history, or say what would be stored."""
        bringing = Bringing(self._tables, given)
        if not rehearse:
            bringing.store(self._ids)
            if bringing.has_new_events:
                self._outbox.pass_over(bringing.end_before, now)
        return bringing.sorted

    async def tallies(self) -> Mapping[str, int]:
        """Return how many releases and tasks are in each state, and events of each type."""
        releases = Counter(release.state for release in self._tables.releases.values())
        tasks = Counter(task.state for of in self._tables.tasks.values() for task in of.values())
        events = Counter(event.event_type for event in self._tables.events.values())
        return {
            **{f"releases:{state}": releases[state] for state in ReleaseState},
            **{f"tasks:{state}": tasks[state] for state in TaskState},
            **{f"events:{event_type}": events[event_type] for event_type in EventType},
        }

    async def check(self) -> None:
        """Do nothing: memory answers."""
