"""Who sees what and who may do what, for every root field, every mutation, and every way from one thing to another."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lockstep.coordinator.core.records import StudyFacts
from lockstep.coordinator.web.graphql.mutations import Mutation
from lockstep.coordinator.web.graphql.queries import Query
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES
from tests.graphql.asking import ANYBODY, Asked, asked, gid, nodes, on_coordinator

SEES_ALL = ("admin", "dev", "admin client")
URL = "http://hidden.example:8282"


@dataclass
class World:
    """A published release, one of the user's group that is staged, and one that is nobody's business."""

    published: str
    ours: str
    hidden: str

    def seen_by(self, who: str) -> set[str]:
        if who in SEES_ALL:
            return {self.published, self.ours, self.hidden}
        return {self.published, self.ours} if who == "user" else {self.published}


async def world(a: Asked) -> World:
    await a.c.service("reports", URL)
    views = [
        await a.release(STUDIES[0], state=ReleaseState.PUBLISHED, name="public"),
        await a.release(STUDIES[1], state=ReleaseState.STAGED, name="ours"),
        await a.release(STUDIES[0], STUDIES[2], state=ReleaseState.STAGED, name="hidden"),
    ]
    for view in views:
        await a.note(view)
    return World(*(view.release.kf_id for view in views))


@on_coordinator
async def test_lists_have_what_their_caller_may_see(a: Asked) -> None:
    w = await world(a)
    for who in ("admin", "dev", "user"):
        await a.data("{ status { name } }", who)
    paths = {
        "allReleases": "kfId",
        "allTasks": "release { kfId }",
        "allEvents": "release { kfId }",
        "allReleaseNotes": "release { kfId }",
    }
    for who in ANYBODY:
        for name, path in paths.items():
            seen = nodes((await a.data(f"{{ {name} {{ edges {{ node {{ {path} }} }} }} }}", who))[name])
            assert {node.get("kfId") or node["release"]["kfId"] for node in seen} == w.seen_by(who), (who, name)
        services = (await a.data("{ allTaskServices { edges { node { kfId url } } } }", who))["allTaskServices"]
        assert [node["url"] for node in nodes(services)] == ([URL] if who in SEES_ALL else []), who
        users = nodes((await a.data("{ allUsers { edges { node { username } } } }", who))["allUsers"])
        names = {user["username"] for user in users}
        assert names == ({"ada", "dan", "uma"} if who in SEES_ALL else {"uma"} if who == "user" else set()), who


@on_coordinator
async def test_single_things_are_there_for_those_who_may_see_them(a: Asked) -> None:
    """In the field anybody reaches anything by its id."""
    w = await world(a)
    for kf_id in (w.published, w.ours, w.hidden):
        view = await a.c.store.release(kf_id)
        [event, *_] = await a.c.store.events_after(kf_id, 0, 1)
        things = {
            "release": gid("ReleaseNode", kf_id),
            "task": gid("TaskNode", view.tasks[0].kf_id),
            "event": gid("EventNode", event.kf_id),
            "releaseNote": gid("ReleaseNoteNode", view.notes[0].kf_id),
        }
        for who in ANYBODY:
            for field, thing in things.items():
                found = (await a.data(f"query($id: ID!) {{ {field}(id: $id) {{ id }} }}", who, id=thing))[field]
                assert found == ({"id": thing} if kf_id in w.seen_by(who) else None), (who, field, kf_id)
    [service_id] = {task.service_id for task in (await a.c.store.release(w.hidden)).tasks}
    service = gid("TaskServiceNode", service_id)
    for who in ANYBODY:
        found = await a.data("query($id: ID!) { taskService(id: $id) { url } }", who, id=service)
        assert found["taskService"] == ({"url": URL} if who in SEES_ALL else None), who


WAYS = """
query($release: ID!, $study: ID!, $task: ID!) {
  release(id: $release) { ...R }
  study(id: $study) { releases { edges { node { ...R } } } notes { edges { node { release { kfId name } } } } }
  task(id: $task) { taskService { tasks { edges { node { release { kfId name } } } } ...S } }
  allEvents { edges { node { release { kfId name } task { release { kfId name } } taskService { ...S } } } }
}
fragment R on ReleaseNode {
  kfId name
  studies { edges { node { releases { edges { node { kfId name } } } notes { edges { node { release { kfId } } } } } } }
  tasks { edges { node { taskService { ...S } events { edges { node { release { kfId name } } } } } } }
  events { edges { node { release { kfId name } task { taskService { ...S } } } } }
  notes { edges { node { study { releases { edges { node { kfId name } } } } } } }
}
fragment S on TaskServiceNode {
  url author description
  tasks { edges { node { release { kfId name } } } }
  events { edges { node { release { kfId name } message } } }
}
"""


@on_coordinator
async def test_no_way_leads_to_what_a_caller_may_not_see(a: Asked) -> None:
    w = await world(a)
    view = await a.c.store.release(w.published)
    ids = {
        "release": gid("ReleaseNode", w.published),
        "study": gid("StudyNode", STUDIES[0]),
        "task": gid("TaskNode", view.tasks[0].kf_id),
    }
    for who in ANYBODY:
        told = json.dumps(await a.data(WAYS, who, **ids))
        shown = {kf_id for kf_id in (w.published, w.ours, w.hidden) if kf_id in told}
        assert shown == w.seen_by(who), who
        assert (URL in told) is (who in SEES_ALL), who
        assert ('"hidden"' in told) is (who in SEES_ALL), who


@on_coordinator
async def test_studies_that_are_not_public_are_for_those_who_may_see_them(a: Asked) -> None:
    view = await a.release(*STUDIES[:2], state=ReleaseState.PUBLISHED)
    await a.c.store.sync_studies([StudyFacts(study, study, study != STUDIES[0], None) for study in STUDIES[:2]])
    for who in ANYBODY:
        everything = {*STUDIES} if who in SEES_ALL else {STUDIES[1]}
        listed = await a.data("{ allStudies { edges { node { kfId } } } }", who)
        assert {node["kfId"] for node in nodes(listed["allStudies"])} == everything, who
        one = await a.data("query($id: ID!) { study(id: $id) { kfId } }", who, id=gid("StudyNode", STUDIES[0]))
        assert (one["study"] is not None) is (who in SEES_ALL)
        held = await a.data(
            "query($id: ID!) { release(id: $id) { studies { edges { node { kfId } } } } }",
            who,
            id=gid("ReleaseNode", view.release.kf_id),
        )
        assert {node["kfId"] for node in nodes(held["release"]["studies"])} == everything & {*STUDIES[:2]}, who


@on_coordinator
async def test_profiles_are_for_those_who_are_signed_in(a: Asked) -> None:
    for who in ("anonymous", "service", "task"):
        assert await a.error("{ myProfile { id } }", who) == "not authenticated as a user with a profile"
    seen = (await a.data("{ myProfile { username roles groups } }", "user"))["myProfile"]
    assert seen == {"username": "uma", "roles": ["USER"], "groups": [STUDIES[1]]}
    seen = (await a.data("{ myProfile { id username roles } }", "admin client"))["myProfile"]
    assert seen == {"id": gid("UserNode", None), "username": "release@clients", "roles": ["ADMIN"]}


NOBODY = gid("ReleaseNode", "RE_ZZZZZZZZ")
SERVICE = '{ name: "x", url: "http://127.0.0.1:1" }'
NOTE = f'{{ description: "x", study: "{gid("StudyNode", STUDIES[0])}", release: "{NOBODY}" }}'

MUTATIONS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "start_release": (
        f'startRelease(input: {{ name: "x", studies: ["{gid("StudyNode", STUDIES[0])}"] }}) {{ release {{ id }} }}',
        SEES_ALL,
        "Not authenticated to create a release.",
    ),
    "update_release": (
        f'updateRelease(release: "{NOBODY}", input: {{}}) {{ release {{ id }} }}',
        SEES_ALL,
        "Not authenticated to update the release.",
    ),
    "cancel_release": (
        f'cancelRelease(release: "{NOBODY}") {{ release {{ id }} }}',
        SEES_ALL,
        "Not authenticated to cancel a release.",
    ),
    "publish_release": (
        f'publishRelease(release: "{NOBODY}") {{ release {{ id }} }}',
        ("admin", "admin client"),
        "Not authenticated to publish a release.",
    ),
    "sync_studies": (
        "syncStudies { new { edges { cursor } } }",
        SEES_ALL,
        "Not authenticated to sync studies.",
    ),
    "create_task_service": (
        f"createTaskService(input: {SERVICE}) {{ taskService {{ id }} }}",
        SEES_ALL,
        "Not authenticated to create a task service.",
    ),
    "update_task_service": (
        f'updateTaskService(taskService: "{NOBODY}", input: {SERVICE}) {{ taskService {{ id }} }}',
        SEES_ALL,
        "Not authenticated to create a task service.",
    ),
    "create_release_note": (
        f"createReleaseNote(input: {NOTE}) {{ releaseNote {{ id }} }}",
        SEES_ALL,
        "Not authenticated to create a release note.",
    ),
    "update_release_note": (
        f'updateReleaseNote(releaseNote: "{NOBODY}", input: {{ description: "x" }}) {{ releaseNote {{ id }} }}',
        SEES_ALL,
        "Not authenticated to update a release note.",
    ),
    "remove_release_note": (
        f'removeReleaseNote(releaseNote: "{NOBODY}") {{ success }}',
        SEES_ALL,
        "Not authenticated to delete a release note.",
    ),
}


def test_every_field_of_the_roots_is_in_these_tests() -> None:
    roots: Any = (Query, Mutation)
    queries, mutations = ({field.python_name for field in root.__strawberry_definition__.fields} for root in roots)
    assert mutations == set(MUTATIONS)
    assert queries == {
        *("status", "my_profile", "all_users"),
        *("release", "study", "task", "task_service", "event", "release_note"),
        *("all_releases", "all_studies", "all_tasks", "all_task_services", "all_events", "all_release_notes"),
    }


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutation_is_done_for_those_who_may_and_refused_in_the_known_words(tmp_path: Path, name: str) -> None:
    async def go() -> None:
        async with asked(tmp_path) as a:
            mutation, allowed, refusal = MUTATIONS[name]
            for who in ANYBODY:
                body = await a.whole(f"mutation {{ {mutation} }}", who)
                said = [error["message"] for error in body.get("errors", ())]
                assert (said == [refusal]) is (who not in allowed), (who, body)

    asyncio.run(go())


@on_coordinator
async def test_a_user_starts_releases_of_the_studies_of_their_groups(a: Asked) -> None:
    async def start(*studies: str) -> dict[str, Any]:
        query = "mutation($i: ReleaseInput!) { startRelease(input: $i) { release { author } } }"
        return await a.whole(query, "user", i={"name": "x", "studies": [gid("StudyNode", study) for study in studies]})

    assert (await start(STUDIES[1]))["data"]["startRelease"]["release"] == {"author": "uma"}
    for studies in ((STUDIES[0],), STUDIES[:2], ()):
        [error] = (await start(*studies))["errors"]
        assert error["message"] == "Not authenticated to create a release."
