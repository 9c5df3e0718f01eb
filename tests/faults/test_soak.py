"""All faults at once, for a moment; `make soak` goes on for ten minutes."""

import pytest

from tests.faults.soak import soak


@pytest.mark.timeout(400)
def test_a_moment_of_everything() -> None:
    """Random faults on top of each other: no release ends wrong."""
    assert soak(minutes=0.4, releases=6, seed=1) == []
