"""Admin classes for rows that cannot be changed, or whose names are written only once."""

from collections.abc import Sequence

from django.contrib import admin


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows can be viewed, not added, changed or deleted."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class NamedAdmin(admin.ModelAdmin):
    """Names that editions and releases repeat are written only once: the database refuses later changes."""

    written_once: Sequence[str] = ()

    def get_readonly_fields(self, request, obj=None):
        return [*self.readonly_fields, *(self.written_once if obj else ())]
