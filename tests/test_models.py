"""Every model: its size, the contract of BlockNetwork, memory format, norms, refusals, seeds."""

import copy
import inspect
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hydra.utils import get_object
from omegaconf import OmegaConf
from sklearn.datasets import load_digits
from torch import Tensor, nn

from titan_repro.compat import import_torchvision
from titan_repro.conf_path import conf_dir
from titan_repro.models.alexnet import alexnet
from titan_repro.models.base import BlockNetwork
from titan_repro.models.inference.scoring import ScoringNetwork, scoring_mode
from titan_repro.models.mlp import mlp
from titan_repro.models.mobilenet import mobilenet
from titan_repro.models.norm import norm_layer
from titan_repro.models.resnet import resnet34, resnet50
from titan_repro.models.shapes import IMAGE_MODELS, VECTOR_MODELS
from titan_repro.models.small_cnn import small_cnn
from titan_repro.models.squeezenet import squeezenet
from titan_repro.seeds import global_generator

Builder = Callable[..., BlockNetwork]

IMAGE_BUILDERS: list[Builder] = [alexnet, mobilenet, resnet34, resnet50, small_cnn, squeezenet]
EVERY_NORM = ("none", "batch", "group")
ALLOWED_NORMS: list[tuple[Builder, tuple[str, ...]]] = [
    (alexnet, EVERY_NORM),
    (mobilenet, EVERY_NORM),
    (resnet34, ("batch", "group")),
    (resnet50, ("batch", "group")),
    (small_cnn, EVERY_NORM),
    (squeezenet, EVERY_NORM),
    (mlp, ("none",)),
]
MODEL_FILES = sorted((conf_dir() / "model").glob("*.yaml"))


def images(*shape: int) -> Tensor:
    samples = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return samples.contiguous(memory_format=torch.channels_last)


def build(builder: Builder, input_shape: tuple[int, ...], classes: int = 10, **options: str):
    with global_generator(0, "weights"):
        return builder(input_shape, classes, **options)


def on_meta(builder: Builder, input_shape: tuple[int, ...], classes: int = 10, **options: str):
    with torch.device("meta"):
        return builder(input_shape, classes, **options)


# --- size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("builder", "input_shape", "classes", "norm", "parameters", "blocks"),
    [
        (alexnet, (3, 32, 32), 10, "none", 23_272_266, 5),
        (mobilenet, (3, 32, 32), 10, "batch", 3_217_226, 14),
        (squeezenet, (3, 32, 32), 10, "none", 727_626, 9),
        (squeezenet, (3, 32, 32), 10, "batch", 730_570, 9),
        (resnet50, (3, 32, 32), 10, "batch", 23_520_842, 17),
        (resnet34, (1, 40, 98), 20, "batch", 21_288_660, 17),
        (mlp, (900,), 5, "none", 90_605, 1),
        (small_cnn, (1, 8, 8), 10, "none", 56_394, 3),
        (small_cnn, (3, 32, 32), 10, "none", 56_970, 3),
    ],
)
def test_parameters_and_blocks(builder, input_shape, classes, norm, parameters, blocks):
    network = on_meta(builder, input_shape, classes, norm=norm)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.blocks) == blocks


def test_squeezenet_has_the_published_layers():
    published = import_torchvision("torchvision.models").squeezenet1_1(num_classes=10)
    network = on_meta(squeezenet, (3, 8, 8), norm="none")
    shapes = [parameter.shape for parameter in network.parameters()]
    expected = [parameter.shape for parameter in published.parameters()]
    assert shapes[:-2] == expected[:-2]
    assert shapes[-2] == expected[-2][:2]  # a linear layer in place of a 1 x 1 convolution


@pytest.mark.parametrize(
    ("builder", "stem"), [(resnet34, (64, 3, 7, 7)), (resnet50, (64, 3, 3, 3))]
)
def test_resnets_have_the_published_layers_behind_their_stem(builder, stem):
    with torch.device("meta"):
        published = getattr(import_torchvision("torchvision.models"), builder.__name__)()
    shapes = [parameter.shape for parameter in on_meta(builder, (3, 8, 8), 1000).parameters()]
    assert shapes[0] == stem
    assert shapes[1:] == [parameter.shape for parameter in published.parameters()][1:]


