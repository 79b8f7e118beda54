"""What selectors chose: which classes, how much noise, how much of the training set, in common.

Everything is of the samples that were trained until the round at which runs are compared. Runs in
their folders and runs in an export say the same: both give `Kept`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from titan_repro.analysis.comparison import order_labels
from titan_repro.analysis.load import Runs
from titan_repro.analysis.stream_shares import stream_noise, stream_shares
from titan_repro.records.recorded import RecordedRun
from titan_repro.records.training_set import class_sizes


@dataclass(frozen=True)
class Trained:
    """What one run trained. NaN, or None for the sketch, is what is not kept of it.

    shares: (C,) of the trained samples in each class, labels as the stream showed them.
    stream: (C,) of the arriving samples. noisy: share of the trained samples that was disturbed.
    never: share of the training set that was never trained.
    entropy: of the distribution of the trained samples over the training set, over log N: 1 if all
        N were trained equally often.
    repeats: share of the trained samples that stood in their batch already.
    sketch: how often each of the samples of `picks.sketch_positions` was trained.
    """

    shares: np.ndarray
    stream: np.ndarray
    noisy: float
    never: float
    entropy: float
    repeats: float
    sketch: np.ndarray | None


@dataclass(frozen=True)
class Profile:
    """What one selector chose in one setting: means over the seeds of which it is kept, else NaN.

    label: as in `Runs.summaries`. seeds: how many runs there are. ratios: (C,) share of the class
        among the trained samples over its share of the stream; NaN for a class that never comes.
    distance: total variation between the two, 0 to 1: half the sum of the shares' differences, of
        each run apart, as runs may prefer different classes; that of rs is chance's part in it.
    Others: see `Trained`.
    """

    label: str
    seeds: int
    ratios: np.ndarray
    distance: float
    noisy: float
    never: float
    entropy: float
    repeats: float

    @property
    def selector(self) -> str:
        """The selector's name, without the choices that tell its variants apart."""
        return self.label.split()[0]


@dataclass(frozen=True)
class SelectionStats:
    """One setting. group: its runs that finished, rows of `Runs.summaries`.

    noisy: share of the stream that is disturbed. estimated: whether the stream's class shares are
        those that rs trained, as no formula gives them.
    overlap: (n, n), a row and a column a profile: see `overlaps`.
    """

    group: pd.DataFrame
    noisy: float
    estimated: bool
    profiles: Sequence[Profile]
    overlap: np.ndarray


def selection_stats(runs: Runs) -> list[SelectionStats]:
    """Return what was chosen in every setting that has finished runs."""
    finished = runs.summaries[runs.summaries["status"] == "finished"]
    return [_setting(group, runs) for _, group in finished.groupby("setting", sort=False)]


def _setting(group: pd.DataFrame, runs: Runs) -> SelectionStats:
    config = runs.recorded[group["run_id"].iloc[0]].config
    of_run = {
        name: trained(runs.recorded[name], int(rounds))
        for name, rounds in zip(group["run_id"], group["rounds"], strict=True)
    }
    estimated = stream_shares(config, (1,) * int(config["task"]["num_classes"])) is None
    if estimated:
        of_run = _against_rs(group, of_run)
    labels = order_labels(group["label"])
    by_label = [_by_seed(group[group["label"] == label], of_run) for label in labels]
    return SelectionStats(
        group,
        stream_noise(config),
        estimated,
        [
            _profile(label, list(by_seed.values()))
            for label, by_seed in zip(labels, by_label, strict=True)
        ],
        overlaps([{seed: run.sketch for seed, run in by_seed.items()} for by_seed in by_label]),
    )


def _by_seed(group: pd.DataFrame, of_run: Mapping[str, Trained]) -> dict[int, Trained]:
    pairs = zip(group["seed"], group["run_id"], strict=True)
    return {int(seed): of_run[name] for seed, name in pairs}


