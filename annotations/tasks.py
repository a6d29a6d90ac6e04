from celery import shared_task

from arena.models import Study

from . import ledger


@shared_task(time_limit=60)
def extend_ledger() -> None:
    """Number the votes and flags that have no place in the ledger yet."""
    ledger.extend()


@shared_task(time_limit=120)
def screen_identities() -> None:
    """Look for programs and for people who vote as several, among those who voted lately."""
    from . import identity

    for study in Study.objects.filter(is_open=True, is_simulated=False):
        identity.screen_identities(study)


@shared_task(time_limit=120)
def watch_pass_rates() -> None:
    """Ring where a screen passes many more or many fewer than before."""
    from . import alarms

    for study in Study.objects.filter(is_open=True):
        alarms.watch_pass_rates(study)