def test_a_final_1x1_convolution_commutes_with_average_pooling():
    network = build(squeezenet, (3, 16, 16))
    inputs = images(2, 3, 16, 16)
    kernel = network.classifier.weight[:, :, None, None]
    published_order = F.conv2d(network.blocks(inputs), kernel, network.classifier.bias)
    torch.testing.assert_close(network(inputs), published_order.mean(dim=(2, 3)))


# --- the contract of BlockNetwork -----------------------------------------------------------------


def contract_cases() -> list:
    cases = [(builder, (3, 16, 16), (4, 3, 16, 16)) for builder in IMAGE_BUILDERS]
    return [*cases, (mlp, (30,), (4, 30))]


def samples(shape: tuple[int, ...]) -> Tensor:
    return images(*shape) if len(shape) == 4 else torch.linspace(-1, 1, 120).view(shape)


@pytest.mark.parametrize(("builder", "input_shape", "batch_shape"), contract_cases())
def test_embedding_and_classifier_make_the_logits(builder, input_shape, batch_shape):
    network, inputs = build(builder, input_shape), samples(batch_shape)
    embeddings = network.embed(inputs)
    assert isinstance(network.classifier, nn.Linear)
    assert embeddings.shape == (4, network.classifier.in_features)
    assert torch.equal(network(inputs), network.classifier(embeddings))
    assert network(inputs).shape == (4, 10)


@pytest.mark.parametrize(("builder", "input_shape", "batch_shape"), contract_cases())
def test_features_of_the_first_blocks_continue_to_the_embedding(builder, input_shape, batch_shape):
    network, inputs = build(builder, input_shape), samples(batch_shape)
    before = inputs.clone()
    embeddings = network.embed(inputs)
    for count in {0, 1, 2, len(network.blocks)}:
        features = network.features(inputs, count)
        kept = features.clone()
        assert torch.equal(network.neck(network.blocks[count:](features)), embeddings)
        assert torch.equal(features, kept), "a later block wrote into the features"
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("input_shape", [(1, 8, 8), (2, 9, 13), (1, 40, 98)])
@pytest.mark.parametrize("builder", IMAGE_BUILDERS)
def test_any_image_size_goes_forward_and_backward(builder, input_shape):
    network = build(builder, input_shape, classes=3)
    F.cross_entropy(network(images(2, *input_shape)), torch.tensor([0, 2])).backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("builder", IMAGE_BUILDERS)
def test_convolutions_stay_in_channels_last(builder, channels):
    network = build(builder, (channels, 32, 32))
    contiguous: list[bool] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(
                lambda layer, inputs, output: contiguous.append(
                    output.is_contiguous(memory_format=torch.channels_last)
                )
            )
    with torch.no_grad():
        network(images(2, channels, 32, 32))
    assert len(contiguous) >= 3
    assert all(contiguous)


# --- norms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("builder", "allowed"), ALLOWED_NORMS)
def test_allowed_norms_are_built_and_all_others_refused(builder, allowed):
    input_shape = (30,) if builder is mlp else (3, 8, 8)
    kinds = {"batch": nn.BatchNorm2d, "group": nn.GroupNorm}
    for norm in allowed:
        layers = list(on_meta(builder, input_shape, norm=norm).modules())
        present = {name for name, kind in kinds.items() if any(type(x) is kind for x in layers)}
        assert present == {norm} - {"none"}
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        if norm == "none":
            assert all(layer.bias is not None for layer in convolutions)
        else:
            assert sum(type(layer) is kinds[norm] for layer in layers) == len(convolutions)
    for norm in {*EVERY_NORM, "layer"} - {*allowed}:
        with pytest.raises(ValueError, match=f"{builder.__name__} takes norm .*, not '{norm}'"):
            builder(input_shape, 10, norm=norm)


def test_unknown_norm_layer_names_the_known_ones():
    with pytest.raises(ValueError, match="no norm 'layer'; allowed: batch, group, none"):
        norm_layer("layer")


@pytest.mark.parametrize(("channels", "groups"), [(16, 1), (48, 3), (64, 4), (512, 32), (20, 1)])
def test_group_norm_has_sixteen_channels_a_group_or_one_group(channels, groups):
    assert norm_layer("group")(channels).num_groups == groups


