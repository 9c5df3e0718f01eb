"""Reports in DynamoDB. Importing this package loads boto3, which the extra `aws` brings; nothing else in Lockstep does.

* `tables`: the three tables, their keys and indexes, and how they are made;
* `calls`: requests, each repeated while DynamoDB is throttling or out of reach, and its errors in our words;
* `rows`: reports as items, and back; pure;
* `store`: the store, and how a change of thousands of rows is made to look like one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from lockstep.reports.dynamodb.calls import Calls, connect
from lockstep.reports.dynamodb.store import DynamoReports
from lockstep.reports.dynamodb.tables import Tables, create_tables

__all__ = ["DynamoDb", "DynamoReports", "Tables"]


@dataclass(frozen=True, slots=True)
class DynamoDb:
    """DynamoDB at an address, with the names of the tables there."""

    calls: Calls
    tables: Tables

    @classmethod
    def at(cls, endpoint_url: str | None, tables: Tables) -> Self:
        """Open it; nothing is asked of it yet.

        Raises:
            ValueError: the address is none, or no region is set.
        """
        return cls(Calls(connect(endpoint_url=endpoint_url)), tables)

    def store(self) -> DynamoReports:
        """Return the store on these tables."""
        return DynamoReports(self.calls, self.tables)

    def create_tables(self) -> Iterator[str]:
        """Make what is not there; see `tables.create_tables`.

        Raises:
            ValueError: a table of a chosen name has other keys.
            StoreUnavailable: DynamoDB refuses, cannot be reached, or took too long.
        """
        return create_tables(self.calls, self.tables)
