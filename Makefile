# make demo and make test set everything up by themselves; see README.md.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

ROUNDS ?= 1000
SEEDS  ?= 0,1,2
RUNS   ?= runs
JOBS   ?= 1
MODEL  ?= squeezenet

# One thread a process: on batches of ten it is also the fastest setting.
export OMP_NUM_THREADS := 1

# Runs at once, one core each. Only the command line can choose a launcher: in an experiment file
# Hydra does not heed it.
LAUNCHER := $(if $(filter-out 1,$(JOBS)),hydra/launcher=joblib hydra.launcher.n_jobs=$(JOBS))

# $(call sweeps,EXPERIMENTS,KEYS): one sweep after the other, on after failed runs, but not after
# Ctrl-C; fails in the end if one did.
define sweeps
status=0; for experiment in $(1); do \
	$(BIN)/titan-run $(LAUNCHER) experiment=$$experiment $(2) paths.runs=$(RUNS) || status=$$?; \
	if [ $$status -ge 128 ]; then exit $$status; fi; \
done
endef

.PHONY: help setup demo test test-slow test-flower lint format bench bench-data bench-pipeline table1 campaign \
	figures page check-figures check-results all fig1 fig2 fig5 fig6 fig7 fig8 fig9 fig10 fig11 clean

help:
	@echo "make demo     set-up, then Titan, C-IS and random selection on the embedded data set"
	@echo "make test     set-up, then the test suite (test-slow: the long ones too)"
	@echo "make test-flower  the tests over Flower, with an environment of their own; minutes"
	@echo "make lint     ruff and mypy"
	@echo "make bench    the harness's overhead and the time of every policy (needs CIFAR-10)"
	@echo "make bench-data      load time and peak memory of every data set that is found"
	@echo "make bench-pipeline  rs, Titan in sequence and Titan in three processes, side by side"
	@echo "make table1   6 models x 8 selectors; ROUNDS=$(ROUNDS) SEEDS=$(SEEDS) JOBS=$(JOBS) RUNS=$(RUNS)"
	@echo "make campaign every run that results/ reports, about 27 core hours; JOBS, RUNS as above"
	@echo "make figures  every figure and table of results/ from the runs in results/data"
	@echo "make page     results/index.html and REPRODUCTION.md, from results/data alone"
	@echo "make check-figures   is what is committed what results/data gives (figures and page)?"
	@echo "make all      what of the campaign and the figures is missing in results/data, then figures"
	@echo "make check-results   three small runs again: are they still what results/ says?"
	@echo "make fig1     accuracy and time by data utilisation; ROUNDS, SEEDS, JOBS, RUNS as above"
	@echo "make fig2     time of a round, batches of 10 and 25; ROUNDS, SEEDS, JOBS, RUNS as above"
	@echo "make fig5     errors of batches at training states, 4 models; about 20 minutes"
	@echo "make fig6     costs of selection for 6 models, measured (two idle cores) and modelled"
	@echo "make fig7     training curves of the image models; ROUNDS, SEEDS, JOBS, RUNS as above"
	@echo "make fig8     1 to n feature blocks; MODEL=$(MODEL) ROUNDS, SEEDS, JOBS, RUNS as above"
	@echo "make fig10    50 devices in a federation; MODEL, ROUNDS, SEEDS, JOBS, RUNS as above"
	@echo "make fig9     15 to 100 candidates; MODEL, ROUNDS, SEEDS, JOBS, RUNS as above"
	@echo "make fig11    noisy streams; ROUNDS, SEEDS, JOBS, RUNS as above"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "titan-repro needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		torch torchvision torchaudio -e '.[dev,joblib]'
	touch $(READY)

demo: setup
	$(BIN)/titan-run -m $(LAUNCHER) task=digits model=small_cnn selector=rs,cis,titan seed=0,1,2 \
		rounds=400 evaluate_every=20 evaluation_samples=360 paths.runs=$(RUNS)/demo
	$(BIN)/titan-report compare $(RUNS)/demo --figure $(RUNS)/demo/comparison.png

# Files in their order: sorted by their number of tests, as is the default, long files of few tests
# would come last, and one of the two cores wait for them.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
test: setup
	$(BIN)/python -m pytest $(TWO)

