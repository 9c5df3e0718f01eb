"""The client reads all there is, and takes nothing for a count or a row that is none."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lockstep.dataservice.client import BadAnswer, DataService, DataServiceError, NoAnswer, Refused, Study
from lockstep.dataservice.sample import make_app

STUDY, OTHER = "SD_BHJXBDQK", "SD_9PYZAHHE"


def scripted(answer: Callable[[Request], Response | Awaitable[Response]], asked: list[str] | None = None) -> Starlette:
    """Make a data service that gives one answer to everything and notes what it was asked."""

    async def endpoint(request: Request) -> Response:
        if asked is not None:
            asked.append(f"{request.url.path}?{request.url.query}")
        answered = answer(request)
        return answered if isinstance(answered, Response) else await answered

    return Starlette(routes=[Route("/{path:path}", endpoint)])


def listed(*rows: dict[str, Any], total: Any = 0, link: str | None = None, itself: str = "/participants") -> Response:
    links = {"self": itself} if link is None else {"self": itself, "next": link}
    return JSONResponse(
        {
            "_status": {"code": 200, "message": "success"},
            "_links": links,
            "results": rows,
            "limit": 1,
            "total": total,
        }
    )


def read(serve: Any, app: Any, reading: Callable[[DataService], Awaitable[Any]], **settings: Any) -> Any:
    async def run() -> Any:
        async with serve(app) as url, DataService(url, **settings) as service:
            return await reading(service)

    return asyncio.run(run())


def refused(serve: Any, app: Any, kind: type[DataServiceError], *, path: str = "participants", **settings: Any) -> Any:
    """Return the error that reading a list's rows ends with."""

    async def reading(service: DataService) -> DataServiceError:
        with pytest.raises(kind) as caught:
            _ = [row async for row in service.rows(path, STUDY)]
        assert service.url in str(caught.value)
        return caught.value

    return read(serve, app, reading, **settings)


async def all_studies(service: DataService) -> list[Study]:
    return [study async for study in service.studies()]


def test_studies_come_from_all_pages(serve: Any) -> None:
    """93 studies on ten pages; with 31 to a page the last one is full and a fourth, empty one follows."""
    for page_size in (10, 31):
        studies = read(serve, make_app(), all_studies, page_size=page_size)
        assert len({study.kf_id for study in studies}) == len(studies) == 93
        assert sum(not study.visible for study in studies) == 7
        assert {study.created_at for study in studies} == {None}


def test_studies_without_a_name_or_a_date_are_studies(serve: Any) -> None:
    rows = [
        {"kf_id": "SD_00000001", "name": None, "visible": True, "created_at": "2018-06-01T00:05:33.009000"},
        {"kf_id": "SD_00000002", "name": "  ", "visible": False, "created_at": "some day"},
        {
            "kf_id": "SD_00000003",
            "name": "Hearts\0 and\ud800\n  lungs ",
            "created_at": "2018-06-01T00:05:33.009000+00:00",
        },
    ]
    moment = datetime(2018, 6, 1, 0, 5, 33, 9000, tzinfo=UTC)
    body = json.dumps({"results": rows, "total": 3})
    assert read(serve, scripted(lambda _: Response(body, media_type="application/json")), all_studies) == [
        Study("SD_00000001", None, visible=True, created_at=moment),
        Study("SD_00000002", None, visible=False, created_at=None),
        Study("SD_00000003", "Hearts and? lungs", visible=True, created_at=moment),
    ]


def test_every_page_is_asked_for_with_all_filters(serve: Any) -> None:
    """The link to the next page has forgotten them; the client has not."""
    rows = [{"kf_id": f"PT_{n:08d}", "study_id": STUDY, "visible": n % 2 == 0, "created_at": n} for n in range(12)]
    asked: list[str] = []
    sample = make_app(rows={"participants": rows})

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asked.append(scope["query_string"].decode())
        await sample(scope, receive, send)

    async def ids(service: DataService) -> list[str]:
        return [row["kf_id"] async for row in service.rows("participants", STUDY)]

    assert read(serve, noting, ids, page_size=2) == [f"PT_{n:08d}" for n in range(0, 12, 2)]
    assert len(asked) == 4
    assert all(query.startswith(f"study_id={STUDY}&visible=true&limit=2") for query in asked)


