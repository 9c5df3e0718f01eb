"""The OpenAPI document: whole, offline, and true under hundreds of requests that try to show that it is not."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lockstep.coordinator.core.records import NewNote
from lockstep.coordinator.store.opening import open_store
from lockstep.coordinator.web.app import OPERATIONS
from lockstep.protocol.states import ReleaseState
from tests.conftest import Serve
from tests.faces import Coordinator, coordinator, status_app

CONFIG = Path(__file__).parents[2] / "schemathesis.toml"


def test_the_document_is_of_openapi_3_1_and_has_every_operation() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            document = (await web.get("/openapi.json")).json()
            assert document["openapi"].startswith("3.1")
            documented = {
                (method.upper(), path) for path, operations in document["paths"].items() for method in operations
            }
            assert documented == {(operation.method, operation.path) for operation in OPERATIONS}

    asyncio.run(go())


def test_every_operation_tells_what_it_does_and_every_answer() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            document = (await web.get("/openapi.json")).json()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    statuses = set(operation["responses"])
                    assert operation["description"], (method, path)
                    assert {"400", "503"} <= statuses
                    assert "403" in statuses or method == "get"
                    assert ({"413", "415"} <= statuses) is ("requestBody" in operation)
                    assert ("422" in statuses) is ((method, path) == ("post", "/releases"))
            assert "HTTPValidationError" not in document["components"]["schemas"]

    asyncio.run(go())


def test_operations_have_ids_of_their_own() -> None:
    names = [operation.call.__name__ for operation in OPERATIONS]
    assert sorted(set(names)) == sorted(names)


def test_it_says_how_a_caller_is_known_and_that_what_is_public_needs_nobody() -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            document = (await web.get("/openapi.json")).json()
            assert document["security"] == [{}, {"bearer": []}]
            assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"

    asyncio.run(go())


@pytest.mark.parametrize("path", ["/swagger.json", "/swagger.yaml", "/swagger/", "/redoc/"])
def test_the_addresses_of_the_field_lead_to_it_and_to_no_page_of_somebody_else(path: str) -> None:
    async def go() -> None:
        async with coordinator() as c, c.client() as web:
            answer = await web.get(path, follow_redirects=True)
            assert (answer.status_code, answer.json()["info"]["title"]) == (200, "Lockstep")

    asyncio.run(go())

    asyncio.run(go())


def _config(folder: Path, ids: dict[str, str]) -> Path:
    lines = [CONFIG.read_text(), "[parameters]", *(f'"path.{name}" = "{kf_id}"' for name, kf_id in ids.items())]
    file = folder / "schemathesis.toml"
    file.write_text("\n".join(lines))
    return file


async def _some_ids(c: Coordinator, service_url: str) -> dict[str, str]:
    """Return the ids of things that are there; the release has ended, so that its event stream does too."""
    service = await c.service(url=service_url)
    view = await c.release()
    await c.bring(view.release.kf_id, ReleaseState.PUBLISHED)
    note = await c.store.add_note(NewNote("Twelve new participants.", view.release.kf_id), datetime.now(UTC))
    [event, *_] = await c.store.events_after(view.release.kf_id, 0, 1)
    return {
        "release_id": view.release.kf_id,
        "task_id": view.tasks[0].kf_id,
        "service_id": service.kf_id,
        "study_id": view.release.studies[0],
        "event_id": event.kf_id,
        "note_id": note.kf_id,
    }


@pytest.mark.parametrize(
    ("known", "phases"),
    [(False, "fuzzing"), (True, "examples,coverage,fuzzing")],
    ids=["any ids", "ids of things that are there"],
)
def test_every_answer_is_documented_and_none_is_a_500(serve: Serve, tmp_path: Path, known: bool, phases: str) -> None:
    async def go() -> None:
        async with (
            open_store(f"sqlite:///{tmp_path}/lockstep.db") as store,
            coordinator(store) as c,
            serve(status_app({"name": "task"})) as service_url,
            serve(c.app()) as url,
        ):
            ids = await _some_ids(c, service_url)
            config = _config(tmp_path, ids if known else {})
            options = ["--seed", "2", "--max-examples", "5", "--phases", phases, "--no-color"]
            command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", *options]
            trial = await asyncio.create_subprocess_exec(
                *command, f"{url}/openapi.json", cwd=tmp_path, stdout=asyncio.subprocess.PIPE
            )
            said, _ = await trial.communicate()
            assert trial.returncode == 0, said.decode()

    asyncio.run(go())
