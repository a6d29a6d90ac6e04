"""Who may ask, and how questions in a query string are read."""

from rest_framework.permissions import BasePermission


def given(query):
    """The parameters that say something: `?study=&edition=` asks for the defaults."""
    return {name: value for name, value in query.items() if value}


class IsResearcher(BasePermission):
    message = "This is for researchers: ask an admin to add your account to the group `researchers`."

    def has_permission(self, request, view):
        user = request.user
        return bool(user.is_authenticated and (user.is_staff or user.groups.filter(name="researchers").exists()))
