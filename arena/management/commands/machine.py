from typing import Any

from django.core.management.base import BaseCommand

from arena import disk
from arena.audio import sandbox


class Command(BaseCommand):
    help = "Say what this machine gives the arena: how far the child that decodes audio is confined, and free space."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"{sandbox.described()}.")
        space = disk.space()
        self.stdout.write(f"{space}: {space.state}.")
