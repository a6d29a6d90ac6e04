"""Two roles of the database: the owner of the tables migrates, the application's role may do what the code does.

What is granted follows from the triggers. A table whose trigger `refuse_change` refuses every UPDATE or DELETE does
not grant it either; where the trigger names columns, the others can be updated. Nobody but the owner can TRUNCATE,
ALTER or DROP a table, or disable its triggers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import Error, connections

# Tables that the application only reads, and the columns it fills in of rows that are otherwise as fixed as any: there
# the trigger has a condition instead of columns.
READ_ONLY = ("django_migrations",)
FILLED_IN = {"annotations_ledger": ("seq", "digest", "link_version")}

# A trigger's type is a sum: 8 for DELETE, 16 for UPDATE. `tgattr` lists its columns; `tgqual` is its condition.
_TABLES = """
    SELECT pg_class.relname,
        coalesce(bool_or(tgtype & 8 > 0 AND tgqual IS NULL), false) AS keeps_rows,
        coalesce(bool_or(tgtype & 16 > 0 AND tgqual IS NULL AND tgattr::text = ''), false) AS keeps_all,
        (SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
            AND attnum <> ALL (coalesce((SELECT array_agg(number) FROM pg_trigger AS named,
                LATERAL unnest(named.tgattr::int2[]) AS number WHERE named.tgrelid = pg_class.oid
                AND named.tgfoid = to_regproc('refuse_change') AND named.tgtype & 16 > 0 AND named.tgqual IS NULL),
                '{}'))) AS changeable
    FROM pg_class LEFT JOIN pg_trigger
        ON pg_trigger.tgrelid = pg_class.oid AND pg_trigger.tgfoid = to_regproc('refuse_change')
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
        AND relowner = current_user::regrole
    GROUP BY pg_class.oid, pg_class.relname ORDER BY pg_class.relname"""
_POWERS = """
    SELECT rolsuper, EXISTS (SELECT FROM pg_class WHERE relname = 'annotations_vote'
                             AND pg_has_role(current_user, relowner, 'MEMBER'))
    FROM pg_roles WHERE rolname = current_user"""


@contextmanager
def as_owner(connection: Any) -> Iterator[str | None]:
    """Within the block, this connection is that of DATABASE_OWNER_URL. Yields the application's role; None where there
    is no such URL, or both are the same role."""
    owner, before = settings.DATABASE_OWNER, dict(connection.settings_dict)
    if not owner or connection.alias != "default" or owner["USER"] == before["USER"]:
        yield None
        return
    connection.close()
    connection.close_pool()
    names = ("USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    connection.settings_dict |= {name: owner.get(name, {} if name == "OPTIONS" else "") for name in names}
    try:
        yield before["USER"]
    finally:
        connection.close()
        connection.settings_dict |= {name: before[name] for name in names}


def grant(connection: Any, role: str) -> None:
    """Grant `role` what the code does, on all tables of the current role, and revoke everything else of it."""
    quoted = connection.ops.quote_name
    to = quoted(role)
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = cursor.fetchall()
        cursor.execute(f"GRANT USAGE ON SCHEMA {quoted(_schema(cursor))} TO {to}")
        for table, keeps_rows, keeps_all, changeable in tables:
            privileges = _privileges(table, keeps_rows, keeps_all, changeable, quoted)
            cursor.execute(f"REVOKE ALL ON {quoted(table)} FROM {to}")
            cursor.execute(f"GRANT {', '.join(privileges)} ON {quoted(table)} TO {to}")
        cursor.execute(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {quoted(_schema(cursor))} TO {to}")


def _schema(cursor):
    cursor.execute("SELECT current_schema()")
    return cursor.fetchone()[0]


def _privileges(table, keeps_rows, keeps_all, changeable, quoted):
    if table in READ_ONLY:
        return ["SELECT"]
    privileges = ["SELECT", "INSERT"] if keeps_rows else ["SELECT", "INSERT", "DELETE"]
    columns = FILLED_IN.get(table, () if keeps_all else changeable)
    if columns:
        privileges.append(f"UPDATE ({', '.join(map(quoted, columns))})")
    return privileges


def check_role(app_configs: Any, **options: Any) -> list[checks.CheckMessage]:
    """A warning where the role of DATABASE_URL could change what is append-only."""
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute(_POWERS)
            is_superuser, is_owner = cursor.fetchone()
    except Error as error:
        return [checks.Warning(f"The role of DATABASE_URL could not be looked at: {error}", id="arena.W002")]
    if not (is_superuser or is_owner):
        return []
    what = "is a superuser" if is_superuser else "owns the tables"
    return [
        checks.Warning(
            f"The role of DATABASE_URL {what}: who takes over a web process can change votes, past the triggers.",
            hint="Make a second role for it and name the owner in DATABASE_OWNER_URL: see docs/operating.md.",
            id="arena.W001",
        )
    ]
