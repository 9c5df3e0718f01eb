"""A log of events for tests of announcements: a release in a store, and events written to it."""

from datetime import UTC, datetime, timedelta

from lockstep.coordinator.core.model import Change, EventDraft, EventType
from lockstep.coordinator.core.records import Event, EventFilter, NewRelease, PageOf, StudyFacts
from lockstep.coordinator.ports import Store

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
STUDY = "SD_DYPMEHHF"


class SetClock:
    """A clock that stands until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class EventLog:
    """Writes events, as a release does."""

    def __init__(self, store: Store, release_id: str) -> None:
        self.store = store
        self.release_id = release_id

    async def write(self, *messages: str, at: datetime = NOW, event_type: EventType = EventType.INFO) -> list[Event]:
        """Write events in one change of the release, and return them, oldest first."""
        drafts = tuple(EventDraft(event_type, message) for message in messages)
        await self.store.change(self.release_id, lambda before: (Change(before.release, at, events=drafts), None))
        newest = await self.store.events(PageOf(len(messages)), EventFilter(self.release_id))
        return list(reversed(newest.rows))


async def event_log(store: Store) -> EventLog:
    await store.sync_studies([StudyFacts(STUDY, "A study", visible=True, created_at=NOW)])
    view = await store.create_release(NewRelease("Winter", (STUDY,)), NOW)
    return EventLog(store, view.release.kf_id)
