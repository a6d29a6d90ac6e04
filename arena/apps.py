from django.apps import AppConfig
from django.core.checks import Tags, register


class ArenaConfig(AppConfig):
    name = "arena"

    def ready(self) -> None:
        from .database_roles import check_role

        register(check_role, Tags.security, deploy=True)
