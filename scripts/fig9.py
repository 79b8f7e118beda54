"""Figure 9: sweeps over the number of candidates (experiment=fig9, fig9_adaptive).

python scripts/fig9.py RUNS [--figure results/fig9.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig9", *sys.argv[1:]])
