"""The work of a round's stages, and that counting runs the very code that selects."""

import copy

import pytest
import torch

from titan_repro.boards.round_work import RoundCounter, RoundSize, in_batches
from titan_repro.boards.work import (
    NO_WORK,
    Work,
    count,
    meta_copy,
    scoring_work,
    shallow_work,
    training_work,
)
from titan_repro.models.mlp import mlp
from titan_repro.models.small_cnn import small_cnn
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.coarse_filter import CoarseFilter
from titan_repro.selection.entropy import EntropyRanking
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.uniform import UniformSampling

SHAPE = (1, 8, 8)
SIZE = RoundSize(filtered=100, scored=30, candidates=30, trained=10)
AS_THEY_ARRIVE = {"filter_at_once": 1, "score_at_once": 1}
ALL_AT_ONCE = {"filter_at_once": None, "score_at_once": None}


def counter(policy, coarse_filter=None, **options):
    network = meta_copy(small_cnn(SHAPE, 10))
    return RoundCounter(network, coarse_filter, policy, input_shape=SHAPE, **options)


def coarse(score="rep_plus_div"):
    return CoarseFilter(30, score, "per_class_proportional", 1.0, num_classes=10)


@pytest.fixture(scope="module")
def titan():
    return counter(ClassifiedImportanceSampling(), coarse())


def test_random_selection_neither_filters_nor_scores():
    rs = counter(UniformSampling())
    work = rs.round(RoundSize(0, 0, 100, 10), **AS_THEY_ARRIVE)
    assert work.filter == work.score == NO_WORK
    assert work.select.flops == 0
    assert work.train == training_work(rs.network, SHAPE, 10)


def test_titan_has_every_stage(titan):
    work = titan.round(SIZE, **ALL_AT_ONCE)
    assert work.score == scoring_work(titan.network, SHAPE, 30)
    assert work.filter.flops > shallow_work(titan.network, SHAPE, 1, 100).flops
    assert work.select.launches > 10


def test_samples_that_arrive_one_by_one_cost_a_hundred_small_passes(titan):
    single = titan.round(SIZE, **AS_THEY_ARRIVE)
    bulk = titan.round(SIZE, **ALL_AT_ONCE)
    assert single.score == scoring_work(titan.network, SHAPE, 1) * 30
    assert single.score.flops == bulk.score.flops
    assert single.score.launches == 30 * bulk.score.launches
    assert single.filter.launches > 10 * bulk.filter.launches
    assert single.filter == titan.filter(1, 1) * 100
    features = shallow_work(titan.network, SHAPE, 1, 1)
    assert single.filter.flops >= 100 * features.flops


def test_an_adaptive_filter_costs_on_arrival_what_any_does():
    adaptive = counter(
        ClassifiedImportanceSampling(),
        CoarseFilter("adaptive", "rep", "per_class_proportional", 1.0, num_classes=10),
    )
    fixed = counter(ClassifiedImportanceSampling(), coarse("rep"))
    assert adaptive.filter(100, 1) == fixed.filter(100, 1)
    ranked = adaptive.filter(100, None)
    assert ranked.flops == fixed.filter(100, None).flops
    assert ranked.launches > shallow_work(adaptive.network, SHAPE, 1, 100).launches


def test_a_batch_drawn_at_random_costs_training_alone(titan):
    for sizes in (AS_THEY_ARRIVE, ALL_AT_ONCE):
        work = titan.round(RoundSize(0, 0, 0, 10), **sizes)
        assert work.filter == work.score == work.select == NO_WORK
        assert work.train == titan.round(SIZE, **sizes).train


def test_more_blocks_cost_more():
    shallow, deep = (
        counter(ClassifiedImportanceSampling(), coarse(), blocks=n).filter(100, 1) for n in (1, 3)
    )
    assert deep.flops > shallow.flops
    assert deep.launches > shallow.launches


def test_pooled_features_are_shorter():
    flat, pooled = (
        counter(ClassifiedImportanceSampling(), coarse(), pooling=kind)
        for kind in ("none", "average")
    )
    assert flat.features(5).shape == (5, 32, 4, 4)
    assert pooled.features(5).shape == (5, 32)
    assert pooled.filter(100, None).bytes < flat.filter(100, None).bytes


def test_a_random_filter_looks_at_no_features():
    plain = counter(ClassifiedImportanceSampling(), coarse("random"))
    assert plain.filter(100, None).flops == 0
    assert plain.filter(100, 1).launches > 0


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
def test_every_policy_is_counted_without_data(policy, scores):
    work = counter(policy).round(RoundSize(0, 100 if scores else 0, 100, 10), **ALL_AT_ONCE)
    assert work.select.launches > 0
    assert (work.score != NO_WORK) is scores


def test_counting_a_policy_runs_its_own_code():
    """On real numbers the same operations, but for one: draws are copied to where samples are."""
    policy, known = LossRanking("high"), counter(LossRanking("high"))
    candidates = known._candidates(20)
    zeros = {
        name: torch.zeros_like(value, device="cpu")
        for name, value in vars(candidates).items()
        if isinstance(value, torch.Tensor)
    }
    real = type(candidates)(**zeros)
    on_host = count(lambda: policy.select(real, 10, torch.Generator()))
    draws = Work(bytes=2 * 20 * 8, launches=1.0)
    assert known.select(20, 10) == on_host + draws


def test_full_gradients_cost_a_backward_pass_a_sample():
    full = counter(ImportanceSampling("full", "unbiased", "multinomial"))
    one, five = full.score(1), full.score(5)
    assert five == one * 5
    forward = scoring_work(full.network, SHAPE, 1).flops
    assert one.flops == forward
    assert forward < one.backward_flops < 2 * forward


def test_vectors_are_filtered_too():
    network = mlp((900,), 5)
    filtered = CoarseFilter(30, "rep", "global", 1.0, num_classes=5)
    rounds = RoundCounter(network, filtered, LossRanking("low"), input_shape=(900,))
    work = rounds.round(SIZE, **AS_THEY_ARRIVE)
    assert work.filter.flops >= 100 * 2 * 900 * 100


def test_filter_policy_and_network_stay_as_they_were():
    network, coarse_filter, policy = small_cnn(SHAPE, 10), coarse(), ClassifiedImportanceSampling()
    before = copy.deepcopy((network.state_dict(), coarse_filter.state_dict(), policy.state_dict()))
    rounds = RoundCounter(network, coarse_filter, policy, input_shape=SHAPE)
    rounds.round(SIZE, **AS_THEY_ARRIVE)
    rounds.round(SIZE, **ALL_AT_ONCE)
    after = (network.state_dict(), coarse_filter.state_dict(), policy.state_dict())
    for old, new in zip(before, after, strict=True):
        assert all(torch.equal(old[name], new[name]) for name in old)


def test_the_last_batch_may_be_smaller():
    def cost(samples: int) -> Work:
        return Work(flops=float(samples), launches=1.0)

    assert in_batches(25, 10, cost) == Work(flops=25.0, launches=3.0)
    assert in_batches(20, 10, cost) == Work(flops=20.0, launches=2.0)
    assert in_batches(3, 10, cost) == Work(flops=3.0, launches=1.0)
    assert in_batches(0, 10, cost) == NO_WORK