def trained(run: RecordedRun, rounds: int) -> Trained:
    """Return what a run trained in its first `rounds` rounds."""
    kept = run.kept()
    blocks = kept.blocks[kept.blocks["first_round"] + kept.blocks["rounds"] <= rounds]
    whole = int(blocks["rounds"].sum()) == rounds > 0  # else the cut goes through a block
    counts = np.sum(blocks["chosen"].to_list(), axis=0) if whole else np.full(1, np.nan)
    classes = int(run.config["task"]["num_classes"])
    total = counts.sum()
    at = kept.picks[kept.picks["rounds"] == rounds]
    times = np.asarray(at["times"].iloc[0]) if len(at) else None
    sizes = class_sizes(run.provenance)
    stream = None if sizes is None else stream_shares(run.config, sizes)
    return Trained(
        shares=np.broadcast_to(counts / total, (classes,)),
        stream=np.full(classes, np.nan) if stream is None else stream,
        noisy=float(blocks["noisy"].sum() / total),
        never=np.nan if times is None else float(times[0] / times.sum()),
        entropy=np.nan if times is None else normalised_entropy(times),
        repeats=float(blocks["repeats"].astype(float).sum(skipna=False) / total),
        sketch=np.asarray(at["sketch"].iloc[0], dtype=float) if len(at) else None,
    )


def normalised_entropy(times: np.ndarray) -> float:
    """Return the entropy of the picks over the samples, over its greatest value, 0 to 1.

    times: how many samples were picked 0, 1, 2, ... times. 1: all equally often. NaN without picks
    or with a single sample.
    """
    each = np.arange(len(times))
    picks = float((each * times).sum())
    if picks == 0 or times.sum() < 2:
        return np.nan
    shares = each[1:] / picks
    return float(-(times[1:] * shares * np.log(shares)).sum() / np.log(times.sum()))


def overlaps(sketches: Sequence[Mapping[int, np.ndarray | None]]) -> np.ndarray:
    """Return how alike n selectors chose, (n, n): -1 to 1, 0 as independent choice gives.

    sketches: of each selector, by seed, how often each of the same samples was trained.
    The correlation of the two counts over samples, mean over the seeds that both have; on the
    diagonal over pairs of different seeds, so of how much of a choice is the sample's and not
    chance's. NaN without such seeds. Streams that show some samples more often than others raise
    all of them.
    """
    table = np.full((len(sketches), len(sketches)), np.nan)
    for row, ours in enumerate(sketches):
        for column, theirs in enumerate(sketches):
            pairs = [
                _correlation(a, b)
                for one, a in ours.items()
                for other, b in theirs.items()
                if (one != other if row == column else one == other)
            ]
            table[row, column] = _mean(pairs)
    return table


def _correlation(a: np.ndarray | None, b: np.ndarray | None) -> float:
    if a is None or b is None or a.std() == 0 or b.std() == 0:
        return np.nan
    return float(np.corrcoef(a, b)[0, 1])


def _against_rs(group: pd.DataFrame, of_run: Mapping[str, Trained]) -> dict[str, Trained]:
    """Take for the stream's class shares those that rs trained with the same seed."""
    of_rs = _by_seed(group[group["label"] == "rs"], of_run)
    shares = {seed: run.shares for seed, run in of_rs.items()}
    seeds = dict(zip(group["run_id"], group["seed"], strict=True))
    return {
        name: replace(one, stream=shares.get(seeds[name], np.full(len(one.shares), np.nan)))
        for name, one in of_run.items()
    }


def _profile(label: str, runs: Sequence[Trained]) -> Profile:
    known = [run for run in runs if np.isfinite(run.shares - run.stream).all()]
    shares, stream = (
        np.mean([getattr(run, name) for run in known], axis=0) if known else runs[0].shares * np.nan
        for name in ("shares", "stream")
    )
    with np.errstate(invalid="ignore"):
        ratios = np.where(stream > 0, shares / stream, np.nan)
    return Profile(
        label=label,
        seeds=len(runs),
        ratios=ratios,
        distance=_mean([float(np.abs(run.shares - run.stream).sum() / 2) for run in known]),
        noisy=_mean([run.noisy for run in runs]),
        never=_mean([run.never for run in runs]),
        entropy=_mean([run.entropy for run in runs]),
        repeats=_mean([run.repeats for run in runs]),
    )


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the numbers that are there, NaN for none."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
