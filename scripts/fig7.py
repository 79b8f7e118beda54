"""Figure 7: training curves of the runs of Table 1 below RUNS.

python scripts/fig7.py RUNS [--figure results/fig7.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig7", *sys.argv[1:]])
