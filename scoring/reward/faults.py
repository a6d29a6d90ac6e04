"""Which errors are this machine's: no clip is to blame for them. Importing this loads no torch."""

from arena.audio import AudioUnavailable

MACHINES_FAULT = (AudioUnavailable, MemoryError, OSError)  # WeightsError is an OSError


class DeviceFailed(OSError):
    """The device refuses this process all further work; a new process may have it again."""


def described(error: Exception) -> str:
    """The error's type and message, as the reason why a file or a clip could not be used."""
    return f"{type(error).__name__}: {error}"


def of_the_machine(error: Exception) -> AudioUnavailable | OSError | MemoryError | None:
    """The error where it is one of MACHINES_FAULT, or as one of them where it tells of the device or of weights; None
    where the input of an encoder may have provoked it.
    """
    if isinstance(error, MACHINES_FAULT):
        return error

    import torch

    from scoring.reward.checkpoints import BadCheckpoint

    if isinstance(error, torch.OutOfMemoryError):
        return MemoryError(f"the device ran out of memory: {error}")
    if isinstance(error, torch.AcceleratorError):
        return DeviceFailed(f"the device failed, and wants a new process: {error}")
    if isinstance(error, BadCheckpoint):
        return OSError(f"weights that cannot be loaded: {error}")
    return None
