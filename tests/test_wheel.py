"""The wheel alone, in an environment of its own and far from the checkout, is the whole program."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: object, folder: Path) -> str:
    """Run a command that has to succeed and return what it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "TITAN_"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the source distribution; nothing is taken from the network."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    [path] = folder.glob("*.whl")
    assert len(list(folder.glob("*.tar.gz"))) == 1
    return path


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """A new virtual environment that holds the wheel, and everything else at second hand.

    Its dependencies are those of the running environment: a .pth file appends that one's folders
    to the module path. Python does not follow the .pth files in there, so an editable install of
    this project does not come along, and what the wheel brought is found first.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.EnvBuilder(with_pip=False).create(folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, folder=folder)
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(python, "-c", asked, folder=folder).strip())
    shared = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (own / "dependencies.pth").write_text("\n".join(sorted(shared)) + "\n")
    return folder


def test_everything_is_packaged(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packaged = {Path(name) for name in archive.namelist()}
    sources = (ROOT / "src").rglob("*")
    expected = {path.relative_to(ROOT / "src") for path in sources if path.is_file()}
    expected |= {"titan_repro" / path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    assert {path for path in expected - packaged if "__pycache__" not in path.parts} == set()
    assert not [path for path in packaged if path.parts[0] in ("tests", "conf", "scripts")]


def test_the_program_comes_from_the_wheel(environment, tmp_path):
    asked = (
        "import titan_repro, titan_repro.conf_path as c; print(titan_repro.__file__, c.conf_dir())"
    )
    answer = run(environment / "bin" / "python", "-c", asked, folder=tmp_path)
    for path in map(Path, answer.split()):
        assert path.resolve().is_relative_to(environment.resolve())


def test_the_commands_work_in_an_empty_folder(environment, tmp_path):
    bin_folder = environment / "bin"
    page = run(bin_folder / "titan-run", "--help", folder=tmp_path)
    assert re.search(
        r"  selector=\n    camel +\S.*\n    camel_equal +\S.*\n    ce +\S.*\n    cis ", page
    )
    tiny = ("rounds=3", "evaluate_every=3", "evaluation_samples=20")
    printed = run(bin_folder / "titan-run", *tiny, folder=tmp_path)
    assert "finished, 3 of 3 rounds" in printed
    assert len(list(tmp_path.glob("runs/digits/small_cnn/titan/*/summary.json"))) == 1
    assert "digits" in run(bin_folder / "titan-data", "list", folder=tmp_path)
    assert "| titan " in run(bin_folder / "titan-report", "compare", "runs", folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
