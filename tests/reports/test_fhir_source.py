"""Counts by a FHIR server: what it is asked, what its answers mean, and that no secret of it is ever shown."""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from lockstep.dataservice.catalogue import LATEST, figure
from lockstep.dataservice.entities import REPORTED
from lockstep.dataservice.patience import Patience
from lockstep.dataservice.sample import make_app
from lockstep.reports.counting import Count, Known, Unknown
from lockstep.reports.fhir import NOT_THERE, FhirAccess, FhirError, FhirSource, total
from lockstep.reports.service import make_service
from lockstep.reports.sources import Preferred, Source, TaskServicesSource
from tests.coordination import RELEASE, PlayedCoordinator, TaskServiceSpokenTo, spoken_to

STUDY = "SD_BHJXBDQK"
PROFILES = "https://ncpi-fhir.github.io/ncpi-fhir-ig/StructureDefinition/"
BRISK = Patience(attempts=3, pause_s=0.001)
SEVEN = {STUDY: {"families": 7}}
ODD: list[object] = [None, [], "7", {STUDY: 7}, {STUDY: {"families": -1}}, {STUDY: {"families": "7"}}, {}]
NUMBERS = {"Patient": 2808, "Specimen": 668, "Condition": 77, "DocumentReference": 748, "Group": 0}


def bundle(number: Any) -> Response:
    return JSONResponse(
        {"resourceType": "Bundle", "type": "searchset", "total": number}, media_type="application/fhir+json"
    )


def outcome(status: int, **issue: Any) -> Response:
    return JSONResponse({"resourceType": "OperationOutcome", "issue": [{"severity": "error", **issue}]}, status)


class Played:
    """A FHIR server that has one number per resource, and notes what it was asked."""

    def __init__(self, answer: Callable[[Request], Response | None] = lambda _: None) -> None:
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._answer = answer
        self.app = Starlette(routes=[Route("/r4/{resource}", self._search)])

    async def _search(self, request: Request) -> Response:
        self.asked.append(f"{request.path_params['resource']}?{request.url.query}")
        self.headers.append(dict(request.headers))
        return self._answer(request) or bundle(NUMBERS[request.path_params["resource"]])


def counted(serve: Any, played: Played, **access: Any) -> dict[str, Count]:
    """Return what a source on a played server counts for each entity."""

    async def count() -> dict[str, Count]:
        async with serve(played.app) as url, FhirSource(FhirAccess(f"{url}/r4", **access), BRISK) as source:
            return {entity: await source.count(entity, STUDY) for entity in REPORTED}

    return asyncio.run(count())


def test_each_entity_is_asked_for_as_the_loader_writes_it(serve: Any) -> None:
    """By the tag's code alone, and for a count alone; what is not there is not asked for."""
    played = Played()
    found = counted(serve, played)
    assert sorted(played.asked) == [
        f"Condition?_tag={STUDY}&_profile:below={PROFILES}disease&_summary=count",
        f"Condition?_tag={STUDY}&_profile:below={PROFILES}phenotype&_summary=count",
        f"DocumentReference?_tag={STUDY}&_summary=count",
        f"Group?_tag={STUDY}&code=FAMMEMB&_summary=count",
        f"Patient?_tag={STUDY}&_summary=count",
        f"Specimen?_tag={STUDY}&_summary=count",
    ]
    assert {headers["accept"] for headers in played.headers} == {"application/fhir+json"}
    absent = Unknown(NOT_THERE, "FHIR server", withheld=True)
    assert found == {
        "participants": Known(2808, "FHIR server"),
        "biospecimens": Known(668, "FHIR server"),
        "phenotypes": Known(77, "FHIR server"),
        "genomic-files": Known(748, "FHIR server"),
        "study-files": absent,
        "read-groups": absent,
        "diagnoses": Known(77, "FHIR server"),
        "sequencing-experiments": absent,
        "families": Known(0, "FHIR server"),
    }


def test_profiles_may_lie_elsewhere(serve: Any) -> None:
    played = Played()
    counted(serve, played, profiles="https://nih-ncpi.github.io/ncpi-fhir-ig/StructureDefinition")
    elsewhere = "https://nih-ncpi.github.io/ncpi-fhir-ig/StructureDefinition/disease"
    assert f"Condition?_tag={STUDY}&_profile:below={elsewhere}&_summary=count" in played.asked