# --- refused inputs -------------------------------------------------------------------------------


@pytest.mark.parametrize("builder", IMAGE_BUILDERS)
@pytest.mark.parametrize(
    ("input_shape", "message"),
    [
        (
            (900,),
            r"\(channels, height, width\), not vectors \(900,\); vector models: mlp",
        ),
        ((28, 28), r"not samples of shape \(28, 28\)"),
        ((3, 32, 7), r"at least 8 x 8 pixels and one channel, not \(3, 32, 7\)"),
        ((0, 8, 8), r"not \(0, 8, 8\)"),
    ],
)
def test_image_models_refuse_other_shapes_in_one_line(builder, input_shape, message):
    with pytest.raises(
        ValueError, match=f"^{builder.__name__} takes images .*{message}"
    ) as refusal:
        builder(input_shape, 10)
    assert "\n" not in str(refusal.value)


def test_mlp_refuses_images_and_names_the_models_for_them():
    line = (
        "mlp takes vectors (d,), not images (3, 32, 32); image models: "
        "alexnet, mobilenet, resnet34, resnet50, small_cnn, squeezenet"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(line)}$"):
        mlp((3, 32, 32), 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mlp((0,), 10), r"at least one number, not \(0,\)"),
        (lambda: mlp((9,), 10, widths=[]), r"hidden widths of at least 1, not \[\]"),
        (lambda: small_cnn((1, 8, 8), 10, width=0), "width of at least 1, not 0"),
    ],
)
def test_impossible_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- configuration files --------------------------------------------------------------------------


def test_messages_name_exactly_the_models_that_can_be_configured():
    assert sorted(IMAGE_MODELS + VECTOR_MODELS) == [file.stem for file in MODEL_FILES]


@pytest.mark.parametrize("file", MODEL_FILES, ids=lambda file: file.stem)
def test_configuration_binds_to_the_builder(file):
    config = OmegaConf.create({"model": OmegaConf.load(file)})
    network = OmegaConf.to_container(config.model.network, resolve=True)
    builder = get_object(network.pop("_target_"))
    inspect.signature(builder).bind(input_shape=(3, 8, 8), num_classes=10, **network)
    assert config.model.name == file.stem == builder.__name__
    assert config.model.learning_rate > 0
    shape = (900,) if file.stem in VECTOR_MODELS else (3, 32, 32)
    assert isinstance(on_meta(builder, shape, **network), BlockNetwork)


@pytest.mark.parametrize(
    ("model", "learning_rate"),
    [
        ("alexnet", 0.1),
        ("mobilenet", 0.1),
        ("squeezenet", 0.1),
        ("resnet34", 0.005),
        ("resnet50", 0.005),
    ],
)
def test_image_models_have_the_papers_learning_rates(model, learning_rate):
    assert OmegaConf.load(conf_dir() / "model" / f"{model}.yaml").learning_rate == learning_rate


# --- scoring --------------------------------------------------------------------------------------


def modes(network: nn.Module) -> list[tuple]:
    return [
        (layer.training, getattr(layer, "track_running_stats", None)) for layer in network.modules()
    ]


@pytest.fixture
def trained() -> BlockNetwork:
    network = build(small_cnn, (3, 8, 8), norm="batch")
    for _ in range(3):
        network(2 + 3 * images(16, 3, 8, 8))  # running statistics unlike a fresh batch's
    return network


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("norm", "as_in_training"), [("running", False), ("batch", True)])
def test_scoring_uses_the_chosen_statistics_and_changes_nothing(
    trained, norm, as_in_training, training
):
    inputs = images(6, 3, 8, 8)
    expected = build(small_cnn, (3, 8, 8), norm="batch")
    expected.load_state_dict(trained.state_dict())
    expected.train(as_in_training)
    trained.train(training)
    before = modes(trained), {name: value.clone() for name, value in trained.state_dict().items()}
    with scoring_mode(trained, norm):
        logits = trained(inputs)
    assert torch.equal(logits, expected(inputs))
    assert modes(trained) == before[0]
    assert all(torch.equal(value, before[1][name]) for name, value in trained.state_dict().items())


def test_the_two_scoring_norms_differ(trained):
    inputs = images(6, 3, 8, 8)
    with scoring_mode(trained, "running"):
        running = trained(inputs)
    with scoring_mode(trained, "batch"):
        assert not torch.allclose(running, trained(inputs))


