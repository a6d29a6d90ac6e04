"""For `manage.py` in another terminal: how to reach the arena that runs in ARENA_HOME."""

from .home import Home

NAMES = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")


def environment() -> dict[str, str]:
    """DATABASE_URL, REDIS_URL and SECRET_KEY of the running arena; empty when none runs there."""
    home = Home.from_environment()
    if not home.is_running():
        return {}
    run = home.read_run() or {}
    return {name: run[name] for name in NAMES if name in run}
