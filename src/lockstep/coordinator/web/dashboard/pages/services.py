"""The task services: how they are, what they did last; registering one, changing it, switching it on and off."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from lockstep.coordinator.core.errors import Invalid, Unavailable
from lockstep.coordinator.core.graph import Entity
from lockstep.coordinator.core.records import EventFilter, PageOf, ServiceFilter, TaskFilter, TaskService
from lockstep.coordinator.services.access import Act
from lockstep.coordinator.services.fields import service_url
from lockstep.coordinator.services.inputs import ServiceEdit, ServiceInput, check
from lockstep.coordinator.web.callers import caller_of
from lockstep.coordinator.web.dashboard.forms import Form, read
from lockstep.coordinator.web.dashboard.health import MARK, health
from lockstep.coordinator.web.dashboard.names import names
from lockstep.coordinator.web.dashboard.page import Page, go, pages_of
from lockstep.coordinator.web.desk import desk_of, sight_of

_SERVICES: Final = 1000
_RECENT: Final = 15
_SPELLS: Final = 100


async def show_all(request: Request) -> Page:
    """Show all services."""
    _must_see(request)
    page = await desk_of(request).store.services(PageOf(_SERVICES, order="name"), ServiceFilter())
    return Page("services.html", "Services", {"services": page.rows, "count": page.count}, live=("list",))


async def show(request: Request) -> Page:
    """Show a service: how it is, its newest tasks and events."""
    _must_see(request)
    store, sight = desk_of(request).store, sight_of(request)
    service = await store.service(request.path_params["service_id"])
    tasks = await store.tasks(PageOf(_RECENT), TaskFilter(task_service_id=service.kf_id), sight)
    events = await store.events(PageOf(_RECENT), EventFilter(task_service_id=service.kf_id), sight)
    spells = await store.events(
        PageOf(_SPELLS), EventFilter(task_service_id=service.kf_id, message_contains=MARK), sight
    )
    values = {
        "service": service,
        "health": health(service, spells.rows, pages_of(request).now()),
        "tasks": tasks.rows,
        "count": tasks.count,
        "events": events.rows,
        "releases": await names(request, Entity.RELEASE, [view.release_id for view in tasks.rows]),
    }
    return Page("service.html", service.name, values, live=("facts", "health", "tasks", "events"))


async def new(_: Request) -> Page:
    """Show the form for a new service."""
    return _form_page(Form(), None)


async def register(request: Request) -> Response:
    """Look at a service, or register it."""
    form = await read(request)
    fields = {**_fields(form), "author": caller_of(request).name}
    try:
        given = check(ServiceInput, fields, strict=False)
        if form.one("step") == "look":
            seen = await _look(request, given.url)
            return pages_of(request).answer(request, _form_page(form, None, seen=seen))
        service = await desk_of(request).commands.register_service(given, caller_of(request))
    except Invalid as error:
        form.blame(error)
        return pages_of(request).answer(request, _form_page(form, None, status=400))
    return go(f"/services/{service.kf_id}", "registered")


async def edit(request: Request) -> Page:
    """Show the form of a service that is there."""
    return _form_page(Form(), await _service(request))


async def save(request: Request) -> Response:
    """Change a service."""
    form = await read(request)
    service = await _service(request)
    try:
        given = check(ServiceEdit, _changed(_fields(form), service), strict=False)
        if form.one("step") == "look":
            seen = await _look(request, service_url(form.one("url") or service.url))
            return pages_of(request).answer(request, _form_page(form, service, seen=seen))
        await desk_of(request).commands.edit_service(service.kf_id, given, caller_of(request))
    except Invalid as error:
        form.blame(error)
        return pages_of(request).answer(request, _form_page(form, service, status=400))
    return go(f"/services/{service.kf_id}", "saved")


async def switch(request: Request) -> Response:
    """Have a service take part in new releases, or not."""
    form = await read(request)
    on = form.one("enabled") == "yes"
    service_id = request.path_params["service_id"]
    await desk_of(request).commands.edit_service(service_id, check(ServiceEdit, {"enabled": on}), caller_of(request))
    back = "/services" if form.one("back") == "all" else f"/services/{service_id}"
    return go(back, "enabled" if on else "disabled")


async def check_all(request: Request) -> Response:
    """Look at every service now."""
    await read(request)
    await desk_of(request).commands.check_health(caller_of(request))
    return go("/services", "checked")


def _must_see(request: Request) -> None:
    desk_of(request).access.check(caller_of(request), Act.SEE_SERVICES)


async def _service(request: Request) -> TaskService:
    _must_see(request)
    return await desk_of(request).store.service(request.path_params["service_id"])


def _fields(form: Form) -> Mapping[str, Any]:
    return {"name": form.one("name"), "url": form.one("url"), "description": form.text("description")}


def _changed(fields: Mapping[str, Any], service: TaskService) -> Mapping[str, Any]:
    """Return the fields that are not as they were: an address that stays need not answer."""
    return {name: value for name, value in fields.items() if value != getattr(service, name)}


async def _look(request: Request, url: str) -> tuple[bool, str]:
    """Return whether a service answers, and what was seen."""
    desk = desk_of(request)
    desk.access.check(caller_of(request), Act.REGISTER_SERVICE)
    try:
        await desk.commands.prober.probe(url)
    except Unavailable as error:
        return False, str(error)
    return True, f"{url}/status answers as a task service does."


def _form_page(
    form: Form, service: TaskService | None, *, seen: tuple[bool, str] | None = None, status: int = 200
) -> Page:
    title = f"Edit {service.name}" if service else "Register a service"
    return Page("service_form.html", title, {"form": form, "service": service, "seen": seen}, status=status)
