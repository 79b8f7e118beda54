"""The theory table, and the formulas behind it on cases small enough for a pencil."""

import math

import numpy as np
import pytest

from titan_repro.figures.theory import theory_words
from titan_repro.theory import decomposition, equation2, lemma1, lemma2, rep_div, theorem1, theorem2
from titan_repro.theory.statement import (
    EXACT,
    NEAR,
    Statement,
    agrees,
    made_up_gradients,
    relative,
)
from titan_repro.theory.table import check_all

HALF = np.full(2, 0.5)


@pytest.fixture(scope="module")
def table():
    return {row.name: row for row in check_all()}


@pytest.mark.parametrize(
    ("name", "outcome", "tolerance"),
    [
        ("Theorem 1, quadratic", "holds under a condition", EXACT),
        ("Theorem 1, last layer", "holds under a condition", EXACT),
        ("Lemma 1", "holds under a condition", NEAR),
        ("Theorem 2", "holds under a condition", EXACT),
        ("Lemma 2, real quotas", "holds", NEAR),
        ("Equation 2, uniform on S_y", "holds", EXACT),
        ("Equation 2, under P_t,y, picks weighted", "holds under a condition", EXACT),
        ("C-IS against a stratified batch", "holds", EXACT),
    ],
)
def test_what_holds_holds_to_its_tolerance(table, name, outcome, tolerance):
    assert table[name].outcome == outcome
    assert table[name].worst <= tolerance


def test_equation_2_as_printed_differs_by_much(table):
    row = table["Equation 2, under P_t,y as printed"]
    assert row.outcome == "does not hold"
    assert row.worst > 0.1
    assert "where A.3 needs" in row.counterexample


def test_every_condition_has_a_counterexample_or_is_a_reading(table):
    for row in table.values():
        assert row.outcome != "holds" or not row.condition
        if row.outcome == "holds under a condition" and row.name != (
            "Equation 2, under P_t,y, picks weighted"
        ):
            assert row.counterexample, row.name


def test_an_equality_that_is_off_or_not_a_number_does_not_hold():
    assert agrees(1e-3) == agrees(float("nan"), condition="any") == "does not hold"
    assert agrees(0.0, condition="c") == "holds under a condition"


def test_theorem_2_by_hand():
    """Gradients 1 and 3 with equal chances: beta = (1 + 9) / (4 * 1/2) = 5, gamma = 4."""
    gradients = np.array([[1.0], [3.0]])
    assert theorem2.beta_minus_gamma(gradients, HALF) == pytest.approx(1.0)
    assert theorem2.batch_variance([gradients], [HALF], [4]) == pytest.approx(0.25)
    variance, bias = theorem2.enumerated_variance([gradients], [HALF], (2,))
    assert (variance, bias) == pytest.approx((0.5, 0.0))


def test_a_class_without_a_pick_has_no_finite_variance_unless_it_has_no_spread():
    spread, equal = np.array([[1.0], [3.0]]), np.array([[0.0], [0.0]])
    assert theorem2.batch_variance([spread], [HALF], [0]) == np.inf
    assert theorem2.batch_variance([spread, equal], [HALF, HALF], [1, 0]) == pytest.approx(0.25)


def test_theorem_1_by_hand():
    """w = 1, w* = 0, eta = 1/2, gradients 0 or 2: w' is 1 or 0, so progress is 0 or 1."""
    w, optimum, drawn = np.ones(1), np.zeros(1), np.array([[0.0], [2.0]])
    assert theorem1.enumerated_progress(w, optimum, 0.5, drawn, HALF) == pytest.approx(0.5)
    assert theorem1.progress(w, optimum, 0.5, np.ones(1), 1.0) == pytest.approx(0.5)


def test_lemma_2_by_hand():
    """Norms 1 and 1, opposite: importance 2 * sqrt(1 - 0) = 2; equal ones: 0."""
    opposite, equal = np.array([[1.0], [-1.0]]), np.array([[1.0], [1.0]])
    assert lemma2.class_importance(opposite) == pytest.approx(2.0)
    assert lemma2.class_importance(equal) == 0.0
    assert lemma2.quotas([opposite, opposite * 3], 8) == pytest.approx([2, 6])
    assert lemma2.best_whole_quotas([opposite, opposite * 3], 8)[0] == (2, 6)
    assert lemma2.least_variance([opposite], 4) == pytest.approx(0.25)


def test_whole_quotas_are_all_tried():
    found = list(lemma2._compositions(5, 3))
    assert len(found) == len(set(found)) == 6
    assert all(sum(parts) == 5 and min(parts) >= 1 for parts in found)


def test_lemma_1_finds_the_norms_without_being_told():
    [gradients] = made_up_gradients(3, (4,))
    assert lemma1.optimal_probabilities(gradients) == pytest.approx(
        theorem2.by_norm(gradients), abs=1e-4
    )


def test_the_readings_of_equation_2_by_hand():
    """Gradients 1 and -3 under P = (1/4, 3/4): E|g| = 2.5, E g = -2; uniform: 2 and -1."""
    gradients = np.array([[1.0], [-3.0]])
    printed = equation2.difference_of_variances(gradients, np.array([0.25, 0.75]))
    assert printed == pytest.approx(2.5**2 - 4)
    assert equation2.needed(gradients) == pytest.approx(4 - 1)


def test_a_stratified_batch_removes_what_lies_between_classes():
    """Class means 1 and -1 around 0, inside each one a spread of 1 on the other axis."""
    classes = [np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[-1.0, 1.0], [-1.0, -1.0]])]
    found = decomposition.decompose(classes)
    assert (found.rs, found.stratified, found.between) == pytest.approx((2, 1, 1))
    assert found.importance_sampling == pytest.approx(2)
    assert found.cis == pytest.approx(1)


def test_rep_plus_div_ranks_no_samples():
    features = np.random.default_rng(0).normal(size=(6, 4))
    scores = rep_div.rep_plus_div(features, features.mean(axis=0), 7.0)
    assert np.ptp(scores) < 1e-12
    assert relative(float(scores[0]), 7.0 - float((features.mean(axis=0) ** 2).sum())) < 1e-12


def test_the_report_says_of_every_statement_what_came_of_it(table):
    paragraphs = theory_words().split("\n\n")
    assert [words.splitlines()[0] for words in paragraphs] == [
        f"{row.name}: {row.outcome}" for row in table.values()
    ]
    for words, row in zip(paragraphs, table.values(), strict=True):
        assert ("  condition: " in words) == bool(row.condition)
        assert ("  otherwise: " in words) == bool(row.counterexample)
        assert ("difference below 1e-09" in words) == (row.worst <= EXACT)


@pytest.mark.parametrize(("worst", "reported"), [(3e-15, 0), (EXACT, 0), (2e-9, 2e-9), (0.3, 0.3)])
def test_rounding_is_no_difference(worst, reported):
    """Its digits differ from processor to processor, and results/ is compared to the byte."""
    assert Statement("", "", "", "", "holds", worst).difference == reported


def test_what_is_no_number_is_reported():
    assert math.isnan(Statement("", "", "", "", "holds", math.nan).difference)
