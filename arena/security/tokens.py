"""How the API recognises researchers and staff: `Authorization: Token KEY`, or a session, which may only read."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from arena.limits import client_address
from arena.models import ApiToken, Scope
from arena.refusals import Forbidden

from .throttles import BAD_TOKENS
from .transport import is_private

KEYWORD = "Token"


class Tokens(BaseAuthentication):
    """`request.auth` is the ApiToken. None without the header; a key that is not valid is refused."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        keyword, *words = get_authorization_header(request).split() or [b""]
        if keyword.lower() != KEYWORD.lower().encode():
            return None
        if not is_private(request._request):
            raise Forbidden(
                "A token is taken over https:// only, or from a program on the arena's own machine. This one went over "
                "the network in clear: have it revoked.",
                code="https_needed",
            )
        token = ApiToken.objects.of_key(words[0].decode("latin-1")) if len(words) == 1 else None
        if token is None:
            if seconds := BAD_TOKENS.take(client_address(request._request)):
                raise Throttled(seconds)
            raise AuthenticationFailed("This token is not valid: it is mistyped, has expired or was revoked.")
        token.mark_used()
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return KEYWORD  # so that a missing token is a 401


class ReadingSession(SessionAuthentication):
    """Somebody signed in in a browser, who opens an address. A session writes nothing here: no page of another site can
    make it do so."""

    def authenticate(self, request: Request) -> Any:
        return super().authenticate(request) if request.method in SAFE_METHODS else None


def may(request: Request, scope: Scope) -> bool:
    """Whether the request came without a token, or with one of that scope."""
    return not isinstance(request.auth, ApiToken) or scope in request.auth.scopes


def needs(scope: Scope) -> type[BasePermission]:
    """For `permission_classes`: a token needs this scope. Who its user is, is asked for elsewhere."""

    class HasScope(BasePermission):
        message = f"This token lacks the scope `{scope}`: ask for one that has it."
        code = "scope_needed"

        def has_permission(self, request: Request, view: Any) -> bool:
            return may(request, scope)

    return HasScope


class TokensScheme(OpenApiAuthenticationExtension):
    """How the API description shows tokens."""

    target_class = Tokens
    name = "tokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": f'"{KEYWORD} " and the token.',
        }


class ReadingSessionScheme(OpenApiAuthenticationExtension):
    """How the API description shows sessions."""

    target_class = ReadingSession
    name = "cookieAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
