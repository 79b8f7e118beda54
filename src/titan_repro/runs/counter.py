"""The counter of the work that a configuration's rounds are."""

import torch
from omegaconf import DictConfig

from titan_repro.boards.round_work import RoundCounter
from titan_repro.runs.build import build_network, build_selector


def build_counter(config: DictConfig) -> RoundCounter:
    """Build network and selector without weights or data, and what counts their rounds."""
    with torch.device("meta"):
        network = build_network(config)
    selector, shape = build_selector(config), config.task.input_shape
    return RoundCounter.of(network, selector, shape, config.model.name)
