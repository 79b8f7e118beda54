"""Bad input of all three commands: one line that names key or file, found and allowed; status 2.

Nothing is left behind. In this process, where PyTorch is in memory already.
"""

import io
from contextlib import redirect_stderr, redirect_stdout

import pytest
from commands import Answer, call, run_folders

from titan_repro.cli import data, report

RUN = [
    # overrides, what the line has to say
    (["selector=tytan"], "selector: found 'tytan'; allowed: camel, camel_equal, ce, cis"),
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
    (["--config-dir=/nowhere"], "--config-dir: found /nowhere; allowed: a folder that exists"),
    (["-m", "selector=rs,tytan"], "selector: found 'tytan'; allowed: camel"),
]


DATA = [
    ([], "the following arguments are required: COMMAND; titan-data --help says what is allowed"),
    (["explode"], "argument COMMAND: invalid choice: 'explode' (choose from "),
    (["list", "mnist"], "task: found 'mnist'; allowed: cifar10, digits"),
    (["fetch"], "the following arguments are required: TASK; titan-data fetch --help"),
    (["fetch", "mnist"], "task: found 'mnist'; allowed: cifar10, digits"),
    (["check", "mnist"], "task: found 'mnist'; allowed: cifar10, digits"),
    (["check", "../digits"], "task: found '../digits'; allowed: cifar10, digits"),
    (["check", "cifar10", "--data=/nowhere"], "/nowhere: no cifar10 found; looked for"),
    (["show", "cifar10", "--data=/nowhere"], "/nowhere: no cifar10 found; looked for"),
    (["show", "digits", "--output=a.txt"], "--output: found a.txt; allowed endings: "),
    (["show", "digits", "--format=png"], "unrecognized arguments: --format=png; titan-data --help"),
    (["devices", "digits", "--by=colour"], "argument --by: invalid choice: 'colour' (choose from "),
    (["devices", "digits", "--devices=x"], "argument --devices: invalid int value: 'x'"),
    (["devices", "digits", "--devices=0"], "--devices: found 0; allowed: "),
    (["devices", "digits", "--classes=11"], "--classes: found 11; allowed: "),
    (["devices", "digits", "--by=dirichlet", "--alpha=0"], "--alpha: found 0.0; allowed: "),
    (["devices", "digits", "--by=user"], "--by: found user; allowed with digits: classes, "),
]

REPORT = [
    ([], "the following arguments are required: COMMAND; titan-report --help says what is"),
    (["compare"], "the following arguments are required: RUNS; titan-report compare --help"),
    (["explode"], "argument COMMAND: invalid choice: 'explode' (choose from "),
    (["compare", "nowhere"], "nowhere: "),
    (["compare", ".", "--figure=a.txt"], "--figure: found a.txt; allowed endings: "),
    (["table1", "nowhere"], "nowhere: "),
    (["replay", "."], "device: not given; "),
    (["replay", ".", "device=tpu"], "device: found 'tpu'; allowed: cuda, host"),
    (["replay", ".", "seed=1"], "seed=1: allowed here: device=NAME, device.KEY=VALUE"),
    (["replay", ".", "device=jetson_nano", "device.modelled.idle_watts=-1"], "device.modelled.idl"),
    (["calibration", "--swop"], "unrecognized arguments: --swop; titan-report --help says what is"),
]


def ask(command, arguments):
    """Return the answer of titan-data or titan-report."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = command(arguments)
        except SystemExit as end:
            status = end.code
    return Answer(status, out.getvalue(), err.getvalue())


def named(rows):
    return [pytest.param(*row, id=" ".join(row[0]) or "nothing") for row in rows]


def test_there_are_sixty_and_more():
    assert len(RUN) + len(DATA) + len(REPORT) >= 60


@pytest.mark.parametrize(("arguments", "says"), named(RUN))
def test_titan_run_refuses_it(tmp_path, monkeypatch, arguments, says):
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


OLDER_PROFILE = """
name: older
tensors: cpu
threads: 1
modelled:
  train: cpu
  select: cpu
  idle_watts: 1.4
  processors:
    cpu:
      peak_gflops: 47.3
      forward_efficiency: 0.0945
      backward_efficiency: 0.0759
      peak_gb_per_s: 25.6
      bandwidth_efficiency: 0.354
      launch_us: 7.46
      watts: 3.1
"""


def test_a_profile_of_the_older_cost_model_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "own" / "device"
    own.mkdir(parents=True)
    (own / "older.yaml").write_text(OLDER_PROFILE)
    answer = call("--config-dir", "own", "device=older", "task=digits", "rounds=2")
    assert (answer.status, answer.out) == (2, "")
    key = "device.modelled.processors.cpu.forward_efficiency"
    assert answer.err.startswith(f"titan-run: {key}: found 0.0945, one rate for all layers")
    assert answer.err.count("\n") == 1
    assert run_folders(tmp_path) == []


@pytest.mark.parametrize(
    ("program", "arguments", "says"),
    [
        *(pytest.param("titan-data", *row, id="data " + " ".join(row[0])) for row in DATA),
        *(pytest.param("titan-report", *row, id="report " + " ".join(row[0])) for row in REPORT),
    ],
)
def test_titan_data_and_titan_report_refuse_it(tmp_path, monkeypatch, program, arguments, says):
    monkeypatch.chdir(tmp_path)
    answer = ask({"titan-data": data.main, "titan-report": report.main}[program], arguments)
    assert (answer.status, answer.out) == (2, ""), answer
    assert answer.err.startswith(f"{program}: {says}")
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("program", ["titan-run", "titan-data", "titan-report"])
def test_the_version_is_this_packages(program):
    commands = {"titan-data": data.main, "titan-report": report.main}
    version = ["--version"]
    answer = call(*version) if program == "titan-run" else ask(commands[program], version)
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith("titan-repro ")
    assert ", commit " in answer.out
