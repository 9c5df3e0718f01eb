"""Signing in with a browser, against a real provider and a coordinator that runs whole."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from lockstep.coordinator.bootstrap import Running, running
from lockstep.coordinator.settings import read_settings
from lockstep.coordinator.web.callers import COOKIE
from lockstep.coordinator.web.sign_in import SIGN_IN_COOKIE, own_page
from lockstep.dataservice.sample import make_app as make_data_service
from tests.conftest import Serve
from tests.identity.provider import GROUPS, ROLES, Provider, provider
from tests.patience import PATIENCE_S

STUDY = "SD_DYPMEHHF"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Provider]:
    with provider() as running_provider:
        yield running_provider


@asynccontextmanager
async def coordinator(issuer: Provider, folder: Path, **chosen: Any) -> AsyncIterator[Running]:
    settings = read_settings(
        port=0,
        database_url=f"sqlite:///{folder}/lockstep.db",
        auth="oidc",
        oidc_issuer=issuer.url,
        oidc_audience="lockstep",
        oidc_client_id="lockstep",
        oidc_client_secret="any",
        **chosen,
    )
    async with running(settings) as started:
        yield started


async def sign_in(web: httpx.AsyncClient, sub: str, after: str = "/releases?limit=5") -> httpx.Response:
    """Go to the issuer, agree there, and come back."""
    to_issuer = await web.get("/login", params={"next": after})
    agreed = await web.post(to_issuer.headers["location"], data={"sub": sub})
    return await web.get(agreed.headers["location"])


def told(issuer: Provider, sub: str, claims: Mapping[str, Any]) -> None:
    assert httpx.put(f"{issuer.url}/users/{sub}", json=dict(claims)).status_code == 204


def test_a_person_signs_in_works_and_signs_out(issuer: Provider, tmp_path: Path) -> None:
    told(issuer, "alice", {"nickname": "al", "email": "al@example.org", ROLES: ["DEV"], GROUPS: [STUDY]})

    async def go() -> None:
        async with coordinator(issuer, tmp_path) as c, httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as web:
            assert (await web.get("/task-services")).status_code == 403
            back = await sign_in(web, "alice")
            assert (back.status_code, back.headers["location"]) == (303, "/releases?limit=5")
            assert (await web.get("/task-services")).json()["count"] == 0
            user = (await c.desk.store.people.user("alice")).profile
            assert (user.username, user.email) == ("al", "al@example.org")
            assert c.desk.recognition is not None
            proof = c.desk.recognition.proof(web.cookies[COOKIE])
            refused = await web.post("/logout", data={"csrf_token": "wrong"})
            assert (refused.status_code, refused.json()) == (
                403,
                {"detail": "CSRF Failed: CSRF token missing or incorrect."},
            )
            assert (await web.get("/task-services")).status_code == 200
            key = web.cookies[COOKIE]
            out = await web.post("/logout", data={"csrf_token": proof})
            assert (out.status_code, COOKIE in web.cookies) == (303, False)
            farewell = parse_qs(urlsplit(out.headers["location"]).query)
            assert farewell["post_logout_redirect_uri"] == [f"{c.url}/"]
            web.cookies.set(COOKIE, key)
            assert (await web.get("/task-services")).status_code == 403, "the key is worth nothing any more"

    asyncio.run(go())


def test_the_cookies_cannot_be_read_by_scripts_nor_sent_by_strangers(issuer: Provider, tmp_path: Path) -> None:
    async def go() -> None:
        async with coordinator(issuer, tmp_path) as c, httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as web:
            begun = await web.get("/login")
            back = await sign_in(web, "bob")
            for answer, name in ((begun, SIGN_IN_COOKIE), (back, COOKIE)):
                cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}="))
                assert "HttpOnly" in cookie
                assert "samesite=lax" in cookie.lower()
                assert answer.headers["cache-control"] == "no-store"
            forwarded = {"X-Forwarded-Proto": "https"}
            assert "Secure" in (await web.get("/login", headers=forwarded)).headers["set-cookie"]

    asyncio.run(go())


def test_what_a_session_changes_needs_the_proof_of_our_pages(issuer: Provider, tmp_path: Path, serve: Serve) -> None:
    """By cookie alone nothing is changed, whatever the body is; with the header it is, and by bearer without it."""
    claims = {"nickname": "carol", ROLES: ["ADMIN"]}
    told(issuer, "carol", claims)

    async def go() -> None:
        async with (
            serve(make_data_service()) as data,
            coordinator(issuer, tmp_path, dataservice_url=data) as c,
            httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as web,
            httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as program,
        ):
            await sign_in(web, "carol")
            new = {"name": "x", "studies": [STUDY], "author": "somebody else"}
            for refused in (
                await web.post("/releases", json=new),
                await web.post("/releases", data=new),
                await web.post("/releases", json=new, headers={"X-CSRFToken": "0" * 64}),
                await web.post("/graphql", json={"query": "mutation { syncStudies { new { edges { cursor } } } }"}),
            ):
                assert refused.status_code == 403, refused.text
            assert c.desk.recognition is not None
            proof = {"X-CSRFToken": c.desk.recognition.proof(web.cookies[COOKIE])}
            made = await web.post("/releases", json=new, headers=proof)
            assert (made.status_code, made.json()["author"]) == (201, "carol")
            token = issuer.token("carol", claims=claims)
            made = await program.post("/releases", json=new, headers={"Authorization": f"Bearer {token}"})
            assert (made.status_code, made.json()["author"]) == (201, "carol")

    asyncio.run(go())


@pytest.mark.parametrize("spoil", ["no cookie", "another state", "no state", "another cookie", "no code", "error"])
def test_an_answer_that_does_not_fit_opens_no_session(issuer: Provider, tmp_path: Path, spoil: str) -> None:
    async def go() -> None:
        async with coordinator(issuer, tmp_path) as c, httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as web:
            other = (await web.get("/login")).cookies[SIGN_IN_COOKIE]
            to_issuer = await web.get("/login")
            agreed = await web.post(to_issuer.headers["location"], data={"sub": "dave"})
            query = {name: value[0] for name, value in parse_qs(urlsplit(agreed.headers["location"]).query).items()}
            query |= {"another state": {"state": "x"}, "no code": {"code": ""}, "error": {"error": "denied"}}.get(
                spoil, {}
            )
            if spoil == "no state":
                del query["state"]
            cookie = {"no cookie": "", "another cookie": other}.get(spoil, web.cookies[SIGN_IN_COOKIE])
            async with httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as browser:
                answer = await browser.get("/callback", params=query, headers={"Cookie": f"{SIGN_IN_COOKIE}={cookie}"})
            assert (answer.status_code, COOKIE in answer.cookies) == (403, False)
            assert answer.json()["detail"]

    asyncio.run(go())


def test_a_code_is_good_once(issuer: Provider, tmp_path: Path) -> None:
    async def go() -> None:
        async with coordinator(issuer, tmp_path) as c, httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as web:
            to_issuer = await web.get("/login")
            agreed = await web.post(to_issuer.headers["location"], data={"sub": "erin"})
            kept = {"Cookie": f"{SIGN_IN_COOKIE}={web.cookies[SIGN_IN_COOKIE]}"}
            async with httpx.AsyncClient(timeout=PATIENCE_S) as browser:
                answers = [await browser.get(agreed.headers["location"], headers=kept) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [303, 403]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("wanted", "page"),
    [
        ("/releases/RE_1?x=1", "/releases/RE_1?x=1"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/\r\nSet-Cookie: x", "/"),
        ("/\t/evil.example", "/"),
        ("", "/"),
        ("/é", "/"),
        ("//[", "/"),
        ("/" + "a" * 5000, "/"),
    ],
)
def test_signing_in_leads_to_pages_of_ours_only(wanted: str, page: str) -> None:
    assert own_page(wanted) == page


def test_without_identity_there_is_nowhere_to_sign_in(tmp_path: Path) -> None:
    async def go() -> None:
        settings = read_settings(port=0, database_url=f"sqlite:///{tmp_path}/lockstep.db")
        async with running(settings) as c, httpx.AsyncClient(base_url=c.url, timeout=PATIENCE_S) as web:
            assert [(await web.get(path)).status_code for path in ("/login", "/callback")] == [404, 404]

    asyncio.run(go())
