"""The address guard: what is called and what is not, however it is written, and at the moment of connecting."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from starlette.applications import Starlette
from starlette.requests import Request as WebRequest
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from lockstep.coordinator.adapters.addresses import AddressGuard
from lockstep.coordinator.adapters.prober import HttpProber
from lockstep.coordinator.adapters.task_services import HttpTaskServices
from lockstep.coordinator.core.errors import Invalid, Unavailable
from lockstep.protocol.messages import Action, Request, Silence
from tests.conftest import Serve

STRICT, LAX = AddressGuard(), AddressGuard(allow_private=True)
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%lo",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "::ffff:10.1.2.3",
    "100.64.0.1",
    "fd12:3456::1",
    "192.0.2.1",
]
PUBLIC = ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"]
SENT = Request(Action.GET_STATUS, "TA_00000000", "RE_00000000")
TRACE = "0" * 32


@pytest.mark.parametrize("address", NEVER)
def test_what_gives_a_machine_away_is_never_called(address: str) -> None:
    assert "which this deployment does not call" in STRICT.complaint(address)
    assert "which this deployment does not call" in LAX.complaint(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_private_is_called_where_the_deployment_says_so(address: str) -> None:
    assert "which this deployment does not call" in STRICT.complaint(address)
    assert LAX.complaint(address) == ""


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_called(address: str) -> None:
    assert (STRICT.complaint(address), LAX.complaint(address)) == ("", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8282",
        "http://localhost",
        "http://127.1",
        "http://2130706433",
        "http://0x7f.0.0.1",
        "http://[::1]:80",
        "http://[::ffff:7f00:1]",
    ],
)
def test_registering_it_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(Invalid, match="which this deployment does not call"):
        asyncio.run(STRICT.check(url))
    asyncio.run(LAX.check(url))


def test_a_name_without_an_address_may_get_one_later() -> None:
    asyncio.run(STRICT.check("http://no-such-host.invalid"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_nothing_is_sent_to_a_forbidden_address(serve: Serve, host: str) -> None:
    """Also where the host is written as an address, which no resolver ever sees."""
    asked: list[str] = []

    async def go() -> None:
        async with serve(_recording(asked)) as url, _strict_services() as services, HttpProber(guard=STRICT) as prober:
            address = url.replace("127.0.0.1", host)
            reply = await services.send(address, SENT, TRACE)
            assert isinstance(reply, Silence)
            assert "which this deployment does not call" in reply.reason
            with pytest.raises(Unavailable, match="which this deployment does not call"):
                await prober.probe(address)
            assert asked == []

    asyncio.run(go())


class Rebinding(AbstractResolver):
    """A resolver under an attacker's thumb: it gives a harmless address when asked first, ours afterwards."""

    def __init__(self, answers: Sequence[str]) -> None:
        self._answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        address = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0),
        ]

    async def close(self) -> None: ...


def test_a_name_that_changes_its_mind_finds_nothing(serve: Serve) -> None:
    asked: list[str] = []

    async def go() -> None:
        async with serve(_recording(asked)) as url:
            connector = STRICT.connector(resolver=Rebinding(["127.0.0.1"]), use_dns_cache=False)
            async with aiohttp.ClientSession(connector=connector) as session:
                with pytest.raises(aiohttp.ClientConnectorError, match="which this deployment does not call"):
                    await session.get(url.replace("127.0.0.1", "innocent.example"))
            assert asked == []

    asyncio.run(go())


def test_redirects_are_not_followed(serve: Serve) -> None:
    asked: list[str] = []

    async def go() -> None:
        services, prober = HttpTaskServices(5, guard=LAX), HttpProber(guard=LAX)
        async with serve(_recording(asked)) as inside, serve(_redirecting(inside)) as url, services, prober:
            await services.send(url, SENT, TRACE)
            with pytest.raises(Unavailable, match="HTTP 307"):
                await prober.probe(url)
        assert asked == []

    asyncio.run(go())


def _strict_services() -> HttpTaskServices:
    return HttpTaskServices(5, guard=STRICT)


def _recording(asked: list[str]) -> Starlette:
    async def answer(request: WebRequest) -> Response:
        asked.append(request.url.path)
        return JSONResponse({"name": "inside"})

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _redirecting(to: str) -> Starlette:
    async def answer(request: WebRequest) -> Response:
        return RedirectResponse(f"{to}{request.url.path}")

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])
