"""Figure 10: federated learning, the runs of federations below RUNS.

python scripts/fig10.py RUNS [--figure results/fig10.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig10", *sys.argv[1:]])
