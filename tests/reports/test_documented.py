"""What the page on reports shows is what the service answers, and no setting and no address is missing from it."""

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr
from starlette.routing import Mount, Route

from lockstep.dataservice.catalogue import AS_OF
from lockstep.dataservice.sample import make_app
from lockstep.reports.api import reports_route
from lockstep.reports.service import make_service
from lockstep.reports.settings import PREFIX, ReportsSettings
from lockstep.reports.sqlite_store import SqliteReports
from tests.coordination import PlayedCoordinator, TaskServiceSpokenTo, spoken_to

PAGE = (Path(__file__).parents[2] / "docs" / "reports.md").read_text("utf-8")
FIRST = {"task": "TA_3H4VX7PD", "release": "RE_0Q7S2M5T"}
SECOND = {"task": "TA_9J6WE5B1", "release": "RE_8K2DZW41"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00")


def examples() -> Iterator[tuple[list[str], str]]:
    """Yield command and output of each example with curl."""
    for block in re.findall(r"```console\n\$ (curl .*?)```", PAGE, flags=re.DOTALL):
        command, _, output = block.partition("\n")
        yield shlex.split(command), output


async def two_releases(reports: TaskServiceSpokenTo, coordinator: PlayedCoordinator, sample: Any) -> None:
    """Publish one study with the figures of one date, and stage it with another one and those of the next."""
    await reports.start("SD_8Y99QZJJ", **FIRST)
    await reports.until("staged", **FIRST)
    coordinator.version = "0.1.0"
    await reports.ask("publish", **FIRST)
    await reports.until("published", **FIRST)
    sample.turn_to(AS_OF[1])
    coordinator.version = "0.1.1"
    await reports.start("SD_8Y99QZJJ", "SD_AQ9KVN5P", **SECOND)
    await reports.until("staged", **SECOND)


def test_every_example_is_what_the_service_answers(serve: Any, tmp_path: Path) -> None:
    """Times aside."""
    app = make_app(as_of=AS_OF[0])

    async def answered(url: str, command: list[str]) -> str:
        address = next(part for part in command if part.startswith("http"))
        headers = dict([command[command.index("-H") + 1].split(": ")]) if "-H" in command else {}
        async with aiohttp.ClientSession() as web, web.get(url + urlsplit(address).path, headers=headers) as answer:
            text = await answer.text()
        return json.dumps(json.loads(text), indent=4) + "\n" if "json.tool" in command else text

    async def story() -> None:
        coordinator = PlayedCoordinator()
        async with serve(coordinator.app) as coordinator.url, serve(app) as dataservice_url:
            service = make_service(dataservice_url=dataservice_url, coordinator_url=coordinator.url, folder=tmp_path)
            async with serve(service) as url, spoken_to(url) as reports:
                await two_releases(reports, coordinator, app.state.sample)
                shown = list(examples())
                assert len(shown) == 2
                for command, output in shown:
                    assert MOMENT.sub("", await answered(url, command)) == MOMENT.sub("", output)

    asyncio.run(story())


def test_every_setting_is_on_the_page_with_its_default() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{PREFIX}")]
    for name, field in ReportsSettings.model_fields.items():
        (row,) = (row for row in rows if f"`{PREFIX}{name.upper()}`" in row)
        assert row.split(" | ")[1] == shown(field.get_default())


def shown(default: Any) -> str:
    """Return a default as the page has it."""
    if isinstance(default, SecretStr):
        return shown(default.get_secret_value())
    if isinstance(default, tuple):
        return shown(",".join(default))
    if isinstance(default, bool):
        return shown(str(default).lower())
    return f"`{default}`" if default else "none"


def test_every_address_is_on_the_page(tmp_path: Path) -> None:
    mount: Mount = reports_route(SqliteReports(tmp_path / "reports.db"))
    paths = [route.path for route in mount.app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
    assert len(paths) == 6
    for path in paths:
        assert f"`GET /reports{path.replace('_id', '')}`" in PAGE
