"""Hundreds of made-up queries and mutations over a real server: each is answered, and none with a mistake of ours."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from lockstep.coordinator.web.graphql.mistakes import OUR_MISTAKE
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.graphql.asking import asked

CHECK = f"""
import schemathesis

@schemathesis.check
def answered(ctx, response, case):
    assert response.status_code == 200, response.text
    assert {OUR_MISTAKE!r} not in response.text, response.text
"""


@pytest.mark.timeout(300)
def test_made_up_queries_find_no_mistake_of_ours(serve: Serve, tmp_path: Path) -> None:
    """Refusals are errors too, in GraphQL; what must not be among them is the sentence for our own mistakes."""

    async def go() -> None:
        async with asked(tmp_path, identity=False) as a, serve(a.c.app()) as url:
            await a.c.service(url="http://127.0.0.1:1")
            await a.note(await a.release(state=ReleaseState.STAGED))
            (tmp_path / "schemathesis.toml").write_text("")
            (tmp_path / "answered_check.py").write_text(CHECK)
            options = ["--seed", "3", "--max-examples", "10", "--checks", "answered", "--no-color"]
            trial = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "run", *options, f"{url}/graphql"),
                cwd=tmp_path,
                env={**os.environ, "SCHEMATHESIS_HOOKS": "answered_check", "PYTHONPATH": str(tmp_path)},
                stdout=asyncio.subprocess.PIPE,
            )
            said, _ = await trial.communicate()
            assert trial.returncode == 0, said.decode()
            assert re.search(r"25 passed", said.decode()), said.decode()

    asyncio.run(go())
