"""Django's own `migrate`, as the owner of the tables; then the application's role is granted what the code does."""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections

from arena import database_roles


class Command(migrate.Command):
    def handle(self, *args: Any, database: str, **options: Any) -> None:
        connection = connections[database]
        with database_roles.as_owner(connection) as application:
            super().handle(*args, database=database, **options)
            if application and not (options["plan"] or options["check_unapplied"]):
                database_roles.grant(connection, application)