def test_a_count_is_the_total_of_visible_rows(serve: Any) -> None:
    async def counts(service: DataService) -> list[int | None]:
        return [await service.count(entity, STUDY) for entity in ("participants", "genomic-files", "phenotypes")]

    assert read(serve, make_app(), counts) == [2808, 49463, None]


@pytest.mark.parametrize("total", [-1, "134", True, 12.5, 10**30, [], {}, "missing"])
def test_what_is_no_count_is_not_taken_for_one(serve: Any, total: Any) -> None:
    body = json.loads(bytes(listed(total=total).body))
    if total == "missing":
        del body["total"]

    async def counting(service: DataService) -> None:
        with pytest.raises(BadAnswer, match="a whole number from 0 to a trillion is a count"):
            await service.count("participants", STUDY)

    read(serve, scripted(lambda _: JSONResponse(body)), counting)


def test_nobody_answers_at_the_address() -> None:
    """The sentence names the address, and asking again may help."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

    async def counting() -> None:
        async with DataService(url, timeout_s=5) as service:
            with pytest.raises(NoAnswer, match=f"data service at {url}/participants.* did not answer: ") as caught:
                await service.count("participants", STUDY)
            assert caught.value.transient

    asyncio.run(counting())


def test_an_answer_that_takes_too_long_is_none(serve: Any) -> None:
    release = asyncio.Event()

    async def waiting(_: Request) -> Response:
        await release.wait()
        return listed()

    async def counting(service: DataService) -> None:
        with pytest.raises(NoAnswer, match=r"did not answer within 0\.2 s"):
            await service.count("participants", STUDY)
        release.set()

    read(serve, scripted(waiting), counting, timeout_s=0.2)


@pytest.mark.parametrize(
    ("status", "body", "sentence", "transient"),
    [
        (500, HTMLResponse("<h1>Oops</h1>", 500), "answered 500", True),
        (429, JSONResponse({}, 429), "answered 429", True),
        (
            404,
            JSONResponse({"_status": {"code": 404, "message": "no such list"}}, 404),
            "answered 404: no such list",
            False,
        ),
        (
            301,
            RedirectResponse("https://elsewhere.example/", 301),
            "answered 301, which points to https://elsew",
            False,
        ),
    ],
)
def test_a_status_other_than_200_is_a_refusal(
    serve: Any, status: int, body: Response, sentence: str, *, transient: bool
) -> None:
    error = refused(serve, scripted(lambda _: body), Refused)
    assert (error.status, error.transient, sentence in str(error)) == (status, transient, True)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (HTMLResponse("<h1>Welcome</h1>"), "sent text/html; charset=utf-8 instead of its JSON envelope"),
        (JSONResponse([1, 2]), "sent other JSON instead of its JSON envelope"),
        (Response(b'{"total": ', media_type="application/json"), "sent application/json instead of its JSON envelope"),
        (JSONResponse({"results": {"kf_id": "PT_1"}}), "without a list of results"),
        (JSONResponse({"results": [{"name": "x"}]}), "without a list of results that all have a kf_id"),
        (JSONResponse({"results": ["x" * 3000]}), "sent more than 2000 bytes"),
    ],
)
def test_what_is_no_envelope_is_refused(serve: Any, body: Response, sentence: str) -> None:
    error = refused(serve, scripted(lambda _: body), BadAnswer, answer_limit_bytes=2000)
    assert sentence in str(error)


ROW = {"kf_id": "PT_00000001"}


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ("http://evil.example/participants?after=1", "names a next page on another host"),
        ("//evil.example/participants?after=1", "names a next page on another host"),
        ("/families?after=1", "names a next page of something else"),
        (f"/participants?after=1&study_id={OTHER}", "names a next page of something else"),
        ("/participants?limit=2", "names a next page without a cursor"),
        (f"/participants?after=1&after_uuid=u&study_id={STUDY}", "sent a row twice: its pages go in a circle"),
    ],
)
def test_a_link_that_leads_astray_is_not_followed(serve: Any, link: str, sentence: str) -> None:
    error = refused(serve, scripted(lambda _: listed(ROW, link=link)), BadAnswer)
    assert sentence in str(error)


def test_an_empty_page_is_not_the_end_while_it_names_a_next_one(serve: Any) -> None:
    """A data service that leaves out the rows of a page has shown nothing of what follows."""
    pages = {"": listed(link="/participants?after=1"), "1": listed(ROW, link="/participants?after=2"), "2": listed()}

    async def ids(service: DataService) -> list[str]:
        return [row["kf_id"] async for row in service.rows("participants", STUDY)]

    app = scripted(lambda request: pages[request.query_params.get("after", "")])
    assert read(serve, app, ids) == ["PT_00000001"]


def test_a_page_that_names_itself_as_the_next_one_is_refused(serve: Any) -> None:
    error = refused(serve, scripted(lambda _: listed(link="/participants?after=1")), BadAnswer)
    assert str(error).endswith("names itself as the next page")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (listed({**ROW, "_links": {"study": f"/studies/{OTHER}"}}), f"sent PT_00000001, which belongs to {OTHER}"),
        (listed(ROW, itself=f"/participants?study_id={OTHER}"), "answered for another study"),
        (listed(ROW, {"kf_id": "PT_00000001"}), "sent a row twice"),
    ],
)
def test_rows_of_another_study_are_refused(serve: Any, answer: Response, sentence: str) -> None:
    assert sentence in str(refused(serve, scripted(lambda _: answer), BadAnswer))


def test_a_list_of_studies_with_something_else_in_it_is_refused(serve: Any) -> None:
    async def reading(service: DataService) -> None:
        with pytest.raises(BadAnswer, match="lists 'PT_00000001', which is no id of a study"):
            await all_studies(service)

    read(serve, scripted(lambda _: listed(ROW)), reading)


def test_no_more_requests_at_once_than_stated(serve: Any) -> None:
    """Fifty counts are wanted at the same time, and the service never sees more than four."""
    now, most = 0, 0

    async def counting(_: Request) -> Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return listed(total=3)

    async def all_at_once(service: DataService) -> list[int | None]:
        return await asyncio.gather(*(service.count("participants", STUDY) for _ in range(50)))

    assert read(serve, scripted(counting), all_at_once, connections=4) == [3] * 50
    assert 1 <= most <= 4


def test_one_study_is_read_with_its_links(serve: Any) -> None:
    async def reading(service: DataService) -> Any:
        with pytest.raises(Refused) as caught:
            await service.study("SD_../x")
        return await service.study(STUDY), caught.value.status

    record, status = read(serve, make_app(), reading)
    assert (record["kf_id"], record["_links"]["self"], status) == (STUDY, f"/studies/{STUDY}", 404)


@pytest.mark.parametrize("url", ["", "localhost:5100", "ftp://data.example", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="is no address of a data service"):
        DataService(url)


def test_waiting_for_a_free_connection_is_not_held_against_the_service(serve: Any) -> None:
    """Sixteen counts one after the other take longer than one may, and each is answered in time."""

    async def slow(_: Request) -> Response:
        await asyncio.sleep(0.15)
        return listed(total=3)

    async def all_at_once(service: DataService) -> list[int | None]:
        return await asyncio.gather(*(service.count("participants", STUDY) for _ in range(16)))

    assert read(serve, scripted(slow), all_at_once, connections=1, timeout_s=2) == [3] * 16
