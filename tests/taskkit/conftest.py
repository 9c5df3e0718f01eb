"""Databases for the stores of the task kit: a real Postgres, and DynamoDB as moto plays it behind a real address."""

import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from lockstep.stack.engines import Postgres
from tests.reports.conftest import dynamodb_url

__all__ = ["dynamodb_url"]

LEASE_S = 9
"""Long for a machine that others load as well, short for a test."""

_numbers = count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of a real Postgres server."""
    with TemporaryDirectory(prefix="lockstep-tasks-") as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder) / "server", settings={"fsync": "off", "full_page_writes": "off"})
        server.start()
        yield server.url
        server.stop(signal.SIGQUIT)


@pytest.fixture(params=["postgres", "dynamodb"])
def shared_address(request: pytest.FixtureRequest) -> str:
    """An address for tasks with nothing there, once for each store that processes may share."""
    number = next(_numbers)
    if request.param == "postgres":
        return f"{request.getfixturevalue('postgres_url')}?table=tasks_{number}&lease_s={LEASE_S}"
    url = request.getfixturevalue("dynamodb_url")
    endpoint = f"&endpoint={url}" if url else ""
    return f"dynamodb://lockstep-test-tasks-{uuid4().hex[:12]}?lease_s={LEASE_S}{endpoint}"
