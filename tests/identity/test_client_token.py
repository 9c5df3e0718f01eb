"""The coordinator's own token: fetched when needed, kept while it holds, replaced when refused, and never told."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from lockstep.coordinator.adapters.client_token import ClientToken
from lockstep.coordinator.adapters.oidc import Issuer
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.coordinator.core.errors import Unavailable
from lockstep.protocol.messages import Action, Answer, Refusal, Request, Silence
from lockstep.protocol.states import TaskState
from tests.conftest import Serve
from tests.identity.published import published, rsa

TRACE = "0" * 32
INITIALIZE = Request(Action.INITIALIZE, "TA_00000000", "RE_00000000")


def given(token: str, expires_in: Any = 600) -> tuple[int, dict[str, Any]]:
    return 200, {"access_token": token, "token_type": "Bearer", "expires_in": expires_in}


def service(taken: Sequence[str], shown: list[str], bodies: list[dict[str, Any]]) -> Starlette:
    async def answer(request: WebRequest) -> Response:
        shown.append(request.headers.get("authorization", ""))
        bodies.append(await request.json())
        if shown[-1].removeprefix("Bearer ") not in taken:
            return JSONResponse({"message": "who are you"}, 401)
        return JSONResponse({"state": "pending"})

    return Starlette(routes=[Route("/tasks", answer, methods=["POST"])])


def test_a_token_is_fetched_once_and_kept(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, rsa()) as there, Issuer(there.url) as issuer:
            there.token_answers.append(given("one"))
            token = ClientToken(issuer, "lockstep", "s3cret", "services")
            assert await asyncio.gather(*(token() for _ in range(10))) == ["one"] * 10
            assert await token() == "one"
            expected = {"grant_type": "client_credentials", "audience": "services", "client_id": "lockstep"}
            assert there.token_forms == [expected]
            assert there.token_headers[0]["authorization"] == "Basic bG9ja3N0ZXA6czNjcmV0"

    asyncio.run(go())


def test_the_secret_is_shown_as_the_issuer_takes_it(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, rsa()) as there, Issuer(there.url) as issuer:
            there.client_methods = ["client_secret_basic", "client_secret_post"]
            there.token_answers.append(given("one"))
            assert await ClientToken(issuer, "lockstep", "s3cret")() == "one"
            expected = {"grant_type": "client_credentials", "client_id": "lockstep", "client_secret": "s3cret"}
            assert there.token_forms == [expected]
            assert "authorization" not in there.token_headers[0]

    asyncio.run(go())


def test_a_token_that_is_over_is_fetched_anew(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, rsa()) as there, Issuer(there.url) as issuer:
            there.token_answers += [given("one", 0), given("two", "600")]
            token = ClientToken(issuer, "lockstep", "s3cret")
            assert [await token(), await token(), await token()] == ["one", "two", "two"]

    asyncio.run(go())


def test_a_refused_token_is_replaced_and_the_request_sent_again(serve: Serve) -> None:
    shown: list[str] = []

    async def go() -> None:
        async with published(serve, rsa()) as there, Issuer(there.url) as issuer:
            there.token_answers += [given("old"), given("new")]
            token = ClientToken(issuer, "lockstep", "s3cret", refetch_pause_s=0)
            async with serve(service(["new"], shown, [])) as url, HttpTaskServices(5, token) as services:
                for _ in range(2):
                    assert await services.send(url, INITIALIZE, TRACE) == Answer(TaskState.PENDING)
            assert shown == ["Bearer old", "Bearer new", "Bearer new"]

    asyncio.run(go())


def test_a_service_that_takes_no_token_has_refused_and_does_not_bother_the_issuer(serve: Serve) -> None:
    shown: list[str] = []

    async def go() -> None:
        async with published(serve, rsa()) as there, Issuer(there.url) as issuer:
            there.token_answers.append(given("one"))
            async with (
                serve(service([], shown, [])) as url,
                HttpTaskServices(5, ClientToken(issuer, "lockstep", "s3cret")) as services,
            ):
                reply = await services.send(url, INITIALIZE, TRACE)
                assert isinstance(reply, Refusal)
                assert reply.status == 401
            assert (shown, len(there.token_forms)) == (["Bearer one"] * 2, 1)

    asyncio.run(go())


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"error": "invalid_client"}),
        (200, {}),
        (200, {"access_token": 5}),
        (200, {"access_token": "a\r\nX-Evil: 1"}),
        (500, {"access_token": "one"}),
    ],
)
def test_without_a_token_nothing_is_sent_and_the_engine_asks_again_later(
    serve: Serve, answer: tuple[int, dict[str, Any]]
) -> None:
    """A failure to get one is a silence with its reason, and a line in the log; neither has the secret in it."""
    shown: list[str] = []

    async def go() -> None:
        async with published(serve, rsa()) as there, Issuer(there.url) as issuer:
            there.token_answers += [answer, given("one")]
            token = ClientToken(issuer, "lockstep", "s3cret")
            async with serve(service(["one"], shown, [])) as url, HttpTaskServices(5, token) as services:
                with capture_logs() as logs:
                    reply = await services.send(url, INITIALIZE, TRACE)
                assert isinstance(reply, Silence)
                assert f"gave no token: status {answer[0]}" in reply.reason
                assert [line["event"] for line in logs] == ["no_token_for_services"]
                assert "s3cret" not in f"{logs}{reply}"
                assert shown == []
                assert await services.send(url, INITIALIZE, TRACE) == Answer(TaskState.PENDING)

    asyncio.run(go())


def test_an_issuer_that_is_gone_is_a_silence(serve: Serve) -> None:
    async def go() -> None:
        async with published(serve, rsa()) as there:
            gone = there.url
        async with Issuer(gone) as issuer:
            with pytest.raises(Unavailable):
                await ClientToken(issuer, "lockstep", "s3cret")()
            async with HttpTaskServices(5, ClientToken(issuer, "lockstep", "s3cret")) as services:
                assert isinstance(await services.send("http://127.0.0.1:9", INITIALIZE, TRACE), Silence)

    asyncio.run(go())


def test_the_callback_token_goes_out_with_initialize_only(serve: Serve) -> None:
    bodies: list[dict[str, Any]] = []

    async def go() -> None:
        async with (
            serve(service([""], [], bodies)) as url,
            HttpTaskServices(5, callback_token="token of {}".format) as services,
        ):
            for action in Action:
                await services.send(url, Request(action, "TA_00000000", "RE_00000000"), TRACE)

    asyncio.run(go())
    expected = {"initialize": "token of TA_00000000"}
    assert {body["action"]: body["callback_token"] for body in bodies if "callback_token" in body} == expected
