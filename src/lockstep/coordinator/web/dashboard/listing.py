"""Long lists in pages: which part is shown, in which order, and the addresses of the others.

All of it stands in the address, so that a list can be sent to a colleague as it is. An order or a page that makes no
sense is taken for the first one; nobody types these by hand.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request

from lockstep.coordinator.core.records import NEWEST_FIRST, Page, PageOf

ROWS: Final = 25
_FARTHEST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks of a list.

    Attributes:
        path: the list's address, without what is asked.
        filters: the filters that are set.
        order: as `PageOf` has it.
        number: the page, from 1.
    """

    path: str
    filters: Mapping[str, str]
    order: str
    number: int
    size: int

    @classmethod
    def of(
        cls,
        request: Request,
        filters: Collection[str],
        orders: Collection[str] = (),
        *,
        first: str = NEWEST_FIRST,
        size: int = ROWS,
    ) -> "Asked":
        """Return what the address of a request asks."""
        given = request.query_params
        order = given.get("order", first)
        page = given.get("page", "1")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < len(str(_FARTHEST)) else 1
        return cls(
            request.url.path,
            {name: text for name in filters if (text := given.get(name, "").replace("\0", "").strip())},
            order if order.removeprefix("-") in orders else first,
            max(1, number),
            size,
        )

    @property
    def page_of(self) -> PageOf:
        """Return the part as the store knows it."""
        return PageOf(self.size, (self.number - 1) * self.size, self.order)

    def address(self, **changes: Any) -> str:  # noqa: ANN401 - whatever an address can say
        """Return the address of the same list with something else asked; None leaves something out."""
        asked: dict[str, Any] = {**self.filters, "order": self.order, "page": self.number, **changes}
        kept = {name: value for name, value in asked.items() if value not in {None, "", 1, NEWEST_FIRST}}
        return f"{self.path}?{urlencode(kept)}" if kept else self.path


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a list, ready to be shown."""

    rows: Sequence[Any]
    count: int
    asked: Asked

    @classmethod
    def of(cls, page: Page[Any], asked: Asked, rows: Sequence[Any] | None = None) -> "Listed":
        """Return a page of the store; `rows` in the place of its own, if something was added to them."""
        return cls(page.rows if rows is None else rows, page.count, asked)

    @property
    def number(self) -> int:
        """Return which page this is."""
        return self.asked.number

    @property
    def pages(self) -> int:
        """Return how many pages there are."""
        return max(1, -(-self.count // self.asked.size))

    @property
    def next(self) -> str | None:
        """Return the address of the next page."""
        return self.asked.address(page=self.number + 1) if self.number < self.pages else None

    @property
    def previous(self) -> str | None:
        """Return the address of the page before."""
        return self.asked.address(page=self.number - 1) if self.number > 1 else None

    @property
    def filtered(self) -> bool:
        """Tell whether anything is left out."""
        return bool(self.asked.filters)

    def get(self, name: str) -> str:
        """Return a filter as it was asked."""
        return self.asked.filters.get(name, "")

    def sort(self, order: str) -> tuple[str, str]:
        """Return the address that sorts by something, and how the list is sorted by it now, for `aria-sort`."""
        now = self.asked.order
        how = "ascending" if now == order else "descending" if now == f"-{order}" else ""
        other = order if now == f"-{order}" else f"-{order}"
        if how == "" and order in {"name", "author", "kf_id"}:
            other = order
        return self.asked.address(order=other, page=1), how