@pytest.mark.parametrize("norm", ["running", "batch"])
def test_scoring_restores_the_modes_after_an_error(trained, norm):
    trained.blocks[0].eval()  # a mixture, to see each layer restored to its own mode
    before = modes(trained)
    with pytest.raises(RuntimeError, match="interrupted"), scoring_mode(trained, norm):
        raise RuntimeError("interrupted")
    assert modes(trained) == before


def test_scoring_modes_nest(trained):
    before = modes(trained)
    with scoring_mode(trained, "batch"):
        outer = modes(trained)
        with scoring_mode(trained, "running"):
            assert modes(trained) != outer
        assert modes(trained) == outer
    assert modes(trained) == before


@pytest.mark.parametrize("norm", ["group", "none"])
def test_without_batch_norm_scoring_is_the_plain_forward_pass(norm):
    network, inputs = build(small_cnn, (3, 8, 8), norm=norm), images(6, 3, 8, 8)
    for scoring_norm in ("running", "batch"):
        with scoring_mode(network, scoring_norm):
            assert torch.equal(network(inputs), network(inputs[:6].clone()))


def test_unknown_scoring_norm_is_refused(trained):
    with (
        pytest.raises(ValueError, match="no scoring norm 'eval'; allowed: running, batch"),
        scoring_mode(trained, "eval"),
    ):
        pass


@pytest.mark.parametrize("norm", ["running", "batch"])
def test_passes_of_selection_are_the_networks_own_as_of_the_last_refresh(trained, norm):
    inputs, scoring = images(6, 3, 8, 8), ScoringNetwork(trained, norm)
    for _ in range(2):
        before = modes(trained), copy.deepcopy(trained.state_dict())
        scoring.refresh()
        with torch.no_grad():
            features = scoring.features(inputs, 1)
            from_inputs, from_features = scoring.outputs(inputs), scoring.outputs(features, 1)
            with scoring_mode(trained, norm):
                expected = trained(inputs), trained.embed(inputs)
                torch.testing.assert_close(features, trained.features(inputs, 1))
        for found in (from_inputs, from_features):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert modes(trained) == before[0]
        assert all(torch.equal(value, before[1][k]) for k, value in trained.state_dict().items())
        with torch.no_grad():
            trained.blocks[1][0].weight.mul_(2)


def test_a_block_is_folded_once_after_a_refresh_when_it_is_needed(trained):
    scoring, inputs = ScoringNetwork(trained), images(2, 3, 8, 8)
    with torch.no_grad():
        features = scoring.features(inputs, 1)
        trained.blocks[0][0].weight.mul_(2)
        trained.blocks[1][0].weight.mul_(2)
        assert torch.equal(scoring.features(inputs, 1), features)  # the weights of before
        _, late = scoring.outputs(features, 1)  # block 1 is folded now: the weights of now
        scoring.refresh()
        assert not torch.equal(scoring.features(inputs, 1), features)
        assert torch.equal(scoring.outputs(features, 1)[1], late)


# --- weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("builder", "input_shape"), [(b, (3, 8, 8)) for b in IMAGE_BUILDERS])
def test_initial_weights_follow_from_the_seed_alone(builder, input_shape):
    state = torch.get_rng_state()
    networks = []
    for seed in (3, 3, 4):
        with global_generator(seed, "weights"):
            networks.append(builder(input_shape, 10))
    first, same, other = (network.state_dict() for network in networks)
    assert all(torch.equal(value, same[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_small_cnn_learns_digits_at_its_configured_rate():
    digits = load_digits()
    inputs = torch.from_numpy(digits.images).float()[:, None] / 8 - 1
    inputs = inputs.contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(digits.target).long()
    network = build(small_cnn, (1, 8, 8))
    rate = OmegaConf.load(conf_dir() / "model" / "small_cnn.yaml").learning_rate
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    draws = torch.Generator().manual_seed(0)
    for _ in range(300):
        chosen = torch.randint(1500, (10,), generator=draws)
        optimizer.zero_grad()
        F.cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = (network(inputs[1500:]).argmax(dim=1) == labels[1500:]).float().mean()
    assert accuracy > 0.8
