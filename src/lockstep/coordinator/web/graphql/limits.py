"""How much one document may ask for: how deep, and how many of what when all of its fragments are written out.

The rows that come of it are counted while it is answered, by the visit. Here is refused what would cost much before the
first row: a few lines of fragments that stand for millions of fields, or lists in lists in lists.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    ASTValidationRule,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

TOKENS_LIMIT: Final = 5_000
"""Words and marks of a document; the longest that dashboards and explorers send have some hundreds."""

DEPTH_LIMIT: Final = 20
"""Fields within fields: five lists within each other, with what stands between them."""

FIELDS_LIMIT: Final = 1_000
"""Fields of one operation, those of its fragments counted wherever they are used."""

OF_A_THING_LIMIT: Final = 50
"""Fields of one thing, or of each of a list with what stands around it. The kind that has most has seventeen; under
other names they can be asked for again and again, and there may be thousands of things."""

LINKS_LIMIT: Final = 100
"""Lists and things that an operation leads to; each is one statement, and a page of a dashboard has ten at the most."""

MUTATIONS_LIMIT: Final = 20
"""Things that one operation may do, one after the other; clients in the field send them one by one."""

_NO_LINKS: Final = frozenset({"edges", "node", "pageInfo"})


@dataclass(frozen=True, slots=True)
class Size:
    """How deep selections go, and how many fields they have.

    Attributes:
        fields, links, top: in all, of those that lead on to lists and things, and at their own level.
        of_it: of the thing that they are of, without those of what it leads on to.
        of_a_thing: of the thing within them of which most are asked for.
    """

    depth: int = 0
    fields: int = 0
    links: int = 0
    top: int = 0
    of_it: int = 0
    of_a_thing: int = 0


class WithinLimits(ASTValidationRule):
    """The rule that a document keeps within the limits; what it asks of the schema itself is not counted."""

    def enter_document(self, node: DocumentNode, *_: Any) -> None:  # noqa: ANN401 - as graphql-core calls it
        """Measure each operation."""
        fragments = {each.name.value: each for each in node.definitions if isinstance(each, FragmentDefinitionNode)}
        measured: dict[str, Size] = {}
        for operation in node.definitions:
            if isinstance(operation, OperationDefinitionNode):
                sentence = _too_much(_size(operation.selection_set, fragments, measured), operation.operation)
                if sentence:
                    self.report_error(GraphQLError(sentence, [operation]))


def _too_much(size: Size, kind: OperationType) -> str:
    """Return what is too much about an operation; empty when nothing is."""
    if size.depth > DEPTH_LIMIT:
        return f"This query is {size.depth} fields deep; {DEPTH_LIMIT} is the most."
    if size.fields > FIELDS_LIMIT:
        return f"This query has {size.fields} fields; {FIELDS_LIMIT} is the most."
    if size.of_a_thing > OF_A_THING_LIMIT:
        return f"This query asks for {size.of_a_thing} fields of one thing; {OF_A_THING_LIMIT} is the most."
    if size.links > LINKS_LIMIT:
        return f"This query leads to {size.links} lists and things; {LINKS_LIMIT} is the most."
    if kind is OperationType.MUTATION and size.top > MUTATIONS_LIMIT:
        return f"This mutation does {size.top} things; {MUTATIONS_LIMIT} is the most."
    return ""


def _size(
    selections: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], measured: dict[str, Size]
) -> Size:
    """Return the size of selections. A fragment within itself, which another rule refuses, counts as nothing."""
    sizes = []
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            if selection.name.value.startswith("__"):
                continue
            inner = _size(selection.selection_set, fragments, measured) if selection.selection_set else Size()
            leads_on = selection.selection_set is not None and selection.name.value not in _NO_LINKS
            sizes.append(_within(inner, leads_on=leads_on))
        elif isinstance(selection, FragmentSpreadNode):
            sizes.append(_size_of_fragment(selection.name.value, fragments, measured))
        elif isinstance(selection, InlineFragmentNode):
            sizes.append(_size(selection.selection_set, fragments, measured))
    return Size(
        depth=max((size.depth for size in sizes), default=0),
        fields=sum(size.fields for size in sizes),
        links=sum(size.links for size in sizes),
        top=sum(size.top for size in sizes),
        of_it=sum(size.of_it for size in sizes),
        of_a_thing=max((size.of_a_thing for size in sizes), default=0),
    )


def _within(inner: Size, *, leads_on: bool) -> Size:
    """Return the size of a field with what is selected within it; what leads on begins with a thing of its own."""
    return Size(
        depth=inner.depth + 1,
        fields=inner.fields + 1,
        links=inner.links + leads_on,
        top=1,
        of_it=1 if leads_on else inner.of_it + 1,
        of_a_thing=max(inner.of_a_thing, inner.of_it if leads_on else 0),
    )


def _size_of_fragment(name: str, fragments: Mapping[str, FragmentDefinitionNode], measured: dict[str, Size]) -> Size:
    if name not in measured and name in fragments:
        measured[name] = Size()
        measured[name] = _size(fragments[name].selection_set, fragments, measured)
    return measured.get(name, Size())
