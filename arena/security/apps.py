from django.contrib.admin.apps import AdminConfig


class ArenaAdminConfig(AdminConfig):
    """Django's admin, whose pages about accounts are ours."""

    default_site = "arena.security.admin_site.ArenaAdminSite"
