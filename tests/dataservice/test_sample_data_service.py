"""The sample answers as the real data service does, and makes no figure up."""

import asyncio
from typing import Any

import aiohttp
import pytest

from lockstep.dataservice.catalogue import AS_OF, figure, five_demo_studies, published_facts
from lockstep.dataservice.client import DataService
from lockstep.dataservice.entities import ENTITIES, REPORTED
from lockstep.dataservice.sample import SampleDataService, make_app

STUDY = "SD_BHJXBDQK"


def ask(serve: Any, *paths: str, method: str = "GET", **arguments: Any) -> list[tuple[int, Any]]:
    """Return status and JSON of some requests to a sample made with the arguments."""

    async def asking() -> list[tuple[int, Any]]:
        async with serve(make_app(**arguments)) as url, aiohttp.ClientSession() as session:
            answers = []
            for path in paths:
                async with session.request(method, url + path) as response:
                    assert response.content_type == "application/json"
                    answers.append((response.status, await response.json()))
            return answers

    return asyncio.run(asking())


def participants(how_many: int, study_id: str = STUDY, first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "kf_id": f"PT_{number:08d}",
            "study_id": study_id,
            "visible": number % 10 != 9,
            "gender": "Female" if number % 2 else "Male",
            "created_at": f"2018-06-01T00:00:{number // 4:02d}.250000+00:00",
        }
        for number in range(first, first + how_many)
    ]


def test_every_study_of_the_facts_is_listed_and_only_placeholders_are_hidden(serve: Any) -> None:
    """All 93 come on one page; seven of them are test studies or placeholders."""
    (_, body), (_, hidden) = ask(serve, "/studies", "/studies?visible=false")
    assert body["total"] == len(body["results"]) == len(published_facts()["studies"]) == 93
    assert (body["limit"], body["_status"]) == (100, {"code": 200, "message": "success"})
    assert hidden["total"] == 7
    assert "SD_ME0WME0W" in {study["kf_id"] for study in hidden["results"]}


def test_a_published_count_is_the_total_and_the_rows_stay_unpublished(serve: Any) -> None:
    path = f"/participants?study_id={STUDY}&visible=true&limit=1"
    (_, earlier), (_, later) = (ask(serve, path, as_of=as_of)[0] for as_of in AS_OF)
    assert (earlier["total"], later["total"]) == (6664, 2808)
    assert later["results"] == []
    assert later["_links"] == {"self": f"/participants?study_id={STUDY}"}
    assert set(later) == {"_links", "_status", "limit", "results", "total"}


def test_what_nobody_published_has_no_total(serve: Any) -> None:
    """Unknown is null: for entities never counted, hidden rows, further filters, all studies together."""
    study = f"study_id={STUDY}&visible=true"
    answers = ask(
        serve,
        f"/phenotypes?{study}",
        f"/families?{study}",
        f"/participants?study_id={STUDY}",
        f"/participants?study_id={STUDY}&visible=false",
        f"/participants?{study}&family_id=FM_00000000",
        "/participants?visible=true",
        "/participants?study_id=SD_08PJW8J2&visible=true",
    )
    assert [body["total"] for _, body in answers] == [None] * 7
    (_, misspelt), (_, foreign), (_, families) = ask(
        serve,
        f"/participants?{study}&famly_id=FM_00000000",
        "/participants?study_id=SD_00000000&visible=true",
        "/families?study_id=SD_9PYZAHHE&visible=true",
    )
    assert [misspelt["total"], foreign["total"], families["total"]] == [2808, 0, 484]


def test_all_reported_lists_of_all_studies_agree_with_the_facts() -> None:
    """Every figure is one that the facts state, under the name that they give it."""
    names = {"participants": "subjects", "biospecimens": "biosamples", "genomic-files": "files"}
    for study in published_facts()["studies"]:
        for as_of in AS_OF:
            dated = study["counts_history"].get(as_of, {})
            for entity in REPORTED:
                stated = study["counts"]["families"] if entity == "families" else dated.get(names.get(entity, ""))
                assert figure(entity, study["kf_id"], as_of) == stated


def test_the_five_demo_studies_differ_between_the_two_sets() -> None:
    ids = [study["kf_id"] for study in five_demo_studies()]
    assert len(set(ids)) == 5
    for study_id in ids:
        earlier, later = (figure("participants", study_id, as_of) for as_of in AS_OF)
        assert earlier is not None
        assert later is not None
        assert earlier != later


def test_pages_follow_the_cursor_and_forget_the_filters(serve: Any) -> None:
    """Rows made in the same second are told apart by uuid; `next` keeps nothing but cursor and study."""
    rows = participants(30) + participants(5, "SD_9PYZAHHE", first=30)

    async def walk() -> tuple[list[str], list[str]]:
        seen, links = [], []
        async with serve(make_app(rows={"participants": rows})) as url, aiohttp.ClientSession() as session:
            path = f"/participants?study_id={STUDY}&visible=true&limit=7"
            while path:
                async with session.get(url + path) as response:
                    body = await response.json()
                seen += [row["kf_id"] for row in body["results"]]
                link = body["_links"].get("next")
                links.append(link)
                path = f"{link}&visible=true&limit=7" if link else ""
        return seen, links

    seen, links = asyncio.run(walk())
    visible = {row["kf_id"] for row in rows if row["visible"] and row["study_id"] == STUDY}
    assert len(seen) == len(set(seen)) == 27
    assert set(seen) == visible
    assert [link is None for link in links] == [False, False, False, True]
    assert links[0].startswith("/participants?after=1527811")
    assert set(links[0].partition("?")[2].replace("=", "&").split("&")[::2]) == {"after", "after_uuid", "study_id"}


