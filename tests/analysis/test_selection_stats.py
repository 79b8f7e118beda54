"""What selectors chose: by hand, and the same from folders and from an export."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handmade import run as run_of
from handmade import runs_of
from titan_repro.analysis.export import export_runs
from titan_repro.analysis.load import load_runs
from titan_repro.analysis.selection_stats import (
    normalised_entropy,
    overlaps,
    selection_stats,
    trained,
)
from titan_repro.analysis.stream_shares import stream_noise, stream_shares
from titan_repro.records.blocks import Kept
from titan_repro.runs import state
from titan_repro.runs.run import run


def config(source="CleanStream", **values):
    target = f"titan_repro.streams.noise.{source}" if source[0].isupper() else source
    return {"stream": {"source": {"_target_": target, **values}}, "task": {"num_classes": 2}}


def recorded(blocks, picks=(), classes=(6, 2)):
    data = {} if classes is None else {"class_sizes": list(classes)}
    columns = ["first_round", "rounds", "chosen", "noisy", "repeats"]
    kept = Kept(
        pd.DataFrame(blocks, columns=columns),
        pd.DataFrame(),
        pd.DataFrame(picks, columns=["rounds", "times", "sketch"]),
        1.0,
    )
    return SimpleNamespace(config=config(), provenance={"data": data}, kept=lambda: kept)


BLOCKS = [(0, 100, [5, 5], 1, 2), (100, 100, [9, 1], 0, 0)]


def test_what_a_run_chose_by_hand():
    picks = [(100, [4, 2, 2, 0, 1], [1, 0]), (200, [2, 2, 0, 2, 2], [3, 4])]
    first = trained(recorded(BLOCKS, picks), 100)
    assert list(first.shares) == [0.5, 0.5]
    assert list(first.stream) == [0.75, 0.25]
    assert (first.noisy, first.repeats, first.never) == (0.1, 0.2, 4 / 9)
    both = trained(recorded(BLOCKS, picks), 200)
    assert list(both.shares) == [0.7, 0.3]
    assert (both.noisy, both.repeats, both.never) == (0.05, 0.1, 0.25)
    assert list(both.sketch) == [3, 4]


def test_what_is_not_kept_has_no_number():
    through_a_block = trained(recorded(BLOCKS), 150)
    assert np.isnan(through_a_block.shares).all()
    assert np.isnan([through_a_block.noisy, through_a_block.repeats, through_a_block.never]).all()
    older = trained(recorded([(0, 100, [5, 5], 1, None)], classes=None), 100)
    assert list(older.shares) == [0.5, 0.5]
    assert older.noisy == 0.1
    assert np.isnan([older.repeats, older.never, older.entropy, *older.stream]).all()
    assert older.sketch is None


def test_entropy_by_hand():
    assert normalised_entropy(np.array([0, 0, 5])) == pytest.approx(1)
    assert normalised_entropy(np.array([2, 2])) == pytest.approx(0.5)  # two of four samples
    assert normalised_entropy(np.array([3, 0, 0, 0, 0, 1])) == 0
    assert np.isnan(normalised_entropy(np.array([4])))


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30).filter(any))
def test_entropy_is_that_of_the_picks(counts):
    shares = np.array([count for count in counts if count]) / sum(counts)
    expected = -(shares * np.log(shares)).sum() / np.log(len(counts))
    assert normalised_entropy(np.bincount(counts)) == pytest.approx(expected)


def test_shares_of_a_stream():
    assert list(stream_shares(config(), (6, 2))) == [0.75, 0.25]
    assert list(stream_shares(config("FeatureNoise", fraction=0.4), (6, 2))) == [0.75, 0.25]
    noise = config("LabelNoise", fraction=0.4)
    assert stream_shares(noise, (6, 2)) == pytest.approx([0.75 * 0.6 + 0.25 * 0.4, 0.45])
    assert stream_noise(noise) == 0.4
    beside = config("LabelNoise")
    beside["stream"]["fraction"] = 0.1
    assert stream_noise(beside) == 0.1
    assert stream_noise(config()) == 0
    mixture = config("titan_repro.streams.mixture.imbalanced")
    assert (stream_shares(mixture, (6, 2)), stream_noise(mixture)) == (None, 0)
    assert stream_shares(config("mine.Stream", fraction=3), (6, 2)) is None
    assert np.isnan(stream_noise(config("mine.Stream", fraction=3)))


def test_overlap_by_hand():
    ours = {0: np.array([1.0, 2, 3, 4]), 1: np.array([4.0, 3, 2, 1])}
    theirs = {0: np.array([2.0, 4, 6, 8]), 2: np.array([1.0, 1, 1, 1])}
    table = overlaps([ours, theirs, {0: None}])
    assert table[:2, :2] == pytest.approx(np.array([[-1, 1], [1, np.nan]]), nan_ok=True)
    assert np.isnan(table[2]).all()


def test_independent_choices_do_not_overlap():
    """Poisson counts of 1,000 samples: the deviation is 1/sqrt(1000), 5 of them 1 in 10^6."""
    rng = np.random.default_rng(0)
    counts = [{seed: rng.poisson(4.0, 1000).astype(float) for seed in range(3)} for _ in range(2)]
    assert np.abs(overlaps(counts)).max() < 5 / np.sqrt(3000)


def test_a_mix_of_the_streams_own_is_estimated_by_what_rs_trained():
    made = runs_of(run_of("rs", 0, (0, 0.1, 0.0)), run_of("ll", 0, (0, 0.1, 0.0)))
    rs, ll = recorded([(0, 100, [8, 2], 0, 0)]), recorded([(0, 100, [4, 6], 0, 0)])
    rs.config = ll.config = config("titan_repro.streams.mixture.drift")
    [stats] = selection_stats(replace(made, recorded={"run0": rs, "run1": ll}))
    assert stats.estimated
    rs_ratios, ll_ratios = (profile.ratios for profile in stats.profiles)
    assert rs_ratios == pytest.approx([1, 1])
    assert ll_ratios == pytest.approx([0.5, 3])
    assert [profile.distance for profile in stats.profiles] == pytest.approx([0, 0.4])


def test_seeds_that_prefer_different_classes_do_not_cancel_out():
    """As lowest loss does: each run nearly one class, another one each time."""
    made = runs_of(run_of("ll", 0, (0, 0.1, 0.0)), run_of("ll", 1, (0, 0.1, 0.0)))
    one, other = ([(0, 100, chosen, 0, 0)] for chosen in ([10, 0], [0, 10]))
    kept = {"run0": recorded(one, classes=(5, 5)), "run1": recorded(other, classes=(5, 5))}
    [stats] = selection_stats(replace(made, recorded=kept))
    [profile] = stats.profiles
    assert profile.distance == 0.5
    assert list(profile.ratios) == [1, 1]


@pytest.fixture(scope="module")
def noisy_runs(tmp_path_factory):
    return tmp_path_factory.mktemp("selection") / "runs"


@pytest.fixture
def runs(configure, noisy_runs, monkeypatch):
    """Two seeds of rs, titan and hl on a stream of noisy labels."""
    if not noisy_runs.exists():
        monkeypatch.setattr(state, "MILESTONES", (10,))
        tiny = ("evaluate_every=100", "evaluation_samples=50", f"paths.runs={noisy_runs}")
        for selector in ("rs", "titan", "hl"):
            for seed in (0, 1):
                job = (f"selector={selector}", f"seed={seed}", "rounds=40", "stream=label_noise")
                run(configure(*tiny, *job))
    return noisy_runs


def test_real_runs_and_their_export_say_the_same(runs, tmp_path):
    [stats] = selection_stats(load_runs(runs))
    rs, hl, titan = stats.profiles
    assert (stats.noisy, stats.estimated, rs.seeds) == (0.4, False, 2)
    assert rs.repeats == 0
    assert hl.noisy > 0.6  # the highest losses are those of wrong labels
    # 800 labels of rs: the deviation of the noisy share is 0.017; five are 1 in 10^6
    assert rs.noisy == pytest.approx(0.4, abs=5 * 0.017)
    assert 1 - 400 / 1438 <= rs.never < titan.never < hl.never < 1
    export_runs(runs, tmp_path / "data")
    [there] = selection_stats(load_runs(tmp_path / "data"))
    np.testing.assert_array_equal(there.overlap, stats.overlap)
    for one, other in zip(stats.profiles, there.profiles, strict=True):
        np.testing.assert_equal(vars(one), vars(other))
