"""The rehearsal that the kit offers for tests of services: the service is real, and so is what goes wrong."""

from pathlib import Path

import pytest

from lockstep.reference import make_service
from lockstep.taskkit import MemoryStore, Task, TaskService, store_at
from lockstep.taskkit.testing import Treatment, rehearsal


def test_a_release_goes_all_the_way(tmp_path: Path) -> None:
    """Staged out of sight, published as a whole, and each state was reported."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        assert release.initialize()["state"] == "pending"
        assert release.stage()["progress"] == 100
        assert len(list((tmp_path / "staged" / release.task_id).iterdir())) == len(release.studies) == 2
        assert release.publish()["state"] == "published"
        assert len(list((tmp_path / "public" / release.id).iterdir())) == 2
        release.until("published")
    assert release.reports[-1] == "published"


def test_a_restart_in_the_middle_of_staging(tmp_path: Path) -> None:
    """The work that was cut off is done again."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        with release.held_data():
            assert release.start()["state"] == "running"
            release.restart()
            assert release.status()["state"] == "running"
        release.until("staged")


def test_what_was_staged_is_thrown_away(tmp_path: Path) -> None:
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator), studies=1) as release:
        release.stage()
        release.cancel()
        assert release.ask("start").status == 400


def test_data_that_cannot_be_had(tmp_path: Path) -> None:
    """The task fails, and its error says why."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        release.refuse_data(503)
        release.start()
        assert release.until("failed")["error"].endswith(": HTTP 503")
        with pytest.raises(AssertionError, match="the task should become staged, and is"):
            release.until("staged")


@pytest.mark.parametrize("treatment", [Treatment.LOST, Treatment.REFUSED, Treatment.SLOW])
def test_reports_that_go_wrong(tmp_path: Path, treatment: Treatment) -> None:
    """The work does not care."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        release.treat_reports(treatment)
        release.stage()
        release.publish()


def test_answers_that_are_lost(tmp_path: Path) -> None:
    """Each action counts, though nobody heard so; asked again, it is done once."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        release.initialize()
        for action, state in (("start", "staged"), ("publish", "published")):
            release.lose_answer(action)
            release.until(state)
            assert release.ask(action).status == 200


def test_a_coordinator_that_was_replaced(tmp_path: Path) -> None:
    """What it still sends is refused, before and after a restart; a service that obeys it is told by a sentence."""
    with rehearsal(lambda coordinator: make_service(tmp_path, coordinator_url=coordinator)) as release:
        release.stage()
        with pytest.raises(AssertionError, match="take_over comes first"):
            release.ask_late("publish")
        release.take_over()
        release.ask_late("publish")
        release.restart()
        release.ask_late("cancel")
        assert release.publish()["epoch"] == 1


def test_every_store_can_be_rehearsed_with(tmp_path: Path, shared_address: str) -> None:
    """The service is made anew with the address of its tasks, and goes on from there."""

    def make(coordinator: str) -> TaskService:
        return make_service(tmp_path, store=store_at(shared_address), coordinator_url=coordinator)

    with rehearsal(make) as release:
        with release.held_data():
            release.start()
            release.restart()
        release.until("staged")
        release.restart()
        assert release.publish()["progress"] == 100


def test_a_service_that_does_not_come_to_its_end() -> None:
    """Is told apart by a sentence; so is an action that is not accepted."""
    store = MemoryStore()

    def make(coordinator: str) -> TaskService:
        service = TaskService("stuck", store=store, coordinator_url=coordinator)

        @service.stage
        def stage(task: Task) -> None:
            while True:
                task.progress(10)

        return service

    with rehearsal(make, patience_s=2) as release:
        with pytest.raises(AssertionError, match="publish was not accepted: HTTP 404"):
            release.publish()
        with pytest.raises(AssertionError, match=r"after 2 s the task is not staged, but .*running"):
            release.stage()
        release.cancel()
