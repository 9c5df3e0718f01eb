"""Lists: their parts, their filters and orders, and the sentences for what cannot be meant."""

from datetime import UTC, datetime
from typing import Any

import pytest

from lockstep.coordinator.web.graphql.filters import ARGUMENTS, camel
from lockstep.protocol.states import ReleaseState
from tests.faces import STUDIES
from tests.graphql.asking import Asked, cursor, gid, nodes, on_coordinator

PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { kfId } }"
LISTS = ("allReleases", "allStudies", "allTasks", "allTaskServices", "allEvents", "allReleaseNotes", "allUsers")


def page(connection: dict[str, Any]) -> tuple[list[str], bool, bool]:
    info, edges = connection["pageInfo"], connection["edges"]
    cursors = [edge["cursor"] for edge in edges]
    assert (info["startCursor"], info["endCursor"]) == ((cursors[0], cursors[-1]) if cursors else (None, None))
    return [edge["node"]["kfId"] for edge in edges], info["hasPreviousPage"], info["hasNextPage"]


@on_coordinator
async def test_a_list_is_read_page_by_page(a: Asked) -> None:
    ids = [(await a.release()).release.kf_id for _ in range(5)][::-1]

    async def part(**asked: Any) -> tuple[list[str], bool, bool]:
        query = f"query($first: Int, $after: String, $last: Int, $before: String) {{ allReleases(first: $first, after: $after, last: $last, before: $before) {{ {PAGE} }} }}"  # noqa: E501
        return page((await a.data(query, **asked))["allReleases"])

    assert await part(first=2) == (ids[:2], False, True)
    assert await part(first=2, after=cursor(1)) == (ids[2:4], False, True)
    assert await part(first=2, after=cursor(3)) == (ids[4:], False, False)
    assert await part(last=2) == (ids[3:], True, False)
    assert await part(last=2, before=cursor(3)) == (ids[1:3], True, False)
    assert await part(first=0) == ([], False, True)
    assert await part(after=cursor(99)) == ([], False, False)
    assert await part() == (ids, False, False)


@on_coordinator
async def test_lists_within_things_are_read_page_by_page_too(a: Asked) -> None:
    for name in "abc":
        await a.c.service(name)
    views = [await a.release() for _ in range(2)]
    seen = await a.data(f"{{ allReleases {{ edges {{ node {{ kfId tasks(last: 2) {{ {PAGE} }} }} }} }} }}")
    for view, node in zip(reversed(views), nodes(seen["allReleases"]), strict=True):
        newest_first = [task.kf_id for task in view.tasks][::-1]
        assert page(node["tasks"]) == (newest_first[1:], True, False)
        assert [edge["cursor"] for edge in node["tasks"]["edges"]] == [cursor(1), cursor(2)]


@pytest.mark.parametrize("name", LISTS)
def test_more_than_a_hundred_are_refused_in_the_known_words(name: str, tmp_path: Any) -> None:
    @on_coordinator
    async def go(a: Asked) -> None:
        for word in ("first", "last"):
            assert await a.error(f"{{ {name}({word}: 101) {{ edges {{ cursor }} }} }}") == (
                f"Requesting 101 records on the `{name}` connection exceeds the `{word}` limit of 100 records."
            )
        assert await a.error(f"{{ {name}(first: -1) {{ edges {{ cursor }} }} }}") == (
            "Argument 'first' must be a non-negative integer."
        )
        await a.data(f"{{ {name}(first: 100) {{ edges {{ cursor }} }} }}")

    go(tmp_path)


@on_coordinator
async def test_an_order_is_by_age(a: Asked) -> None:
    ids = [(await a.release()).release.kf_id for _ in range(3)]
    for order, expected in (("created_at", ids), ("-created_at", ids[::-1]), ("", ids[::-1])):
        seen = await a.data("query($o: String) { allReleases(orderBy: $o) { edges { node { kfId } } } }", o=order)
        assert [node["kfId"] for node in nodes(seen["allReleases"])] == expected


BAD = {
    '(orderBy: "name")': "orderBy: 'name' is no order of this list; created_at and -created_at are.",
    '(state: "done")': "state: 'done' is not a state of a release; the states are waiting, initializing, running, "
    "staged, publishing, published, canceling, canceled, failed.",
    '(version: "1.x")': "version: '1.x' is no version; one looks like 1.2.3.",
    '(after: "x")': "after: 'x' is no cursor; a list gives one with each of its edges.",
    "(createdAfter: 1e300)": "createdAfter: 1e+300 is no time; it is in seconds since 1970-01-01T00:00:00Z.",
    '(name: "a\\u0000b")': "name: this text has a character in it that is none.",
}
BAD_ELSEWHERE = {
    'allEvents(eventType: "loud")': "eventType: 'loud' is no type of event; the types are info, warning, error.",
    'allEvents(release: "RE_00000001")': "release: 'RE_00000001' is not the id of a ReleaseNode.",
    f'allEvents(task: "{gid("StudyNode", "SD_00000001")}")': "task: 'U3R1ZHlOb2RlOlNEXzAwMDAwMDAx' is not the id of a TaskNode.",  # noqa: E501
    'allTasks(release: "first")': "release: 'first' is no id here; one looks like RE_9ZXY8WVT.",
    'allTasks(state: "done")': "state: 'done' is not a state of a task; the states are waiting, pending, running, "
    "staged, publishing, published, rejected, failed, canceled.",
    'allUsers(orderBy: "created_at")': "orderBy: 'created_at' is no order of this list; "
    "date_joined and -date_joined are.",
}