@pytest.mark.parametrize(
    ("access", "header"),
    [
        ({}, None),
        ({"token": "s3cret"}, "Bearer s3cret"),
        ({"user": "kf", "password": "s3cret"}, "Basic a2Y6czNjcmV0"),
    ],
)
def test_the_server_is_shown_what_it_wants_to_see(serve: Any, access: dict[str, str], header: str | None) -> None:
    played = Played()
    counted(serve, played, **access)
    assert {headers.get("authorization") for headers in played.headers} == {header}
    assert "s3cret" not in repr(FhirAccess("https://fhir.example.org", **access))


@pytest.mark.parametrize(
    ("status", "body", "fault", "transient"),
    [
        (200, {"resourceType": "Bundle"}, "answered with no total; a whole", True),
        (200, {"resourceType": "Bundle", "total": -1}, "answered with the total -1; a whole", True),
        (200, {"resourceType": "Bundle", "total": "12"}, 'answered with the total "12"; a whole', True),
        (200, {"resourceType": "Bundle", "total": 1.5}, "answered with the total 1.5; a whole", True),
        (200, {"resourceType": "Bundle", "total": True}, "answered with the total true; a whole", True),
        (200, {"resourceType": "Bundle", "total": None}, "answered with the total null; a whole", True),
        (200, {"resourceType": "Patient", "total": 3}, "sent something else instead of a Bundle", True),
        (200, [1, 2], "sent something else instead of a Bundle", True),
        (
            200,
            {"resourceType": "OperationOutcome", "issue": [{"code": "timeout", "diagnostics": "too\nslow"}]},
            "refused: too slow",
            True,
        ),
        (401, {"resourceType": "OperationOutcome", "issue": [{"code": "login"}]}, "answered 401: login", False),
        (
            400,
            {
                "resourceType": "OperationOutcome",
                "issue": [{"code": "invalid", "details": {"text": "see https://inner.example.org/x?token=1 there"}}],
            },
            "answered 400: see … there",
            False,
        ),
        (404, {"resourceType": "OperationOutcome", "issue": "none"}, "answered 404: no reason given", False),
        (500, {"message": "oops"}, "answered 500", True),
        (429, {}, "answered 429", True),
    ],
)
def test_an_answer_without_a_count_is_no_zero(status: int, body: Any, fault: str, transient: bool) -> None:
    with pytest.raises(FhirError) as caught:
        total(status, {"Content-Type": "application/fhir+json"}, json.dumps(body).encode())
    assert caught.value.fault.startswith(fault)
    assert caught.value.transient is transient


def test_html_is_no_bundle() -> None:
    with pytest.raises(FhirError, match="the FHIR server sent text/html instead of a Bundle"):
        total(200, {"Content-Type": "text/html"}, b"<h1>Welcome</h1>")


def test_what_fails_in_passing_is_asked_for_again_and_a_refusal_is_not(serve: Any) -> None:
    """503 twice and then a number; 403 once and for all. The reason names no address."""

    def answer(request: Request) -> Response | None:
        resource = request.path_params["resource"]
        if resource == "Patient" and sum(asked.startswith("Patient") for asked in played.asked) < 3:
            return HTMLResponse("<h1>Busy</h1>", 503)
        return outcome(403, code="forbidden", diagnostics="not for you") if resource == "Specimen" else None

    played = Played(answer)
    found = counted(serve, played)
    assert found["participants"] == Known(2808, "FHIR server")
    assert found["biospecimens"] == Unknown("the FHIR server answered 403: not for you", "FHIR server")
    assert sum(asked.startswith("Specimen") for asked in played.asked) == 1


@pytest.mark.parametrize(
    "access",
    [
        {"url": "nowhere"},
        {"url": "https://user:s3cret@fhir.example.org"},
        {"url": "https://fhir.example.org", "token": "s3cret", "user": "kf"},
    ],
)
def test_a_wrong_access_is_refused_without_showing_it(access: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="FHIR server") as caught:
        FhirAccess(**access)
    assert "s3cret" not in str(caught.value)


