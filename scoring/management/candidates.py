"""Shared by the commands that store a candidate and may make it live at once."""

import shlex

from django.core.management import CommandError

from arena.refusals import Refusal
from scoring.models import RewardModel
from scoring.registry import live


def check_name(name: str) -> None:
    """CommandError for a --name that no candidate can have; called before the work, not after it."""
    longest = RewardModel._meta.get_field("name").max_length
    if longest and len(name) > longest:
        raise CommandError(f"--name has {len(name)} characters; the name of a reward model has {longest} at most.")
    if RewardModel.objects.filter(name=name).exists():
        raise CommandError(f"There is a reward model {name!r} already; choose another --name.")


def make_live(model: RewardModel, by: str) -> None:
    """Activate the candidate. Where that is refused, the CommandError says that the candidate is stored all the
    same."""
    try:
        live.activate(model, by)
    except Refusal as refusal:
        raise CommandError(
            f"{refusal} It is stored as a candidate: `python manage.py activate_model {shlex.quote(model.name)}` makes "
            "it live."
        ) from refusal
