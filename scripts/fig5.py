"""Figure 5: errors of batches at training states, of every experiment=fig5 below RUNS.

python scripts/fig5.py RUNS [--figure results/fig5.png]
"""

import sys

from titan_repro.cli.report import main

if __name__ == "__main__":
    main(["figure", "fig5", *sys.argv[1:]])
