"""Runs written down by hand: the arithmetic of reports can be checked on paper."""

import json
from pathlib import Path

import pandas as pd

from titan_repro.analysis.load import Runs


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
            "choices": {},
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
    return Runs(pd.DataFrame(summaries), pd.DataFrame(curves), {})


def run(selector, seed, *curve, **more):
    return {"selector": selector, "seed": seed, "curve": list(curve), **more}


def costs(model: str, **changes: object) -> dict:
    """Build what costs.json says of a model; `changes` replace numbers by path, . as __."""
    spread = {"mean": 1.0, "lower_quartile": 1.0, "upper_quartile": 1.0, "rounds": 3}
    parts = ("parameters", "gradients", "activations", "filter", "scoring", "copies")
    random = {f"{part}_mb": 10.0 for part in parts[:3]} | {f"{part}_mb": 0.0 for part in parts[3:]}
    titan = {f"{part}_mb": 10.0 for part in parts}
    memory = {
        "rs": {**random, "total_mb": 30.0},
        "titan_pipelined": {**titan, "total_mb": 60.0},
    }
    content = {
        "format": 1,
        "measurement": "costs",
        "id": f"{model}0123",
        "task": "cifar10",
        "model": model,
        "data_source": "by hand",
        "velocity": 100,
        "board": "jetson_nano",
        "rounds": {
            "measured": {
                "rs_ms": {"median": 20.0, **spread},
                "titan_sequential_ms": {"median": 50.0, **spread},
                "titan_pipelined_ms": {"median": 23.0, **spread},
                "hidden_percent": 90.0,
            },
            "quiet": {
                "rs_ms": 18.0,
                "titan_sequential_ms": 43.0,
                "titan_pipelined_ms": 18.0,
                "hidden_percent": 100.0,
            },
            "modelled": {
                "rs_ms": 800.0,
                "titan_sequential_ms": 1600.0,
                "titan_pipelined_ms": 1000.0,
                "hidden_percent": 75.0,
            },
        },
        "latency": {
            clock: {
                "filter": {"arriving_ms": factor, "bulk_ms": 0.5 * factor},
                "cis": {"arriving_ms": 4 * factor, "bulk_ms": 2 * factor},
            }
            for clock, factor in (("measured", 0.5), ("modelled", 5.0))
        },
        "memory": {
            "measured": {
                "rs": {"together_mb": 400.0, "each_mb": {}},
                "titan_sequential": {"together_mb": 420.0, "each_mb": {}},
                "titan_pipelined": {"together_mb": 700.0, "each_mb": {}},
            },
            "counted": memory,
            "modelled": memory,
        },
        "power": {
            "modelled": {
                "rs": {"watts": 4.0, "joules_per_round": 3.0},
                "titan_sequential": {"watts": 4.0, "joules_per_round": 6.0},
                "titan_pipelined": {"watts": 6.0, "joules_per_round": 6.0},
            }
        },
    }
    for path, value in changes.items():
        *parents, name = path.split("__")
        node = content
        for parent in parents:
            node = node[parent]
        node[name] = value
    return json.loads(json.dumps(content))


def write_costs(runs: Path, *contents: dict) -> Path:
    for content in contents:
        folder = runs / content["task"] / content["model"] / "fig6" / content["id"]
        folder.mkdir(parents=True)
        (folder / "costs.json").write_text(json.dumps(content))
    return runs


def variance(model: str, **changes: object) -> dict:
    """Build what variance.json says of a model at rounds 0 and 500; rs has the variance 8 / B.

    Other selectors have FACTORS of that, a quarter of it as squared bias where they are biased.
    changes: replace entries.
    """
    content = {
        "format": 1,
        "measurement": "variance",
        "experiment": "fig5",
        "id": f"{model}4567",
        "task": "cifar10",
        "seed": 0,
        "trained_by": "rs",
        "data_source": "by hand",
        "velocity": 100,
        "batch_size": 10,
        "filter_budget": 30,
        "batch_norm": False,
        "rounds": 2,
        "draws": 9,
        "full_rounds": 0,
        "trained_draws": 0,
        "decomposition": [
            {
                "state": state,
                "gradients": "last_layer",
                "rs": 8.0,
                "stratified": 4.0,
                "importance_sampling": 6.0,
                "cis": 2.0,
                "squared_mean": 0.5,
                "samples": 10**9,  # so that without replacement is as with it
                "batch_size": 10,
                "unfilled": 3.0,
            }
            for state in (0, 500)
        ],
        "errors": [
            {
                "state": state,
                "gradients": "last_layer",
                "batch_size": size,
                "selector": name,
                "mean_squared": factor * 8.0 / size,
                "variance": factor * (8.0 if _unbiased(name) else 6.0) / size,
                "squared_bias": 0.0 if _unbiased(name) else factor * 2.0 / size,
                "standard_error": 0.01 * factor * 8.0 / size,
            }
            for state in (0, 500)
            for size in (5, 10)
            for name, factor in FACTORS.items()
        ],
        "stability": [
            {"state": 500, "lag": lag, "pearson": 1 - lag / 10, "spearman": 0.5, "samples": 200}
            for lag in (1, 2)
        ],
        **changes,
    }
    return json.loads(json.dumps({**content, "model": model}))


FACTORS = {
    "rs": 1.0,
    "stratified": 0.5,
    "is": 0.75,
    "cis": 2.0,
    "cis_unbiased": 0.25,
    "titan": 3.0,
    "titan_unbiased": 0.3,
    "coarse_random": 1.1,
    "random_cis": 2.5,
    "random_cis_unbiased": 0.6,
    "greedy": 0.1,
}


def _unbiased(name: str) -> bool:
    return name in ("rs", "is", "stratified") or name.endswith("_unbiased")


def write_variance(runs: Path, *contents: dict) -> Path:
    for content in contents:
        parts = (content["task"], content["model"], content["experiment"], content["id"])
        folder = runs.joinpath(*parts)
        folder.mkdir(parents=True)
        (folder / "variance.json").write_text(json.dumps(content))
    return runs
