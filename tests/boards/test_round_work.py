"""The work of a round's stages: from the paper's steps and the network, not from our code."""

import pytest

from titan_repro.boards import networks
from titan_repro.boards.round_work import RoundCounter, RoundSize, StandIns, in_batches
from titan_repro.boards.work import NO_WORK, Work, forward_work, product, vectors
from titan_repro.models.mlp import mlp
from titan_repro.models.mobilenet import mobilenet
from titan_repro.models.small_cnn import small_cnn
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.class_sums import ClassSums
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.craig import Craig
from titan_repro.selection.divbs import DiversifiedBatchSelection
from titan_repro.selection.entropy import EntropyRanking
from titan_repro.selection.gradient_norm import GradientNormRanking
from titan_repro.selection.gradmatch import GradientMatching
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.k_center import KCenter
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.rho_loss import ReducibleLossRanking
from titan_repro.selection.rs2 import RepeatedRandomSubsets
from titan_repro.selection.selector import Selector
from titan_repro.selection.uds import UtilityDiversitySampling
from titan_repro.selection.uniform import UniformSampling

SHAPE = (1, 8, 8)
SIZE = RoundSize(filtered=100, scored=30, candidates=30, trained=10)
AS_THEY_ARRIVE = {"filter_at_once": 1, "score_at_once": 1}
ALL_AT_ONCE = {"filter_at_once": None, "score_at_once": None}
FEATURE = 32 * 4 * 4


def counter(policy, coarse_filter=None, **options):
    return RoundCounter(small_cnn(SHAPE, 10), coarse_filter, policy, input_shape=SHAPE, **options)


def coarse(score="rep_plus_div", budget=30):
    return CoarseFilter(budget, score, "per_class_proportional", 1.0, num_classes=10)


@pytest.fixture(scope="module")
def titan():
    return counter(ClassifiedImportanceSampling(), coarse())


def test_how_filter_policy_and_selector_are_programmed_changes_no_count(titan, monkeypatch):
    """Were any of their code run, counting would fail."""

    def refuse(*_, **__):
        raise AssertionError("counting ran the code that selects")

    before = titan.round(SIZE, **AS_THEY_ARRIVE), titan.round(SIZE, **ALL_AT_ONCE)
    for owner, names in (
        (CoarseFilter, ("admit", "start_round", "add_and_score")),
        (ClassSums, ("start_round", "count", "add")),
        (ClassifiedImportanceSampling, ("select",)),
        (Selector, ("admit",)),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, refuse)
    again = counter(ClassifiedImportanceSampling(), coarse())
    assert (again.round(SIZE, **AS_THEY_ARRIVE), again.round(SIZE, **ALL_AT_ONCE)) == before


def test_random_selection_neither_filters_nor_scores():
    rs = counter(UniformSampling())
    work = rs.round(RoundSize(0, 0, 100, 10), **AS_THEY_ARRIVE)
    assert work.filter == work.score == NO_WORK
    assert work.select == vectors(100, launches=1)


def test_the_filter_is_the_first_blocks_and_three_passes_over_the_feature(titan):
    work = titan.filter(100, 1)
    shallow = [layer for layer in titan.layers if layer.block == 0]
    one = forward_work(shallow, 1) + vectors((3 + 2 + 2) * FEATURE, launches=3)
    assert work == one * 100
    bulk = titan.filter(100, None)
    assert bulk.flops == work.flops
    assert bulk.launches == work.launches / 100


def test_scoring_is_a_forward_pass_and_norms_of_the_last_layer(titan):
    work = titan.round(SIZE, **ALL_AT_ONCE).score
    forward = forward_work(titan.layers, 30)
    width = titan.network.classifier.in_features
    assert work.flops == forward.flops
    assert work.bytes == forward.bytes + 4 * 2 * (10 + width) * 30
    losses = counter(LossRanking("low")).score(30)
    assert losses.bytes == forward.bytes + 4 * 2 * 10 * 30


def test_the_choice_of_cis_is_a_mean_gradient_a_class(titan):
    width = titan.network.classifier.in_features + 1
    means = product(10, 30, width) + vectors(10 * 10 * width, launches=1)
    assert titan.select(30, 10) == means + vectors(2 * 30, launches=2)


def test_policies_that_compare_pairs_pay_for_them():
    width, ranking = counter(UniformSampling()).network.classifier.in_features, vectors(60, 2)
    pairs = vectors(2 * 30**2, launches=2) + ranking
    gradients = product(30, width + 1 + 10, 30) + pairs
    for policy in (DiversifiedBatchSelection(), Craig(), GradientMatching()):
        assert counter(policy).select(30, 10) == gradients
    assert counter(KCenter()).select(30, 10) == product(30, width, 30) + pairs
    uds = counter(UtilityDiversitySampling(memory=200)).select(30, 10)
    assert uds == product(30, 10, 200) + ranking
    small_model = product(30, 65, 10) + product(10, 30, 65)
    assert counter(ReducibleLossRanking()).select(30, 10) == small_model + ranking
    for policy in (GradientNormRanking(), RepeatedRandomSubsets()):
        assert counter(policy).select(30, 10) == ranking


