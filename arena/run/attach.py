"""For `manage.py` in another terminal: how to reach the arena that runs in ARENA_HOME."""

from .home import Home

NAMES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SECRET_KEY", "PUBLIC_URL")


def environment() -> dict[str, str]:
    """How to reach the running arena and its databases, and its SECRET_KEY; empty when none runs there."""
    home = Home.from_environment()
    if not home.is_running():
        return {}
    run = home.read_run() or {}
    return {name: run[name] for name in NAMES if name in run}
