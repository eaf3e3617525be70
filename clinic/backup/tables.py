"""What is in a database: tables with their number of rows and one digest over all of them, to compare two databases by."""

from typing import NamedTuple

import psycopg
from psycopg import sql

TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relkind IN ('r', 'p') ORDER BY c.relname
"""
# Rows in any order: the sum of a hash of each. Two rows that differ in one character differ in the sum.
ROWS = """
    SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text,
           coalesce(sum(hashtextextended(t::text, 1)::numeric), 0)::text
    FROM {table} t
"""
SEQUENCES = "SELECT sequencename, coalesce(last_value, 0) FROM pg_sequences WHERE schemaname = %s ORDER BY 1"


class Contents(NamedTuple):
    """Rows and digest by table, and where each sequence stands."""

    tables: dict[str, list[str]]
    sequences: dict[str, int]

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(int(count) for count, *_ in self.tables.values())


def contents(connection: psycopg.Connection, schema: str = "public") -> Contents:
    """Read every row of every table."""
    connection.execute("SET LOCAL TimeZone = 'UTC'")
    connection.execute("SET LOCAL extra_float_digits = 1")
    found = {}
    for (name,) in connection.execute(TABLES, [schema]).fetchall():
        row = connection.execute(sql.SQL(ROWS).format(table=sql.Identifier(schema, name))).fetchone()
        assert row is not None
        found[name] = [str(value) for value in row]
    sequences = {name: int(value) for name, value in connection.execute(SEQUENCES, [schema]).fetchall()}
    return Contents(found, sequences)


def differences(expected: Contents, found: Contents) -> list[str]:
    """What is not the same, in words; empty where every row of every table is."""
    said = []
    for name in sorted(set(expected.tables) | set(found.tables)):
        before, after = expected.tables.get(name), found.tables.get(name)
        if before is None or after is None:
            said.append(f"table {name} is {'missing' if after is None else 'not in the backup'}")
        elif before != after:
            same_count = before[0] == after[0]
            said.append(f"table {name}: {'rows differ' if same_count else f'{after[0]} rows in place of {before[0]}'}")
    said += [
        f"sequence {name} stands at {found.sequences.get(name)} in place of {value}"
        for name, value in expected.sequences.items()  # no part of a snapshot: further on is right, behind is not
        if found.sequences.get(name, -1) < value
    ]
    return said
