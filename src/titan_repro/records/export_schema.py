"""The files and columns of an export, and what each column means."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from titan_repro.records.blocks import BLOCK
from titan_repro.records.picks import SKETCH

RUNS, CURVES, BLOCKS, SIZES = "runs.parquet", "curves.parquet", "blocks.parquet", "sizes.parquet"
PICKS = "picks.parquet"
PARTS = (CURVES, BLOCKS, SIZES, PICKS)
"""Files with several rows a run, by run id; each names its run in the column run_id."""

LATER_FILES, LATER_COLUMNS = (PICKS,), ("distinct", "repeats", "federation")
"""What older exports lack, and are read without: a new file or column stands here, too."""

NEVER_NULL = (
    *("run_id", "format", "status", "setting", "choices", "task", "data_source", "model"),
    *("selector", "stream", "seed", "rounds", "rounds_done", "milestones", "config", "provenance"),
    *("round", "first_round", "chosen", "candidates", "samples", "times", "sketch"),
)
"""Columns that have a value in every row of every export."""


@dataclass(frozen=True)
class Column:
    """One column. as_json: the value is kept as JSON text; null where the run has none."""

    name: str
    type: pa.DataType
    meaning: str
    as_json: bool = False


_TEXT, _COUNT, _REAL = pa.string(), pa.int32(), pa.float64()
_MILESTONE = pa.struct(
    [
        ("rounds", _COUNT),
        ("accuracy", _REAL),
        ("loss", _REAL),
        ("samples", _COUNT),
        ("train_seconds", _REAL),
        ("weights_sha256", _TEXT),
    ]
)


def _json(name: str, meaning: str) -> Column:
    return Column(name, _TEXT, f"{meaning} (JSON)", as_json=True)


SUMMARY: Sequence[Column] = (
    Column("run_id", _TEXT, "12 hexadecimal digits: the name of all that can change the result"),
    Column("format", _COUNT, "of the run folder"),
    Column("status", _TEXT, "finished, diverged, or interrupted: then as of its last milestone"),
    Column("setting", _TEXT, "digest of what a comparison of selectors shares"),
    _json("choices", "the selector with all its choices"),
    Column("task", _TEXT, "name of the task"),
    Column("data_source", _TEXT, "form of the data"),
    Column("data_fingerprint", _TEXT, "digest of the data"),
    Column("model", _TEXT, "name of the model"),
    Column("selector", _TEXT, "name of the selector"),
    Column("stream", _TEXT, "name of the stream"),
    Column("budget", _TEXT, "name of the budget"),
    Column("device", _TEXT, "name of the device profile"),
    Column("executor", _TEXT, "inline or processes"),
    Column("seed", _COUNT, "runs of one seed see the same data in the same order"),
    Column("rounds", _COUNT, "rounds that were asked for"),
    Column("rounds_done", _COUNT, "rounds that were trained; of an interrupted run, exported"),
    Column("random_rounds", _COUNT, "rounds without candidates, whose batch was drawn at random"),
    Column("milestones", pa.list_(_MILESTONE), "the whole test set at fixed rounds and ends"),
    Column("final_accuracy", _REAL, "on the whole test set, 0 to 1; null unless finished"),
    Column("final_loss", _REAL, "mean cross-entropy there"),
    Column("final_samples", _COUNT, "size of the test set"),
    Column("weights_sha256", _TEXT, "digest of the weights at the end"),
    Column("seconds_per_round", _REAL, "measured mean, without evaluations and checkpoints, s"),
    Column("peak_memory_mb", _REAL, "measured, resident, of the training process, MB"),
    _json("measured_processor_seconds", "of all processes together, s"),
    _json("measured_memory_mb", "peak of all processes together, MB"),
    _json("measured_memory_each_mb", "peak of each process, MB"),
    _json("measured_joules", "by sensor, J"),
    Column("modelled_device", _TEXT, "the board that the run's device profile models"),
    Column("modelled_stages", _TEXT, "pipelined, or in sequence"),
    Column("modelled_seconds", _REAL, "of all rounds on that board, s"),
    Column("modelled_seconds_per_round", _REAL, "mean on that board, s"),
    Column("modelled_joules", _REAL, "of all rounds on that board, J"),
    Column("modelled_joules_per_round", _REAL, "mean on that board, J"),
    Column("modelled_memory_mb", _REAL, "of tensors on that board, MB"),
    _json("federation", "devices, bytes a round sends, accuracy over devices at milestones"),
    Column("processors", pa.list_(_TEXT), "kinds of processor that the run went on, in order"),
    Column("finished_at", _TEXT, "when the run ended, UTC"),
    _json("files", "SHA-256 of the files of the run folder"),
)
"""Columns of runs.parquet that are keys of summary.json."""

_RUN_ID = Column("run_id", pa.dictionary(pa.int32(), pa.string()), "the run")
_SECONDS = ("stream", "filter", "score", "select", "train")

COLUMNS: dict[str, Sequence[Column]] = {
    RUNS: (
        *SUMMARY,
        _json("config", "the whole configuration, without folders"),
        Column("commit", _TEXT, "of the code at the run's first start"),
        Column("dirty", pa.bool_(), "whether that code had changes which were not committed"),
        _json("provenance", "data, versions and machine of every start"),
        Column("sample_milliseconds", _REAL, "median time of looking at a sample, measured, ms"),
    ),
    CURVES: (
        _RUN_ID,
        Column("round", _COUNT, "rounds trained before this evaluation"),
        Column("accuracy", _REAL, "on a fixed part of the test set, 0 to 1"),
        Column("loss", _REAL, "mean cross-entropy there"),
        Column("train_seconds", _REAL, "measured time of all rounds so far, s"),
        Column("samples", _COUNT, "size of that part"),
    ),
    BLOCKS: (
        _RUN_ID,
        Column("first_round", _COUNT, f"first of the block's rounds; a block has {BLOCK} or fewer"),
        Column("rounds", pa.int16(), "rounds in the block"),
        Column("chosen", pa.list_(_COUNT), "trained samples by label, as the stream showed it"),
        Column("noisy", _COUNT, "trained samples that the stream had disturbed"),
        Column("distinct", _COUNT, "different samples among the trained ones"),
        Column("repeats", _COUNT, "trained samples that stood in their batch already"),
        Column("loss", pa.float32(), "mean over the rounds of the weighted batch loss"),
        Column("nonfinite", _COUNT, "candidates that the policy could not rank"),
        *(
            Column(f"seconds_{stage}", pa.float32(), f"measured time of stage {stage}, s")
            for stage in _SECONDS
        ),
        Column("seconds_wait", pa.float32(), "how long training stood still for selection, s"),
    ),
    SIZES: (
        _RUN_ID,
        Column("first_round", _COUNT, "first of a stretch of rounds of the same sizes"),
        Column("rounds", _COUNT, "rounds in the stretch"),
        Column("candidates", _COUNT, "size of the candidate set in each of them"),
        Column("samples_streamed", _COUNT, "samples that arrived in each"),
        Column("samples_filtered", _COUNT, "samples that the coarse filter looked at in each"),
        Column("samples_scored", _COUNT, "samples that were scored in each"),
        Column("samples_trained", _COUNT, "samples that were trained in each"),
    ),
    PICKS: (
        _RUN_ID,
        Column("rounds", _COUNT, "a milestone, or the run's end; what follows is as of then"),
        Column(
            "times", pa.list_(_COUNT), "how many training samples were trained 0, 1, 2, ... times"
        ),
        Column(
            "sketch",
            pa.list_(_COUNT),
            f"how often each of {SKETCH:,} training samples was, the same ones for all runs of one "
            "task (`sketch_positions` in records/picks.py)",
        ),
    ),
}


def schema(name: str) -> pa.Schema:
    """Return the schema of one file."""
    return pa.schema([(column.name, column.type) for column in COLUMNS[name]])


def readme() -> str:
    """Return the text that lies beside the files."""
    lines = [
        "# Runs of titan-repro, exported",
        "",
        "Made by `titan-report export`; every `titan-report` command reads this folder as it",
        "reads run folders. Times and memory are measured on the machines that made the runs",
        "unless their name begins with `modelled_`.",
    ]
    lines += [
        "",
        "Measurements (costs.json of `experiment=fig6`, variance.json of `fig5` and `why`) lie",
        "below `measurements/` as they lay below the runs, without commands and configurations.",
    ]
    for name, columns in COLUMNS.items():
        lines += ["", f"## {name}", "", "| column | type | meaning |", "|---|---|---|"]
        lines += [f"| {column.name} | {_type(column)} | {column.meaning} |" for column in columns]
    return "\n".join(lines) + "\n"


def _type(column: Column) -> str:
    if pa.types.is_list(column.type):
        inner = column.type.value_type
        return f"list of {'records' if pa.types.is_struct(inner) else inner}"
    return "string" if pa.types.is_dictionary(column.type) else str(column.type)
