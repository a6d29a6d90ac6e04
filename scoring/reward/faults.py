"""Which errors are this machine's: no clip is to blame for them. Importing this loads no torch."""


class DeviceFailed(OSError):
    """The device refuses this process all further work; a new process may have it again."""


def of_the_machine(error: Exception) -> OSError | MemoryError | None:
    """The error as an OSError or a MemoryError where it tells of memory, a device or weights; None where an input of
    the encoder may have provoked it.
    """
    import torch

    from scoring.reward.checkpoints import BadCheckpoint

    if isinstance(error, torch.OutOfMemoryError):
        return MemoryError(f"the device ran out of memory: {error}")
    if isinstance(error, torch.AcceleratorError):
        return DeviceFailed(f"the device failed, and wants a new process: {error}")
    if isinstance(error, BadCheckpoint):
        return OSError(f"weights that cannot be loaded: {error}")
    return None
