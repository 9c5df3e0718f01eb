"""Many rows in one statement, at the database's own cost.

SQLAlchemy prepares the parameters of every row by name, which for a thousand tasks takes longer than storing them.
Here the statement is compiled once and the values are translated column by column. SQLite takes the rows one by one,
which costs it nothing. To Postgres every further statement costs more than a row does, and so does every value: it is
given an array for each column, and of a column that is the same in all rows, as most are in a step of a release, its
one value.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import starmap
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    FromClause,
    Insert,
    String,
    Table,
    Text,
    Update,
    bindparam,
    column,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from lockstep.coordinator.store.column_types import Word

Columns = Mapping[str, Sequence[object]]
"""The values of all rows, by the name of their column; each column as long as the others."""

_PLACE: Final = "place"
_GIVEN: Final = "given_"
"""Before the names of parameters, which must not be those of columns."""


class _Form(NamedTuple):
    """What a statement looks like: the table, the column by which rows are found (none to insert them), all columns.

    Attributes:
        arrays: the columns that come as arrays; none when rows come one by one.
    """

    table: Table
    key: str | None
    names: tuple[str, ...]
    arrays: tuple[str, ...] = ()


def insert_many(connection: Connection, table: Table, columns: Columns) -> None:
    """Insert rows in their order."""
    _execute(connection, _Form(table, None, tuple(columns)), columns)


def update_many(connection: Connection, table: Table, key: str, columns: Columns) -> None:
    """Update rows, each found by the one of its columns that is the key, which stays as it is."""
    _execute(connection, _Form(table, key, tuple(columns)), columns)


def _execute(connection: Connection, form: _Form, columns: Columns) -> None:
    dialect = connection.dialect
    processors = _processors(form.table, form.names, dialect)
    values = {
        name: columns[name] if process is None else list(map(process, columns[name]))
        for name, process in zip(form.names, processors, strict=True)
    }
    always = form.key or form.names[0]
    if dialect.name != "postgresql" or len(values[always]) == 1:
        sql, order = _compiled(form, dialect)
        connection.exec_driver_sql(sql, list(zip(*(values[name] for name in order), strict=True)))
        return
    arrays = tuple(
        name for name in form.names if name == always or values[name].count(values[name][0]) < len(values[name])
    )
    sql, order = _compiled(form._replace(arrays=arrays), dialect)
    connection.exec_driver_sql(sql, tuple(values[name] if name in arrays else values[name][0] for name in order))


@lru_cache
def _processors(table: Table, names: tuple[str, ...], dialect: Dialect) -> tuple[Callable[[Any], Any] | None, ...]:
    """Return how the values of each column are translated for the driver."""
    return tuple(table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names)


@lru_cache
def _compiled(form: _Form, dialect: Dialect) -> tuple[str, tuple[str, ...]]:
    """Return the statement's text, and the order in which it wants its columns."""
    compiled = _statement(form).compile(dialect=dialect)
    return str(compiled), tuple(name.removeprefix(_GIVEN) for name in compiled.positiontup or ())


def _statement(form: _Form) -> Insert | Update:
    table, rows = form.table, _rows([form.table.c[name] for name in form.arrays])
    given = {
        name: rows.c[name] if name in form.arrays else bindparam(_GIVEN + name, type_=table.c[name].type)
        for name in form.names
    }
    if form.key is not None:
        wanted = given.pop(form.key)
        return update(table).where(table.c[form.key] == wanted).values(given)
    if form.arrays:
        return insert(table).from_select(form.names, select(*given.values()).order_by(rows.c[_PLACE]))
    return insert(table).inline().values(given)


def _rows(columns: Sequence[Column[Any]]) -> FromClause:
    """Return the rows of some arrays. Texts come in any length, lest what is too long for its column be cut quietly."""
    kinds = {one.name: Text() if isinstance(one.type, String | Word) else one.type for one in columns}
    arrays = (bindparam(_GIVEN + name, type_=ARRAY(kind)) for name, kind in kinds.items())
    rows = func.unnest(*arrays).table_valued(*starmap(column, kinds.items()), with_ordinality=_PLACE)
    return rows.render_derived(name="given")
