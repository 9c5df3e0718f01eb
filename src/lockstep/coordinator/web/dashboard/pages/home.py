"""The first page: what waits for a person, what is under way, what is public, and what happened last."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request

from lockstep.coordinator.core.records import EventFilter, PageOf, ReleaseFilter, ReleaseView, TaskService
from lockstep.coordinator.web.dashboard.asking import may
from lockstep.coordinator.web.dashboard.names import release_names, service_names
from lockstep.coordinator.web.dashboard.page import Page, pages_of
from lockstep.coordinator.web.dashboard.progress import sentence, step_percent
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import ReleaseState

_S = ReleaseState
_MOVING: Final = (_S.WAITING, _S.INITIALIZING, _S.RUNNING, _S.PUBLISHING, _S.CANCELING)
_IN_FLIGHT: Final = 20
_ENDED_BADLY: Final = 5
_FAILURES_SHOWN_FOR: Final = timedelta(days=7)
_SERVICES: Final = 1000
_EVENTS: Final = 10


@dataclass(frozen=True, slots=True)
class Ask:
    """Something that waits for a person."""

    kind: str
    icon: str
    word: str
    title: str
    sentence: str
    href: str = ""
    detail: str = ""
    action: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Flight:
    """A release that moves by itself."""

    release: object
    percent: int
    sentence: str


async def home(request: Request) -> Page:
    """Show the first page."""
    store, now, sight = desk_of(request).store, pages_of(request).now(), sight_of(request)
    staged = (await store.releases(PageOf(_IN_FLIGHT), ReleaseFilter((_S.STAGED,)), sight)).rows
    in_flight = await store.releases(PageOf(_IN_FLIGHT), ReleaseFilter(_MOVING), sight)
    moving = in_flight.rows
    failed = (await store.releases(PageOf(_ENDED_BADLY), ReleaseFilter((_S.FAILED,)), sight)).rows
    published = (
        await store.releases(PageOf(_IN_FLIGHT, order="-published_at"), ReleaseFilter((_S.PUBLISHED,)), sight)
    ).rows
    services = (await store.services(PageOf(_SERVICES))).rows if may(request).see_services else ()
    events = (await store.events(PageOf(_EVENTS), EventFilter(), sight)).rows
    begun = bool(staged or moving or failed or published)
    first_steps = [] if begun else [ask async for ask in _first_steps(request, services)]
    recent = [view for view in failed if now - view.release.step_since < _FAILURES_SHOWN_FOR]
    open_failures = [view for view in recent if not _taken_up(view, [*staged, *moving], published)]
    values = {
        "attention": [*_staged(staged), *_failed(open_failures), *_down(services), *first_steps],
        "flight": [Flight(view.release, step_percent(view), sentence(view)) for view in moving],
        "more_in_flight": in_flight.count - len(moving),
        "current": published[0] if published else None,
        "events": events,
        "services": await service_names(request, events),
        "releases": await release_names(request, events),
    }
    return Page("home.html", "Home", values, live=("attention", "flight", "current", "recent"))


def _staged(views: Sequence[ReleaseView]) -> Iterator[Ask]:
    for view in views:
        release = view.release
        waits = release.publish_order is not None
        yield Ask(
            "review",
            "staged",
            "staged",
            release.name,
            sentence(view),
            f"/releases/{release.kf_id}",
            detail=str(release.version),
            action="" if waits else "Review",
            since=release.step_since,
        )


def _taken_up(failed: ReleaseView, begun: Sequence[ReleaseView], published: Sequence[ReleaseView]) -> bool:
    """Tell whether a later release has all of a failed one's studies; what was partly published has to be public."""
    later = published if failed.release.partially_published else [*begun, *published]
    studies = set(failed.release.studies)
    return any(
        view.release.created_at > failed.release.step_since and studies <= set(view.release.studies) for view in later
    )


def _failed(views: Sequence[ReleaseView]) -> Iterator[Ask]:
    for view in views:
        release = view.release
        partly = "It was partly published. " if release.partially_published else ""
        yield Ask(
            "failed",
            "failed",
            "failed",
            release.name,
            partly + sentence(view),
            f"/releases/{release.kf_id}",
            detail=str(release.version),
            action="See why",
            since=release.step_since,
        )


def _down(services: Sequence[TaskService]) -> Iterator[Ask]:
    for service in services:
        if service.enabled and service.health_status != "ok":
            yield Ask(
                "down",
                "attention",
                "down",
                service.name,
                f"It has not answered the last {service.last_ok_status} looks at its status.",
                f"/services/{service.kf_id}",
                action="See why",
            )


async def _first_steps(request: Request, services: Sequence[TaskService]) -> AsyncIterator[Ask]:
    """Yield what to do in a coordinator that has had no release yet, as far as the caller may do it."""
    allowed, desk = may(request), desk_of(request)
    if allowed.register and not services:
        sentence = "A release does its work on task services; each tells where it answers."
        yield _step("Register a task service", sentence, "/services/new", "Register")
    elif allowed.sync and desk.commands.data_service and not (await desk.store.studies(PageOf(1))).count:
        yield _step("Sync the studies", "They come from the data service.", "/studies", "To the studies")
    elif allowed.plan:
        yield _step("Plan the first release", "Choose its studies, look at it, and start it.", "/plan", "Plan")


def _step(title: str, sentence: str, href: str, action: str) -> Ask:
    return Ask("begin", "waiting", "next step", title, sentence, href, action=action)
