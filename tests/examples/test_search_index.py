"""The search index: a search sees the release before or the release after, and never what is only staged."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockstep.stack.processes import free_ports
from lockstep.taskkit.testing import Rehearsal, rehearsal
from tests.coordination import Killable
from tests.examples.processes import EXAMPLES, found
from tests.patience import PATIENCE_S

PATH = EXAMPLES / "search_index" / "search_index.py"


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("example_search_index", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def indexes(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "indexes").iterdir())


def everything(example: Any, folder: Path, release: Rehearsal) -> list[str]:
    """The studies of a release that a search for their ids' own record finds."""
    return sorted({hit for study in release.studies for hit in example.hits(folder / "live", study)})


def test_a_release_is_found_when_it_is_published(example: Any, tmp_path: Path) -> None:
    """The second release takes the place of the first, whose index is dropped then and not before."""
    with rehearsal(lambda url: example.make_service(tmp_path, coordinator_url=url)) as first:
        assert first.stage()["metrics"] == {"documents": 2}
        assert everything(example, tmp_path, first) == []
        first.publish()
        assert everything(example, tmp_path, first) == sorted(first.studies)
    with rehearsal(lambda url: example.make_service(tmp_path, coordinator_url=url), studies=3) as second:
        second.stage()
        assert indexes(tmp_path) == sorted([first.task_id, second.task_id])
        assert everything(example, tmp_path, first) == sorted(first.studies)
        second.publish()
        assert everything(example, tmp_path, first) == []
        assert everything(example, tmp_path, second) == sorted(second.studies)
        assert indexes(tmp_path) == [second.task_id]


def test_a_canceled_index_is_dropped(example: Any, tmp_path: Path) -> None:
    with rehearsal(lambda url: example.make_service(tmp_path, coordinator_url=url)) as release:
        release.stage()
        release.cancel()
    assert indexes(tmp_path) == []


def test_data_that_cannot_be_had(example: Any, tmp_path: Path) -> None:
    with rehearsal(lambda url: example.make_service(tmp_path, coordinator_url=url)) as release:
        release.refuse_data(500)
        release.start()
        assert release.until("failed")["retryable"] is True


@pytest.mark.parametrize("question", ["", "   ", '"', "AND OR (", "text:", "ümlaut \u0000"])
def test_any_question_is_answered(example: Any, tmp_path: Path, question: str) -> None:
    """Whatever somebody types is a search, and no mistake of the service."""
    with rehearsal(lambda url: example.make_service(tmp_path, coordinator_url=url)) as release:
        assert example.hits(tmp_path / "live", question) == []
        release.stage()
        release.publish()
        assert isinstance(example.hits(tmp_path / "live", question), list)


def test_it_reaches_level_3(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    service = Killable(
        lambda _port: [sys.executable, str(PATH)],
        tmp_path,
        FOLDER=str(tmp_path / "folder"),
        LOCKSTEP_COORDINATOR_URL=f"http://127.0.0.1:{port}",
    )
    assert found(service.checked(port, restart=service.restart)) == (3, {})


def test_searches_are_answered_over_http(serve: Any, example: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        async with (
            serve(example.make_service(tmp_path, coordinator_url="")) as url,
            httpx.AsyncClient(timeout=PATIENCE_S) as web,
        ):
            answer = await web.get(f"{url}/search", params={"q": "anything"})
            assert (answer.status_code, answer.json()) == (200, [])

    asyncio.run(scene())
