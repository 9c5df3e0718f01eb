"""The deployment that the tests of this folder share: to start one takes longer than to hurt it."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults.scene import Scene, scene


@pytest.fixture(scope="session")
def shared() -> Iterator[Scene]:
    """Two coordinators, two workers and twenty task services."""
    with TemporaryDirectory(prefix="lockstep-faults-") as folder:
        Path(folder).chmod(0o755)
        with scene(Path(folder)) as one:
            yield one


@pytest.fixture
def hurt(shared: Scene) -> Iterator[Scene]:
    """The deployment, whole before the test and whole again after it."""
    shared.heal()
    yield shared
    shared.heal()
