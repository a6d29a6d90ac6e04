"""`arena` in the admin. What is append-only is read-only here too; related objects link to each other."""

from django.contrib import admin

from . import accounts, again, clips, raters, studies, sweeps, tokens
from .links import file_of, link_to, list_of
from .read_only import NamedAdmin, ReadOnlyAdmin

__all__ = [
    "NamedAdmin",
    "ReadOnlyAdmin",
    "accounts",
    "again",
    "clips",
    "file_of",
    "link_to",
    "list_of",
    "raters",
    "studies",
    "sweeps",
    "tokens",
]

admin.site.site_header = admin.site.site_title = "Arena"
admin.site.index_title = "What is compared, what people said, what models say"
