"""What an export keeps of rounds."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from simulated_run import record

from titan_repro.records.blocks import (
    BLOCK,
    SECONDS,
    SIZES,
    blocks,
    fold,
    sample_milliseconds,
    unfold,
)
from titan_repro.records.rounds import to_table


def frame(records):
    return to_table(records).to_pandas()


def test_blocks_by_hand():
    rounds = frame(
        [
            replace(
                record(t, loss=float(t)),
                trained_labels=[t % 3, 1],
                trained_indices=[t % 7, 3],
                trained_noisy=[t < 5, False],
                nonfinite=int(t == BLOCK),
            )
            for t in range(BLOCK + 2)
        ]
    )
    first, last = blocks(rounds, 4).to_dict("records")
    assert (first["first_round"], first["rounds"]) == (0, BLOCK)
    assert (last["first_round"], last["rounds"]) == (BLOCK, 2)
    assert list(first["chosen"]) == [34, 33 + BLOCK, 33, 0]
    assert list(last["chosen"]) == [0, 3, 1, 0]  # rounds 100 and 101 trained labels 1 and 2
    assert (first["noisy"], last["noisy"]) == (5, 0)
    assert (first["nonfinite"], last["nonfinite"]) == (0, 1)
    assert (first["distinct"], last["distinct"]) == (7, 2)  # round 101 trained sample 3 twice
    assert (first["repeats"], last["repeats"]) == (14, 1)
    assert first["loss"] == pytest.approx(np.mean(range(BLOCK)))
    assert last["loss"] == BLOCK + 0.5
    assert {last[name] for name in SECONDS} == {0.5, 0.0}  # no waiting


def test_no_rounds_make_no_blocks():
    assert len(blocks(frame([]), 10)) == len(fold(frame([]))) == len(unfold(fold(frame([])))) == 0


def test_a_diverged_round_shows_in_its_block():
    assert math.isinf(blocks(frame([record(0), record(1, loss=math.inf)]), 10)["loss"][0])


@pytest.mark.parametrize("candidates", [[30] * 5, [30, 30, 0, 7, 7, 30], [1], [1, 2, 3]], ids=str)
def test_unfolded_every_round_has_its_sizes(candidates):
    rounds = frame([replace(record(t), candidates=number) for t, number in enumerate(candidates)])
    stretches = fold(rounds)
    assert len(stretches) == 1 + int((np.diff(candidates) != 0).sum())
    pd.testing.assert_frame_equal(unfold(stretches), rounds[["round", *SIZES]], check_dtype=False)


def test_the_time_of_a_sample_by_hand():
    rounds = {
        "samples_filtered": [100, 0, 50],
        "seconds_filter": [0.2, 5.0, 0.05],
        "samples_scored": [30, 0, 30],
        "seconds_score": [9.0, 9.0, 9.0],
        "seconds_select": [9.0, 9.0, 9.0],
    }
    assert sample_milliseconds(pd.DataFrame(rounds)) == pytest.approx(1.5)  # of 2 ms and 1 ms
    rounds["samples_filtered"] = [0, 0, 0]
    assert sample_milliseconds(pd.DataFrame(rounds)) == pytest.approx(600.0)  # 18 s, 30 samples
    rounds["samples_scored"] = [0, 0, 0]
    assert math.isnan(sample_milliseconds(pd.DataFrame(rounds)))