test-slow: setup
	$(BIN)/python -m pytest $(TWO) -m "slow or not slow"

# Flower, in an environment of its own: it needs older packages than constraints.txt names.
# Minutes, as every message starts a process; not part of make test.
FLOWER ?= .venv-flower
test-flower: $(FLOWER)/.ready
	$(FLOWER)/bin/python -m pytest -n 0 -m "slow or not slow" tests/federated/test_flower.py \
		tests/federated/test_flower_processes.py

$(FLOWER)/.ready: pyproject.toml constraints.txt
	test -x $(FLOWER)/bin/python || $(PYTHON) -m venv $(FLOWER)
	grep -vE '^(packaging|protobuf)==' constraints.txt >$(FLOWER)/constraints.txt
	$(FLOWER)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c $(FLOWER)/constraints.txt torch torchvision torchaudio -e '.[dev,flower]'
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python scripts/bench_overhead.py
	$(BIN)/python scripts/bench_policies.py

bench-data: setup
	$(BIN)/python scripts/bench_loading.py

bench-pipeline: setup
	$(BIN)/python scripts/bench_pipeline.py

# Finished runs are not run again, so an interrupted table is continued by the same command; shorter
# runs are extended. The table is drawn up of what there is, also if some runs failed.
table1: setup
	$(call sweeps,table1_images table1_audio table1_movement,seed=$(SEEDS) rounds=$(ROUNDS)); \
	$(BIN)/titan-report table1 $(RUNS) --rounds $(ROUNDS) || exit $$?; exit $$status

# In the order in which the answers are wanted; campaign_long goes on from campaign_images.
CAMPAIGN := $(addprefix campaign_,movement images long baselines resnet34 resnet50 \
	ours_movement ours) filters register policies schedule floor
campaign: setup
	$(call sweeps,$(CAMPAIGN)); \
	exit $$status

# On a machine without data sets or runs, from what is committed.
figures: setup
	$(BIN)/titan-report figures results/data results

page: setup
	$(BIN)/titan-report page results/data
	$(BIN)/titan-report reproduction results/data

check-figures: setup
	$(BIN)/titan-report results results/data results --check

check-results: setup
	$(BIN)/python scripts/check_results.py

# Runs that results/data has are not run again. The export keeps what it has and takes what is new.
all: setup
	$(call sweeps,$(CAMPAIGN)); \
	failed=$$status; $(call sweeps,fig1 fig2 fig11,paths.export=results/data); \
	if [ -d $(RUNS) ]; then $(BIN)/titan-report export $(RUNS) results/data || exit $$?; fi; \
	$(BIN)/titan-report results results/data results || exit $$?; exit $$((failed | status))

# A figure is drawn from the runs of its experiments, which its module names.
FIGURES := fig1 fig2 fig5 fig6 fig7 fig8 fig9 fig10 fig11
$(FIGURES): fig%: setup runs-fig%
	$(BIN)/titan-report figure $@ $(RUNS)

# What has been measured is not measured again; delete $(RUNS)/*/*/fig5 or fig6 for that.
.PHONY: $(addprefix runs-,$(FIGURES))
runs-fig5: setup
	$(BIN)/titan-run $(LAUNCHER) experiment=fig5 paths.runs=$(RUNS)
	$(BIN)/titan-run $(LAUNCHER) experiment=fig5 task=dsads model=mlp paths.runs=$(RUNS)

runs-fig6: setup
	$(BIN)/titan-run experiment=fig6 paths.runs=$(RUNS)
	$(BIN)/titan-run experiment=fig6 task=speech_spectrograms model=resnet34 paths.runs=$(RUNS)
	$(BIN)/titan-run experiment=fig6 task=dsads model=mlp paths.runs=$(RUNS)

runs-fig1 runs-fig2 runs-fig7 runs-fig11: runs-fig%: setup
	$(BIN)/titan-run $(LAUNCHER) experiment=fig$* seed=$(SEEDS) rounds=$(ROUNDS) paths.runs=$(RUNS)

runs-fig8 runs-fig9 runs-fig10: runs-fig%: setup
	$(BIN)/titan-run $(LAUNCHER) experiment=fig$* model=$(MODEL) seed=$(SEEDS) rounds=$(ROUNDS) \
		paths.runs=$(RUNS)

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
