"""Planning a release: what is to be in it, what would come of it, and its start after a second look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from secrets import token_urlsafe
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Invalid, NotFound, Unavailable
from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.core.model import Release
from lockstep.coordinator.core.records import PageOf, ReleaseFilter, ServiceFilter, Study, StudyFilter, TaskService
from lockstep.coordinator.core.versions import candidate_version, final_version
from lockstep.coordinator.services.inputs import ReleaseInput, check
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.dashboard.asking import may
from lockstep.coordinator.web.dashboard.forms import Form, read
from lockstep.coordinator.web.dashboard.page import Page, go, pages_of
from lockstep.coordinator.web.dashboard.pages.release import REPORT_WAITS_S
from lockstep.coordinator.web.dashboard.since import since_published
from lockstep.coordinator.web.dashboard.words import count, listed
from lockstep.coordinator.web.desk import desk_of, sight_of
from lockstep.protocol.states import UNSETTLED_RELEASES

_STUDIES: Final = 300
"""Studies that are offered at once, besides those that are chosen already; the others are found by searching."""

_COMPARING_S: Final = 0.5
_SERVICES: Final = 1000
_IN_FLIGHT: Final = 50


async def show(request: Request) -> Page:
    """Show the form, filled from an older release if one is named."""
    return await _page(request, Form(await _again(request)))


async def start(request: Request) -> Response:
    """Show what would come of it, and start it when that was confirmed."""
    form = await read(request)
    pages = pages_of(request)
    if form.one("step") in {"change", "search"}:
        return pages.answer(request, await _page(request, form))
    try:
        new = check(ReleaseInput, _fields(form, caller_of(request).name), strict=False).new_release()
        if form.one("step") != "start":
            page = await _page(request, form, template="confirm.html", wait_s=_COMPARING_S)
            return pages.answer(request, page)
        view = await desk_of(request).commands.create_release(new, caller_of(request), form.one("key"))
    except (Invalid, Unavailable) as error:
        form.blame(error)
        return pages.answer(request, await _page(request, form, status=400))
    return go(f"/releases/{view.release.kf_id}", "started")


def _fields(form: Form, author: str) -> Mapping[str, Any]:
    return {
        "name": form.one("name"),
        "description": form.text("description"),
        "studies": form.all("studies"),
        "tags": tags_of(form.one("tags")),
        "is_major": form.one("is_major") == "yes",
        "author": author,
    }


def tags_of(text: str) -> list[str]:
    """Return the tags in a line, by the commas between them."""
    return list(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))


async def _again(request: Request) -> Mapping[str, Sequence[str]]:
    """Return the fields of the release that is to be run again, if one is named."""
    release_id = request.query_params.get("from", "")
    studies = request.query_params.getlist("study")
    if not release_id:
        return {"studies": studies}
    try:
        release = (await desk_of(request).store.release(release_id, sight_of(request))).release
    except NotFound:
        return {}
    return {
        "name": [release.name],
        "description": [release.description],
        "studies": release.studies,
        "tags": [", ".join(release.tags)],
        "is_major": ["yes" if release.is_major else "no"],
    }


async def _offered(request: Request, form: Form) -> tuple[list[Study], int]:
    """Return the studies to choose from, those that are chosen first, and how many more a search would find."""
    store, chosen = desk_of(request).store, list(dict.fromkeys(form.all("studies")))
    words = form.one("find").replace("\0", "").strip()
    there = StudyFilter(visible=True, deleted=False)
    page = await store.studies(PageOf(_STUDIES, order="name"), replace(there, name_contains=words or None))
    found = {study.kf_id: study for study in page.rows}
    missing = [kf_id for kf_id in {*chosen, *([words.upper()] if words else [])} if kf_id not in found]
    others = (await store.look_up(Entity.STUDY, missing, sight_of(request))).values()
    found |= {
        study.kf_id: study for node in others if (study := cast("Study", node.record)).visible and not study.deleted
    }
    rows = sorted(found.values(), key=lambda study: (study.kf_id not in chosen, study.name.casefold()))
    return rows, page.count - len(page.rows)


async def _page(
    request: Request,
    form: Form,
    *,
    template: str = "plan.html",
    status: int = 200,
    wait_s: float = REPORT_WAITS_S,
) -> Page:
    store, sight = desk_of(request).store, sight_of(request)
    studies, more = await _offered(request, form)
    since, unfinished = await since_published(request, studies, wait_s=wait_s)
    seen = may(request).see_services
    services = (await store.services(PageOf(_SERVICES, order="name"), ServiceFilter())).rows if seen else ()
    flight = (await store.releases(PageOf(_IN_FLIGHT), ReleaseFilter(tuple(UNSETTLED_RELEASES)), sight)).rows
    numbers = await store.numbers()
    chosen = set(form.all("studies"))
    busy: dict[str, Release] = {study: view.release for view in flight for study in view.release.studies}
    taking_part = [service for service in services if service.enabled]
    values = {
        "form": form,
        "studies": studies,
        "more": more,
        "compared": desk_of(request).reports is not None,
        "chosen": chosen,
        "busy": busy,
        "services": taking_part,
        "off": [service for service in services if not service.enabled],
        "candidate": candidate_version(numbers.given),
        "minor": final_version(numbers.published, is_major=False),
        "major": final_version(numbers.published, is_major=True),
        "warnings": list(_warnings(chosen, studies, busy, taking_part if seen else None)),
        "key": token_urlsafe(16),
        "since": since,
    }
    live = ("versions", "who", "studies") if request.method == "GET" else ()
    return Page(template, "Plan a release", values, live=live, status=status, unfinished=unfinished)


def _warnings(
    chosen: set[str], studies: Sequence[Study], busy: Mapping[str, Release], services: Sequence[TaskService] | None
) -> Iterator[str]:
    """Yield what a person should know before the release is started."""
    names = {study.kf_id: study.name for study in studies}
    shared: dict[str, list[str]] = {}
    for kf_id in sorted(chosen & busy.keys()):
        shared.setdefault(busy[kf_id].kf_id, []).append(kf_id)
    for kf_ids in shared.values():
        release, verb = busy[kf_ids[0]], "is" if len(kf_ids) == 1 else "are"
        yield (
            f"{listed([names.get(kf_id, kf_id) for kf_id in kf_ids], most=2)} {verb} also in {release.name} "
            f"({release.version}), which is {release.state.value}: the two are published one after the other."
        )
    down = [service.name for service in services or () if service.health_status != "ok"]
    if down:
        verb = "does" if len(down) == 1 else "do"
        yield f"{listed(down)} {verb} not answer; a service that stays down fails the release."
    if services is not None and not services:
        yield "No service is enabled: the release goes through all states by itself and does nothing anywhere."
    if missing := sorted(chosen - names.keys()):
        yield f"{count(len(missing), 'study', 'studies')} cannot be chosen any more: {listed(missing, most=10)}."
