"""The ways in: JSON, forms and bare queries by POST, queries by GET, and what is said of everything else."""

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

from tests.graphql.asking import Asked, asked, gid, on_coordinator

NAME = {"data": {"status": {"name": "Lockstep"}}}
QUERY = "query A { status { name } } query B { allReleases { edges { cursor } } }"
CANCEL = 'mutation { cancelRelease(release: "x") { release { id } } }'


@on_coordinator
async def test_a_query_comes_as_json_as_a_form_or_bare(a: Asked) -> None:
    query = "query($first: Int) { status { name } allReleases(first: $first) { edges { cursor } } }"
    expected = {"data": {**NAME["data"], "allReleases": {"edges": []}}}
    fields = {"query": query, "variables": json.dumps({"first": 1})}
    answers = [
        await a.web.post("/graphql", json={"query": query, "variables": {"first": 1}, "operationName": None}),
        await a.web.post("/graphql", json=fields),
        await a.web.post("/graphql", data=fields),
        await a.web.post("/graphql", files={name: (None, value) for name, value in fields.items()}),
        await a.web.post("/graphql", content=query, headers={"content-type": "application/graphql"}),
        await a.web.get("/graphql", params=fields),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (200, expected)
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"


@on_coordinator
async def test_one_operation_of_several_is_named_or_the_first_is_meant(a: Asked) -> None:
    for name in ("A", None):
        assert (await a.web.post("/graphql", json={"query": QUERY, "operationName": name})).json() == NAME
    answer = await a.web.post("/graphql", json={"query": QUERY, "operationName": "C"})
    assert (answer.status_code, answer.json()) == (200, {"errors": [{"message": 'Unknown operation named "C".'}]})
    both = f"query A {{ status {{ name }} }} {CANCEL.replace('mutation', 'mutation M')}"
    assert (await a.web.get("/graphql", params={"query": both})).json() == NAME
    assert (await a.web.get("/graphql", params={"query": both, "operationName": "M"})).status_code == 405


@on_coordinator
async def test_nothing_is_changed_by_get(a: Asked) -> None:
    answer = await a.web.get("/graphql", params={"query": CANCEL})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    said = "Can only perform a mutation operation from a POST request."
    assert answer.json() == {"errors": [{"message": said}]}
    for method in ("PUT", "PATCH", "DELETE"):
        assert (await a.web.request(method, "/graphql")).status_code == 405


@on_coordinator
async def test_a_wrong_query_is_answered_200_with_its_place(a: Asked) -> None:
    """Clients in the field show nothing of answers with other statuses."""
    assert await a.whole("{ status { name }") == {
        "errors": [
            {"message": "Syntax Error: Expected Name, found <EOF>.", "locations": [{"line": 1, "column": 18}]},
        ]
    }
    [error] = (await a.whole("{ nothing }"))["errors"]
    assert error == {
        "message": "Cannot query field 'nothing' on type 'Query'.",
        "locations": [{"line": 1, "column": 3}],
    }
    body = await a.whole("mutation { syncStudies { new { edges { cursor } } } }")
    assert body == {
        "errors": [
            {
                "message": "Not authenticated to sync studies.",
                "locations": [{"line": 1, "column": 12}],
                "path": ["syncStudies"],
            }
        ],
        "data": {"syncStudies": None},
    }


@on_coordinator
async def test_one_field_that_fails_leaves_the_others_whole(a: Asked) -> None:
    body = await a.whole("{ status { name } myProfile { id } }")
    assert body["data"] == {**NAME["data"], "myProfile": None}
    assert [error["path"] for error in body["errors"]] == [["myProfile"]]


@on_coordinator
async def test_a_request_without_a_query_is_refused(a: Asked) -> None:
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"json": {}}, 400, "Must provide query string."),
        ({"json": {"query": 5}}, 400, "Must provide query string."),
        (
            {"json": [{"query": "{ status { name } }"}]},
            400,
            "The body must be a JSON object with the fields, not list.",
        ),
        ({"json": {"query": "{ a }", "variables": "{"}}, 400, "Variables are invalid JSON."),
        (
            {"json": {"query": "{ a }", "variables": [1]}},
            400,
            "Variables must be an object, from their names to their values.",
        ),
        ({"json": {"query": "{ a }", "operationName": 5}}, 400, "operationName must be a text."),
        ({"content": "{", "headers": {"content-type": "application/json"}}, 400, "JSON parse error"),
        ({"content": b"\xff", "headers": {"content-type": "application/graphql"}}, 400, "The body is not UTF-8"),
        ({"content": "x", "headers": {"content-type": "text/csv"}}, 415, "A body of type 'text/csv' is not read here"),
        ({"json": {"query": "{ a }" + " " * 50_000}}, 413, "The query is longer than 50000 characters"),
        ({"content": "x" * 1_100_000, "headers": {"content-type": "application/graphql"}}, 413, "The body is longer"),
    ]
    for request, status, said in cases:
        answer = await a.web.post("/graphql", **request)
        assert answer.status_code == status, (request, answer.text)
        assert answer.json()["errors"][0]["message"].startswith(said)
    assert (await a.web.get("/graphql")).json() == {"errors": [{"message": "Must provide query string."}]}
    assert (await a.web.get("/graphql/")).status_code == 404


