"""The schema: as it is kept in the repository, with the names and the nullability that clients in the field know."""

from pathlib import Path

from graphql import build_schema, get_introspection_query, graphql_sync

from lockstep.coordinator.web.graphql.sdl import sdl

KEPT = Path(__file__).parents[2] / "docs" / "schema.graphql"

FIELD = """
ReleaseNode: id! kfId! uuid! author! name! description! state! tags! version! isMajor! createdAt! studies! tasks! events! notes!
StudyNode: id! kfId! name! visible! deleted! createdAt notes! releases
TaskNode: id! kfId! uuid! state! progress! createdAt! release! taskService! events!
TaskServiceNode: id! kfId! uuid! name! description! url! author! lastOkStatus! enabled! createdAt! healthStatus tasks! events!
EventNode: id! kfId! uuid! eventType! message! createdAt! release taskService task
ReleaseNoteNode: id! kfId! uuid! author! description! createdAt! release! study
UserNode: id! username! email! firstName! lastName! picture! slackNotify! slackMemberId! dateJoined! lastLogin roles groups
PageInfo: hasNextPage! hasPreviousPage! startCursor endCursor
ReleaseInput: name! description isMajor studies!
UpdateReleaseInput: name description
TaskServiceInput: name! url! description enabled
ReleaseNoteInput: description! study! release!
UpdateReleaseNoteInput: description!
Query: status release study task taskService event releaseNote allReleases allStudies allTasks allTaskServices allEvents allReleaseNotes allUsers myProfile
Mutation: startRelease updateRelease cancelRelease publishRelease syncStudies createTaskService updateTaskService createReleaseNote updateReleaseNote removeReleaseNote
"""  # noqa: E501

ARGUMENTS = """
allReleases: version state author name isMajor nameContains createdBefore createdAfter orderBy
allStudies: kfId visible deleted nameContains createdBefore createdAfter orderBy
allTasks: kfId state release taskService createdBefore createdAfter orderBy
allEvents: eventType release taskService task messageContains createdBefore createdAfter orderBy
allReleaseNotes: kfId author release study createdBefore createdAfter orderBy
allTaskServices: author name url description enabled nameContains createdBefore createdAfter orderBy
allUsers: email email_Contains username firstName lastName lastLogin_Gt lastLogin_Lt dateJoined_Gt dateJoined_Lt joinedBefore joinedAfter orderBy
"""  # noqa: E501


def lines(text: str) -> dict[str, set[str]]:
    return {name: set(rest.split()) for name, _, rest in (line.partition(": ") for line in text.strip().splitlines())}


def test_the_schema_in_the_repository_is_the_one_that_is_served() -> None:
    """`make schema` writes it anew."""
    assert KEPT.read_text("utf-8") == sdl()


def test_types_have_the_fields_that_the_field_knows_and_the_same_may_be_null() -> None:
    schema = build_schema(sdl())
    for name, expected in lines(FIELD).items():
        fields = schema.type_map[name].fields  # type: ignore[attr-defined] # each of them has fields
        assert {f"{each}{'!' if str(field.type).endswith('!') else ''}" for each, field in fields.items()} == expected


def test_lists_have_the_arguments_that_the_field_knows() -> None:
    schema = build_schema(sdl())
    assert schema.query_type
    for name, expected in lines(ARGUMENTS).items():
        arguments = schema.query_type.fields[name].args
        assert set(arguments) == expected | {"before", "after", "first", "last"}
        assert all(not str(argument.type).endswith("!") for argument in arguments.values())
    nested = schema.type_map["StudyNode"].fields["releases"].args  # type: ignore[attr-defined] # an object
    assert set(nested) == set(schema.query_type.fields["allReleases"].args)


def test_names_that_clients_write_down_are_those_of_the_field() -> None:
    schema = build_schema(sdl())
    assert list(schema.type_map["EventEventType"].values) == ["INFO", "WARNING", "ERROR"]  # type: ignore[attr-defined]
    assert schema.query_type
    assert schema.query_type.fields["allReleases"].type == schema.type_map["ReleaseNodeConnection"]
    assert "node" not in schema.query_type.fields
    types = {"release": "String", "taskService": "String"}
    assert {name: str(schema.query_type.fields["allTasks"].args[name].type) for name in types} == types
    ids = {"release": "ID", "taskService": "ID", "task": "ID"}
    assert {name: str(schema.query_type.fields["allEvents"].args[name].type) for name in ids} == ids


def test_tools_can_ask_for_the_whole_schema() -> None:
    result = graphql_sync(build_schema(sdl()), get_introspection_query())
    assert result.errors is None
