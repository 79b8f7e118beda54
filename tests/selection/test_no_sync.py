"""No policy makes the host wait for the device, and the guard sees it when one does."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from selection.builders import generator, random_candidates
from sync_guard import SynchronisationError, forbid_synchronisation
from titan_repro.selection import class_statistics
from titan_repro.selection.base import Candidates, GradientMoments, Policy
from titan_repro.selection.camel import Camel
from titan_repro.selection.cis import ClassifiedImportanceSampling
from titan_repro.selection.entropy import EntropyRanking
from titan_repro.selection.importance import ImportanceSampling
from titan_repro.selection.loss import LossRanking
from titan_repro.selection.ocs import OnlineCoresetSelection
from titan_repro.selection.statistics import gradient_moments
from titan_repro.selection.stratified import StratifiedSampling
from titan_repro.selection.uniform import UniformSampling

GRADIENTS = ("last_layer", "logits", "full")
SAMPLINGS = ("systematic", "multinomial", "without_replacement")


def policies(
    weightings: tuple[str, ...] = ("none", "self_normalised"),
    class_importances: tuple[str, ...] = ("plugin", "bessel", "ema"),
) -> list[Policy]:
    """Every policy with every combination of these and its other keys."""
    return [
        UniformSampling(),
        StratifiedSampling(),
        LossRanking("low"),
        LossRanking("high"),
        EntropyRanking(),
        Camel(),
        *(OnlineCoresetSelection(gradient) for gradient in GRADIENTS[:2]),
        *(
            ImportanceSampling(*keys)
            for keys in itertools.product(GRADIENTS, weightings, SAMPLINGS)
        ),
        *(
            ClassifiedImportanceSampling(*keys)
            for keys in itertools.product(
                GRADIENTS,
                class_importances,
                ("candidates", "stream"),
                weightings,
                SAMPLINGS,
            )
        ),
    ]


def complete_candidates() -> Candidates:
    given = random_candidates(0)
    return Candidates(
        given.labels,
        given.stream_counts,
        given.inputs,
        given.logits,
        given.embeddings,
        gradient_moments(given, "last_layer"),
    )


def test_no_policy_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_statistics, "on_arrays", lambda _: False)  # as on a GPU
    candidates = complete_candidates()
    for policy in policies():
        with forbid_synchronisation():
            policy.select(candidates, 6, generator(0))
            policy.select(candidates, 6, generator(1))  # with memory, where there is any


def test_no_policy_reads_tensor_contents() -> None:
    """Meta tensors have no contents: whatever needs one fails on them."""
    real = complete_candidates()
    candidates = Candidates(
        *(
            t.to("meta")
            for t in (real.labels, real.stream_counts, real.inputs, real.logits, real.embeddings)
        ),
        GradientMoments(real.moments.norms.to("meta"), real.moments.class_mean_norms.to("meta")),
    )
    for policy in policies(weightings=("self_normalised",), class_importances=("ema",)):
        selection = policy.select(candidates, 6, generator(0))
        assert selection.indices.is_meta
        assert selection.weights.shape == selection.probabilities.shape == (6,)


X = torch.arange(4.0)


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: bool(x.any()),
        lambda x: x[x > 1],
        lambda x: x.clone().index_put_((x > 1,), torch.zeros_like(x[:1])),
        lambda x: x.nonzero(),
        lambda x: torch.where(x > 1),
        lambda x: x.masked_select(x > 1),
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: torch.allclose(x, x),
        lambda x: torch.bincount(x.long()),
        lambda x: torch.multinomial(x, 1),
        lambda x: x.repeat_interleave(x.long()),
        lambda x: x[x.argmax()],
        lambda x: torch.tensor([1.0]).to(x),
        lambda x: torch.where(x > 1, x, 1.0),
        lambda x: x.numpy(),
        lambda x: x.cpu(),
        lambda x: x.to(torch.device("cpu")),
        lambda x: x.to(device="cpu", dtype=torch.float64),
    ],
)
def test_the_guard_sees_waiting(wait: Callable[[Tensor], object]) -> None:
    with pytest.raises(SynchronisationError), forbid_synchronisation():
        wait(X)
    wait(X)  # allowed outside


def test_the_guard_lets_the_rest_pass() -> None:
    index = torch.tensor([2, 0])
    with forbid_synchronisation():
        assert X[index].shape == (2,)
        X.masked_fill(X > 1, 0.0)
        X.to(torch.float64).to(X.device, non_blocking=True)
        torch.where(X > 1, X, torch.zeros_like(X))
        torch.searchsorted(X, X)
        X.argsort(stable=True).cumsum(0)
