"""Which samples were trained, as an export keeps it."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from simulated_run import record

from titan_repro.records.picks import SKETCH, picks, sketch_positions
from titan_repro.records.rounds import to_table
from titan_repro.records.training_set import class_sizes


def frame(batches):
    records = [replace(record(t), trained_indices=batch) for t, batch in enumerate(batches)]
    return to_table(records).to_pandas()


def test_by_hand():
    first, last = picks(frame([[0, 2], [2, 2], [3, 0]]), [1, 3], 5).to_dict("records")
    assert (first["rounds"], list(first["times"]), list(first["sketch"])) == (
        1,
        [3, 2],
        [1, 0, 1, 0, 0],
    )
    assert (last["rounds"], list(last["times"]), list(last["sketch"])) == (
        3,
        [2, 1, 1, 1],  # two never, sample 3 once, sample 0 twice, sample 2 three times
        [2, 0, 3, 1, 0],
    )


@given(st.lists(st.lists(st.integers(0, 1499), min_size=1, max_size=4), max_size=8))
def test_times_and_sketch_add_up(batches):
    [row] = picks(frame(batches), [len(batches)], 1500).to_dict("records")
    assert sum(row["times"]) == 1500
    assert sum(times * number for times, number in enumerate(row["times"])) == sum(
        map(len, batches)
    )
    flat = [index for batch in batches for index in batch]
    places = sketch_positions(1500)
    assert list(row["sketch"]) == [flat.count(position) for position in places]


def test_the_sketch_is_drawn_once_for_all_machines_and_evenly():
    assert list(sketch_positions(3)) == [0, 1, 2]
    positions = sketch_positions(25_650)
    assert len(set(positions)) == len(positions) == SKETCH
    assert list(positions[:4]) == [6, 17, 20, 31]
    # A third of the positions has 333, standard deviation below 15: five of these are 1 in 10^6
    counts = np.bincount(positions * 3 // 25_650)
    assert np.abs(counts - SKETCH / 3).max() < 75


def test_the_training_set_of_a_run():
    data = {"source": "s", "fingerprint": "f", "class_sizes": [3, 4]}
    assert class_sizes({"data": data}) == (3, 4)
    assert class_sizes({"data": {"source": "s", "fingerprint": "f"}}) is None
    assert class_sizes({}) is None
    before = {"source": "digits (bundled)", "fingerprint": "71eaa066a6537d4f"}
    assert sum(class_sizes({"data": before})) == 1438