@on_coordinator
async def test_half_a_character_is_repeated_as_it_came(a: Asked) -> None:
    raw = '{"query": "query($s: Int) { allReleases(first: $s) { edges { cursor } } }", "variables": {"s": "\\ud800"}}'
    answer = await a.web.post("/graphql", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert "\\ud800" in answer.text


def test_a_mistake_of_ours_is_logged_and_not_shown(tmp_path: Path, capsys: Any) -> None:
    async def go() -> None:
        async with asked(tmp_path) as a:
            await a.release()
            await a.c.store.close()  # type: ignore[attr-defined] # the real one can be closed
            body = await a.whole("{ allReleases { edges { node { id } } } status { name } }")
            [error] = body["errors"]
            assert error["message"] == (
                "Something broke here. It is in the coordinator's log, and is not the fault of the request."
            )
            assert body["data"]["status"] == {"name": "Lockstep"}

    asyncio.run(go())
    assert "graphql_broke" in capsys.readouterr().out


@on_coordinator
async def test_answers_are_put_together_beside_the_coordinators_own_loop(a: Asked) -> None:
    await a.data("{ status { name } }")
    assert "graphql" in {thread.name for thread in threading.enumerate()}


@on_coordinator
async def test_browsers_are_given_a_page_that_loads_nothing_from_elsewhere(a: Asked) -> None:
    answer = await a.web.get("/graphql", headers={"accept": "text/html,application/xhtml+xml"})
    policy = answer.headers["content-security-policy"]
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"https?://|//[a-z]", answer.text) == []
    assert re.findall(r"<script(?![^>]*src=)|style=|\son\w+=", answer.text) == []
    for path in re.findall(r'(?:src|href)="([^"]+)"', answer.text):
        loaded = await a.web.get(path)
        assert (loaded.status_code, loaded.headers["x-content-type-options"]) == (200, "nosniff")
        assert re.findall(r"https?://", loaded.text) == []


@on_coordinator
async def test_what_the_page_asks_of_the_schema_is_answered(a: Asked) -> None:
    script = (await a.web.get("/graphql/explorer.js")).text
    documents = re.findall(r"const (?:EXAMPLE|SCHEMA) = `([^`]+)`", script)
    example, schema = [await a.data(document) for document in documents]
    assert example == {"allReleases": {"edges": []}}
    assert {"Query", "Mutation", "ReleaseNode"} <= {each["name"] for each in schema["__schema"]["types"]}


@on_coordinator
async def test_ids_may_be_sent_as_variables_or_written_down(a: Asked) -> None:
    view = await a.release()
    kf_id = view.release.kf_id
    written = await a.data(f'{{ release(id: "{gid("ReleaseNode", kf_id)}") {{ kfId }} }}')
    sent = await a.data("query($id: ID!) { release(id: $id) { kfId } }", id=gid("ReleaseNode", kf_id))
    assert written == sent == {"release": {"kfId": kf_id}}
