"""Figure 8: latency of a sample and final accuracy by the number of feature blocks.

    python scripts/fig8.py RUNS [--figure results/fig8.png]

Draws every sweep of `titan-run experiment=fig8` below RUNS and prints the tables; latency is
modelled for device=jetson_nano.
"""

from titan_repro.cli.report import replay_on
from titan_repro.figures.fig8 import figure8
from titan_repro.figures.script import figure_script

if __name__ == "__main__":
    figure_script(
        "fig8",
        __doc__ or "",
        lambda runs, path: figure8(runs, path, replay_on("device=jetson_nano")),
    )
