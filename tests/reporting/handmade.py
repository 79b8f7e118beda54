"""Runs written down by hand: the arithmetic of reports can be checked on paper."""

import pandas as pd

from titan_repro.reporting.load import Runs


def runs_of(*runs: dict) -> Runs:
    """Build Runs from dictionaries of selector, seed, curve [(round, accuracy, seconds), ...] and
    optionally label, final (accuracy), status, setting, rounds, seconds_per_round, detail."""
    summaries, curves = [], []
    for number, given in enumerate(runs):
        run = {
            "label": given["selector"],
            "final": given["curve"][-1][1],
            "status": "finished",
            "setting": "s1",
            "rounds": 100,
            "seconds_per_round": 0.01,
            "detail": "",
            "task": "digits",
            "model": "small_cnn",
            "stream": "clean",
            "data_source": "digits (bundled)",
            **given,
        }
        curve = run.pop("curve")
        run["final_accuracy"] = None if run["status"] == "diverged" else run["final"]
        run["run_id"] = f"run{number}"
        summaries.append(run)
        curves += [
            {**run, "round": at, "accuracy": accuracy, "loss": 1.0, "train_seconds": seconds}
            for at, accuracy, seconds in curve
        ]
    return Runs(pd.DataFrame(summaries), pd.DataFrame(curves))


def run(selector, seed, *curve, **more):
    return {"selector": selector, "seed": seed, "curve": list(curve), **more}
