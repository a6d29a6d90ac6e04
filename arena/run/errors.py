"""The one error that a user is meant to read."""


class CannotStart(Exception):
    """The arena cannot run here; the message says why and what to do about it."""
