"""Errors of batches: exact against all batches, by draws against closed forms.

Statistical tests: fixed seeds; each compares a mean of many draws with its expectation and fails by
chance for one seed in 30,000 (4.2 standard errors).
"""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selection.builders import random_candidates
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.gradients import gradient_products
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.uniform import UniformSampling
from titan_repro.theory.decomposition import decompose
from titan_repro.theory.statement import made_up_gradients
from titan_repro.variance.draws import DrawnBatch, coefficients
from titan_repro.variance.errors import (
    ErrorParts,
    combined,
    error_of,
    greedy_batch,
    weighted_greedy_batch,
)
from titan_repro.variance.gram import rows_of

DRAWS, CERTAIN = 4000, 4.2


@st.composite
def drawn_batches(draw):
    """Gradients (N, d) and coefficients (R, N) of batches of them."""
    seed = draw(st.integers(0, 10**6))
    count, dimension = draw(st.integers(2, 8)), draw(st.integers(1, 10))
    draws = draw(st.integers(2, 6))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, dimension)), rng.gamma(1.0, size=(draws, count))


@given(drawn_batches())
def test_errors_from_products_are_those_of_the_gradients(made):
    gradients, shares = made
    found = error_of(shares, gradients @ gradients.T)
    batches, mean = shares @ gradients, gradients.mean(axis=0)
    squared = ((batches - mean) ** 2).sum(axis=1)
    variance = batches.var(axis=0, ddof=1).sum()
    assert found.mean_squared == pytest.approx(squared.mean())
    assert found.variance == pytest.approx(variance)
    assert found.squared_bias == pytest.approx(squared.mean() - variance, abs=1e-9)
    assert found.standard_error == pytest.approx(squared.std(ddof=1) / len(squared) ** 0.5)


def test_a_batch_that_is_always_the_same_is_all_bias():
    gradients = np.array([[0.0, 0.0], [2.0, 0.0]])
    found = error_of(np.array([[0.0, 1.0]]), gradients @ gradients.T)
    assert found == ErrorParts(1.0, 0.0, 1.0, 0.0)


def test_rounds_count_alike():
    one, two = ErrorParts(1.0, 0.5, 0.5, 0.3), ErrorParts(3.0, 2.5, 0.5, 0.4)
    found = combined([one, two])
    assert (found.mean_squared, found.variance, found.squared_bias) == (2.0, 1.5, 0.5)
    assert found.standard_error == pytest.approx(0.25)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_all_uniform_batches_have_the_variance_without_replacement(size):
    gradients = np.concatenate(made_up_gradients(3, (4, 2, 1)))
    count = len(gradients)
    every = list(combinations(range(count), size))
    shares = np.zeros((len(every), count))
    for row, batch in zip(shares, every, strict=True):
        row[list(batch)] = 1 / size
    found = error_of(shares, gradients @ gradients.T)
    spread = ((gradients - gradients.mean(axis=0)) ** 2).sum() / count
    assert found.mean_squared == pytest.approx(spread / size * (count - size) / (count - 1))


def drawn_from(policy, scores, size):
    """Return the error of many batches of a policy, and the gradients' rows by class."""
    generator = torch.Generator().manual_seed(7)
    picks = [policy.select(scores, size, generator) for _ in range(DRAWS)]
    batches = [DrawnBatch(pick.indices, pick.weights) for pick in picks]
    products = gradient_products(scores, "last_layer")
    rows, labels = rows_of(products), scores.labels.numpy()
    classes = [rows[labels == y] for y in np.unique(labels)]
    return error_of(coefficients(batches, len(scores)), products), classes


@pytest.mark.parametrize("size", [5, 20])
def test_importance_sampling_has_lemma_1s_variance(size):
    found, classes = drawn_from(ImportanceSampling(), random_candidates(2, 24), size)
    expected = decompose(classes).importance_sampling / size
    assert abs(found.mean_squared - expected) < CERTAIN * found.standard_error
    assert abs(found.squared_bias) < CERTAIN * found.standard_error


def test_uniform_batches_have_the_variance_of_the_decomposition():
    found, classes = drawn_from(UniformSampling(), random_candidates(2, 24), 6)
    expected = decompose(classes).rs / 6 * (24 - 6) / (24 - 1)
    assert abs(found.mean_squared - expected) < CERTAIN * found.standard_error


def test_independent_unbiased_draws_of_cis_have_the_variance_of_their_probabilities():
    """With plug-in importance, and chances p_i = pi_i / B over everyone, not class by class."""
    scores, size = random_candidates(5, 30, classes=3, labels=torch.arange(30) % 3), 10
    policy = ClassifiedImportanceSampling(
        class_importance="plugin", weighting="unbiased", sampling="multinomial"
    )
    found, classes = drawn_from(policy, scores, size)
    norms = [np.linalg.norm(rows, axis=1) for rows in classes]
    spread = [
        n.mean() ** 2 - (r.mean(axis=0) ** 2).sum() for n, r in zip(norms, classes, strict=True)
    ]
    quotas = np.array([len(n) * s**0.5 for n, s in zip(norms, spread, strict=True)])
    chances = [q / quotas.sum() * n / n.sum() for q, n in zip(quotas, norms, strict=True)]
    second = sum((n**2 / p).sum() for n, p in zip(norms, chances, strict=True)) / len(scores) ** 2
    mean = np.concatenate(classes).mean(axis=0)
    expected = (second - mean @ mean) / size
    assert abs(found.mean_squared - expected) < CERTAIN * found.standard_error
    assert expected > decompose(classes).cis / size  # which draws class by class reach


@given(drawn_batches())
def test_picking_with_the_mean_at_hand(made):
    gradients, _ = made
    products, count = gradients @ gradients.T, len(gradients)
    shares = greedy_batch(products, count)
    assert shares == pytest.approx(np.full((1, count), 1 / count))
    (first,) = greedy_batch(products, 1)
    distances = ((gradients - gradients.mean(axis=0)) ** 2).sum(axis=1)
    assert distances[first.argmax()] == pytest.approx(distances.min())
    weighted = [error_of(weighted_greedy_batch(products, size), products) for size in (1, 2)]
    assert weighted[1].mean_squared <= weighted[0].mean_squared + 1e-9
    whole = error_of(weighted_greedy_batch(products, count), products)
    assert whole.mean_squared == pytest.approx(0.0, abs=1e-9)
