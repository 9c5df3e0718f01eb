"""Versions: semantic, unique, and rising in the order of publishing."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.coordinator.core.callers import LOCAL
from lockstep.coordinator.core.records import EventFilter, PageOf
from lockstep.coordinator.core.versions import FIRST, Version, candidate_version, final_version
from lockstep.protocol.states import ReleaseState
from tests.scripted import STUDIES, Coordinator, Says, Service, in_simulation
from tests.simulation.loop import run
from tests.table import Table

VERSIONS = st.builds(Version, *[st.integers(0, 10**6)] * 3)


async def published(coordinator: Coordinator, release_id: str) -> str:
    """Publish a release, and return the version under which it is public."""
    await coordinator.until(release_id, "staged", 100)
    await coordinator.commands.publish(release_id, LOCAL)
    return str((await coordinator.until(release_id, "published", 100)).release.version)


async def version(coordinator: Coordinator, release_id: str) -> str:
    return str((await coordinator.release(release_id)).version)


@pytest.mark.rule("V1")
def test_a_version_has_three_numbers() -> None:
    assert str(FIRST) == "0.0.0"
    assert Version.parse("1.20.3") == Version(1, 20, 3)
    for text in ("1.2", "1.2.3.4", "v1.2.3", "1.2.-3", "1.2.x", "", "1..2", "١.٢.٣", "1.2.3 "):
        with pytest.raises(ValueError, match="is not a version"):
            Version.parse(text)


@pytest.mark.rule("V1")
@given(VERSIONS)
def test_a_version_survives_being_written(number: Version) -> None:
    assert Version.parse(str(number)) == number


@pytest.mark.rule("V1")
@given(VERSIONS, VERSIONS)
def test_versions_compare_by_number(one: Version, other: Version) -> None:
    """0.10.0 comes after 0.9.0, whatever their texts do."""
    numbers = [(each.major, each.minor, each.patch) for each in (one, other)]
    assert (one < other) == (numbers[0] < numbers[1])


@pytest.mark.rule("V1", "V2")
def test_each_new_release_takes_the_patch_after_the_highest_ever_given() -> None:
    """Beginning with 0.0.0, and going on after what publishing has taken."""

    async def life() -> None:
        async with in_simulation(Service("A", quick=True)) as coordinator:
            first, second, third = [await coordinator.create() for _ in range(3)]
            given = [await version(coordinator, release_id) for release_id in (first, second, third)]
            assert given == ["0.0.0", "0.0.1", "0.0.2"]
            assert await published(coordinator, second) == "0.1.0"
            assert await version(coordinator, await coordinator.create()) == "0.1.1"
            assert await published(coordinator, first) == "0.2.0"
            assert await version(coordinator, await coordinator.create()) == "0.2.1"

    run(life())


@pytest.mark.rule("V3")
@pytest.mark.parametrize(
    ("highest", "is_major", "expected"),
    [
        (None, False, "0.1.0"),
        (None, True, "1.0.0"),
        (Version(0, 1, 0), False, "0.2.0"),
        (Version(0, 9, 0), False, "0.10.0"),
        (Version(1, 4, 0), False, "1.5.0"),
        (Version(1, 4, 0), True, "2.0.0"),
    ],
)
def test_publishing_takes_the_next_minor_or_major(highest: Version | None, is_major: bool, expected: str) -> None:
    """After the highest that any publishing took, whatever number the release had before."""
    table = Table("A", is_major=is_major, highest_published=highest)
    table.staged()
    table.publish()
    assert (table.state, str(table.release.version)) == (ReleaseState.PUBLISHING, expected)


@pytest.mark.rule("V3", "V5")
def test_a_major_release_is_passed_by_none_that_was_staged_before_it() -> None:
    """Published versions rise in the order of publishing: an older release comes after the major one too."""

    async def life() -> None:
        async with in_simulation(Service("A", quick=True)) as coordinator:
            older, major = await coordinator.create(), await coordinator.create(is_major=True)
            assert await published(coordinator, major) == "1.0.0"
            assert await published(coordinator, older) == "1.1.0"

    run(life())


@pytest.mark.rule("V4")
def test_the_number_of_a_failed_release_is_not_used_again() -> None:
    """Neither the one it was created with, nor the one under which it was to be published."""

    async def life() -> None:
        service = Service("A", {"publish": [Says(500)]}, quick=True)
        async with in_simulation(service) as coordinator:
            failing = await coordinator.create()
            await coordinator.until(failing, "staged", 100)
            await coordinator.commands.publish(failing, LOCAL)
            await coordinator.until(failing, "failed", 100)
            assert await version(coordinator, failing) == "0.1.0"
            service.script["initialize"] = [Says(500)]
            rejected = await coordinator.create()
            await coordinator.until(rejected, "failed", 100)
            assert await version(coordinator, rejected) == "0.1.1"
            fine = await coordinator.create()
            assert await version(coordinator, fine) == "0.1.2"
            assert await published(coordinator, fine) == "0.2.0"

    run(life())


@pytest.mark.rule("V4", "V5")
def test_many_releases_at_once_never_share_a_number() -> None:
    """Thirty are created and published at the same time, ten to a study; their versions rise as publishing begins."""

    async def life() -> None:
        async with in_simulation(Service("A", quick=True)) as coordinator:
            releases = await asyncio.gather(*(coordinator.create(STUDIES[n % 3]) for n in range(30)))
            given = [await version(coordinator, release_id) for release_id in releases]
            taken = await asyncio.gather(*(published(coordinator, release_id) for release_id in releases))
            assert len({*given, *taken}) == 60
            events = (await coordinator.store.events(PageOf(10_000), EventFilter())).rows
            began = re.compile(r"release \S+, version (\S+) changed from staged to publishing")
            found = [began.fullmatch(event.message) for event in reversed(events)]
            numbers = [Version.parse(match[1]) for match in found if match]
            assert (len(numbers), numbers) == (30, sorted(numbers))

    run(life())


@pytest.mark.rule("V4")
@given(st.lists(st.sampled_from(["create", "publish", "major"]), max_size=40))
def test_no_order_of_creating_and_publishing_gives_a_number_twice(steps: list[str]) -> None:
    """Nor one of them that is lower than an earlier one of its kind."""
    given_ever: list[Version] = []
    taken: list[Version] = []
    for step in steps:
        if step == "create":
            number = candidate_version(max(given_ever, default=None))
        else:
            number = final_version(max(taken, default=None), is_major=step == "major")
            assert all(number > before for before in taken)
            taken.append(number)
        assert number not in given_ever
        given_ever.append(number)
