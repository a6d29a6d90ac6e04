"""What the sweeps cost while there is nothing to do: CPU seconds of each in a minute of beat's schedule, with STUDIES
studies that have votes, an edition and all that follows from it.

The seconds are those of this process and of its database backend. Not counted: web processes, listeners, and what
Celery itself takes to deliver a message.
"""

import os
import time
from collections import Counter
from importlib import import_module
from pathlib import Path

STUDIES, SYSTEMS, PROMPTS, VOTES = 1000, 4, 4, 12
MEASURED_S, MOST_RUNS = 0.4, 20
TICKS = os.sysconf("SC_CLK_TCK")
GOAL = 0.05  # of a core

# Each pair of systems in turn, by one rater per study; long ago, and numbered in the ledger.
LAY_DOWN = """
CREATE TEMP TABLE drawn AS
    SELECT gen_random_uuid() AS id, study.id AS study, rater.id AS rater, i, %(first)s + i %% %(n)s AS a,
           %(first)s + (i + 1) %% %(n)s AS b
    FROM arena_study AS study
        JOIN (SELECT row_number() OVER (ORDER BY id) AS n, id FROM arena_rater) AS rater
            ON rater.n = study.id - %(study)s
        CROSS JOIN generate_series(1, %(votes)s) AS i
    WHERE study.id > %(study)s;
INSERT INTO arena_battle (id, study_id, rater_id, kind, system_a_id, system_b_id, codec, policy, served_at, closed_at,
                          close_reason, skip_reason, expected)
    SELECT id, study, rater, 'imported', a, b, '', '', now() - interval '9 days', now() - interval '9 days', 'voted',
           '', '' FROM drawn;
INSERT INTO annotations_vote (battle_id, rater_id, preference, degree, axes, tags, heard, first_played, received_at)
    SELECT id, rater, CASE i %% 3 WHEN 0 THEN 'A' WHEN 1 THEN 'B' ELSE 'TIE' END, '', '{}', '[]', '{}', '',
           now() - interval '9 days' FROM drawn;
DROP TABLE drawn
"""


def run() -> list[dict]:
    """A row per sweep, the dearest first, then their sum."""
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    make_studies(int(os.environ.get("SWEEP_STUDIES", STUDIES)))
    tasks = {name: _task(entry["task"]) for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}
    settle(tasks.values())
    before = written()
    rows = [measure(name, task, settings.CELERY_BEAT_SCHEDULE[name]["schedule"]) for name, task in tasks.items()]
    if written() != before:
        raise RuntimeError(f"The sweeps were not idle: {before} became {written()}.")
    rows.sort(key=lambda row: -row["cpu_s_a_minute"])
    total = sum(row["cpu_s_a_minute"] for row in rows)
    return [*rows, {**dict.fromkeys(rows[0], ""), "sweep": "all", "cpu_s_a_minute": round(total, 2),
                    "of_a_core": round(total / 60, 4), "goal": GOAL}]  # fmt: skip


def measure(name, task, period_s):
    runs, began, cpu = 0, time.monotonic(), cpu_s()
    while runs < MOST_RUNS and (not runs or time.monotonic() - began < MEASURED_S):
        task()
        runs += 1
    each = (cpu_s() - cpu) / runs
    return {"sweep": name, "period_s": period_s, "ms_each": round(each * 1000, 1),
            "cpu_s_a_minute": round(each * 60 / period_s, 3), "of_a_core": round(each / period_s, 5), "goal": "",
            }  # fmt: skip


