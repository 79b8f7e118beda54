import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tasks.parquet_files import write_cifar10, write_images
from titan_repro.cli.catalogue import make_loader, task_names
from titan_repro.cli.data import main
from titan_repro.compat import import_torchvision
from titan_repro.errors import UserError
from titan_repro.tasks.digits import Digits

TRAIN = "train-00000-of-00001.parquet"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs titan-data and returns (status, output, error output)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        status = main([*arguments, "--data", str(data), "--cache", str(tmp_path / "cache")])
        return status, *capsys.readouterr()

    return run


def refusal(result: tuple[int, str, str]) -> str:
    """Return the one line of a refused command."""
    status, output, errors = result
    assert status == 2
    assert output == ""
    assert errors.startswith("titan-data: ")
    assert errors.count("\n") == 1
    return errors


# --- the tasks


def test_every_file_in_conf_is_a_task_with_a_loader() -> None:
    assert {"cifar10", "digits"} <= set(task_names())
    for name in task_names():
        loader = make_loader(name)
        assert loader.name
        assert loader.licence


def test_options_come_from_the_tasks_file() -> None:
    assert make_loader("digits") == Digits(split_seed=0, test_fraction=0.2)


# --- list


def test_list_names_every_task_even_without_data(command) -> None:
    status, output, _ = command("list")
    assert status == 0
    assert [line for line in output.splitlines() if not line.startswith(" ")] == task_names()
    assert "titan-data fetch cifar10 (170.5 MB)" in output


def test_list_says_what_is_found_where_and_how_much(command, data: Path) -> None:
    write_cifar10(data / "cifar10")
    status, output, _ = command("list", "cifar10")
    assert status == 0
    assert f"found     parquet in {data / 'cifar10'}, 0.1 MB" in output
    assert "train 20, test 10; 10 classes of 2 training samples" in output
    assert "airplane       2    1" in output
    assert "licence" in output


def test_list_goes_on_after_damage(command, data: Path) -> None:
    write_cifar10(data / "cifar10")
    write_images(data / "cifar10" / TRAIN, [b"x"], [10])
    status, output, _ = command("list", "cifar10", "digits")
    assert status == 0
    assert "damaged   " in output
    assert "label 10 in row 0" in output
    assert "train 1,438, test 359" in output


# --- fetch


