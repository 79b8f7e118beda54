"""An executor on the embedded task, built as titan-run builds it."""

import pytest

from titan_repro.experiments.build import (
    build_loader,
    build_network,
    build_selector,
    build_stream,
    build_trainer,
    load_task,
)
from titan_repro.experiments.candidate_budget import build_budget
from titan_repro.pipeline.inline import InlineExecutor


@pytest.fixture
def build(configure, tmp_path):
    def built(*overrides: str) -> InlineExecutor:
        config = configure("task=digits", "model=small_cnn", *overrides)
        loader = build_loader(config)
        task = load_task(config, loader, loader.locate(tmp_path))
        network, selector = build_network(config), build_selector(config)
        stream = build_stream(config, task)
        return InlineExecutor(
            network,
            selector,
            stream,
            build_trainer(config, network),
            batch_size=config.batch_size,
            delay=config.delay,
            seed=config.seed,
            budget=build_budget(config, network, selector, stream.velocity),
        )

    return built