def test_a_full_page_promises_a_next_one_even_when_nothing_follows(serve: Any) -> None:
    rows = {"participants": participants(12)}
    ((_, full),) = ask(serve, "/participants?limit=12", rows=rows)
    ((_, empty),) = ask(serve, full["_links"]["next"], rows=rows)
    assert (len(full["results"]), full["total"]) == (12, 12)
    assert (empty["results"], empty["total"], "next" in empty["_links"]) == ([], 12, False)


def test_limits_are_read_as_the_real_one_reads_them_but_for_those_it_breaks_on(serve: Any) -> None:
    answers = ask(serve, *(f"/studies?limit={limit}" for limit in ("5000", "many", "7", "0", "-1", "9" * 5000)))
    assert [(code, body.get("limit")) for code, body in answers] == [
        (200, 1000),
        (200, 100),
        (200, 7),
        (400, None),
        (400, None),
        (200, 100),
    ]
    assert answers[3][1] == {
        "_status": {"code": 400, "message": "could not retrieve entities: {'limit': ['Must be at least 1.']}"}
    }


def test_filters_match_columns_and_ignore_names_that_are_none(serve: Any) -> None:
    rows = {"participants": participants(20)}
    paths = ("gender=Female", "bogus=1", "gender=Female&kf_id=PT_00000003", "kf_id=PT_00000002&gender=Female")
    assert [body["total"] for _, body in ask(serve, *(f"/participants?{path}" for path in paths), rows=rows)] == [
        10,
        20,
        1,
        0,
    ]
    bad_study, longer, bad_flag = ask(
        serve,
        "/participants?study_id=sd_bhjxbdqk",
        "/participants?study_id=SD_BHJXBDQKzzz",
        "/participants?visible=maybe",
        rows=rows,
    )
    assert bad_study[0] == 400
    assert bad_study[1]["_status"]["message"] == "could not retrieve entities: {'study_id': ['Invalid kf_id']}"
    assert (longer[0], longer[1]["total"]) == (200, 0)
    assert bad_flag[0] == 400


def test_a_cursor_that_cannot_be_read_means_from_the_beginning(serve: Any) -> None:
    """A date is read as well as a number of seconds."""
    rows = {"participants": participants(8)}
    paths = ("nonsense", "1527811200.25", "2018-06-01T00:00:00.250000%2B00:00", "nan", "1527811201.25")
    answers = ask(serve, *(f"/participants?after={after}" for after in paths), rows=rows)
    assert [len(body["results"]) for _, body in answers] == [8, 4, 4, 8, 0]


def test_one_row_has_its_links_on_the_envelope_and_its_study_among_them(serve: Any) -> None:
    rows = {"participants": participants(1)}
    (found, missing, study) = ask(
        serve, "/participants/PT_00000000/", "/participants/PT_99999999", f"/studies/{STUDY}", rows=rows
    )
    assert found[1]["_links"] == {
        "collection": "/participants",
        "self": "/participants/PT_00000000",
        "study": f"/studies/{STUDY}",
    }
    assert "study_id" not in found[1]["results"]
    assert missing == (404, {"_status": {"code": 404, "message": "could not find participant `PT_99999999`"}})
    assert study[1]["results"]["short_code"] == "PBTA-CBTN"


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_changes_are_refused_in_the_envelope(serve: Any, method: str) -> None:
    ((code, body),) = ask(serve, "/participants", method=method)
    assert (code, body["_status"]["code"]) == (405, 405)
    assert body["_status"]["message"] == f"{method} is not allowed: the sample data service only reads"


def test_unknown_paths_are_refused_in_the_envelope(serve: Any) -> None:
    answers = ask(serve, "/participant", "/a/b/c", "/%00", "/participants/%00", "/participants/..%2f..%2fetc")
    assert [(code, body["_status"]["code"]) for code, body in answers] == [(404, 404)] * 5


def test_status_says_which_figures_are_served(serve: Any) -> None:
    (status, slashed) = ask(serve, "/status", "/status/", as_of="cfde-2023-q3")
    assert status == slashed
    assert status[1]["_status"]["message"] == "sample data service: published counts of cfde-2023-q3"
    assert set(status[1]["_status"]) == {"code", "message", "version", "commit", "branch", "tags"}


def test_every_list_answers_with_and_without_a_slash(serve: Any) -> None:
    answers = ask(serve, *(f"/{path}{slash}?limit=1" for path in ENTITIES for slash in ("", "/")))
    assert len(ENTITIES) == 23
    assert {code for code, _ in answers} == {200}


def test_a_wrong_set_or_list_is_refused_when_the_sample_is_made() -> None:
    with pytest.raises(ValueError, match="'2024' is no dated set of counts; there are cfde-2023-q3 and cfde-2023-q4"):
        SampleDataService(as_of="2024")
    with pytest.raises(ValueError, match="'participant' is no list of a data service"):
        SampleDataService(rows={"participant": []})


def test_the_sample_can_turn_to_another_set_of_counts_while_it_serves(serve: Any) -> None:
    """The same study, asked for twice, has the figures of two dates; a set that there is not is refused."""
    app = make_app(as_of="cfde-2023-q3")

    async def story() -> None:
        async with serve(app) as url, DataService(url) as service:
            before = await service.count("genomic-files", "SD_BHJXBDQK")
            app.state.sample.turn_to("cfde-2023-q4")
            after = await service.count("genomic-files", "SD_BHJXBDQK")
            assert (before, after) == tuple(figure("genomic-files", "SD_BHJXBDQK", as_of) for as_of in AS_OF)
            assert before != after
            with pytest.raises(ValueError, match="no dated set of counts"):
                app.state.sample.turn_to("yesterday")

    asyncio.run(story())
