"""Whatever is wrong with a command line is said in one line, before anything is written."""

import re
import subprocess
import sys

import pytest
from commands import TITAN_RUN, call, run_folders

WRONG = [
    # overrides, what the line has to say
    (["selector=tytan"], "selector: found 'tytan'; allowed: camel, ce, cis"),
    (["device=tpu"], "device: found 'tpu'; allowed: cuda, host"),
    (["experiment=fig99"], "experiment: found 'fig99'; allowed: "),
    (["hydra/launcher=none"], "hydra/launcher: found 'none'; allowed: basic"),
    (["selector="], "selector: found ''; allowed: camel"),
    (["selectr=titan"], "selectr: no such key; titan-run --cfg job prints all keys"),
    (["model.nrm=batch"], "model.nrm: no such key"),
    (["rounds=abc"], "rounds: found 'abc'; allowed: whole numbers of at least 1"),
    (["rounds=0"], "rounds: found 0; allowed: whole numbers of at least 1"),
    (["rounds=null"], "rounds: found null; allowed: whole numbers of at least 1"),
    (["learning_rate=fast"], "learning_rate: found 'fast'; allowed: finite numbers above 0"),
    (["tensorboard=maybe"], "tensorboard: found 'maybe'; allowed: true, false"),
    (["tensorboard=null"], "tensorboard: found null; allowed: anything but null"),
    (["filter=3"], "filter: found 3; allowed: only its parts can be set, filter.PART=VALUE"),
    (["hydra.mode=TWICE"], "hydra.mode: found 'TWICE'; allowed: RUN, MULTIRUN"),
    (["batch_size=31"], "batch_size: found 31; allowed: at most the 30 candidates"),
    (["filter.blocks=9"], "filter.blocks: found 9; allowed: 1 to 3, the blocks of model=small_cnn"),
    (["model=mlp"], "model: mlp takes vectors"),
    (["task.loader.test_fraction=x"], "task.loader.test_fraction: found 'x'; allowed: numbers"),
    (
        ["task=speech_commands_10", "model=resnet34", "task.front_end=mel64"],
        "task.front_end: found 'mel64'; allowed: mel40, mel32",
    ),
    (["task=speech_spectrograms", "task.front_end=mel32"], "task.front_end: no such key"),
    (["task=cifar10", "paths.data=/nowhere"], "/nowhere: no cifar10 found; looked for"),
    (
        ["selector.policy._target_=nope.nope"],
        "selector.policy._target_: found 'nope.nope', but No module named 'nope'",
    ),
    (["rounds=${nokey}"], "rounds: Interpolation key 'nokey' not found"),
    (["~selector"], "selector: is missing; allowed: selector=NAME, titan-run --help lists them"),
    (["+rounds=4"], "rounds: is a key already; leave out the +"),
    (["seed=1,2"], "seed=1,2: several values are a sweep, which needs -m"),
    (["selector"], "selector: cannot be read; allowed: KEY=VALUE"),
    (["rounds==5"], "rounds==5: cannot be read; allowed: KEY=VALUE"),
    (["=3"], "Config group override must be a string"),
    (["--fast"], "unrecognized arguments: --fast; titan-run --help lists keys and options"),
    (["~seed"], "seed: is missing; leave out what takes it away, such as ~seed"),
    (["~filter.budget"], "filter.budget: found ~filter.budget; allowed: filter.budget=VALUE"),
    (["~filter"], "filter: is missing; leave out what takes it away, such as ~filter"),
    (["~model"], "model: is missing"),
    (["~selector.name"], "selector.name: is missing; the file that selector= names has to give"),
    (["~selector.filter"], "selector.filter: is missing; the file that selector= names has to"),
    (["+new.key=1"], "new: no such key: nothing reads it; allowed: task, model, selector"),
    (["+filter.foo=1"], "filter.foo: no such key: nothing reads it; there are: budget, blocks"),
    (["+model.wide=1"], "model.wide: no such key: nothing reads it; there are: name, learning_"),
    (["++stream.speed=1"], "stream.speed: no such key: nothing reads it; there are: name, source"),
    (["+selector.foo=1"], "selector.foo: no such key: nothing reads it; there are: name, filter"),
    (["+selector.policy.foo=1"], "selector.policy.foo: no such key; ClassifiedImportanceSampling"),
    (["+selector.filter.foo=1"], "selector.filter.foo: no such key; CoarseFilter takes budget"),
    (["+stream.source.foo=1"], "stream.source.foo: no such key; CleanStream takes task, seed"),
    (["+model.network.foo=1"], "model.network.foo: no such key; small_cnn takes input_shape"),
    (["+task.loader.foo=1"], "task.loader.foo: no such key; Digits takes split_seed"),
    (["+task.foo=1"], "task.foo: no such key: nothing reads it"),
    (["+executor.foo=1"], "executor.foo: no such key: nothing reads it"),
    (["+device.cores.foo=1"], "device.cores.foo: no such key: nothing reads it; there are: train"),
    (["+experiment.foo=1"], "experiment.foo: no such key: nothing reads it"),
    (["hydra.run.dir=x"], "hydra.run.dir: the run folder is made by titan-run itself"),
    (["hydra.output_subdir=x"], "hydra.output_subdir: "),
    (["stream=drift", "stream.schedule=odd"], "stream.schedule: found 'odd'; allowed: rotating, "),
    (["selector.policy.memory=null"], "selector.policy.memory: found null"),
    (["--resolve"], "The --resolve flag can only be used"),
    (["--config-name=other"], "configuration: found 'other'; allowed: none"),
    (["--config-dir=/nowhere"], "Additional config directory '/nowhere' not found"),
    (["-m", "selector=rs,tytan"], "selector: found 'tytan'; allowed: camel"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG, ids=[" ".join(row[0]) for row in WRONG])
def test_one_line_says_what_is_wrong_and_what_is_allowed(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    answer = call(*arguments)
    assert answer.status == 2
    assert answer.out == ""
    assert answer.err.startswith(f"titan-run: {says}")
    assert answer.err.count("\n") == 1
    assert answer.err.endswith("\n")
    assert run_folders(tmp_path) == []
    if "-m" not in arguments:  # Hydra notes a sweep below paths.runs before it looks at it
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wanted", [False, True])
def test_a_mistake_in_the_program_is_one_line_and_a_traceback_where_that_is_wanted(
    monkeypatch, tmp_path, wanted
):
    monkeypatch.setattr("titan_repro.runs.job.build_selector", None)  # a NoneType is not callable
    monkeypatch.setenv("TITAN_TRACEBACK", "1" if wanted else "0")
    monkeypatch.chdir(tmp_path)
    answer = call("rounds=1")
    assert (answer.status, answer.out) == (1, "")
    *trace, last = answer.err.splitlines()
    assert re.fullmatch(
        r"titan-run: TypeError: 'NoneType' object is not callable "
        r"\(at titan_repro/runs/job\.py:\d+, in build\); TITAN_TRACEBACK=1 shows the traceback",
        last,
    )
    assert trace[:1] == (["Traceback (most recent call last):"] if wanted else [])


def test_the_command_itself_answers_so_too(tmp_path):
    command = [TITAN_RUN, "rounds=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "titan-run: rounds: found 0; allowed: whole numbers of at least 1\n"


HELP_WITHOUT_TORCH = """
import sys
from titan_repro.cli.run import main
sys.argv = ["titan-run", "--help"]
try:
    main()
except SystemExit as end:
    sys.exit(end.code or ("torch was imported" if "torch" in sys.modules else 0))
"""


def test_help_explains_itself_without_pytorch(tmp_path):
    command = [sys.executable, "-c", HELP_WITHOUT_TORCH]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for word in (
        "titan-run -m task=cifar10 model=mobilenet selector=rs,titan seed=0,1,2",
        "  selector=",
        "paths.runs",
        "filter.score",
        "Exit status: 0 finished or diverged, 2 something to mend",
    ):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 110
    assert list(tmp_path.iterdir()) == []


def test_the_whole_configuration_can_be_printed():
    answer = call("--cfg", "job", "--resolve", "selector=rs", "model=resnet34")
    assert (answer.status, answer.err) == (0, "")
    assert "name: rs" in answer.out
    assert "\nlearning_rate: 0.005\n" in answer.out  # the model's
