"""How well one network serves each device of a federation."""

import numpy as np
import torch

from titan_repro.models.base import BlockNetwork
from titan_repro.tasks.base import Task
from titan_repro.training import EVALUATION_BATCH


@torch.no_grad()
def class_accuracies(network: BlockNetwork, task: Task) -> np.ndarray:
    """Return the accuracy on the test samples of each class, (C,), NaN for a class without any."""
    was_training = network.training
    network.eval()
    device = network.classifier.weight.device
    right = np.zeros(len(task.classes))
    test = task.test
    for start in range(0, len(test), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        answers = network(task.normalise(test.inputs[part]).to(device)).argmax(dim=1).cpu()
        labels = test.labels[part].cpu()
        right += np.bincount(labels[answers == labels].numpy(), minlength=len(right))
    network.train(was_training)
    every = np.bincount(test.labels.cpu().numpy(), minlength=len(right))
    unknown = np.full(len(right), np.nan)
    accuracies: np.ndarray = np.divide(right, every, out=unknown, where=every > 0)
    return accuracies


def spread(accuracies: np.ndarray, class_counts: np.ndarray) -> dict[str, float]:
    """Return mean, deviation and quantiles over devices of what to expect on each one's own data.

    accuracies: (C,) of each class, NaN where unknown. class_counts: (n, C) samples of each device.
    A device's accuracy is the mean of its classes' by its number of samples of each; devices count
    equally. The standard deviation is that of these n numbers, not an estimate.
    """
    known = np.isfinite(accuracies)
    counts = class_counts[:, known].astype(float)
    held = counts.sum(axis=1)
    own = (counts @ accuracies[known])[held > 0] / held[held > 0]
    low, median, high = np.quantile(own, (0.1, 0.5, 0.9))
    return {
        "mean": float(own.mean()),
        "deviation": float(own.std()),
        "lowest": float(own.min()),
        "tenth": float(low),
        "median": float(median),
        "ninetieth": float(high),
        "highest": float(own.max()),
    }
