"""Whatever is refused, a person before a browser reads on a page what happened and what to do; a program gets JSON."""

import asyncio
import html
import re

import httpx
import pytest

from lockstep.coordinator.web.bodies import BODY_LIMIT_BYTES
from lockstep.coordinator.web.dashboard.page import POLICY
from tests.faces import coordinator

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PROGRAMS = ("*/*", "application/json")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

REFUSED: tuple["Case", ...] = (
    ("POST", "/plan", {"Origin": "http://elsewhere.example"}, b"", 403, "Nothing was changed"),
    ("POST", "/plan", FORM, b"name=" + b"x" * BODY_LIMIT_BYTES, 413, "make it shorter"),
    ("GET", "/nowhere", {}, b"", 404, "begin at Home"),
    ("GET", "/tasks/TA_00000000", {}, b"", 404, "begin at Home"),
    ("GET", "/theme", {}, b"", 405, "Open the page by its link"),
    ("GET", "/tasks?limit=many", {}, b"", 400, "limit"),
)


Case = tuple[str, str, dict[str, str], bytes, int, str]


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_is_a_page_for_a_person(case: Case) -> None:
    method, path, headers, body, status, to_do = case

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.request(method, path, headers={**BROWSER, **headers}, content=body)
            assert answer.status_code == status, answer.text
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["content-security-policy"] == POLICY
            assert to_do in html.unescape(answer.text)
            assert "<h1>" in answer.text

    asyncio.run(go())


@pytest.mark.parametrize("accept", PROGRAMS)
@pytest.mark.parametrize("path", ["/nowhere", "/tasks/TA_00000000"])
def test_a_refusal_is_json_for_a_program(path: str, accept: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.get(path, headers={"Accept": accept})
            assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
            refused = await web.post("/releases", headers={"Accept": accept, "Origin": "http://elsewhere.example"})
            assert refused.status_code == 403
            assert "another origin" in refused.json()["detail"]

    asyncio.run(go())


def test_a_page_of_a_stranger_cannot_take_a_browsers_cookies_away() -> None:
    """A browser sends none with a form of theirs; the refusal gives it no new ones, which open forms would miss."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.post("/plan", headers={**BROWSER, "Origin": "http://elsewhere.example"})
            assert "set-cookie" not in answer.headers

    asyncio.run(go())


def test_too_many_changes_are_said_on_a_page_with_the_time_to_wait() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client(write_rate=0.05) as web:
            answers = [await web.post("/theme", headers={**BROWSER, **FORM}) for _ in range(3)]
            assert answers[-1].status_code == 429
            assert int(answers[-1].headers["retry-after"]) > 0
            assert "Too many changes at once" in answers[-1].text
            assert (await web.post("/studies/sync")).headers["content-type"] == "application/json"

    asyncio.run(go())


def test_a_theme_is_kept_by_a_form_and_written_into_every_page() -> None:
    """The choice leads back to the page it was made on, never to another site; the system's is no choice."""

    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            assert "data-theme" not in await _page(web)
            for chosen, page, back in (
                ("dark", "/releases?q=a", "/releases?q=a"),
                ("light", "//evil.example", "/"),
                ("purple", "/", "/"),
                ("dark", "https://evil.example/", "/"),
                ("system", "/about", "/about"),
            ):
                answer = await _choose(web, theme=chosen, page=page)
                assert (answer.status_code, answer.headers["location"]) == (303, back)
                themed = f'<html lang="en" data-theme="{chosen}">' in await _page(web)
                assert themed == (chosen in {"light", "dark"})
            web.cookies.set("lockstep_theme", '"><script>')
            assert '<html lang="en">' in await _page(web)

    asyncio.run(go())


async def _page(web: httpx.AsyncClient, path: str = "/releases") -> str:
    return (await web.get(path, headers=BROWSER)).text


async def _choose(web: httpx.AsyncClient, **fields: str) -> httpx.Response:
    found = re.search(r'name="token" value="(\w+)"', await _page(web))
    assert found is not None
    return await web.post("/theme", data={**fields, "token": found[1]}, headers=BROWSER)


def test_a_choice_of_theme_needs_a_form_of_ours() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.post("/theme", data={"theme": "dark", "token": "x"}, headers=BROWSER)
            assert (answer.status_code, "lockstep_theme" in answer.headers.get("set-cookie", "")) == (403, False)

    asyncio.run(go())
