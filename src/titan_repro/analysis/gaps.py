"""Seeds that some selectors of a setting have and others lack: pairs that cannot be made yet."""

import pandas as pd

from titan_repro.analysis.comparison import order_labels


def missing_seeds(runs: pd.DataFrame) -> dict[str, list[int]]:
    """Return, by label, the seeds without a run of it, of those that another label has.

    runs: of one setting, as `Runs.summaries`. Labels that lack none are left out. A run that
    diverged is a run.
    """
    every = set(runs["seed"])
    lacking = {
        label: sorted(map(int, every - set(runs.loc[runs["label"] == label, "seed"])))
        for label in order_labels(runs["label"])
    }
    return {label: seeds for label, seeds in lacking.items() if seeds}
