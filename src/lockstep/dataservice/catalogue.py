"""What has been published about the Kids First studies: names, programs, and counts with their dates and sources.

The facts lie in `data/studies.json`, each with the public place where it was found. Counts per study exist in two
dated sets, named after the submissions to the Common Fund Data Ecosystem that they were printed for; the sets differ,
as two releases one after the other do. Only three entities were ever counted in them, and families of one study were
counted elsewhere. Everything else has no published figure, and `figure` says so with `None`: nothing is estimated.

The figures are of visible rows: those of the later set add up to what the data service's own database held as visible
over the same studies.
"""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from lockstep.dataservice.entities import STUDIES

AS_OF: Final = ("cfde-2023-q3", "cfde-2023-q4")
"""The dated sets of counts, in the order of time."""

LATEST: Final = AS_OF[-1]

_IN_DATED_SETS: Final = {"participants": "subjects", "biospecimens": "biosamples", "genomic-files": "files"}
_STATED_ELSEWHERE: Final = {"families": "families"}

_DEMO: Final = ("SD_8Y99QZJJ", "SD_AQ9KVN5P", "SD_BHJXBDQK", "SD_NMVV8A1Y", "SD_Z6MWD3H0")


@cache
def published_facts() -> Mapping[str, Any]:
    """Return everything in `data/studies.json`: what it is about, its sources, and its studies."""
    facts: dict[str, Any] = json.loads(files("lockstep.dataservice").joinpath("data/studies.json").read_text("utf-8"))
    return facts


@cache
def _by_id() -> Mapping[str, Mapping[str, Any]]:
    return {study["kf_id"]: study for study in published_facts()["studies"]}


def check_as_of(as_of: str) -> str:
    """Let the name of a dated set pass.

    Raises:
        ValueError: there is no such set; the sentence names those that there are.
    """
    if as_of not in AS_OF:
        raise ValueError(f"{as_of!r} is no dated set of counts; there are {' and '.join(AS_OF)}")
    return as_of


def figure(entity: str, study_id: str, as_of: str) -> int | None:
    """Return how many visible rows of an entity a study had, or None when nobody has published it.

    Args:
        entity: the path of the entity's list, such as `genomic-files`.
        study_id: the study; one that is not in the catalogue has no figures.
        as_of: the dated set, one of `AS_OF`.
    """
    study = _by_id().get(study_id, {})
    if entity in _IN_DATED_SETS:
        dated: Mapping[str, int] = study.get("counts_history", {}).get(as_of, {})
        return dated.get(_IN_DATED_SETS[entity])
    if entity in _STATED_ELSEWHERE:
        stated: Mapping[str, int | None] = study.get("counts", {})
        return stated.get(_STATED_ELSEWHERE[entity])
    return None


def study_records() -> list[dict[str, Any]]:
    """Return the studies as rows of the list `studies`, placeholders and test studies hidden.

    When a study was entered has not been published, so `created_at` and `modified_at` are null.
    """
    return [_record(study) for study in published_facts()["studies"]]


def five_demo_studies() -> list[dict[str, Any]]:
    """Return five real studies that have figures in both dated sets, and other figures in the later one."""
    wanted = [_by_id()[study_id] for study_id in _DEMO]
    return [_record(study) for study in wanted]


def _record(study: Mapping[str, Any]) -> dict[str, Any]:
    hidden: bool = study["is_test_or_placeholder"]
    return {
        "kf_id": study["kf_id"],
        "name": study["name"],
        "short_name": study["short_name"],
        "short_code": study["short_code"],
        "program": study["program"],
        "domain": ", ".join(study["domain"]) if study["domain"] else None,
        "external_id": study["external_id"],
        "visible": not hidden,
        "visibility_reason": "Other" if hidden else None,
        "visibility_comment": "a test study or a placeholder" if hidden else None,
        "created_at": None,
        "modified_at": None,
        "_links": {"collection": f"/{STUDIES}", "self": f"/{STUDIES}/{study['kf_id']}"},
    }
