"""C-IS on arrays draws what C-IS on tensors draws."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from selection.builders import generator, grid_candidates, random_candidates
from titan_repro.selection import cis_arrays, class_statistics
from titan_repro.selection.base import Candidates, Selection
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.inclusion import inclusion_numbers
from titan_repro.selection.sampling import GRID
from titan_repro.selection.statistics import gradient_moments

Policy = ClassifiedImportanceSampling
NARROW = 1e-9  # how far inclusion numbers, and ends of intervals on the line, may lie apart

keys = st.fixed_dictionaries(
    {
        "gradient": st.sampled_from(["last_layer", "logits", "full"]),
        "class_importance": st.sampled_from(["plugin", "bessel", "ema"]),
        "class_mass": st.sampled_from(["candidates", "stream"]),
        "weighting": st.sampled_from(["none", "none", "unbiased", "self_normalised"]),
        "sampling": st.sampled_from(["systematic", "systematic", "multinomial"]),
    }
)


@st.composite
def broken_candidates(draw: st.DrawFn, classes: int | None = None) -> tuple[Candidates, int]:
    """Random candidates with copies, certain and non-finite rows, and classes without any; B."""
    size = draw(st.integers(1, 40))
    classes = classes or draw(st.integers(1, 12))
    present = draw(st.lists(st.integers(0, classes - 1), min_size=1, max_size=classes))
    source = generator(draw(st.integers(0, 2**32)))
    labels = torch.tensor(present)[torch.randint(len(present), (size,), generator=source)]
    logits = 3 * torch.randn(size, classes, generator=source)
    embeddings = torch.randn(size, draw(st.integers(1, 9)), generator=source)
    rows = st.lists(st.integers(0, size - 1), max_size=size)
    if draw(st.booleans()):
        copied = torch.randint(size, (size,), generator=source)
        logits, embeddings = logits[copied], embeddings[copied]
    for i in draw(rows):
        logits[i, labels[i]] = 4000.0  # leaves all other probabilities, and the gradient, exactly 0
    odd = st.sampled_from([torch.nan, torch.inf, -torch.inf, 1e30])
    for i in draw(rows | st.just([]) | st.just(list(range(size)))):
        (logits if draw(st.booleans()) else embeddings)[i, 0] = draw(odd)
    counts = draw(st.lists(st.integers(0, 50), min_size=classes, max_size=classes))
    return with_moments(labels, torch.tensor(counts), logits, embeddings), draw(
        st.integers(1, size)
    )


def with_moments(labels: Tensor, counts: Tensor, logits: Tensor, embeddings: Tensor) -> Candidates:
    known = Candidates(labels, counts, logits=logits, embeddings=embeddings)
    moments = gradient_moments(known, "last_layer")
    return Candidates(labels, counts, logits=logits, embeddings=embeddings, moments=moments)


def select(policy: Policy, case: tuple[Candidates, int], seed: int, *, on_tensors: bool) -> Any:
    """Select one way; return the selection and the inclusion numbers of all, (N,)."""
    numbers: list[Tensor] = []

    def observe(compute: Any) -> Any:
        def observed(*arguments: Any, **named: Any) -> Any:
            found = compute(*arguments, **named)
            numbers.append(torch.as_tensor(found))
            return found

        return observed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cis_arrays, "inclusion_numbers", observe(cis_arrays.inclusion_numbers))
        patch.setattr("titan_repro.selection.cis.inclusion_numbers", observe(inclusion_numbers))
        patch.setattr(class_statistics, "on_arrays", lambda _: not on_tensors)
        if on_tensors:
            patch.delattr(cis_arrays, "select")
        else:
            patch.delattr("titan_repro.selection.cis.draw")
        selection = policy.select(*case, generator(seed))
    return selection, numbers[0]


def points_clear_of_ends(numbers: Tensor, labels: Tensor, points: Tensor) -> bool:
    """Whether rounding of the numbers cannot move a point into another interval."""
    ends = numbers[labels.argsort(stable=True)].cumsum(0)
    return bool(((points[:, None] - ends).abs() > NARROW).all())


def drawn_points(sampling: str, size: int, seed: int) -> Tensor:
    source = generator(seed)
    if sampling == "multinomial":
        return torch.rand(size, dtype=torch.float64, generator=source) * size
    start = torch.randint(GRID, (1,), generator=source).double()
    return (start + 0.5) / GRID + torch.arange(size)


def assert_same(
    policies: tuple[Policy, Policy], case: tuple[Candidates, int], seed: int
) -> Selection:
    """Let the first select on arrays, the second on tensors; compare all that they say."""
    (found, numbers), (expected, reference) = (
        select(policy, case, seed, on_tensors=way)
        for policy, way in zip(policies, (False, True), strict=True)
    )
    torch.testing.assert_close(numbers, reference, rtol=0, atol=NARROW)
    assert torch.equal(found.nonfinite, expected.nonfinite)
    candidates, size = case
    points = drawn_points(policies[0].sampling, size, seed)
    if points_clear_of_ends(reference, candidates.labels, points):
        for name in ("indices", "weights", "probabilities"):
            ours, theirs = getattr(found, name), getattr(expected, name)
            assert ours.shape == theirs.shape
            assert ours.is_contiguous()
            torch.testing.assert_close(ours, theirs)
    memory, remembered = (policy.state_dict() for policy in policies)
    assert memory.keys() == remembered.keys()
    for name in memory:
        torch.testing.assert_close(
            memory[name], remembered[name], rtol=1e-12, atol=1e-12, equal_nan=True
        )
    return found


thorough = settings(max_examples=400, deadline=None, derandomize=True)
seeds = st.integers(0, 2**32)


@thorough
@given(broken_candidates(), keys, seeds)
def test_broken_candidates(case: tuple[Candidates, int], given_keys: Any, seed: int) -> None:
    assert_same((Policy(**given_keys), Policy(**given_keys)), case, seed)


@settings(thorough, max_examples=150)
@given(grid_candidates(), keys, seeds)
def test_candidates_with_ties(case: tuple[Candidates, int], given_keys: Any, seed: int) -> None:
    candidates, size = case
    full = with_moments(
        candidates.labels, candidates.stream_counts, candidates.logits, candidates.embeddings
    )
    assert_same((Policy(**given_keys), Policy(**given_keys)), (full, size), seed)


@settings(thorough, max_examples=100)
@given(st.lists(broken_candidates(classes=6), min_size=2, max_size=5), keys, seeds)
def test_memory_over_rounds_and_across_checkpoints(
    cases: list[tuple[Candidates, int]], given_keys: Any, seed: int
) -> None:
    given_keys |= {"class_importance": "ema"}
    policies = (Policy(**given_keys), Policy(**given_keys))
    for number, case in enumerate(cases):
        assert_same(policies, case, seed + number)
        saved = [policy.state_dict() for policy in policies]
        assert saved[0]["average"].dtype == torch.float64
        for policy, other in zip(policies, reversed(saved), strict=True):
            policy.load_state_dict(other)


@pytest.mark.parametrize("size", [1, 30, 100])
def test_the_usual_round(size: int) -> None:
    """Not one of twenty rounds comes near an end, so that all of them compare indices."""
    for seed in range(20):
        plain = random_candidates(seed, size, classes=7, width=40)
        candidates = with_moments(plain.labels, plain.stream_counts, plain.logits, plain.embeddings)
        case = candidates, min(size, 10)
        _, numbers = select(Policy(), case, seed, on_tensors=True)
        points = drawn_points("systematic", case[1], seed)
        assert size == 1 or points_clear_of_ends(numbers, candidates.labels, points)
        assert_same((Policy(), Policy()), case, seed)


def test_both_ways_use_up_as_many_random_numbers() -> None:
    candidates = random_candidates(0)
    for sampling in ("systematic", "multinomial"):
        next_numbers = []
        for way in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(class_statistics, "on_arrays", lambda _, way=way: way)
                source = generator(3)
                Policy(sampling=sampling).select(candidates, 6, source)
            next_numbers.append(torch.rand(1, generator=source))
        assert torch.equal(*next_numbers)


@pytest.mark.parametrize("sampling", ["systematic", "multinomial"])
def test_points_are_those_of_the_tensors_to_the_last_bit(sampling: str) -> None:
    for seed in range(5):
        found = torch.from_numpy(cis_arrays.points(sampling, 6, generator(seed)))
        assert torch.equal(found, drawn_points(sampling, 6, seed))


def test_ends_of_intervals_belong_to_the_next_one_that_is_not_empty() -> None:
    numbers, labels = np.array([1.0, 0.0, 1.0, 1.0, 0.0]), np.array([1, 0, 0, 1, 1])
    picks = cis_arrays.draw(numbers, labels, np.array([0.0, 1.0, 1.5, 2.0]))
    assert picks.tolist() == [2, 0, 0, 3]
    beyond = cis_arrays.draw(numbers, labels, np.array([2.5, 3.0]))  # as rounding may put it
    assert beyond.tolist() == [3, 3]


def test_candidates_are_left_as_they_were() -> None:
    plain = random_candidates(1)
    candidates = with_moments(
        plain.labels, plain.stream_counts.double(), plain.logits.double(), plain.embeddings.double()
    )  # float64: arrays could share memory
    known = [
        candidates.labels,
        candidates.stream_counts,
        candidates.logits,
        candidates.embeddings,
        candidates.moments.norms,
        candidates.moments.class_mean_norms,
    ]
    before = [tensor.clone() for tensor in known]
    for gradient in ("last_layer", "logits", "full"):
        policy = Policy(gradient, "ema", "stream", "unbiased")
        policy.select(candidates, 6, generator(0))
        state = policy.state_dict()["average"]
        kept = policy._average
        policy.select(candidates, 6, generator(1))
        torch.testing.assert_close(kept, state, equal_nan=True, rtol=0, atol=0)
    assert all(torch.equal(*pair) for pair in zip(known, before, strict=True))


def test_logits_of_half_precision_and_with_a_gradient_are_taken() -> None:
    plain = random_candidates(2)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        logits, embeddings = (
            t.to(dtype).requires_grad_() for t in (plain.logits, plain.embeddings)
        )
        candidates = Candidates(plain.labels, plain.stream_counts, None, logits, embeddings)
        found = Policy().select(candidates, 6, generator(0))
        known = Candidates(
            plain.labels,
            plain.stream_counts,
            None,
            logits.detach().float(),
            embeddings.detach().float(),
        )
        expected, _ = select(Policy(), (known, 6), 0, on_tensors=True)
        assert torch.equal(found.indices, expected.indices)
        torch.testing.assert_close(found.probabilities, expected.probabilities)


def test_without_replacement_and_other_devices_are_left_to_tensors() -> None:
    candidates = random_candidates(0)
    on_meta = Candidates(candidates.labels.to("meta"), candidates.stream_counts.to("meta"))
    assert cis_arrays.serves(candidates, "systematic")
    assert cis_arrays.serves(candidates, "multinomial")
    assert not cis_arrays.serves(candidates, "without_replacement")
    assert not cis_arrays.serves(on_meta, "systematic")


def test_no_warning_of_numpy_escapes(recwarn: pytest.WarningsRecorder) -> None:
    candidates = random_candidates(0)
    candidates.logits[:3] = torch.tensor([torch.nan, torch.inf, -torch.inf])[:, None]
    candidates.embeddings[4] = torch.inf
    with np.errstate(all="warn"):
        selection = Policy(class_importance="ema").select(candidates, 6, generator(0))
    assert selection.nonfinite == 4
    assert not recwarn.list
