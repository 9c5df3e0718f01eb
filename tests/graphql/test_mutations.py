"""What mutations refuse, in the sentences that clients in the field know, and that a refusal changes nothing."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lockstep.coordinator.core.errors import Unavailable
from lockstep.coordinator.core.records import PageOf, ReleaseFilter
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES, PlayedDataService
from tests.graphql import dashboard
from tests.graphql.asking import Asked, asked, gid, nodes, on_coordinator

NOBODY = gid("ReleaseNode", "RE_ZZZZZZZZ")


async def number(a: Asked) -> int:
    return (await a.c.store.releases(PageOf(), ReleaseFilter())).count


@on_coordinator
async def test_a_release_needs_a_name_and_studies_that_are_known(a: Asked) -> None:
    """In the field a release of an unknown study is left behind without studies, and its version is used up."""
    known = gid("StudyNode", STUDIES[0])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"name": " ", "studies": [known]}, "name: This field may not be blank."),
        ({"name": "x", "studies": []}, "studies: Must have at least one study"),
        (
            {"name": "x", "studies": [known, gid("StudyNode", "SD_ZZZZZZZZ")]},
            'studies: Invalid pk "SD_ZZZZZZZZ" - object does not exist.',
        ),
        ({"name": "x", "studies": ["garbage"]}, 'studies: Invalid pk "garbage" - object does not exist.'),
        ({"name": "x", "studies": [None]}, "studies: This field may not be blank."),
        (
            {"name": "x" * 257, "studies": [known]},
            "name: This text is too long; at most 256 characters are allowed.",
        ),
    ]
    for given, said in cases:
        assert await a.error(dashboard.START_RELEASE, input=given) == said
    assert await number(a) == 0
    started = await a.data(dashboard.START_RELEASE, input={"name": "x", "studies": [known, known]})
    release = started["startRelease"]["release"]
    assert (release["version"], len(nodes(release["studies"]))) == ("0.0.0", 1)


@on_coordinator
async def test_what_is_not_there_is_said_in_the_known_words(a: Asked) -> None:
    edit: dict[str, Any] = {"input": {"description": "x"}}
    nothing: dict[str, Any] = {}
    for mutation, also in (
        (dashboard.PUBLISH_RELEASE, nothing),
        (dashboard.CANCEL_RELEASE, nothing),
        (dashboard.UPDATE_RELEASE, edit),
    ):
        for nobody in (NOBODY, "garbage", gid("StudyNode", STUDIES[0])):
            assert await a.error(mutation, release=nobody, **also) == "The release was not found."
    service = {"name": "x", "url": "http://127.0.0.1:1"}
    said = await a.error(dashboard.UPDATE_SERVICE, taskService=NOBODY, input=service)
    assert said == "TaskService matching query does not exist."
    note = gid("ReleaseNoteNode", "RN_ZZZZZZZZ")
    said = await a.error(dashboard.UPDATE_NOTE, releaseNote=note, input={"description": "x"})
    assert said == "Release note RN_ZZZZZZZZ does not exist"
    assert await a.error(dashboard.REMOVE_NOTE, releaseNote=note) == "Release note RN_ZZZZZZZZ does not exist"


@on_coordinator
async def test_only_what_is_staged_is_published_and_what_has_ended_is_not_canceled(a: Asked) -> None:
    for state in (ReleaseState.WAITING, ReleaseState.RUNNING, ReleaseState.PUBLISHED):
        view = await a.release(state=state)
        said = await a.error(dashboard.PUBLISH_RELEASE, release=gid("ReleaseNode", view.release.kf_id))
        assert said == f"The release in state {state} may not be published."
    view = await a.release(state=ReleaseState.PUBLISHED)
    said = await a.error(dashboard.CANCEL_RELEASE, release=gid("ReleaseNode", view.release.kf_id))
    assert said == "The release in state published may not be canceled."


@on_coordinator
async def test_a_note_is_for_a_study_in_a_release(a: Asked) -> None:
    view = await a.release(STUDIES[0])
    kf_id = view.release.kf_id

    async def refusal(study: str, release: str = gid("ReleaseNode", kf_id), text: str = "x") -> str:
        return await a.error(dashboard.CREATE_NOTE, input={"study": study, "release": release, "description": text})

    known = gid("StudyNode", STUDIES[0])
    assert await refusal(gid("StudyNode", "SD_ZZZZZZZZ")) == "Study SD_ZZZZZZZZ does not exist"
    assert await refusal(known, NOBODY) == "Release RE_ZZZZZZZZ does not exist"
    other = gid("StudyNode", STUDIES[1])
    assert await refusal(other) == f"Study {STUDIES[1]} is not in release {kf_id}"
    assert await refusal(known, text=" ") == "description: This field may not be blank."
    assert (await a.c.store.release(kf_id)).notes == ()


@on_coordinator
async def test_a_service_must_answer_where_it_says_it_is(a: Asked) -> None:
    begins = "There was a problem with the service url: ['"
    for given, said in (
        ({"name": "x", "url": "http://127.0.0.1:1"}, f"{begins}could not reach http://127.0.0.1:1"),
        ({"name": "x", "url": ""}, f"{begins}This field may not be blank."),
        ({"name": "x", "url": "ftp://x"}, f"{begins}Enter a valid URL."),
        ({"name": "", "url": "http://127.0.0.1:1"}, "name: This field may not be blank."),
    ):
        assert (await a.error(dashboard.CREATE_SERVICE, input={**given, "description": ""})).startswith(said)
    service = await a.c.service()
    edit = {"name": "y", "url": "http://127.0.0.1:1", "description": ""}
    said = await a.error(dashboard.UPDATE_SERVICE, taskService=gid("TaskServiceNode", service.kf_id), input=edit)
    assert said.startswith(f"{begins}could not reach")
    assert (await a.c.store.service(service.kf_id)).name == "reports"


def test_a_data_service_that_does_not_answer_is_named(tmp_path: Path) -> None:
    async def go() -> None:
        source = PlayedDataService(error=Unavailable("The data service did not answer."))
        async with asked(tmp_path, data_service=source) as a:
            assert await a.error(dashboard.SYNC_STUDIES) == "The data service did not answer."

    asyncio.run(go())


@on_coordinator
async def test_mutations_are_done_one_after_the_other_and_show_what_is_then(a: Asked) -> None:
    view = await a.release()
    ids = {"r": gid("ReleaseNode", view.release.kf_id)}
    seen = await a.data(
        """mutation($r: ID!) {
          a: updateRelease(release: $r, input: { name: "one" }) { release { name state events { edges { cursor } } } }
          b: updateRelease(release: $r, input: { description: "two" }) { release { name description } }
          c: cancelRelease(release: $r) { release { name state events { edges { node { message } } } } }
        }""",
        **ids,
    )
    assert [seen[name]["release"]["name"] for name in "abc"] == ["one"] * 3
    assert (seen["a"]["release"]["state"], seen["c"]["release"]["state"]) == ("waiting", "canceling")
    assert len(nodes(seen["c"]["release"]["events"])) == 1 + len(nodes(seen["a"]["release"]["events"]))


@on_coordinator
async def test_what_is_left_out_or_null_stays(a: Asked) -> None:
    view = await a.release(name="kept")
    await a.data(
        'mutation($r: ID!) { updateRelease(release: $r, input: { name: null, description: "x" }) { __typename } }',
        r=gid("ReleaseNode", view.release.kf_id),
    )
    after = (await a.c.store.release(view.release.kf_id)).release
    assert (after.name, after.description) == ("kept", "x")
    assert replace(after, description="") == replace(view.release, description="")
    assert after.created_at <= datetime.now(UTC)
