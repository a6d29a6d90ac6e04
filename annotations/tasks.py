"""The sweeps of annotations; see `arena.sweeps`."""

import logging

from celery import shared_task

from arena import sweeps

from . import ledger, ledger_heads

logger = logging.getLogger(__name__)


@shared_task(time_limit=300)
def extend_ledger() -> None:
    """Number the votes and flags that have no `seq` in the ledger yet, and sign the new head now and then. Once, after
    an upgrade, it seals all that is there: a minute for a million votes."""
    sweeps.once("ledger", ledger.extend)
    try:
        ledger_heads.publish()
    except (OSError, ValueError, TypeError):  # a full disk or a damaged key must not keep votes from their places
        logger.exception("The ledger's head could not be written to %s", ledger_heads.log_file())


@shared_task(time_limit=120)
def screen_identities() -> None:
    """Look for scripts and for people with several identities among the raters who voted in the last hour."""
    from . import identity

    sweeps.over_studies("identities", identity.due_studies, identity.screen_identities, each_s=90)


@shared_task(time_limit=120)
def watch_pass_rates() -> None:
    """Raise an alarm where a screen passes many more or many fewer raters than before."""
    from . import alarms

    sweeps.over_studies("pass rates", alarms.studies_with_news, alarms.watch_pass_rates, each_s=60)


@shared_task(time_limit=60)
def watch_bursts() -> None:
    """Ask for a proof of work in studies that far more raters join than ever."""
    from . import bursts

    sweeps.over_studies("bursts", bursts.due_studies, bursts.ask_for_proof, each_s=20)


@shared_task(time_limit=60)
def watch_proxies() -> None:
    """Warn staff where listeners come through a proxy that no setting names."""
    from . import proxies

    sweeps.once("proxies", proxies.watch_proxies)
