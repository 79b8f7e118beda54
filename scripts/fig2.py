"""Figure 2: time of a round, and training with batches of 10 and 25, of what is below RUNS.

python scripts/fig2.py RUNS [--figure results/fig2.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig2", *sys.argv[1:]])