def cpu_s():
    """CPU seconds so far of this process and of the database backend that serves it."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    fields = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / TICKS


def _task(path):
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def settle(tasks):
    """Let every sweep do what is left to do."""
    for _ in range(2):
        for task in tasks:
            task()


def written():
    from annotations.models import Alarm, Flag
    from scoring import models

    kinds = (Alarm, Flag, models.Edition, models.CategoryBoards, models.Figure, models.RobustnessCard,
             models.AnchorFit, models.PredictionPowered, models.EditionChange, models.QualityReport)  # fmt: skip
    return Counter({kind.__name__: kind.objects.count() for kind in kinds})


# ---- the studies --------------------------------------------------------------------------------------


def make_studies(n):
    """One study that every sweep has worked on, and `n` copies of it and of what was written."""
    from annotations import ledger
    from arena.models import Rater
    from tests.bench import votes as bench_votes

    bench_votes.SYSTEMS, bench_votes.PROMPTS = SYSTEMS, PROMPTS
    first = bench_votes.make_study()
    make_live_model()
    copies = copy_study(first, n)
    Rater.objects.bulk_create([Rater() for _ in copies])
    lay_down(first)
    ledger.catch_up()
    write_of_copies(copies)


def make_live_model():
    from arena.models import Clip
    from scoring.jury.rewards import store_rewards
    from scoring.models import RewardModel

    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    store_rewards(model, {clip.pk: clip.pk % 5 / 10 for clip in Clip.objects.all()})


def copy_study(first, n):
    from arena.models import Study

    copies = Study.objects.bulk_create(
        Study(slug=f"bench-{i}", name=f"Bench {i}", excerpt_s=first.excerpt_s) for i in range(n)
    )
    systems = list(first.systems.values_list("pk", flat=True))
    through = Study.systems.through
    through.objects.bulk_create(through(study=study, system_id=system) for study in copies for system in systems)
    fill_pools([first, *copies])
    return copies


def fill_pools(studies):
    """Full pools of every study, as its workers would have left them."""
    from arena.models import Clip, Excerpt
    from arena.serving.pools import FRESH

    Excerpt.objects.all().delete()
    clips = list(Clip.objects.values_list("pk", flat=True))
    ready = {"length_ms": 10_000, "codec": "mp3", "status": "ready", "file": "none", "size": 1}
    Excerpt.objects.bulk_create(
        (
            Excerpt(study=study, clip_id=clip, n_before=n, **ready)
            for study in studies
            for clip in clips
            for n in range(FRESH[Excerpt.Variant.PLAIN])
        ),
        batch_size=5000,
    )


def lay_down(first):
    from django.db import connection, transaction

    values = {"study": first.pk, "votes": VOTES, "n": SYSTEMS, "first": first.systems.order_by("pk").first().pk}
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in LAY_DOWN.split(";\n"):
            cursor.execute(statement, values)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def write_of_copies(copies):
    """The first copy's edition and what follows from it are computed; the others have the same votes."""
    from annotations import ledger
    from scoring.anchors.refit import refit_anchors
    from scoring.boards import categories, prediction_powered, refit, robustness_cards
    from scoring.boards.figures import data as figures
    from scoring.models import Figure, RewardModel
    from scoring.screening.sweep import screen_study

    worked_on, *others = copies
    model = RewardModel.live()
    edition = refit.refit_board(worked_on)
    categories.compute_categories(worked_on)
    refit_anchors(worked_on, model)
    robustness_cards.write_card(worked_on)
    prediction_powered.compute(worked_on, model)
    drawn = figures.draw_figures(worked_on)
    screen_study(worked_on)
    head = ledger.head()
    for study in others:
        copied = _copied(edition, study=study, ledger_seq=head)
        _copied(worked_on.standing, study=study, ledger_seq=head, config=copied.config)
        _copied(edition.categories, edition=copied)
        fit = _copied(worked_on.anchor_fits.newest_of(model), study=study, ledger_seq=head)
        card = robustness_cards.last_card(edition)
        _copied(card, edition=copied, config={**card.config, "anchor_fit": fit.pk})
        _copied(edition.prediction_powered.get(), edition=copied)
        _copied(worked_on.quality_reports.get(), study=study, ledger_seq=head)
    bases = {study.pk: figures._basis(study) for study in others}
    Figure.objects.bulk_create(
        Figure(study=study, edition=study.editions.newest(), name=figure.name, data=figure.data, basis=bases[study.pk],
               drawn_at=figure.drawn_at)
        for study in others for figure in drawn
    )  # fmt: skip


def _copied(row, **fields):
    values = {
        field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields if not field.primary_key
    }
    copy = type(row)(**values)
    for name, value in fields.items():
        setattr(copy, name, value)
    copy.save(force_insert=True)
    return copy


if __name__ == "__main__":
    from tests.bench.__main__ import print_table

    print_table(run())
