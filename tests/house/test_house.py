"""The guards of the house: what docs/architecture.md says of its structure, as failing checks."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from arena.celery import app as celery


def test_imports_go_one_way_and_pure_modules_stay_pure():
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_web_process_never_imports_torch_or_matplotlib():
    loads_everything_but_the_worker = (
        "import arena.asgi, arena.urls, sys\n"
        "from django.urls import get_resolver\n"
        "get_resolver().url_patterns\n"
        "import arena.tasks, annotations.tasks, scoring.tasks\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
        "assert 'matplotlib' not in sys.modules, 'matplotlib was imported'\n"
    )
    checked = subprocess.run([sys.executable, "-c", loads_everything_but_the_worker], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_beat_calls_every_task_there_is_and_no_other():
    for app in ("arena", "annotations", "scoring"):
        import_module(f"{app}.tasks")
    tasks = {name for name in celery.tasks if not name.startswith("celery.")}
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} == tasks


@pytest.mark.django_db
def test_the_migrations_say_what_the_models_say():
    call_command("makemigrations", check=True, dry_run=True)


@pytest.mark.django_db
def test_the_api_describes_itself(client):
    schema = client.get("/api/schema/", {"format": "json"})
    assert schema.status_code == 200
    for path in ("/api/raters/", "/api/battles/", "/api/battles/{battle_id}/vote/", "/api/leaderboard/"):
        assert path in schema.content.decode()


def test_the_api_description_has_no_errors():
    call_command("spectacular", validate=True, fail_on_warn=True, file="/dev/null")
