"""The sweeps of annotations; see `arena.sweeps`."""

from celery import shared_task

from arena import sweeps

from . import ledger


@shared_task(time_limit=60)
def extend_ledger():
    """Number the votes and flags that have no `seq` in the ledger yet."""
    sweeps.once("ledger", ledger.extend)


@shared_task(time_limit=120)
def screen_identities():
    """Look for scripts and for people with several identities among the raters who voted in the last hour."""
    from . import identity

    sweeps.over_studies("identities", identity.due_studies, identity.screen_identities, each_s=90)


@shared_task(time_limit=120)
def watch_pass_rates():
    """Raise an alarm where a screen passes many more or many fewer raters than before."""
    from . import alarms

    sweeps.over_studies("pass rates", alarms.studies_with_news, alarms.watch_pass_rates, each_s=60)
