from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from arena.models import Study
from arena.refusals import Refusal
from scoring import jury, services


class Command(BaseCommand):
    help = "Train a reward model on the votes of the studies (default: all) and store it as a candidate."

    def add_arguments(self, parser):
        parser.add_argument("--study", action="append", default=[], help="slug; may be given more than once")
        parser.add_argument("--encoders", default=",".join(jury.DEFAULT_ENCODERS), help="keys, comma-separated")
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--name")
        parser.add_argument("--activate", action="store_true", help="make it the live model")

    def handle(self, study, encoders, seed, name, activate, **options):
        from scoring.training import train_candidate

        studies = list(Study.objects.filter(slug__in=study) if study else Study.objects.all())
        if missing := set(study) - {one.slug for one in studies}:
            raise CommandError(f"There is no study {', '.join(sorted(missing))}.")
        made_up = ", ".join(one.slug for one in studies if one.is_simulated)
        if made_up:
            self.stdout.write(f"Among these votes are simulated ones, of the studies: {made_up}")
        with tqdm(desc="epochs", unit=" epochs") as bar:

            def show(epoch):
                bar.set_postfix(validation_loss=f"{epoch['validation_loss']:.4f}", refresh=False)
                bar.update()

            try:
                model = train_candidate(studies, encoder_keys=encoders.split(","), seed=seed, name=name, progress=show)
            except (Refusal, ValueError) as error:
                raise CommandError(str(error)) from error
        self.stdout.write(f"{model.name}: {model.config['split']['pairs']} pairs")
        for side, metrics in model.metrics.items():
            self.stdout.write(f"  {side}: {metrics}")
        if activate:
            services.activate_model(model)
            self.stdout.write(f"{model.name} is live.")
