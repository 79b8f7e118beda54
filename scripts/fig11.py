"""Figure 11: training curves on noisy streams, of the runs below RUNS.

python scripts/fig11.py RUNS [--figure results/fig11.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig11", *sys.argv[1:]])
