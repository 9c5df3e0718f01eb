"""`/` and `/status`: where the collections are, and whether all is well."""

from dataclasses import asdict
from typing import Final

from fastapi import Request
from starlette.responses import Response

from lockstep import __version__
from lockstep.coordinator.services.health import examine
from lockstep.coordinator.web.answers import JsonAnswer, base_url
from lockstep.coordinator.web.desk import desk_of
from lockstep.coordinator.web.operations import Operation
from lockstep.coordinator.web.rest.shapes import RootShape, StatusShape


async def list_collections(request: Request) -> Response:
    """List the collections."""
    base = base_url(request)
    return JsonAnswer({name: f"{base}/{name}" for name in RootShape.__annotations__})


async def show_status(request: Request) -> Response:
    """Tell who answers here, and whether the database, the queue and the worker are well."""
    desk = desk_of(request)
    found = await examine(desk.store, desk.commands.clock, desk.pulse, desk.check_queue)
    code = 200 if found.well else 503
    status = {"name": "Lockstep", "version": __version__, "commit": desk.commit, "code": code}
    status |= {"message": found.sentence or "Ready.", **asdict(found)}
    return JsonAnswer(status, code)


OPERATIONS: Final = (
    Operation(method="GET", path="/", act=None, call=list_collections, shape=RootShape),
    Operation(
        method="GET",
        path="/status",
        act=None,
        call=show_status,
        shape=StatusShape,
        answers={503: {"model": StatusShape, "description": "Something is not well."}},
    ),
)
