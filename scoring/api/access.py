"""Who may ask, and how questions in a query string are read."""

from collections.abc import Mapping
from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


def given(query: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that say something: `?study=&edition=` asks for the defaults."""
    return {name: value for name, value in query.items() if value}


class IsResearcher(BasePermission):
    message = "This is for researchers: ask an admin to add your account to the group `researchers`."

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        return bool(user.is_authenticated and (user.is_staff or user.groups.filter(name="researchers").exists()))
