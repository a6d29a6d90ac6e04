"""Recognising a participant of a platform or an invitation without knowing who they are: HMACs, invitations, return
URLs.

Every key is derived from SECRET_KEY, for one purpose and one study. What is stored reveals neither who somebody is
nor, since a person has a rater of their own in each study, that two studies had the same person.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings
from django.utils.crypto import constant_time_compare

from .refusals import Forbidden

MAX_LENGTH = 200
# What a value looks like that nobody has filled in: {{%PROLIFIC_PID%}}, ${e://Field/PID}, {id}, #{id}, <id>, [id],
# %ID%, $ID, __ID__, and what a script or a preview sends for nothing.
PLACEHOLDER = re.compile(r"[{}]|^\[.*\]$|^<.*>$|^%.*%$|^\$\(?\w+\)?$|^__\w+__$", re.DOTALL)
NOTHING = {"undefined", "null", "none", "nan", "assignment_id_not_available"}


def keyed_hash(purpose: str, value: str) -> str:
    """HMAC-SHA256 in hex, under a key of its own for each purpose."""
    key = hashlib.sha256(f"arena:{purpose}:{settings.SECRET_KEY}".encode()).digest()
    return hmac.new(key, value.encode(), hashlib.sha256).hexdigest()


def participant_of(study: Any, platform: Mapping[str, str] | None, invitation: str | None) -> str | None:
    """The HMAC by which this study recognises the person with these URL parameters; None where it needs none.

    platform: {parameter name: value}; invitation: a token of `new_invitation`. Raises Forbidden.
    """
    refuse_unfilled(study, platform)
    if study.platform:
        value = (platform or {}).get(study.platform["participant"], "").strip()
        if not 1 <= len(value) <= MAX_LENGTH:
            raise Forbidden(
                f"This study is entered from its platform, with {study.platform['participant']} in the address.",
                code="platform_needed",
            )
        return keyed_hash(f"participant:{study.slug}", value)
    if study.access == study.Access.INVITED:
        nonce = _nonce_of(study, invitation or "")
        if not nonce:
            raise Forbidden("This study is by invitation: open the link that you were sent.", code="invitation_needed")
        return keyed_hash(f"participant:{study.slug}", nonce)
    return None


def unfilled(study: Any, platform: Mapping[str, str]) -> str | None:
    """The name of the first of the study's parameters whose value is still a placeholder, None where all are filled in.

    A platform, or a link written by hand, that does not replace it sends the same text for everybody, and all of them
    would be one rater.
    """
    names = list(study.platform.values())
    return next((name for name in names if _is_placeholder(platform.get(name, ""), names)), None)


def _is_placeholder(value, names):
    value = unquote(unquote(value)).strip()  # a link within a link is quoted again
    return (
        bool(PLACEHOLDER.search(value)) or value.casefold() in NOTHING or value.casefold() in map(str.casefold, names)
    )


def refuse_unfilled(study: Any, platform: Mapping[str, str] | None) -> None:
    """Forbidden where a parameter of the study's platform is still a placeholder."""
    if name := unfilled(study, platform or {}):
        raise Forbidden(
            f"{name} arrived as {(platform or {})[name]!r}: the platform has not filled in its placeholder. Open the "
            "study from the platform; whoever runs it should check its address there.",
            code="platform_unfilled",
        )


def new_invitation(study: Any) -> str:
    """A token for one person; entering with it again gives the same rater."""
    nonce = secrets.token_urlsafe(9)
    return f"{nonce}.{keyed_hash(f'invitation:{study.slug}', nonce)[:20]}"


def _nonce_of(study, token):
    nonce, _, signature = token.partition(".")
    expected = keyed_hash(f"invitation:{study.slug}", nonce)[:20]
    return nonce if nonce and constant_time_compare(signature, expected) else None


def return_key(study: Any) -> str:
    """The secret, in hex, with which the platform checks the signatures of return URLs."""
    return keyed_hash("return", study.slug)


def return_url(study: Any, *, outcome: str, code: str | None, platform: Mapping[str, str] | None) -> str | None:
    """The study's return URL with its blanks filled in and a signature appended, the HMAC-SHA256 under `return_key` of
    everything up to and including `signature=`; None where the study has no return URL.

    platform: the parameters the rater came with; only those the study names are used.
    """
    template = study.completion.get("return_url", "")
    if not template:
        return None
    blanks = {role: (platform or {}).get(parameter, "") for role, parameter in study.platform.items()}
    blanks |= {"code": code or "", "outcome": outcome}
    url = template.format(**{name: quote(str(value)[:MAX_LENGTH], safe="") for name, value in blanks.items()})
    unsigned = f"{url}{'&' if urlsplit(url).query else '?'}signature="
    return unsigned + hmac.new(bytes.fromhex(return_key(study)), unsigned.encode(), hashlib.sha256).hexdigest()


def schedule_seed(rater: Any, study: Any) -> str:
    """The secret seed with which this rater's checks and headphone trials in this study are drawn."""
    return keyed_hash(f"schedule:{study.slug}", str(rater.pk))
