"""Selection in someone else's loop: the page's own code, held against titan-run's executor."""

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import titan_repro
from titan_repro.conf_path import conf_dir
from titan_repro.errors import ConfigurationError
from titan_repro.models.small_cnn import small_cnn
from titan_repro.pipeline.inline import InlineExecutor
from titan_repro.runs.build import (
    build_loader,
    build_network,
    build_selector,
    build_stream,
    build_trainer,
    load_task,
)
from titan_repro.seeds import global_generator
from titan_repro.selection.rho_loss import is_held_out

PAGE = Path(__file__).parents[1] / "docs" / "library.md"
ROUNDS = 12


def blocks_of_code() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page's first block defines."""
    names: dict[str, Any] = {}
    exec(blocks_of_code()[0], names)
    return names


def test_the_loop_has_at_most_25_lines_and_the_page_runs(
    page: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    loop, example = blocks_of_code()
    assert len(loop.splitlines()) <= 25
    torch.manual_seed(0)  # or the weights depend on which tests ran before
    exec(example, dict(page))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 15
    losses = [float(line.split()[0]) for line in lines]
    assert sum(losses[-5:]) < sum(losses[:5])


class Plain(nn.Module):
    """small_cnn as somebody else would have written it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.stem = network.blocks[0]
        self.rest = network.blocks[1:]
        self.head = network.classifier

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.rest(self.stem(inputs)).mean(dim=(2, 3)))


@pytest.mark.parametrize("plain", [False, True], ids=["BlockNetwork", "nn.Module"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("titan", {}),
        ("titan", {"budget": 20, "class_importance": "ema", "score": "rank_mix", "seed": 3}),
        ("cis", {"weighting": "unbiased", "sampling": "multinomial"}),
        ("rs", {}),
    ],
    ids=str,
)
def test_the_loop_trains_what_titan_run_trains(
    configure: Any, tmp_path: Path, page: Any, name: str, options: dict[str, Any], plain: bool
) -> None:
    of_filter = ("budget", "score", "quota", "decay")
    keys = [f"{'filter.' if k in of_filter else ''}{k}={v}" for k, v in options.items()]
    config = configure(
        "task=digits", "model=small_cnn", f"selector={name}", "delay=0", "stream=clean", *keys
    )
    loader = build_loader(config)
    task = load_task(config, loader, loader.locate(tmp_path))
    network, stream = build_network(config), build_stream(config, task)
    mine = copy.deepcopy(network)
    executor = InlineExecutor(
        network,
        build_selector(config),
        stream,
        build_trainer(config, network),
        batch_size=config.batch_size,
        delay=config.delay,
        seed=config.seed,
    )

    def rounds() -> Iterator[tuple[Tensor, Tensor]]:
        for t in range(ROUNDS):
            arrivals = stream.round(t)
            yield stream.inputs(arrivals), arrivals.labels

    model = Plain(mine) if plain else mine
    for _ in page["train"](model, rounds(), name, rate=config.learning_rate, **options):
        pass
    for t in range(ROUNDS):
        executor.run(t)
    for ours, theirs in zip(mine.parameters(), network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def samples(size: int = 40) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(size, 1, 8, 8, generator=draws)
    return images, torch.randint(10, (size,), generator=draws)


def network() -> Any:
    with global_generator(0, "weights"):
        return small_cnn((1, 8, 8), 10, norm="batch")


def test_choosing_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.5)),
        nn.Linear(144, 10),
    )
    model[0].eval()
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    chooser = titan_repro.selector("titan", model, 10)
    batch = chooser.choose(*samples(), 10)
    assert torch.equal(batch.inputs, samples()[0][batch.positions])
    assert torch.equal(batch.labels, samples()[1][batch.positions])
    assert modes == [module.training for module in model.modules()]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("gradient", ["last_layer", "logits", "full"])
def test_a_dropout_layer_does_not_disturb_scores(gradient: str) -> None:
    layers = [nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)]
    plain = nn.Sequential(nn.Flatten(), *layers)
    dropping = nn.Sequential(nn.Flatten(), layers[0], layers[1], nn.Dropout(0.9), layers[2])
    found = [
        titan_repro.selector("cis", model, 10, gradient=gradient).choose(*samples(), 10)
        for model in (plain, dropping)
    ]
    assert torch.equal(found[0].positions, found[1].positions)
    assert torch.equal(found[0].probabilities, found[1].probabilities)


def test_named_layers_are_used() -> None:
    model = Plain(network())
    model.unused = nn.Linear(3, 7)
    with pytest.raises(ConfigurationError, match="last_layer: found unused with 7 outputs; allo"):
        titan_repro.selector("titan", model, 10)
    first, second = (
        titan_repro.selector("titan", model, 10, last_layer="head", features=features, score="rep")
        for features in ("stem", "rest.1")
    )
    assert first._network.features(samples()[0]).shape == (40, 32, 4, 4)
    assert second._network.features(samples()[0]).shape == (40, 64, 2, 2)
    for chooser in (first, second):
        assert len(chooser.choose(*samples(), 10).positions) == 10


def test_a_chooser_goes_on_from_its_state() -> None:
    def chooser() -> Any:
        return titan_repro.selector("titan", network(), 10, class_importance="ema")

    straight, first, second = chooser(), chooser(), chooser()
    expected = [straight.choose(*samples(), 10).positions.tolist() for _ in range(4)]
    found = [first.choose(*samples(), 10).positions.tolist() for _ in range(2)]
    second.load_state_dict(first.state_dict())
    found += [second.choose(*samples(), 10).positions.tolist() for _ in range(2)]
    assert found == expected
    assert expected[0] != expected[1]


@pytest.mark.parametrize("name", ["rs2", "rho_loss"])
def test_who_knows_samples_again_is_told_which_they_are(name: str) -> None:
    """Ids say so, places in a call do not: these are the same samples in another order."""
    images, labels = samples()
    ids, order = torch.arange(40) + 7, torch.arange(40).flip(0)
    chooser = titan_repro.selector(name, network(), 10)
    chosen = [ids[chooser.choose(images, labels, 10, ids).positions]]
    chosen += [ids[order][chooser.choose(images[order], labels[order], 10, ids[order]).positions]]
    if name == "rs2":
        assert not set(chosen[0].tolist()) & set(chosen[1].tolist())
    assert not is_held_out(torch.cat(chosen), 0.1).any() or name == "rs2"
    with pytest.raises(ValueError, match="ids: are missing; this selector knows samples"):
        chooser.choose(images, labels, 10)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.arange(39), r"ids: found torch.int64 of shape \(39,\) for 40 labels"),
        (torch.zeros(40), r"ids: found torch.float32 of shape \(40,\) for 40 labels"),
        (torch.arange(40) - 1, "ids: found -1; allowed: at least 0"),
    ],
)
def test_wrong_ids_are_named(ids: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        titan_repro.selector("rs", network(), 10).choose(*samples(), 10, ids)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("best", {}, "selector: found 'best'; allowed: camel, camel_equal, ce, cis, craig"),
        ("rs", {"gradient": "full"}, "gradient: no option of selector rs; allowed: none"),
        ("cis", {"budget": 3}, "budget: no option of selector cis; allowed: gradient, class_impor"),
        ("titan", {"budget": "adaptive"}, "budget: found 'adaptive'; allowed: whole numbers"),
        ("titan", {"quota": "x"}, "filter.quota: found 'x'; allowed: per_class_proportional"),
        ("titan", {"blocks": 4}, "blocks: found 4; allowed: 1 to 3"),
        ("titan", {"pooling": "max"}, "pooling: found 'max'; allowed: none, average"),
        ("titan", {"scoring_norm": "x"}, "scoring_norm: found 'x'; allowed: running, batch"),
    ],
)
def test_wrong_arguments_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        titan_repro.selector(name, network(), 10, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"last_layer": "nope"}, "last_layer: found nope; allowed: an nn.Linear with 10 outputs; "),
        ({"features": "nope"}, "features: found 'nope'; allowed: a module of the model, such as s"),
    ],
)
def test_names_that_a_model_does_not_have_are_refused(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        titan_repro.selector("titan", Plain(network()), 10, **options)


def test_samples_that_cannot_be_are_refused() -> None:
    inputs, labels = samples()
    chooser = titan_repro.selector("titan", network(), 10)
    with pytest.raises(ValueError, match=r"labels: found torch\.int64 of shape \(39,\) for 40"):
        chooser.choose(inputs, labels[1:], 10)
    with pytest.raises(ValueError, match="allowed: one or more of 0 to 9"):
        chooser.choose(inputs, labels + 1, 10)
    with pytest.raises(ConfigurationError, match="batch_size: found 31; allowed: 1 to 30"):
        chooser.choose(inputs, labels, 31)
    with pytest.raises(ValueError, match="30 candidates cannot be kept of 20 samples"):
        chooser.choose(inputs[:20], labels[:20], 10)
    assert chooser.choose(inputs, labels, 10).positions.shape == (10,)


def test_every_selector_of_the_package_is_there() -> None:
    names = [path.stem for path in (conf_dir() / "selector").glob("*.yaml")]
    assert len(names) >= 11
    for name in names:
        inputs, labels = samples()
        chooser = titan_repro.selector(name, Plain(network()), 10)
        batch = chooser.choose(inputs, labels, 10, ids=torch.arange(len(labels)))
        assert batch.weights.shape == batch.probabilities.shape == (10,)
    literal = titan_repro.selector("titan_literal", network(), 10)._selector.filter
    assert (literal.score, literal.quota) == ("rep_plus_div", "global")
