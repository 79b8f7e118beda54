"""Figure 6: time, latency, memory and power of selection, measured here and modelled.

    python scripts/fig6.py RUNS [--figure results/fig6.png]

Draws every measurement of `titan-run experiment=fig6` below RUNS and prints the tables.
"""

from titan_repro.figures.fig6 import figure6
from titan_repro.figures.script import figure_script

if __name__ == "__main__":
    figure_script("fig6", __doc__ or "", figure6)
