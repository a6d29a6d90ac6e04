from celery import shared_task

from . import ledger


@shared_task(time_limit=60)
def extend_ledger():
    """Number the votes and flags that have no place in the ledger yet."""
    ledger.extend()
