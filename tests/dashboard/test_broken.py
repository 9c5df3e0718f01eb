"""When the database is held, hurt or gone, a person reads on a page what is wrong and what to do; and it heals."""

import asyncio
import html
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx

from lockstep.coordinator.store.opening import open_store
from lockstep.protocol.states import ReleaseState
from tests.faces import Coordinator, coordinator

BROWSER = {"Accept": "text/html"}


@asynccontextmanager
async def on_file(database: Path) -> AsyncIterator[Coordinator]:
    """Open a coordinator on a database file that does not wait long for others."""
    async with open_store(f"sqlite:///{database}", busy_timeout_s=0.05) as store, coordinator(store) as c:
        yield c


def shell(database: Path) -> closing[sqlite3.Connection]:
    """Open the database as somebody else."""
    return closing(sqlite3.connect(database, isolation_level=None))


def shown(answer: httpx.Response, status: int, *said: str) -> None:
    """Check that an answer is a page that says something."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for words in ("<h1>", *said):
        assert words in html.unescape(answer.text)


def test_a_decision_that_the_database_cannot_take_is_said_to_have_changed_nothing(tmp_path: Path) -> None:
    """Another process holds the file; the pages are read all the same, and the same form counts when it lets go."""

    async def go() -> None:
        database = tmp_path / "lockstep.db"
        async with on_file(database) as c, c.client() as web:
            release_id = (await c.release()).release.kf_id
            address = f"/releases/{release_id}/cancel"
            asked = await web.get(address, headers=BROWSER)
            token = re.search(r'name="token" value="(\w+)"', asked.text)
            assert token is not None
            form = {"token": token[1]}
            with shell(database) as other:
                other.execute("BEGIN IMMEDIATE")
                refused = await web.post(address, data=form, headers=BROWSER)
                shown(refused, 503, "Something does not answer", "is locked by another process", "Nothing was changed")
                shown(await web.get(f"/releases/{release_id}", headers=BROWSER), 200, "Winter")
            assert (await web.post(address, data=form, headers=BROWSER)).status_code == 303
            assert (await c.store.release(release_id)).release.state is not ReleaseState.WAITING

    asyncio.run(go())


def test_a_database_that_was_overwritten_is_named_on_the_page(tmp_path: Path) -> None:
    async def go() -> None:
        database = tmp_path / "lockstep.db"
        async with on_file(database) as c, c.client() as web:
            await c.release()
            shown(await web.get("/releases", headers=BROWSER), 200, "Winter")
            with shell(database) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.write_bytes(b"a letter that was saved under the wrong name " * 1000)
            for path in ("/", "/releases"):
                shown(await web.get(path, headers=BROWSER), 503, "is no SQLite database; name another file")
            told = (await web.get("/releases")).json()
            assert "is no SQLite database" in told["detail"]

    asyncio.run(go())


def test_what_breaks_is_a_page_that_tells_no_secrets_and_is_right_again_once_it_is_mended(tmp_path: Path) -> None:
    """Somebody took a table away: the page says that it is our fault, and no more than the reader can use."""

    async def go() -> None:
        database = tmp_path / "lockstep.db"
        async with on_file(database) as c, c.client() as web:
            await c.release()
            with shell(database) as other:
                other.execute("ALTER TABLE release RENAME TO taken")
                broken = await web.get("/releases", headers=BROWSER)
                shown(broken, 500, "Something broke", "it is not your fault", "Try again", 'href="/about"')
                assert "no such table" not in broken.text
                assert "Traceback" not in broken.text
                other.execute("ALTER TABLE taken RENAME TO release")
            shown(await web.get("/releases", headers=BROWSER), 200, "Winter")

    asyncio.run(go())
