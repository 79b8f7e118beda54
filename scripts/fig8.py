"""Figure 8: sweeps over the number of feature blocks (experiment=fig8).

python scripts/fig8.py RUNS [--figure results/fig8.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig8", *sys.argv[1:]])
