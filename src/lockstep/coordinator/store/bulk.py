"""Many rows in one statement, at the database's own cost.

SQLAlchemy prepares the parameters of every row by name, which for a thousand tasks takes longer than storing them.
Here the statement is compiled once and the values are translated column by column; the rows are what the driver wants.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Insert, Update

Processor = Callable[[Any], Any] | None


def execute_many(connection: Connection, statement: Insert | Update, columns: Mapping[str, Iterable[object]]) -> None:
    """Execute an insert or update for many rows.

    Args:
        connection: where.
        statement: an insert, or an update with a bound parameter in its condition.
        columns: the values of all rows, by the name of the column or parameter.
    """
    sql, order, processors = _compiled(statement, tuple(columns), connection.dialect)
    values = (
        columns[name] if process is None else map(process, columns[name])
        for name, process in zip(order, processors, strict=True)
    )
    connection.exec_driver_sql(sql, list(zip(*values, strict=False)))


@lru_cache
def _compiled(
    statement: Insert | Update, names: tuple[str, ...], dialect: Dialect
) -> tuple[str, tuple[str, ...], tuple[Processor, ...]]:
    """Return the statement's text, the order in which it wants its values, and how each is translated."""
    compiled = statement.compile(dialect=dialect, column_keys=names)
    order = tuple(compiled.positiontup or ())
    types = (compiled.binds[name].type.dialect_impl(dialect) for name in order)
    return str(compiled), order, tuple(kind.bind_processor(dialect) for kind in types)
