"""Which errors are this machine's: no clip is to blame for them."""

import torch

from scoring.reward.head import BadCheckpoint


def of_the_machine(error: Exception) -> OSError | MemoryError | None:
    """The error as an OSError or a MemoryError where it tells of memory, a device or weights; None where an input of
    the encoder may have provoked it.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return MemoryError(f"the device ran out of memory: {error}")
    if isinstance(error, torch.AcceleratorError):
        return OSError(f"the device failed, and may need a new process: {error}")
    if isinstance(error, BadCheckpoint):
        return OSError(f"weights that cannot be loaded: {error}")
    return None
