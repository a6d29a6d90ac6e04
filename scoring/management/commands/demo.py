"""Fill an empty arena: music by six procedural systems, simulated votes, a trained and live reward model."""

import tempfile
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import transaction
from tqdm import tqdm

from annotations import ledger
from arena import services as stage
from arena import study_file
from arena.models import Study, System
from arena.serving.ingest import ingest
from scoring import demo
from scoring.demo import raters
from scoring.demo.synth import PROMPTS, SYSTEMS, generate, write_wav
from scoring.models import RewardModel
from scoring.registry import live

CLIP_SECONDS = 10  # enough to judge by, and 48 of them are ingested within a minute
PANEL = Path(demo.__file__).with_name("panel.yaml")
STUDIES = (
    {
        "slug": "open",
        "name": "Open listening",
        "description": "Six procedural systems, eight prompts. Everybody is welcome to listen and vote.",
        "is_default": True,
    },
    {
        "slug": "simulated",
        "name": "Simulated raters",
        "description": "The same clips, judged by made-up raters of different care: there to show a full board.",
        "is_simulated": True,
        "is_open": False,
    },
)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--if-empty", action="store_true", help="do nothing unless the arena is empty")

    def handle(self, if_empty: bool, **options: Any) -> None:
        if if_empty and not self.is_unfinished():
            return
        started = time.monotonic()
        open_study, simulated = (
            Study.objects.get_or_create(slug=fields["slug"], defaults=fields)[0] for fields in STUDIES
        )
        clips = self.make_clips(open_study, simulated)
        ingest(clips, open_study)
        ingest(clips, self.load_panel())
        if not simulated.battles.exists():
            ingest(clips, simulated)  # each study has excerpts of its own, and workers cut none for a closed one
            self.simulate(simulated)
        self.train(simulated)
        self.stdout.write(f"The demo is in place after {time.monotonic() - started:.0f} s.")

    def is_unfinished(self) -> bool:
        """Whether the arena is empty, or holds a demo that was interrupted before its model was trained."""
        others = System.objects.exclude(name__in=[system.slug for system in SYSTEMS])
        return not others.exists() and not RewardModel.objects.exists()

    def make_clips(self, *studies: Study) -> dict[int, str]:
        clips = {}
        with tempfile.TemporaryDirectory() as folder, tqdm(total=len(SYSTEMS) * len(PROMPTS), desc="compose") as bar:
            for number, prompt in enumerate(PROMPTS):
                for system in SYSTEMS:
                    path = Path(folder) / f"{system.slug}-{number}.wav"
                    audio = generate(system.slug, prompt, number, CLIP_SECONDS, system.sample_rate)
                    write_wav(path, audio, system.sample_rate)
                    clip, _ = stage.register_clip(
                        path,
                        system=system.slug,
                        prompt=prompt.text,
                        seed=str(number),
                        tags=prompt.tags,
                        licence="Apache-2.0",
                    )
                    clips[clip.pk] = path.name
                    bar.update()
        for system in SYSTEMS:
            System.objects.filter(name=system.slug).update(description=system.description)
        for study in studies:
            study.systems.set(System.objects.filter(name__in=[system.slug for system in SYSTEMS]))
        return clips

    def load_panel(self) -> Study:
        """The study of PANEL. An existing study of that name is kept: it may have been changed."""
        if not Study.objects.filter(slug=PANEL.stem).exists():
            study_file.load([(PANEL.name, PANEL.read_bytes())])
        return Study.objects.get(slug=PANEL.stem)

    def simulate(self, study: Study) -> None:
        with tqdm(total=raters.RATERS * raters.BATTLES_EACH, desc="simulated votes") as bar, transaction.atomic():
            study.is_open = True  # in memory only: nobody else is served
            raters.vote(study, bar.update)
        ledger.catch_up()

    def train(self, study: Study) -> None:
        from scoring.training.candidates import train_candidate

        with tqdm(desc="train reward model", unit=" epochs") as bar:
            model = train_candidate([study], progress=lambda _: bar.update())
        live.activate(model, by="the demo")
        test = {name: model.metrics["test"][name] for name in ("n", "n_decided", "accuracy", "ece", "log_loss")}
        self.stdout.write(f"{model.name} is live; on held-out prompts: {test}")
