from django.core.management.base import BaseCommand, CommandError

from scoring import services
from scoring.models import RewardModel


class Command(BaseCommand):
    help = "Make a reward model the live one. The gpu workers score every clip with it, without a restart."

    def add_arguments(self, parser):
        parser.add_argument("name")

    def handle(self, name, **options):
        model = RewardModel.objects.filter(name=name).first()
        if not model:
            known = ", ".join(RewardModel.objects.order_by("pk").values_list("name", flat=True)) or "none yet"
            raise CommandError(f"There is no reward model {name!r}. There are: {known}.")
        services.activate_model(model)
        self.stdout.write(f"{model.name} is live.")
