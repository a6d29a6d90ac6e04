from celery import shared_task

from arena.models import Study

from . import ledger


@shared_task(time_limit=60)
def extend_ledger() -> None:
    """Number the votes and flags that have no `seq` in the ledger yet."""
    ledger.extend()


@shared_task(time_limit=120)
def screen_identities() -> None:
    """Look for scripts and for people with several identities among the raters who voted in the last hour."""
    from . import identity

    for study in Study.objects.filter(is_open=True, is_simulated=False):
        identity.screen_identities(study)


@shared_task(time_limit=120)
def watch_pass_rates() -> None:
    """Raise an alarm where a screen passes many more or many fewer raters than before."""
    from . import alarms

    for study in Study.objects.filter(is_open=True):
        alarms.watch_pass_rates(study)
