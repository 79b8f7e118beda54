"""What `titan-run --help` says: groups with every choice, keys with every allowed value."""

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, get_args

from titan_repro import choices

GROUPS = (
    "task",
    "model",
    "selector",
    "stream",
    "budget",
    "device",
    "executor",
    "idle",
    "federation",
    "experiment",
)
WIDTH = 100

HEADER = """\
titan-run: train one model on a stream under one data selection policy, and record everything.

  titan-run task=cifar10 model=mobilenet selector=titan
  titan-run -m task=cifar10 model=mobilenet selector=rs,titan seed=0,1,2     (a sweep)
"""

KEYS = f"""\
== Keys that you are likely to change: KEY=VALUE ==
  paths.data            folder with the data sets (default: TITAN_DATA, else data/)
  paths.runs            folder for run folders (default: runs/)
  paths.export          folder of titan-report export: runs whose result it has are not run again
  seed                  whole number; runs with one seed see the same data in the same order
  rounds                rounds of training (default: the budget's)
  batch_size            samples trained on in a round (10)
  stream.velocity       samples that arrive in a round (100)
  filter.budget         candidates that the coarse filter keeps (30), or adaptive: as many as
                        are scored while the round is trained (delay=1); idle= says then, on a
                        modelled device, how much of its selection processor is free
  federation.KEY        with federation=fedavg: devices (50), by, classes_per_device (5), alpha,
                        share (0.2), local_iterations (3), proximal, batchnorm, workers (processes)
  filter.blocks         model blocks that make its features (1)
  learning_rate         default: the model's
  model.norm            {" | ".join(get_args(choices.Norm))}, where the architecture allows
  tensorboard           true: also log to TensorBoard inside the run folder
"""

REGISTER: dict[str, tuple[Any, str]] = {
    "gradient": (choices.Gradient, ""),
    "class_importance": (choices.ClassImportance, ""),
    "class_mass": (choices.ClassMass, ""),
    "weighting": (choices.Weighting, ""),
    "sampling": (choices.Sampling, ""),
    "scoring_norm": (choices.ScoringNorm, ": BatchNorm statistics while scoring"),
    "filter.score": (choices.Score, ""),
    "filter.quota": (choices.Quota, ""),
    "filter.pooling": (choices.Pooling, ""),
}

FOOTER = """\
== Options, anywhere in the line ==
  -m                    several values, KEY=A,B, are a sweep
  --config-dir FOLDER   files of your own for any group, and the Python modules that they name
                        (docs/extending.md)
  --cfg job --resolve   print the whole configuration
  --version             version and commit

A finished run is not run again; an interrupted one goes on where it was.
Exit status: 0 finished or diverged, 2 something to mend, 3 a process of executor=processes
or federation.workers failed, 4 a class of your own failed (in both cases the same command goes on
from the last checkpoint), 1 this program failed, 130 or 143 interrupted and saved.
TITAN_TRACEBACK=1 shows where a failure of 1 or 4 comes from.
A sweep (-m) says first what is done, what remains and how long that should take, runs the
shortest first, goes on after a failed job and names every one at its end; status 2 if all of
those are something to mend, else 1. Several at once, with the extra [joblib]:
hydra/launcher=joblib hydra.launcher.n_jobs=2
"""


def help_page(folders: Sequence[Path]) -> str:
    """Return the page; `folders` hold configuration groups, the first one's files win."""
    parts = [HEADER, "== Groups: GROUP=NAME =="]
    for group in GROUPS:
        files: dict[str, Path] = {}
        for folder in folders:
            for file in sorted((folder / group).glob("*.yaml")):
                files.setdefault(file.stem, file)
        parts.append(f"  {group}=")
        parts += [_line(name, first_comment(files[name].read_text())) for name in sorted(files)]
    register = [
        f"  {key:<21} {' | '.join(map(str, get_args(kind)))}{remark}"
        for key, (kind, remark) in REGISTER.items()
    ]
    open_keys = "\n".join(
        [
            '== Choices that the paper leaves open (docs/design.md, "ambiguity register") ==',
            "  delay                 0 | 1 round between choosing a batch and training on it",
            *register,
            "  filter.decay          above 0, up to 1: forgetting of the filter's class statistics",
            "  task.front_end        mel40 | mel32: of speech_commands and speech_commands_10",
        ]
    )
    return "\n".join([*parts, "", KEYS, open_keys, "", FOOTER])


def _line(name: str, description: str) -> str:
    return shorten(f"    {name:<19}", WIDTH) if not description else f"    {name:<19} {description}"


def first_comment(text: str) -> str:
    """Return what a configuration file's own comments say first: one sentence, or a line of it.

    That is its first comment that is no command and no @package, else the first beside a value.
    """
    lines = text.splitlines()
    head = []
    for line in lines:
        if not line.startswith("#"):
            break
        head.append(line.lstrip("# "))
    said = [line for line in head if not line.startswith(("@package", "titan-run", "With "))]
    beside = [match[1] for line in lines if (match := re.search(r"\S\s+# (.+)", line))]
    sentence = re.split(r"(?<=[.]) ", " ".join(said))[0] if said else "".join(beside[:1])
    return shorten(sentence.rstrip(".:;"), WIDTH - 24, placeholder=" ...")
