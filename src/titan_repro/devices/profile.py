"""Where tensors live. Decided by the device profile alone (conf/device)."""

import torch

from titan_repro.errors import ConfigurationError


def prepare(tensors: str, threads: int) -> torch.device:
    """Set the process's thread count and return the device that holds all tensors.

    Raises ConfigurationError if the profile asks for hardware that is not here: nothing ever
    falls back to another device.
    """
    torch.set_num_threads(threads)
    if tensors == "cpu":
        return torch.device("cpu")
    if tensors == "cuda":
        if not torch.cuda.is_available():
            raise ConfigurationError(
                "device: found a profile with tensors=cuda, but this PyTorch sees no CUDA GPU; "
                "allowed here: device=host"
            )
        torch.backends.cudnn.deterministic = True  # a resumed run must end on the same bits
        torch.backends.cudnn.benchmark = False
        return torch.device("cuda")
    raise ConfigurationError(f"device.tensors: found {tensors!r}; allowed: cpu, cuda")
