"""torchvision beside a torch that its compiled part does not fit: importable, because what is missing is declared.

transformers imports torchvision wherever it is installed, and laion_clap wants it for a resize that the network without
fusion never does. PyPI's torchvision is built for PyPI's torch. Beside a torch from an index of CPU builds its compiled
operators do not load, and the import stops at two of them, `nms` and `qnms`, by "operator torchvision::nms does not
exist". Nothing here calls either.
"""

from importlib.util import find_spec

import torch

from scoring.reward.weights import PackageMissing

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []  # a declaration lasts as long as its library


def declare_missing() -> None:
    """Import torchvision where it is installed, after declaring the operators that it lacks. Do so before transformers
    is imported.

    Raises PackageMissing where torchvision does not load for any other reason.
    """
    if find_spec("torchvision") is None:
        return
    try:
        import torchvision
    except (ImportError, OSError, RuntimeError) as error:
        if "operator torchvision::" not in str(error) or _declared:
            raise PackageMissing(
                f"the installed torchvision does not load beside torch {torch.__version__} ({error}): install the one "
                "that was built for it, or uninstall torchvision if no encoder in use needs it"
            ) from error
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(operator + _SIGNATURE)
        _declared.append(library)
        import torchvision  # noqa: F401
