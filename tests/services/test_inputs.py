"""What people may write, and the sentence that each wrong field gets."""

from typing import Any

import pytest

from lockstep.coordinator.core.errors import Invalid
from lockstep.coordinator.core.records import NewRelease
from lockstep.coordinator.services.fields import service_url
from lockstep.coordinator.services.inputs import (
    EventInput,
    Input,
    NoteEdit,
    ReleaseEdit,
    ReleaseInput,
    ServiceEdit,
    ServiceInput,
    TaskReport,
    check,
)
from lockstep.protocol.states import TaskState

GOOD = {"name": "Winter", "studies": ["SD_DYPMEHHF"]}


def _wrong(model: type[Input], fields: dict[str, Any]) -> dict[str, list[str]]:
    with pytest.raises(Invalid) as caught:
        check(model, fields)
    return caught.value.fields


def test_a_release_takes_its_defaults() -> None:
    expected = NewRelease("Winter", ("SD_DYPMEHHF",), description="", author="admin", tags=(), is_major=False)
    assert expected == check(ReleaseInput, GOOD).new_release()


def test_a_release_takes_every_field_and_leaves_others() -> None:
    given = {**GOOD, "description": " *new* ", "author": "eve", "tags": ["a", " b "], "is_major": True, "state": "x"}
    expected = NewRelease("Winter", ("SD_DYPMEHHF",), "*new*", "eve", ("a", "b"), is_major=True)
    assert expected == check(ReleaseInput, given).new_release()


def test_studies_have_an_older_name_and_count_once() -> None:
    new = check(ReleaseInput, {"name": "Winter", "study_ids": ["SD_B", "SD_A", "SD_B"]}).new_release()
    assert new.studies == ("SD_B", "SD_A")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"name": ["This field is required."]}),
        ({"name": "a"}, {"studies": ["This field is required."]}),
        ({"name": "a", "studies": []}, {"studies": ["Must have at least one study"]}),
        ({"name": "a", "studies": "SD_A"}, {"studies": ['Expected a list of items but got type "str".']}),
        ({"name": "a", "studies": {"a": 1}}, {"studies": ['Expected a list of items but got type "dict".']}),
        ({"name": "a", "studies": [1]}, {"studies": ["This must be a text, not 1."]}),
        ({"name": "a", "studies": None}, {"studies": ["This field may not be null."]}),
        ({**GOOD, "name": " \n"}, {"name": ["This field may not be blank."]}),
        ({**GOOD, "name": None}, {"name": ["This field may not be null."]}),
        ({**GOOD, "name": 5}, {"name": ["This must be a text, not 5."]}),
        ({**GOOD, "name": "x" * 257}, {"name": ["This text is too long; at most 256 characters are allowed."]}),
        ({**GOOD, "name": "a\0b"}, {"name": ["This text has a NUL character in it."]}),
        (
            {**GOOD, "name": "\ud800"},
            {"name": ["This text has a character in it that is none (half of a surrogate pair)."]},
        ),
        ({**GOOD, "description": None}, {"description": ["This field may not be null."]}),
        (
            {**GOOD, "description": "x" * 5001},
            {"description": ["This text is too long; at most 5000 characters are allowed."]},
        ),
        ({**GOOD, "author": ""}, {"author": ["This field may not be blank."]}),
        ({**GOOD, "is_major": "yes"}, {"is_major": ["This must be true or false, not 'yes'."]}),
        ({**GOOD, "tags": None}, {"tags": ["This field may not be null."]}),
        ({**GOOD, "tags": ["a", ""]}, {"tags.1": ["This field may not be blank."]}),
        ({**GOOD, "tags": ["x" * 51]}, {"tags.0": ["This text is too long; at most 50 characters are allowed."]}),
        ({**GOOD, "tags": ["a"] * 101}, {"tags": ["This list is too long; at most 100 are allowed."]}),
        ({**GOOD, "studies": ["S"] * 5001}, {"studies": ["This list is too long; at most 5000 are allowed."]}),
    ],
)
def test_a_wrong_release_gets_a_sentence_for_each_field(fields: dict[str, Any], expected: dict[str, list[str]]) -> None:
    assert expected == _wrong(ReleaseInput, fields)


