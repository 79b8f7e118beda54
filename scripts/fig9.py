"""Figure 9: final accuracy and time saved by the number of candidates.

    python scripts/fig9.py RUNS [--figure results/fig9.png]

Draws every sweep of `titan-run experiment=fig9` below RUNS and prints the tables; time is measured,
and modelled for device=jetson_nano. Runs of experiment=fig9_adaptive are marked at their mean
number of candidates.
"""

from titan_repro.cli.report import replay_on
from titan_repro.figures.fig9 import figure9
from titan_repro.figures.script import figure_script

if __name__ == "__main__":
    figure_script(
        "fig9",
        __doc__ or "",
        lambda runs, path: figure9(runs, path, replay_on("device=jetson_nano")),
    )
