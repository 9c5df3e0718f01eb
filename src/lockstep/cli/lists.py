"""What the groups of commands do alike: print a list or one thing as whoever asks wants it, or remove one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lockstep.cli.conversation import talk
from lockstep.cli.tables import Row, print_facts, print_json, print_rest, print_table

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """How things of one kind are shown in a table.

    Attributes:
        headings: of the columns.
        row: what stands in them.
        right: the headings of the columns that hold numbers.
    """

    headings: tuple[str, ...]
    row: Callable[[Json], Row]
    right: tuple[str, ...] = ()

    def show(self, things: Iterable[Json]) -> None:
        """Print things, each in a row."""
        print_table(self.headings, map(self.row, things), right=self.right)

    def show_one(self, thing: Json, *, as_json: bool) -> None:
        """Print one thing."""
        if as_json:
            print_json(thing)
        else:
            self.show([thing])


def show_list(
    server: str, path: str, view: View, *, limit: int, everything: bool, as_json: bool, **filters: str | None
) -> None:
    """Print a list of the API.

    Args:
        server: the address of the coordinator.
        path: where the list is.
        view: how its things are shown.
        limit: how many are shown at the most.
        everything: show all, however many.
        as_json: print the page as the API gives it.
        filters: the API's own filters; those that are empty filter nothing.

    Raises:
        Ending: it could not be had.
    """
    wanted = {name: value for name, value in filters.items() if value}
    most = None if everything else limit
    page = talk(server, lambda coordinator: coordinator.rows(path, most=most, **wanted))
    if as_json:
        print_json(page)
        return
    view.show(page["results"])
    print_rest(page)


def show_facts(thing: Json, facts: Iterable[tuple[str, object]], *, as_json: bool) -> None:
    """Print what there is to be said of one thing."""
    if as_json:
        print_json(thing)
    else:
        print_facts(facts)


def id_in(link: str | None) -> str:
    """Return the id that a link of the API ends with; "" for no link."""
    return (link or "").rpartition("/")[2]


def remove(server: str, path: str, what: str, *, as_json: bool) -> None:
    """Remove the thing at a path of the API, and say so by its name.

    Raises:
        Ending: it could not be removed, or is not there.
    """
    talk(server, lambda coordinator: coordinator.delete(path, what=what))
    if as_json:
        print_json({})
    else:
        print(f"Removed {what}.")
