"""Who may connect to the embedded PostgreSQL: two roles, each by a generated password (scram-sha-256).

`arena` owns the database and its tables, and migrates. Web and workers are `arena_app`, which owns nothing: it may do
to each table what the code does, and cannot TRUNCATE, alter or drop one, nor disable a trigger. The superuser cannot
connect at all; it is used in single-user mode, while no server runs.

The passwords are files of mode 0600 beside the database: `postgres_arena_password`, `postgres_arena_app_password`. They
are made anew where one is missing.
"""

import secrets
import subprocess
from pathlib import Path

from .errors import CannotStart
from .home import write_private
from .program import Account, run

OWNER, APPLICATION = "arena", "arena_app"
WRITTEN = "# Written by `python -m arena.run`. It is left alone as long as it begins with this line.\n"
HBA = WRITTEN + f"local all {OWNER},{APPLICATION} scram-sha-256\n"


def password_file(data: Path, role: str) -> Path:
    return data.with_name(f"postgres_{role}_password")


def password(data: Path, role: str) -> str:
    return password_file(data, role).read_text().strip()


def restrict(data: Path, single_user: list[str], account: Account | None) -> None:
    """Let the two roles in, by their passwords, and nobody else. Does nothing where that was done; a database made
    before these roles existed gets them. No server may be running.

    single_user: the command that runs SQL from its standard input, one statement a line."""
    hba = data.resolve() / "pg_hba.conf"
    files = [password_file(data, role) for role in (OWNER, APPLICATION)]
    if hba.read_text().startswith(WRITTEN) and all(file.exists() for file in files):
        return
    for file in files:
        if not file.exists():
            write_private(file, secrets.token_urlsafe(32))
    try:
        run(single_user, account, input=_sql(data))
    except subprocess.CalledProcessError as error:
        raise CannotStart(f"PostgreSQL could not set the passwords of {data}:\n{error.stderr.strip()}") from None
    write_private(hba, HBA, account)  # last: until it is written, the next start does all of this again


def _sql(data: Path) -> str:
    """The owner's role exists in a database of an earlier version, with tables; nothing of that is touched."""
    lines = []
    for role in (OWNER, APPLICATION):
        exists = f"SELECT FROM pg_roles WHERE rolname = '{role}'"
        lines += [
            f"DO $$ BEGIN IF NOT EXISTS ({exists}) THEN CREATE ROLE {role}; END IF; END $$;",
            f"ALTER ROLE {role} LOGIN PASSWORD '{password(data, role)}';",  # of letters, digits, - and _
        ]
    lines.append(f"ALTER ROLE {OWNER} CREATEDB;")  # for the tests' database
    lines.append(f"ALTER ROLE {APPLICATION} NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;")
    return "\n".join(lines) + "\n"
