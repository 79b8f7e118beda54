"""Candidates for tests: random, on coarse grids with ties and duplicates, and broken ones."""

import torch
from hypothesis import strategies as st
from torch import Tensor

from titan_repro.selection.base import Scores

CLASSES = 4


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_candidates(
    seed: int, size: int = 24, classes: int = 5, width: int = 6, *, labels: Tensor | None = None
) -> Scores:
    """Candidates of a random linear model on random embeddings, with uneven classes."""
    draws = generator(seed)
    if labels is None:
        shares = torch.tensor([2.0**-k for k in range(classes)])
        labels = torch.multinomial(shares, size, replacement=True, generator=draws)
    scales = 0.3 + torch.arange(classes)  # classes differ in how far their embeddings spread
    embeddings = torch.randn(size, width, generator=draws) * scales[labels].unsqueeze(1)
    logits = embeddings @ torch.randn(width, classes, generator=draws)
    counts = torch.bincount(labels, minlength=classes)
    return Scores(
        labels,
        stream_counts=counts * 2 + torch.arange(classes),
        inputs=torch.randn(size, 3, 4, generator=draws),
        logits=logits,
        embeddings=embeddings,
        positions=torch.randperm(size, generator=draws),
    )


@st.composite
def grid_candidates(draw: st.DrawFn, max_size: int = 10) -> tuple[Scores, int]:
    """Candidates whose rows are drawn from a few grid points, so that ties are common; B."""
    halves = st.integers(-6, 6).map(lambda k: k / 2)
    certain = st.sampled_from([4000.0])  # leaves all other probabilities, and gradients, exactly 0
    pool = draw(st.integers(1, 5))
    points = [
        (
            draw(st.lists(halves | certain, min_size=CLASSES, max_size=CLASSES)),
            draw(st.lists(halves, min_size=3, max_size=3)),
        )
        for _ in range(pool)
    ]
    size = draw(st.integers(1, max_size))
    rows = draw(st.lists(st.integers(0, pool - 1), min_size=size, max_size=size))
    labels = torch.tensor(
        draw(st.lists(st.sampled_from([0, 0, 0, 2, 3]), min_size=size, max_size=size))
    )
    extra = draw(st.lists(st.integers(0, 3), min_size=CLASSES, max_size=CLASSES))
    candidates = Scores(
        labels,
        stream_counts=torch.bincount(labels, minlength=CLASSES) + torch.tensor(extra),
        inputs=torch.tensor([points[r][1] for r in rows]).reshape(size, 1, 3),
        logits=torch.tensor([points[r][0] for r in rows]),
        embeddings=torch.tensor([points[r][1] for r in rows]),
        positions=torch.tensor(
            draw(st.lists(st.integers(0, 2 * size), min_size=size, max_size=size))
        ),
    )
    return candidates, draw(st.integers(1, size))