@on_coordinator
async def test_what_cannot_be_meant_is_an_error_that_says_so(a: Asked) -> None:
    """In the field such a filter is dropped without a word, and everything is shown."""
    cases = {**{f"allReleases{arguments}": said for arguments, said in BAD.items()}, **BAD_ELSEWHERE}
    for asked, sentence in cases.items():
        assert await a.error(f"{{ {asked} {{ edges {{ cursor }} }} }}") == sentence


@on_coordinator
async def test_every_filter_is_in_force(a: Asked) -> None:
    """Each argument with a value that fits one row of two, and with one that fits none."""
    services = [await a.c.service(name, f"http://{name}.example") for name in ("reports", "portal")]
    one = await a.release(*STUDIES[:2], name="Spring")
    two = await a.release(STUDIES[2], name="Autumn", state=ReleaseState.RUNNING)
    note, _ = await a.note(one, "one"), await a.note(two, "two")
    kf_id, between = one.release.kf_id, (one.release.created_at.timestamp() + two.release.created_at.timestamp()) / 2
    event = (await a.c.store.events_after(two.release.kf_id, 0, 1))[0]
    task = two.tasks[0]
    cases: dict[str, list[tuple[str, int]]] = {
        "allReleases": [
            ('version: "0.0.0"', 1),
            ('version: "9.0.0"', 0),
            ('state: "running"', 1),
            ('state: "published"', 0),
            ('state: ""', 2),
            ('author: "admin"', 2),
            ('author: "me"', 0),
            ('name: "Spring"', 1),
            ('name: "spring"', 0),
            ("isMajor: false", 2),
            ("isMajor: true", 0),
            ('nameContains: "SPR"', 1),
            (f"createdBefore: {between!r}", 1),
            (f"createdAfter: {between!r}", 1),
            (f'createdAfter: {between!r}, name: "Spring"', 0),
        ],
        "allStudies": [
            (f'kfId: "{STUDIES[0]}"', 1),
            ("visible: false", 0),
            ("deleted: false", 3),
            (f'nameContains: "{STUDIES[1].lower()}"', 1),
            ("createdBefore: 0", 0),
            ("createdAfter: 0", 3),
        ],
        "allTasks": [
            (f'kfId: "{task.kf_id}"', 1),
            ('state: "waiting"', 2),
            ('state: "published"', 0),
            (f'release: "{kf_id}"', 2),
            (f'taskService: "{services[0].kf_id}"', 2),
            (f'taskService: "{services[0].kf_id}", release: "{kf_id}"', 1),
            (f"createdBefore: {between!r}", 2),
            (f"createdAfter: {between!r}", 2),
        ],
        "allTaskServices": [
            ('author: "admin"', 2),
            ('name: "portal"', 1),
            ('url: "http://portal.example"', 1),
            ('description: "x"', 0),
            ("enabled: true", 2),
            ('nameContains: "ORT"', 2),
            ("createdBefore: 0", 0),
            ("createdAfter: 0", 2),
        ],
        "allEvents": [
            ('eventType: "error"', 0),
            (f'release: "{gid("ReleaseNode", kf_id)}"', 0),
            (f'task: "{gid("TaskNode", "TA_ZZZZZZZZ")}"', 0),
            (f'taskService: "{gid("TaskServiceNode", "TS_ZZZZZZZZ")}"', 0),
            ('messageContains: "nobody says this"', 0),
            ("createdBefore: 0", 0),
        ],
        "allReleaseNotes": [
            (f'kfId: "{note.kf_id}"', 1),
            ('author: "admin"', 2),
            ('author: "x"', 0),
            (f'release: "{gid("ReleaseNode", kf_id)}"', 1),
            (f'study: "{gid("StudyNode", STUDIES[2])}"', 1),
            ("createdBefore: 0", 0),
            ("createdAfter: 0", 2),
        ],
    }
    for name, asks in cases.items():
        for arguments, expected in asks:
            seen = await a.data(f"{{ {name}({arguments}) {{ edges {{ node {{ kfId }} }} }} }}")
            assert len(seen[name]["edges"]) == expected, (name, arguments)
    found = await a.data(
        'query($r: ID) { allEvents(release: $r, eventType: "INFO") { edges { node { kfId eventType message } } } }',
        r=gid("ReleaseNode", two.release.kf_id),
    )
    assert {"kfId": event.kf_id, "eventType": "INFO", "message": event.message} in nodes(found["allEvents"])
    for entity, known in ARGUMENTS.items():
        names = {camel(argument) for argument in known}
        tried = {ask.split(":")[0] for name, asks in cases.items() for ask, _ in asks if _entity(name) == entity.value}
        assert names - tried == ({"createdAfter"} if entity.value == "event" else set())


