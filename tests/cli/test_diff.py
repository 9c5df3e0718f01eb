"""What changes with a release, asked of real release reports: found by themselves, named, and in every form."""

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lockstep.dataservice.sample import make_app as make_data_service
from lockstep.reports.service import make_service
from tests.cli.stage import Stage, at_terminal, lockstep, stage
from tests.conftest import Serve


@asynccontextmanager
async def reported(folder: Path, serve: Serve) -> AsyncIterator[tuple[Stage, str, str]]:
    """A release that is staged, and counted by release reports among the task services."""
    async with stage(folder, serve) as on, serve(make_data_service()) as data_url:
        reports = make_service(dataservice_url=data_url, folder=folder / "reports", coordinator_url=on.url)
        async with serve(reports) as reports_url:
            assert (await on.run("service", "add", reports_url, "--name", "counts")).code == 0
            yield on, await on.staged(), reports_url


def test_it_is_printed_in_every_form(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with reported(tmp_path, serve) as (on, release_id, reports_url):
            diff = ("release", "diff", release_id)
            whole = await on.run(*diff)
            assert (whole.code, whole.document["release_id"]) == (0, release_id)
            assert await on.json(*diff, "--reports", reports_url, "--against", release_id) != whole.document
            markdown = await on.run(*diff, "--format", "markdown")
            assert markdown.out.startswith(f"## What changes with release 0.0.0 ({release_id}, staged)\n")
            rows = list(csv.DictReader((await on.run(*diff, "--format", "csv")).out.splitlines()))
            assert rows[0].keys() >= {"study_id", "entity", "difference"}
            async with at_terminal(*diff, "--server", on.url) as shown:
                assert await shown.ended() == 0
            assert "LAST" in shown.out
            unknown = await on.run("release", "diff", "RE_00000000")
            assert (unknown.code, unknown.out) == (1, "")

    asyncio.run(go())


def test_without_reports_it_says_how_to_name_them(tmp_path: Path, serve: Serve) -> None:
    async def go() -> None:
        async with stage(tmp_path, serve) as on:
            release_id = await on.staged()
            nowhere = await on.run("release", "diff", release_id)
            assert (nowhere.code, nowhere.out) == (1, "")
            assert "by --reports or LOCKSTEP_REPORTS_URL." in nowhere.err

    asyncio.run(go())


@pytest.mark.parametrize("where", [["--reports", "http://127.0.0.1:1"], ["--reports", "nowhere"]])
def test_reports_that_do_not_answer_are_told_from_a_wrong_address(where: list[str]) -> None:
    """The coordinator is not asked at all."""
    ended = asyncio.run(lockstep("release", "diff", "RE_00000000", *where))
    assert (ended.code, ended.out) == (3 if "http" in where[1] else 2, "")
    assert "reports service" in ended.err
