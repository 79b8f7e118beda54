"""Scoring for as long as there is time: what is scored when it is up are the candidates."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from titan_repro.models.base import BlockNetwork
from titan_repro.selection.base import Candidates, Scores
from titan_repro.selection.selector import Selector
from titan_repro.streams.base import Samples

CHUNK = 4
"""Samples between two looks at the clock: training waits for at most so many."""


def score_while(
    working: Callable[[], bool],
    selector: Selector,
    network: BlockNetwork,
    admitted: Candidates,
    least: int,
) -> tuple[Candidates, Scores]:
    """Score samples in their order, at least `least` of them, and on while `working()`.

    admitted: all samples of the round, the most promising first.
    Returns those that were scored, with what the policy needs of them. Raises ValueError if the
    policy needs gradients over all parameters: their class means are made of all at once.
    """
    parts: list[Scores] = []
    done, size = 0, len(admitted.arrivals)
    while done < size and (done < least or working()):
        end = min(done + (CHUNK if parts else least), size)
        part = _part(admitted, done, end)
        parts.append(selector.score(network, part, same_weights=bool(parts)))
        done = end
    return _part(admitted, 0, done), _joined(parts)


def _part(admitted: Candidates, begin: int, end: int) -> Candidates:
    arrivals = Samples(*(column[begin:end] for column in vars(admitted.arrivals).values()))
    inputs = None if admitted.inputs is None else admitted.inputs[begin:end]
    return replace(admitted, arrivals=arrivals, inputs=inputs)


def _joined(parts: Sequence[Scores]) -> Scores:
    """Return several parts of one round's candidates as one."""
    if parts[0].moments is not None:
        raise ValueError("moments of gradients cannot be joined: class means are of all candidates")
    return Scores(
        labels=torch.cat([part.labels for part in parts]),
        stream_counts=parts[0].stream_counts,
        inputs=_rows([part.inputs for part in parts]),
        logits=_rows([part.logits for part in parts]),
        embeddings=_rows([part.embeddings for part in parts]),
        positions=_rows([part.positions for part in parts]),
    )


def _rows(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None
