"""What clients in the field trigger from outside: that services, releases and tasks are looked at now.

Nothing here is needed for a release to go on; the engine looks by itself. Whoever asks is answered when it has been
seen to, not when it is over.
"""

from typing import Final

from lockstep.coordinator.core.callers import Caller
from lockstep.coordinator.core.draft import Draft
from lockstep.coordinator.core.errors import NotFound
from lockstep.coordinator.core.model import Change, Snapshot
from lockstep.coordinator.core.records import PageOf, ReleaseFilter
from lockstep.coordinator.core.requests import ask_to_poll
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.commands import Commands
from lockstep.protocol.states import ReleaseState

_AT_ONCE: Final = 100
_AT_WORK: Final = (
    ReleaseState.INITIALIZING,
    ReleaseState.RUNNING,
    ReleaseState.PUBLISHING,
    ReleaseState.CANCELING,
)
_POLLED: Final = (ReleaseState.RUNNING, ReleaseState.PUBLISHING)


async def check_releases(commands: Commands, caller: Caller) -> int:
    """Have the engine look at every release that services are at work on; return how many those are."""
    commands.access.check(caller, Act.CHECK)
    release_ids = await _in_states(commands, _AT_WORK)
    for release_id in release_ids:
        await commands.doorbell.ring(release_id)
    return len(release_ids)


async def check_tasks(commands: Commands, caller: Caller) -> int:
    """Have the state of every task at work asked for now; return how many those are."""
    commands.access.check(caller, Act.CHECK)

    def decide(before: Snapshot) -> tuple[Change, int]:
        draft = Draft(before, commands.clock.now(), caller.name)
        polled = ask_to_poll(draft)
        return draft.change(), polled

    number = 0
    for release_id in await _in_states(commands, _POLLED):
        try:
            number += await commands.store.change(release_id, decide)
        except NotFound:
            continue
        await commands.doorbell.ring(release_id)
    return number


async def _in_states(commands: Commands, states: tuple[ReleaseState, ...]) -> list[str]:
    """Return the ids of all releases in some states. Those that come meanwhile are looked at by themselves."""
    release_ids: list[str] = []
    which = ReleaseFilter(states)
    while True:
        page = await commands.store.releases(PageOf(_AT_ONCE, len(release_ids), "created_at"), which)
        release_ids += [view.release.kf_id for view in page.rows]
        if len(page.rows) < _AT_ONCE:
            return release_ids
