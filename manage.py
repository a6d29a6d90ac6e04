#!/usr/bin/env python
"""Django's command line. Beside a running `make run` it finds that run's databases by itself."""

import os
import sys


def main():
    if "DATABASE_URL" not in os.environ:
        from arena.run.attach import environment

        for name, value in environment().items():
            os.environ.setdefault(name, value)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
