"""Events and notes in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from lockstep.coordinator.core.callers import ALL, Sight
from lockstep.coordinator.core.records import (
    Event,
    EventFilter,
    NewEvent,
    NewNote,
    NoteFilter,
    Page,
    PageOf,
    ReleaseNote,
)
from lockstep.coordinator.store import memory_lists as lists
from lockstep.coordinator.store.memory_tables import MemoryPart, found
from lockstep.coordinator.store.promises import changed_since, check_links, check_note, missing
from lockstep.protocol.ids import Prefix


class MemoryStory(MemoryPart):
    """The port `Story`."""

    async def event(self, event_id: str, sight: Sight = ALL) -> Event:
        """Return an event."""
        event = found(self._tables.events, "event", event_id)
        self._tables.check_seen(event.release_id, sight, missing("event", event_id))
        return event

    async def events(self, page: PageOf, which: EventFilter = EventFilter(), sight: Sight = ALL) -> Page[Event]:
        """Return a page of events."""

        def wanted(event: Event) -> bool:
            return self._tables.seen(event.release_id, sight) and lists.event_matches(which, event)

        return lists.listed(self._tables.events.values(), page, lists.EVENT_ORDERS, wanted)

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        events = self._tables.events_of.get(release_id, [])
        return list(islice((event for event in events if event.position > position), limit))

    async def add_event(self, new: NewEvent, now: datetime) -> Event:
        """Store an event of something that happened elsewhere."""
        of_task = None
        if new.task_id in self._tables.release_of:
            release_id = self._tables.release_of[new.task_id]
            of_task = (release_id, self._tables.tasks[release_id][new.task_id].service_id)
        services = self._tables.services.keys() | self._tables.deleted_services.keys()
        new = check_links(
            new,
            of_task,
            release_known=new.release_id in self._tables.releases,
            service_known=new.task_service_id in services,
        )
        kf_id = self._ids.free_kf_id(Prefix.EVENT, self._tables.events)
        event = Event(
            len(self._tables.events) + 1,
            kf_id,
            new.event_type,
            new.message,
            now,
            new.release_id,
            new.task_service_id,
            new.task_id,
            new.actor,
        )
        self._tables.events[kf_id] = event
        if new.release_id is not None:
            self._tables.events_of[new.release_id].append(event)
        return event

    async def note(self, note_id: str, sight: Sight = ALL) -> ReleaseNote:
        """Return a note."""
        note = found(self._tables.notes, "release note", note_id)
        self._tables.check_seen(note.release_id, sight, missing("release note", note_id))
        return note

    async def notes(self, page: PageOf, which: NoteFilter = NoteFilter(), sight: Sight = ALL) -> Page[ReleaseNote]:
        """Return a page of notes."""

        def wanted(note: ReleaseNote) -> bool:
            return self._tables.seen(note.release_id, sight) and lists.note_matches(which, note)

        return lists.listed(self._tables.notes.values(), page, lists.NOTE_ORDERS, wanted)

    async def notes_of(self, release_id: str) -> Sequence[ReleaseNote]:
        """Return all notes of a release, the newest first."""
        return self._tables.notes_of(release_id)

    async def add_note(self, new: NewNote, now: datetime) -> ReleaseNote:
        """Store a note under an id of its own."""
        release = self._tables.releases.get(new.release_id)
        known = new.study_id is None or new.study_id in self._tables.studies
        check_note(new.release_id, release.studies if release else None, new.study_id, known=known)
        kf_id = self._ids.free_kf_id(Prefix.RELEASE_NOTE, self._tables.notes)
        note = ReleaseNote(kf_id, new.description, new.author, now, new.release_id, new.study_id)
        self._tables.notes[kf_id] = note
        return note

    async def edit_note(self, note_id: str, description: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Change what a note says."""
        note = self._note_as_seen(note_id, seen)
        self._tables.notes[note_id] = edited = replace(note, description=description)
        return edited

    async def delete_note(self, note_id: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Take a note away."""
        note = self._note_as_seen(note_id, seen)
        del self._tables.notes[note_id]
        return note

    def _note_as_seen(self, note_id: str, seen: ReleaseNote | None) -> ReleaseNote:
        note = found(self._tables.notes, "release note", note_id)
        if seen is not None and note != seen:
            raise changed_since("release note", note_id)
        return note