def test_failed_fetch_is_refused_in_one_line(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no network")

    original = import_torchvision("torchvision.datasets").CIFAR10
    monkeypatch.setattr(original, "download", fail)
    assert "could not be downloaded (no network)" in refusal(command("fetch", "cifar10"))


def test_fetch_says_where_the_data_is(command) -> None:
    assert command("fetch", "digits") == (0, "digits: bundled\n", "")


def test_fetch_of_what_only_a_person_may_download(command) -> None:
    assert "by hand" in refusal(command("fetch", "harbox"))


def test_interrupted(command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Digits, "fetch", interrupt)
    status, _, errors = command("fetch", "digits")
    assert status == 130
    assert errors == "titan-data: interrupted; the same command begins again\n"


# --- check


def test_check_of_whole_data(command, data: Path, tmp_path: Path) -> None:
    write_cifar10(data / "cifar10")
    status, output, _ = command("check", "cifar10")
    assert status == 0
    assert "nothing damaged" in output
    assert not (tmp_path / "cache").exists()


def test_check_reports_each_damaged_file(command, data: Path) -> None:
    write_cifar10(data / "cifar10")
    for split in ("train", "test"):
        file = data / "cifar10" / f"{split}-00000-of-00001.parquet"
        file.write_bytes(file.read_bytes()[:-10])
    status, output, _ = command("check", "cifar10")
    assert status == 1
    assert output.count("damaged or incomplete") == 2
    assert "cifar10: 2 damaged" in output


def test_check_does_not_believe_the_cache(command, data: Path) -> None:
    write_cifar10(data / "cifar10")
    assert command("show", "cifar10", "--output", str(data / "a.png"))[0] == 0
    file = data / "cifar10" / TRAIN
    before = file.stat()
    contents = bytearray(file.read_bytes())
    contents[100:400] = bytes(300)
    file.write_bytes(contents)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert command("check", "cifar10")[0] == 1


def test_check_of_missing_data(command) -> None:
    assert "titan-data fetch cifar10" in refusal(command("check", "cifar10"))


# --- show


def test_show_draws_a_picture(command, data: Path, tmp_path: Path) -> None:
    write_cifar10(data / "cifar10")
    target = tmp_path / "new" / "picture.png"
    assert command("show", "cifar10", "--output", str(target)) == (0, f"{target}\n", "")
    with Image.open(target) as picture:
        assert picture.width > 500


def test_show_names_its_picture_after_the_task(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("show", "digits") == (0, "digits.png\n", "")
    assert (tmp_path / "digits.png").exists()


def test_show_refuses_an_ending_before_it_reads(command) -> None:
    message = refusal(command("show", "cifar10", "--output", "a.gif"))
    assert message == "titan-data: --output: found a.gif; allowed endings: .png, .pdf, .svg\n"


# --- the command


@pytest.mark.parametrize("action", ["list", "fetch", "check", "show"])
def test_unknown_task_names_the_known_ones(command, action: str) -> None:
    assert refusal(command(action, "cifar")) == (
        f"titan-data: task: found 'cifar'; allowed: {', '.join(task_names())}\n"
    )


def test_options_refused_by_a_loader_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Digits) -> None:
        raise UserError("task.loader.test_fraction: found 2")

    monkeypatch.setattr(Digits, "__post_init__", refuse)
    with pytest.raises(UserError, match=r"^task\.loader\.test_fraction: found 2$"):
        make_loader("digits")


def test_help_does_not_wait_for_torch() -> None:
    program = (
        "import sys; from titan_repro.cli.data import main\n"
        "try: main(['--help'])\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: titan-data")
    assert done.stdout.endswith("False\n")


def test_installed_command(data: Path) -> None:
    script = shutil.which("titan-data", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run(
        [script, "check", "cifar10", "--data", str(data)], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"titan-data: {data}: no cifar10 found")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif("TITAN_DATA" not in os.environ, reason="TITAN_DATA names no data folder")
def test_list_of_the_real_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--data", os.environ["TITAN_DATA"], "--cache", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    for counted in (
        "train 50,000, test 10,000; 10 classes of 5,000 training samples",
        "train 3,046, test 907;",
        "train 36,920, validation 4,460, test 4,882; 20 classes",
        "train 25,650, test 8,550; 19 classes of 1,350 training samples",  # 9,120 segments
    ):
        assert counted in output


# --- devices


def test_devices_prints_a_row_for_every_device_and_every_sample_once(command) -> None:
    for options in (["--by", "classes"], ["--by", "dirichlet", "--alpha", "0.3"]):
        status, output, errors = command("devices", "digits", "--devices", "6", *options)
        assert (status, errors) == (0, "")
        rows = [line.split()[1:] for line in output.splitlines()[-6:]]
        assert all(len(row) >= 10 for row in rows)
        assert sum(int(count) for row in rows for count in row[:10]) == 1438


def test_devices_refuses_users_where_the_data_names_none(command) -> None:
    assert "name no users" in refusal(command("devices", "digits", "--by", "user"))


# --- the surroundings


def test_a_user_without_a_home_has_no_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("TITAN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    write_cifar10(tmp_path / "cifar10")
    assert main(["check", "cifar10", "--data", str(tmp_path)]) == 0
    assert "nothing damaged" in capsys.readouterr().out


def test_a_folder_of_any_name_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "Dätën ünd" / "日本"
    write_cifar10(folder / "cifar10")
    assert main(["check", "cifar10", "--data", str(folder)]) == 0
    assert f"nothing damaged (parquet in {folder}" in capsys.readouterr().out


# --- tasks of one's own

LOADER = """
from dataclasses import dataclass, field
from titan_repro.tasks.digits import Digits

@dataclass(frozen=True)
class Mine(Digits):
    name = "mine"
    licence = "my own"

class Halfway:
    name = "halfway"

class Faulty(Mine):
    def load(self, source, cache):
        return {}["nothing"]
"""


@pytest.fixture(params=["", "task"])
def own(request, tmp_path: Path) -> Path:
    """Return a folder with a task of one's own, its module beside it or in its group."""
    folder = tmp_path / 'my "own", tasks é'
    (folder / "task").mkdir(parents=True)
    (folder / request.param / "my_titan_loader.py").write_text(LOADER)
    (folder / "task" / "mine.yaml").write_text(
        "defaults: [digits, _self_]\nname: mine\nloader: {_target_: my_titan_loader.Mine}\n"
    )
    return folder


@pytest.fixture(autouse=True)
def _forget_own_modules():
    yield
    sys.modules.pop("my_titan_loader", None)


def test_own_tasks_are_listed_checked_fetched_shown_and_shared_out(
    command, own: Path, tmp_path: Path
) -> None:
    path = list(sys.path)
    for arguments, words in (
        (["list"], "licence   my own"),
        (["list", "mine"], "train 1,438, test 359"),
        (["check", "mine"], "nothing damaged"),
        (["fetch", "mine"], "mine: bundled"),
        (["show", "mine", "--output", str(tmp_path / "a.png")], "a.png"),
        (["devices", "mine", "--devices", "6"], "device"),
    ):
        status, output, errors = command(*arguments, "--config-dir", str(own))
        assert (status, errors) == (0, "")
        assert words in output
    assert sys.path == path
    assert "'mine'; allowed:" in refusal(command("check", "mine"))


def test_the_folder_may_stand_anywhere(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    option = ["--config-dir", str(own)]
    for line in (
        [*option, "check", "mine"],
        ["check", *option, "mine"],
        ["check", "mine", *option],
        [f"--config-dir={own}", "check", "mine"],
    ):
        assert main(line) == 0
        assert capsys.readouterr().out.startswith("mine: everything read")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its file has no loader._target_"),
        ("name: mine\nloader: null\n", "its file has no loader._target_"),
        (
            "loader: {_target_: absent.Mine}\n",
            "absent.Mine cannot be made (ModuleNotFoundError: No",
        ),
        ("loader: {_target_: my_titan_loader.Absent}\n", "my_titan_loader.Absent cannot be made ("),
        ("loader: {_target_: my_titan_loader.Mine, x: 1}\n", "unexpected keyword argument 'x'"),
        ("loader: {_target_: my_titan_loader.Halfway}\n", "Halfway has no licence, download_mb, "),
        (
            "loader: {_target_: my_titan_loader.Mine, test_fraction: 2}\n",
            "task.loader.test_fraction",
        ),
        ("loader: [1\n", "mine: its file is no YAML (while parsing a flow sequence"),
    ],
)
def test_own_tasks_that_cannot_be_are_refused(command, own: Path, text: str, words: str) -> None:
    (own / "task" / "mine.yaml").write_text(text)
    assert words in refusal(command("check", "mine", "--config-dir", str(own)))


@pytest.mark.parametrize("wanted", [False, True], ids=["", "traceback"])
@pytest.mark.parametrize("asked", ["check", "show", "devices"])
def test_what_an_own_loader_raises_is_one_line(
    command, own: Path, monkeypatch: pytest.MonkeyPatch, asked: str, wanted: bool
) -> None:
    monkeypatch.setenv("TITAN_TRACEBACK", "1" if wanted else "0")
    file = own / "task" / "mine.yaml"
    file.write_text(file.read_text().replace("my_titan_loader.Mine", "my_titan_loader.Faulty"))
    status, output, errors = command(asked, "mine", "--config-dir", str(own))
    assert (status, output) == (4, "")
    *trace, said = errors.splitlines()
    assert re.fullmatch(
        r"titan-data: KeyError: 'nothing' \(at .*my_titan_loader\.py:\d+, in Faulty\.load\); "
        r"TITAN_TRACEBACK=1 shows the traceback",
        said,
    )
    assert trace[:1] == (["Traceback (most recent call last):"] if wanted else [])


def test_a_folder_that_is_not_there_is_refused(command, tmp_path: Path) -> None:
    message = refusal(command("list", "--config-dir", str(tmp_path / "absent")))
    assert message == (
        f"titan-data: --config-dir: found {tmp_path / 'absent'}; allowed: a folder that exists\n"
    )
