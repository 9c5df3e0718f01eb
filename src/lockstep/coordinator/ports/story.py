"""What is told about releases: events, which nobody changes, and the notes of people."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

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


class Story(Protocol):
    """The log of events, and the notes on releases."""

    async def event(self, event_id: str, sight: Sight = ALL) -> Event:
        """Return an event.

        Raises:
            NotFound: there is no such event, or its release may not be seen.
        """
        ...

    async def events(self, page: PageOf, which: EventFilter = EventFilter(), sight: Sight = ALL) -> Page[Event]:
        """Return a page of events. One that is about no release is seen only by those who see everything."""
        ...

    async def events_after(self, release_id: str, position: int, limit: int) -> Sequence[Event]:
        """Return the events of a release after a position, oldest first."""
        ...

    async def add_event(self, new: NewEvent, now: datetime) -> Event:
        """Store an event of something that happened elsewhere; one about a task gets its release and service.

        Raises:
            Invalid: what it is about is not there, or does not belong together.
        """
        ...

    async def note(self, note_id: str, sight: Sight = ALL) -> ReleaseNote:
        """Return a note.

        Raises:
            NotFound: there is no such note, or its release may not be seen.
        """
        ...

    async def notes(self, page: PageOf, which: NoteFilter = NoteFilter(), sight: Sight = ALL) -> Page[ReleaseNote]:
        """Return a page of notes."""
        ...

    async def notes_of(self, release_id: str) -> Sequence[ReleaseNote]:
        """Return all notes of a release, the newest first."""
        ...

    async def add_note(self, new: NewNote, now: datetime) -> ReleaseNote:
        """Store a note under an id of its own.

        Raises:
            Invalid: there is no such release or study, or the release does not hold the study.
        """
        ...

    async def edit_note(self, note_id: str, description: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Change what a note says.

        Raises:
            NotFound: there is no such note.
            Changed: it is not as the caller saw it. So it is with everything that takes `seen`.
        """
        ...

    async def delete_note(self, note_id: str, seen: ReleaseNote | None = None) -> ReleaseNote:
        """Take a note away; return what it was.

        Raises:
            NotFound: there is no such note.
        """
        ...