def test_one_source_stands_in_for_another_and_each_count_says_whose_it_is(
    serve: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What the data service does not publish, the FHIR server knows in part. No log has the token."""
    caplog.set_level(logging.DEBUG)

    async def story() -> None:
        played, coordinator = Played(), PlayedCoordinator()
        async with (
            serve(make_app()) as dataservice_url,
            serve(played.app) as fhir_url,
            serve(coordinator.app) as coordinator.url,
        ):
            service = make_service(
                dataservice_url=dataservice_url,
                coordinator_url=coordinator.url,
                folder=tmp_path,
                sources=(Source.DATA_SERVICE, Source.FHIR),
                fhir=FhirAccess(f"{fhir_url}/r4", token="s3cret"),
                patience=BRISK,
            )
            async with serve(service) as url, spoken_to(url) as reports:
                await check(reports)

    async def check(reports: TaskServiceSpokenTo) -> None:
        await reports.start(STUDY)
        await reports.until("staged")
        _, row = await reports.get(f"/reports/{RELEASE}/{STUDY}")
        known = {entity: (row.get(entity), row["sources"].get(entity)) for entity in REPORTED if entity in row}
        assert known == {
            "participants": (2808, "data service"),
            "biospecimens": (figure("biospecimens", STUDY, LATEST), "data service"),
            "genomic-files": (figure("genomic-files", STUDY, LATEST), "data service"),
            "phenotypes": (77, "FHIR server"),
            "diagnoses": (77, "FHIR server"),
            "families": (0, "FHIR server"),
        }
        assert row["unknown"] == dict.fromkeys(
            ("study-files", "read-groups", "sequencing-experiments"),
            "not published by the source; not on the FHIR server",
        )

    asyncio.run(story())
    assert "s3cret" not in caplog.text


class Fixed:
    """A source with one answer."""

    def __init__(self, answer: Count) -> None:
        self._answer = answer

    async def count(self, entity: str, study_id: str) -> Count:
        return self._answer


def test_what_no_source_knows_is_unknown_for_all_of_their_reasons() -> None:
    """It is nobody's fault only if each of them withholds it."""
    withheld = Unknown("not published by the source", "data service", withheld=True)
    broken = Unknown("the FHIR server answered 500", "FHIR server")

    def asked(*answers: Count) -> Count:
        return asyncio.run(Preferred([Fixed(answer) for answer in answers]).count("families", STUDY))

    assert asked(withheld, broken) == Unknown(
        "not published by the source; the FHIR server answered 500", "data service"
    )
    assert asked(withheld, withheld) == withheld
    assert asked(broken, Known(3, "data service")) == Known(3, "data service")


def task(name: str, metrics: Any) -> dict[str, Any]:
    return {"service_name": name, "metrics": metrics}


@pytest.mark.parametrize(
    ("tasks", "count"),
    [
        ([task("ETL", SEVEN)], Known(7, "task service ETL")),
        ([task("ETL", SEVEN), task("Portal", SEVEN)], Known(7, "task service ETL")),
        (
            [task("ETL", {STUDY: {"families": 7}}), task("Portal", {STUDY: {"families": 7}})],
            Known(7, "task service ETL"),
        ),
        (
            [task("ETL", SEVEN), task("Portal", {STUDY: {"families": 8}})],
            Unknown("reported differently: 7 by ETL, 8 by Portal", "task services"),
        ),
        *(
            ([task("ETL", metrics)], Unknown("not reported by a task service", "task services", withheld=True))
            for metrics in ODD
        ),
        ("none", Unknown("not reported by a task service", "task services", withheld=True)),
    ],
)
def test_task_services_report_counts_of_their_own(tasks: Any, count: Count) -> None:
    """What is absent or odd is nothing; what they do not agree on is unknown."""
    assert asyncio.run(TaskServicesSource({"tasks": tasks}).count("families", STUDY)) == count


def test_a_release_that_says_nothing_of_tasks_reports_nothing() -> None:
    assert asyncio.run(TaskServicesSource({}).count("families", STUDY)) == Unknown(
        "not reported by a task service", "task services", withheld=True
    )
