"""The one error that a user is meant to read."""


class CannotStart(Exception):
    """The arena cannot run here; the text says what is in the way and what to do about it."""