def test_a_training_step_is_three_forward_passes_less_one_input_gradient(titan):
    step, forward = titan.train(10), forward_work(titan.layers, 10)
    first = 2 * 10 * titan.layers[0].multiply_adds
    assert step.flops == 3 * forward.flops - first
    weights = sum(p.numel() for p in titan.network.parameters())
    assert step.operations[-1].bytes == 4 * 3 * weights


def test_samples_that_arrive_one_by_one_cost_a_hundred_small_passes(titan):
    single = titan.round(SIZE, **AS_THEY_ARRIVE)
    bulk = titan.round(SIZE, **ALL_AT_ONCE)
    assert single.score == titan.score(1) * 30
    assert single.score.launches == 30 * bulk.score.launches
    assert single.filter.launches == 100 * bulk.filter.launches


def test_what_an_adaptive_filter_keeps_does_not_change_what_it_takes():
    adaptive = counter(ClassifiedImportanceSampling(), coarse("rep", "adaptive"))
    fixed = counter(ClassifiedImportanceSampling(), coarse("rep"))
    for at_once in (1, None):
        assert adaptive.filter(100, at_once) == fixed.filter(100, at_once)


def test_a_batch_drawn_at_random_costs_training_alone(titan):
    work = titan.round(RoundSize(0, 0, 0, 10), **AS_THEY_ARRIVE)
    assert work.filter == work.score == work.select == NO_WORK
    assert work.train == titan.round(SIZE, **ALL_AT_ONCE).train


def test_more_blocks_cost_more_and_pooled_features_less():
    shallow, deep = (counter(Camel(), coarse(), blocks=n).filter(100, 1) for n in (1, 3))
    assert deep.flops > shallow.flops
    pooled = counter(Camel(), coarse(), pooling="average")
    assert pooled.features(5).shape == (5, 32)
    assert shallow.bytes - pooled.filter(100, 1).bytes == 4 * 100 * 7 * (FEATURE - 32)


def test_a_random_filter_looks_at_nothing():
    assert counter(Camel(), coarse("random")).filter(100, 1) == NO_WORK


@pytest.mark.parametrize(
    ("policy", "scores"),
    [
        (UniformSampling(), False),
        (Camel(), False),
        (LossRanking("low"), True),
        (EntropyRanking(), True),
        (OnlineCoresetSelection(), True),
        (ImportanceSampling("last_layer", "unbiased", "multinomial"), True),
        (ClassifiedImportanceSampling(), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_policy_has_its_work(policy, scores):
    work = counter(policy).round(RoundSize(0, 100 if scores else 0, 100, 10), **ALL_AT_ONCE)
    assert work.select.launches > 0
    assert (work.score != NO_WORK) is scores


def test_pairs_of_candidates_cost_their_square():
    for policy in (OnlineCoresetSelection(), Camel()):
        assert counter(policy).select(60, 10).flops == 4 * counter(policy).select(30, 10).flops


def test_full_gradients_cost_a_backward_pass_a_sample():
    full = counter(ImportanceSampling("full", "unbiased", "multinomial"))
    forward = forward_work(full.layers, 1).flops
    assert full.score(5) == full.score(1) * 5
    assert 2 * forward < full.score(1).flops < 3 * forward


def test_vectors_are_filtered_too():
    filtered = CoarseFilter(30, "rep", "global", 1.0, num_classes=5)
    rounds = RoundCounter(mlp((900,), 5), filtered, LossRanking("low"), input_shape=(900,))
    work = rounds.round(SIZE, **AS_THEY_ARRIVE)
    assert work.filter.flops == 100 * 2 * 900 * 100


STAND_INS = StandIns(224, {"mobilenet": networks.mobilenet})


def test_published_networks_stand_for_models_of_their_name_on_colour_images():
    small = mobilenet((3, 32, 32), 10)
    rounds = RoundCounter(
        small, None, UniformSampling(), input_shape=(3, 32, 32), blocks=2, model="mobilenet"
    )
    large = rounds.on(STAND_INS)
    assert large is rounds.on(STAND_INS)
    assert large.on(STAND_INS) is large
    assert (large.input_shape, large.classes, large.blocks) == ((3, 224, 224), 10, 2)
    assert large.train(10).flops > 10 * rounds.train(10).flops
    assert rounds.on(None) is rounds


def test_other_models_and_data_are_taken_as_they_are():
    digits = counter(UniformSampling(), model="small_cnn")
    assert digits.on(STAND_INS) is digits
    sounds = RoundCounter(
        mobilenet((1, 40, 98), 10),
        None,
        UniformSampling(),
        input_shape=(1, 40, 98),
        model="mobilenet",
    )
    assert sounds.on(STAND_INS) is sounds


def test_the_last_batch_may_be_smaller():
    def cost(samples: int) -> Work:
        return vectors(samples, launches=1)

    assert in_batches(25, 10, cost).bytes == 100
    assert in_batches(25, 10, cost).launches == 3
    assert in_batches(20, 10, cost).launches == 2
    assert in_batches(3, 10, cost) == vectors(3, launches=1)
    assert in_batches(0, 10, cost) == NO_WORK
