"""Softmax regression on inputs, learned a step at a time."""

import torch
from torch import Tensor

from titan_repro.selection.gradients import logit_gradients


class LinearModel:
    """A linear classifier, all of it float64, so that equal inputs have equal losses.

    weights: (C, D + 1), the last column is the bias; zero at the beginning.
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    @classmethod
    def untrained(cls, length: int, classes: int) -> "LinearModel":
        """Return a model of inputs (n, length) that gives all classes the same probability."""
        return cls(torch.zeros(classes, length + 1, dtype=torch.float64))

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the logits (n, C) of inputs (n, D) float64."""
        return inputs @ self.weights[:, :-1].T + self.weights[:, -1]

    def learn(self, inputs: Tensor, labels: Tensor, rate: float) -> None:
        """Take one step of gradient descent on the mean cross-entropy of finite inputs (n, D).

        rate: of the step in units of 1 / mean(|x|^2 + 1), so that it fits inputs of any length;
            up to 4 the step lowers the loss on these samples, whose curvature is at most half
            that mean. No step without samples.
        """
        if len(labels) == 0:
            return
        errors = logit_gradients(self.logits(inputs), labels)  # (n, C)
        slope = torch.cat([errors.T @ inputs, errors.sum(dim=0).unsqueeze(1)], dim=1)
        step = rate / (inputs.square().sum() + len(labels))  # the mean's 1/n cancels the slope's
        self.weights = self.weights - step * slope