def _entity(name: str) -> str:
    return {
        "allReleases": "release",
        "allStudies": "study",
        "allTasks": "task",
        "allTaskServices": "task_service",
        "allEvents": "event",
        "allReleaseNotes": "release_note",
    }[name]


@on_coordinator
async def test_users_are_filtered(a: Asked) -> None:
    for who in ("admin", "dev", "user"):
        await a.data("{ status { name } }", who)
    cases = {
        'email: "ada@example.org"': ["ada"],
        'email_Contains: "DAN@"': ["dan"],
        'username: "uma"': ["uma"],
        'firstName: "Dev"': ["dan"],
        'lastName: "Test", orderBy: "date_joined"': ["ada", "dan", "uma"],
        'lastLogin_Gt: "2020-01-01T00:00:00Z"': [],
        'lastLogin_Lt: "2020-01-01T00:00:00Z"': [],
        'dateJoined_Gt: "2020-01-01"': ["uma", "dan", "ada"],
        'dateJoined_Gt: "2020-01-01", joinedAfter: 4e9': [],
        'dateJoined_Lt: "2020-01-01T00:00:00"': [],
        "joinedBefore: 0": [],
        "first: 1": ["uma"],
        "last: 1": ["ada"],
    }
    for arguments, expected in cases.items():
        seen = await a.data(f"{{ allUsers({arguments}) {{ edges {{ node {{ username roles }} }} }} }}")
        assert [node["username"] for node in nodes(seen["allUsers"])] == expected, arguments
    everybody = nodes((await a.data("{ allUsers { edges { node { username roles } } } }"))["allUsers"])
    assert {node["username"]: node["roles"] for node in everybody} == {"ada": ["ADMIN"], "dan": [], "uma": []}


@on_coordinator
async def test_no_row_comes_twice(a: Asked) -> None:
    """In the field a release's rows repeat once for each of its studies."""
    await a.c.service()
    await a.release(*STUDIES)
    for name in ("allReleases", "allTasks"):
        seen = nodes((await a.data(f"{{ {name} {{ edges {{ node {{ kfId }} }} }} }}", "user"))[name])
        assert len(seen) == 1, name


@on_coordinator
async def test_times_are_told_in_utc_as_the_field_writes_them(a: Asked) -> None:
    view = await a.release()
    seen = (await a.data("{ allReleases { edges { node { createdAt uuid } } } }"))["allReleases"]
    [node] = nodes(seen)
    assert node["createdAt"].endswith("+00:00")
    assert datetime.fromisoformat(node["createdAt"]) == view.release.created_at.astimezone(UTC)
    assert node["uuid"].replace("-", "") == view.release.uuid


SINGLE = {
    "release": "ReleaseNode",
    "study": "StudyNode",
    "task": "TaskNode",
    "taskService": "TaskServiceNode",
    "event": "EventNode",
    "releaseNote": "ReleaseNoteNode",
}


@on_coordinator
async def test_single_things_are_found_by_their_ids_and_no_others(a: Asked) -> None:
    await a.c.service()
    view = await a.release(state=ReleaseState.RUNNING)
    note = await a.note(view)
    [event, *_] = await a.c.store.events_after(view.release.kf_id, 0, 1)
    ids = {
        "release": view.release.kf_id,
        "study": STUDIES[0],
        "task": view.tasks[0].kf_id,
        "taskService": view.tasks[0].service_id,
        "event": event.kf_id,
        "releaseNote": note.kf_id,
    }
    for field, type_name in SINGLE.items():
        query = f"query($id: ID!) {{ {field}(id: $id) {{ id kfId }} }}"
        found = await a.data(query, id=gid(type_name, ids[field]))
        assert found == {field: {"id": gid(type_name, ids[field]), "kfId": ids[field]}}
        for nobodys in ("", "garbage", "ÄÖ", ids[field], gid(type_name, "XX_00000000"), gid(type_name, "a\0b")):
            assert await a.data(query, id=nobodys) == {field: None}
        assert await a.error(query, id=gid("OtherNode", ids[field])) == f"Must receive a {type_name} id."
