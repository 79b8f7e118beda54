"""Runs of a federation as titan-run makes them, on digits with a small network."""

from titan_repro.records.folder import RunFolder

SMALL = (
    "federation=fedavg",
    "federation.devices=12",
    "federation.share=0.34",
    "federation.classes_per_device=4",
    "evaluate_every=4",
    "evaluation_samples=50",
    "checkpoint_seconds=0",
)
"""Four of twelve devices a round."""

REMEMBERING = ("selector=titan", "model.norm=batch", "class_importance=ema")
"""All that a device can remember: its filter's sums, its policy's average."""


def result(outcome):
    """Return all of a finished run's results but measured times."""
    folder = RunFolder(outcome.folder)
    folder.verify()
    rounds = folder.rounds()
    seconds = [name for name in rounds.columns if name.startswith("seconds_")]
    keys = ("status", "run_id", "rounds_done", "weights_sha256", "final_accuracy", "final_loss")
    return {
        "rounds": rounds.drop(columns=seconds).map(str).to_dict("list"),
        "curve": folder.evaluations().drop(columns="train_seconds").to_dict("list"),
        "federation": outcome.summary.get("federation"),
        **{key: outcome.summary[key] for key in keys},
    }
