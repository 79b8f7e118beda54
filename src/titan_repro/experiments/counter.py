"""The counter of the work that a configuration's rounds are."""

import torch
from omegaconf import DictConfig

from titan_repro.devices.round_work import RoundCounter
from titan_repro.experiments.build import build_network, build_selector


def build_counter(config: DictConfig) -> RoundCounter:
    """Build network and selector without weights or data, and what counts their rounds."""
    with torch.device("meta"):
        network = build_network(config)
    selector = build_selector(config)
    return RoundCounter(
        network,
        selector.filter,
        selector.policy,
        input_shape=config.task.input_shape,
        blocks=selector.blocks,
        pooling=selector.pooling,
        scoring_norm=selector.scoring_norm,
    )