def test_the_longest_texts_pass() -> None:
    fields = {
        "name": "n" * 256,
        "studies": ["SD_A"],
        "description": "d" * 5000,
        "author": "a" * 100,
        "tags": ["t" * 50],
    }
    assert check(ReleaseInput, fields).name == "n" * 256


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("task:8282", "http://task:8282"),
        ("http://task:8282/", "http://task:8282"),
        ("https://tasks.example.org/reports", "https://tasks.example.org/reports"),
        ("http://[::1]:8282", "http://[::1]:8282"),
    ],
)
def test_an_address_is_kept_with_a_scheme_and_without_a_slash_at_the_end(given: str, expected: str) -> None:
    assert expected == service_url(given)


@pytest.mark.parametrize(
    "given",
    [
        "ftp://task",
        "http://",
        "http:///tasks",
        "http://task:99999",
        "http://task:0",
        "http://ta sk",
        "http://task\n",
        "http://user:secret@task",
        "http://task?x=1",
        "http://task#x",
        "javascript:alert(1)",
        "http://[::1",
        "x" * 200,
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="Enter a valid URL"):
        service_url(given)


def test_a_service_takes_its_defaults_and_an_edit_only_what_is_given() -> None:
    service = check(ServiceInput, {"name": "reports", "url": "reports:5020"})
    assert (service.description, service.author, service.enabled) == ("", "admin", True)
    edit = check(ServiceEdit, {"enabled": False, "kf_id": "TS_00000000"})
    assert edit.model_dump(exclude_unset=True) == {"enabled": False}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"name": ["This field is required."], "url": ["This field is required."]}),
        ({"name": "x" * 101, "url": "task"}, {"name": ["This text is too long; at most 100 characters are allowed."]}),
        ({"name": "x", "url": 7}, {"url": ["This must be a text, not 7."]}),
        ({"name": "x", "url": " "}, {"url": ["This field may not be blank."]}),
    ],
)
def test_a_wrong_service_gets_a_sentence_for_each_field(fields: dict[str, Any], expected: dict[str, list[str]]) -> None:
    assert expected == _wrong(ServiceInput, fields)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(50, 50), ("50", 50), ("50%", 50), (50.9, 50), (None, 0), (150, 100), (-5, 0), (10**400, 100)],
)
def test_progress_has_many_forms(given: object, expected: int) -> None:
    assert expected == check(TaskReport, {"progress": given}).progress


@pytest.mark.parametrize("given", ["half", "", True, [], {}, float("nan"), float("inf")])
def test_what_is_no_progress_is_refused(given: object) -> None:
    assert "is not a progress" in _wrong(TaskReport, {"progress": given})["progress"][0]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("staged", TaskState.STAGED), ("initialized", TaskState.PENDING), ("cancelled", TaskState.CANCELED)],
)
def test_states_have_older_words(word: str, expected: TaskState) -> None:
    assert expected == check(TaskReport, {"state": word}).state


@pytest.mark.parametrize("word", ["bogus", "", 5, None, ["staged"]])
def test_what_is_no_state_is_refused(word: object) -> None:
    assert list(_wrong(TaskReport, {"state": word})) == ["state"]
    assert list(_wrong(ReleaseEdit, {"state": word})) == ["state"]


def test_a_report_may_say_nothing() -> None:
    said = check(TaskReport, {"release": "RE_00000000"})
    assert (said.state, said.progress) == (None, None)


def test_a_form_says_true_in_words() -> None:
    assert check(ReleaseInput, {**GOOD, "is_major": "true"}, strict=False).is_major is True


@pytest.mark.parametrize("model", [NoteEdit, EventInput])
def test_an_empty_text_names_nothing_and_other_empty_values_are_wrong(model: type[Input]) -> None:
    given = {"description": "d", "message": "m"}
    assert check(model, {**given, "release": ""}) == check(model, {**given, "release": None}) == check(model, given)
    empties: tuple[object, ...] = (False, 0, [], {})
    for empty in empties:
        assert list(_wrong(model, {**given, "release": empty})) == ["release"]


def test_what_a_report_cannot_mean_is_documented_as_left_out() -> None:
    for name in ("error", "metrics", "preview"):
        documented = TaskReport.model_json_schema()["properties"][name]
        assert "left out" in documented["description"]
        assert "type" not in documented
        assert getattr(check(TaskReport, {name: 5}).findings, name) is None
