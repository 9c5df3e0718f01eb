"""The requests that the page about the API shows are answered as it says, in the order in which it shows them."""

import asyncio
import re
from pathlib import Path

import httpx

from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, Coordinator, coordinator

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLE = re.compile(r"^```http\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
FEWEST = 15


def test_the_examples_are_answered_as_the_page_says() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            known = await _scene(c)
            examples = EXAMPLE.findall(PAGE.read_text())
            assert len(examples) >= FEWEST
            for example in examples:
                answer, expected = await _asked(web, example, known)
                assert answer.status_code == expected, (example, answer.text)
                known["etag"] = answer.headers.get("etag", known["etag"])

    asyncio.run(go())


async def _scene(c: Coordinator) -> dict[str, str]:
    """A published release of one service, as the page supposes."""
    await c.service(url="http://127.0.0.1:1")
    release_id = (await c.release(STUDIES[0])).release.kf_id
    await c.bring(release_id, ReleaseState.PUBLISHED)
    return {"release": release_id, "study": STUDIES[0], "etag": ""}


async def _asked(web: httpx.AsyncClient, example: str, known: dict[str, str]) -> tuple[httpx.Response, int]:
    """Send what an example shows; return the answer, and the status that the example ends with."""
    for name, value in known.items():
        example = example.replace(f"{{{name}}}", value)
    head, *body, status = example.split("\n\n")
    (method, path), *headers = (line.split(": " if n else " ", 1) for n, line in enumerate(head.splitlines()))
    answer = await web.request(method, path, headers=dict(headers), content="\n\n".join(body))
    return answer, int(status)
