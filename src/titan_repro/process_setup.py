"""How a process computes on its device: threads, memory, repeatable results."""

import torch

from titan_repro.allocator import keep_freed_memory


def configure_process(device: torch.device, threads: int) -> None:
    """Set this process's thread count and allocator, and make results on `device` repeatable.

    A GPU is taken into use now, so that one that fails does so before any round. Raises whatever
    torch raises then.
    """
    torch.set_num_threads(threads)
    keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = True  # a resumed run should end on the same bits
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.allow_tf32 = False  # class importance needs float32's digits
        torch.zeros(1, device=device)
