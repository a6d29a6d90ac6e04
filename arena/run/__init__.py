"""Running the whole arena on one machine: `python -m arena.run`, which is what `make run` calls.

The processes, each the child of the one above it:

    python -m arena.run     in the foreground; the only one that decides to stop
      supervisord           in a session of its own, so that Ctrl-C reaches only its parent
        postgres  redis     unless DATABASE_URL, REDIS_URL name others
        web  worker  gpu  beat

Nothing here imports Django, torch or the apps: it starts them.
"""
