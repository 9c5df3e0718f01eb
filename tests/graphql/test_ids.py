"""Ids and cursors, byte for byte as clients in the field build and keep them."""

from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.coordinator.web.graphql.ids import cursor, global_id, read_cursor, read_id
from tests.graphql.asking import Asked, on_coordinator


def test_ids_are_those_that_dashboards_in_the_field_build() -> None:
    assert global_id("ReleaseNode", "RE_00000001") == "UmVsZWFzZU5vZGU6UkVfMDAwMDAwMDE="
    assert global_id("StudyNode", "SD_BHJXBDQK") == "U3R1ZHlOb2RlOlNEX0JISlhCRFFL"
    assert global_id("UserNode", None) == "VXNlck5vZGU6Tm9uZQ=="
    assert read_id("UmVsZWFzZU5vZGU6UkVfMDAwMDAwMDE=") == ("ReleaseNode", "RE_00000001")


def test_cursors_are_those_of_the_field() -> None:
    assert [cursor(0), cursor(12)] == ["YXJyYXljb25uZWN0aW9uOjA=", "YXJyYXljb25uZWN0aW9uOjEy"]
    assert [read_cursor(cursor(place)) for place in (0, 7, 1000)] == [0, 7, 1000]


@given(st.text(max_size=40))
@example("")
@example("====")
@example("UmVsZWFzZU5vZGU6UkVfMDAwMDAwMDE")  # without its padding
@example("ReleaseNode:RE_00000001")
def test_what_is_no_id_is_nobodys(text: str) -> None:
    found = read_id(text)
    assert found is None or global_id(*found) == text


@given(st.text(max_size=40) | st.integers(-5, -1).map(lambda number: global_id("arrayconnection", number)))
def test_what_is_no_cursor_is_none(text: str) -> None:
    place = read_cursor(text)
    assert place is None or place >= 0


@on_coordinator
async def test_every_thing_has_the_id_of_its_type_and_kf_id(a: Asked) -> None:
    await a.c.service()
    view = await a.release()
    note = await a.note(view)
    seen = await a.data("{ allReleases { edges { cursor node { id kfId __typename } } pageInfo { startCursor } } }")
    [edge] = seen["allReleases"]["edges"]
    expected = {"id": global_id("ReleaseNode", view.release.kf_id), "kfId": view.release.kf_id}
    assert edge == {"cursor": cursor(0), "node": {**expected, "__typename": "ReleaseNode"}}
    assert seen["allReleases"]["pageInfo"] == {"startCursor": cursor(0)}
    links = await a.data(
        "query($id: ID!) { releaseNote(id: $id) { id __typename study { id __typename }"
        " release { tasks { edges { node { id kfId __typename taskService { id kfId __typename } } } } } } }",
        id=global_id("ReleaseNoteNode", note.kf_id),
    )
    found = links["releaseNote"]
    [task] = [edge["node"] for edge in found["release"]["tasks"]["edges"]]
    assert found["id"] == global_id("ReleaseNoteNode", note.kf_id)
    assert found["study"]["id"] == global_id("StudyNode", view.release.studies[0])
    for thing in (task, task["taskService"]):
        assert thing["id"] == global_id(thing["__typename"], thing["kfId"])
