"""A data service over published facts, for the demo and for tests: it answers like the real one and only reads.

`lockstep dataservice` runs it. A list answers in one of two ways:

* rows are known (the studies, and any list given as `rows`): paging, filters and totals work on these;
* only figures are known: `results` is empty and `total` is the published figure, which counts the visible rows of a
  study. A request that asks for anything else (another filter, hidden rows as well, no study) gets the total `null`,
  as does an entity whose count nobody has published: unknown, and not invented.

Filters, paging and errors are those of the real service, with two differences. It refuses every change with 405, and
a limit below 1 with 400, where the real one answers 500 and a page of HTML.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lockstep import __version__
from lockstep.dataservice.catalogue import LATEST, check_as_of, figure, study_records
from lockstep.dataservice.entities import ENTITIES, STUDIES, Entity
from lockstep.dataservice.listing import COMMON_COLUMNS, HIDDEN, BadFilter, Page, Query, Row, page_of, read_query

DEFAULT_PORT: Final = 5100

_SHOW_THEIR_STUDY: Final = frozenset({"participants", "study-files"})


class SampleDataService:
    """What the sample knows: rows of some lists, and for the others the figures of one dated set.

    Args:
        as_of: the dated set of counts, one of `catalogue.AS_OF`.
        rows: rows by the path of their list. Each needs a `kf_id`; `study_id` says which study it belongs to, and
            `created_at` and `uuid` where it stands. A list that is not given answers with figures.

    Raises:
        ValueError: there is no such dated set, or no such list.
    """

    def __init__(self, *, as_of: str = LATEST, rows: Mapping[str, Iterable[Row]] | None = None) -> None:
        self.as_of = check_as_of(as_of)
        self._rows: dict[str, list[Row]] = {STUDIES: list(study_records())}
        for path, given in (rows or {}).items():
            if path not in ENTITIES:
                raise ValueError(f"{path!r} is no list of a data service; the lists are {', '.join(ENTITIES)}")
            self._rows[path] = list(given)
        self._studies = {str(study["kf_id"]) for study in self._rows[STUDIES]}

    def turn_to(self, as_of: str) -> None:
        """Answer with the figures of another dated set from now on.

        Raises:
            ValueError: there is no such set.
        """
        self.as_of = check_as_of(as_of)

    def page(self, path: str, query: Query) -> Page:
        """Return the page of a list that a query asks for."""
        if path in self._rows:
            return page_of(self._rows[path], query)
        return Page((), self._figure(path, query))

    def row(self, path: str, kf_id: str) -> Row | None:
        """Return one row, or None when it is not known."""
        return next((row for row in self._rows.get(path, ()) if row["kf_id"] == kf_id), None)

    def _figure(self, path: str, query: Query) -> int | None:
        if query.study_id is None or query.visible is not True or COMMON_COLUMNS & query.others.keys():
            return None
        if query.study_id not in self._studies:
            return 0
        return figure(path, query.study_id, self.as_of)


def make_app(*, as_of: str = LATEST, rows: Mapping[str, Iterable[Row]] | None = None) -> Starlette:
    """Make the application; the arguments are those of `SampleDataService`, which is kept in its `state.sample`."""
    service = SampleDataService(as_of=as_of, rows=rows)

    async def status(_: Request) -> JSONResponse:
        return _answer(
            f"sample data service: published counts of {service.as_of}",
            version=__version__,
            commit=None,
            branch=None,
            tags=[service.as_of],
        )

    async def many(request: Request) -> JSONResponse:
        return _list_answer(service, _entity(request), request)

    async def one(request: Request) -> JSONResponse:
        entity, kf_id = _entity(request), request.path_params["kf_id"]
        row = service.row(entity.path, kf_id)
        if row is None:
            raise HTTPException(404, f"could not find {entity.singular} `{kf_id}`")
        body = _shown(entity, row)
        return JSONResponse({"_links": body.pop("_links"), "_status": _status(200, "success"), "results": body})

    routes = [
        Route(path + slash, endpoint)
        for path, endpoint in (("/status", status), ("/{path}", many), ("/{path}/{kf_id}", one))
        for slash in ("", "/")
    ]
    app = Starlette(
        routes=[Route("/", status), *routes],
        exception_handlers={HTTPException: _refuse, BadFilter: _refuse_filter},
    )
    app.state.sample = service
    return app


def run(host: str = "127.0.0.1", port: int = DEFAULT_PORT, as_of: str = LATEST) -> None:
    """Serve the sample until the process is told to end.

    Raises:
        ValueError: there is no such dated set.
        SystemExit: the port is taken; the server says so in one line.
    """
    uvicorn.run(make_app(as_of=as_of), host=host, port=port, log_level="warning")


def _entity(request: Request) -> Entity:
    entity = ENTITIES.get(request.path_params["path"])
    if entity is None:
        raise HTTPException(404, f"there is no list at {request.url.path}; the lists are {', '.join(ENTITIES)}")
    return entity


def _list_answer(service: SampleDataService, entity: Entity, request: Request) -> JSONResponse:
    parameters = dict(reversed(request.query_params.multi_items()))
    query = read_query(entity.path, parameters)
    page = service.page(entity.path, query)
    kept = {} if query.study_id is None else {"study_id": query.study_id}
    links = {"self": _link(entity, kept)}
    if page.end is not None:
        after, after_uuid = page.end
        links["next"] = _link(entity, {"after": repr(after), "after_uuid": after_uuid, **kept})
    body = {
        "_links": links,
        "_status": _status(200, "success"),
        "limit": query.limit,
        "results": [_shown(entity, row) for row in page.rows],
        "total": page.total,
    }
    return JSONResponse(body)


def _shown(entity: Entity, row: Row) -> dict[str, Any]:
    body = {key: value for key, value in row.items() if key not in HIDDEN}
    collection = f"/{entity.path}"
    links = {"collection": collection, "self": f"{collection}/{row['kf_id']}"}
    if entity.path in _SHOW_THEIR_STUDY and "study_id" in row:
        links["study"] = f"/{STUDIES}/{row['study_id']}"
    return {"visible": True, **body, "_links": row.get("_links", links)}


def _link(entity: Entity, parameters: Mapping[str, str]) -> str:
    return f"/{entity.path}?{urlencode(parameters)}" if parameters else f"/{entity.path}"


def _status(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


def _answer(message: str, code: int = 200, headers: Mapping[str, str] | None = None, **more: object) -> JSONResponse:
    return JSONResponse({"_status": {**_status(code, message), **more}}, code, headers=headers)


async def _refuse(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - what this handler is registered for
    message = error.detail
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        message = f"{request.method} is not allowed: the sample data service only reads"
    return _answer(message, error.status_code, error.headers)


async def _refuse_filter(_: Request, error: Exception) -> JSONResponse:
    return _answer(f"could not retrieve entities: {error}", 400)
