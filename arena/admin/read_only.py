"""What may be looked at and not touched, or written only once."""

from collections.abc import Sequence

from django.contrib import admin


class ReadOnlyAdmin(admin.ModelAdmin):
    """To look at, not to touch."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class NamedAdmin(admin.ModelAdmin):
    """What editions and releases repeat is written once: the database refuses to change it later."""

    written_once: Sequence[str] = ()

    def get_readonly_fields(self, request, obj=None):
        return [*self.readonly_fields, *(self.written_once if obj else ())]
