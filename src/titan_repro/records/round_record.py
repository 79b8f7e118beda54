"""One row of `rounds.parquet`: what was trained in a round and what its selection cost.

With `delay: 1` a round trains the batch that the round before chose. The row keeps the two apart:
the columns `trained_*`, `loss` and `learning_rate` are about the batch that this round TRAINED;
`candidates`, `nonfinite`, the `samples_*` and the `seconds_*` are about the work done DURING this
round, so about the selection of the batch that the next round trains.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

_COUNT = pa.int32()
_SECONDS = pa.float32()

SCHEMA = pa.schema(
    [
        ("round", _COUNT),
        ("loss", pa.float32()),
        ("learning_rate", pa.float32()),
        ("trained_indices", pa.list_(pa.int32())),
        ("trained_labels", pa.list_(pa.int16())),
        ("trained_probabilities", pa.list_(pa.float32())),
        ("trained_weights", pa.list_(pa.float32())),
        ("trained_noisy", pa.list_(pa.bool_())),
        ("candidates", _COUNT),
        ("nonfinite", _COUNT),
        ("samples_streamed", _COUNT),
        ("samples_filtered", _COUNT),
        ("samples_scored", _COUNT),
        ("samples_trained", _COUNT),
        ("seconds_stream", _SECONDS),
        ("seconds_filter", _SECONDS),
        ("seconds_score", _SECONDS),
        ("seconds_select", _SECONDS),
        ("seconds_train", _SECONDS),
        ("seconds_wait", _SECONDS),
    ]
)


@dataclass(frozen=True)
class RoundRecord:
    """The record of one round; the fields are the columns of SCHEMA, in its order.

    round: counted from 0.
    loss: the weighted batch loss before the step.
    trained_indices: (B,) positions in the task's training split.
    trained_labels: (B,) labels as the stream showed them.
    trained_probabilities: (B,) the expected number of times that each pick's candidate was chosen.
    trained_weights: (B,) loss weights.
    trained_noisy: (B,) True where the stream had disturbed the sample.
    candidates: size of the candidate set in this round's selection.
    nonfinite: candidates that the policy could not rank.
    samples_*: samples that each stage touched; 0 where the stage did not run.
    seconds_*: measured time of each stage; 0 where it did not run. seconds_wait is not a stage's:
        it is how long training stood still for selection that runs beside it.
    """

    round: int
    loss: float
    learning_rate: float
    trained_indices: Sequence[int]
    trained_labels: Sequence[int]
    trained_probabilities: Sequence[float]
    trained_weights: Sequence[float]
    trained_noisy: Sequence[bool]
    candidates: int
    nonfinite: int
    samples_streamed: int
    samples_filtered: int
    samples_scored: int
    samples_trained: int
    seconds_stream: float
    seconds_filter: float
    seconds_score: float
    seconds_select: float
    seconds_train: float
    seconds_wait: float = 0.0


def to_table(records: Sequence[RoundRecord]) -> pa.Table:
    """Return the records as a table with SCHEMA, one row a record."""
    return pa.Table.from_pylist([vars(record) for record in records], schema=SCHEMA)
