"""HARBOX from a generated archive in the authors' format."""

import logging
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from titan_repro.errors import DataError
from titan_repro.tasks.base import Task
from titan_repro.tasks.harbox import ACTIVITIES, Harbox

REAL_LINE = (
    "1.609661268662000000e+12 6.703764796257019043e-01 8.552088737487792969e+00 "
    "5.439626216888427734e+00 1.352106630802154541e-01 -1.990897059440612793e-01 "
    "-5.429719388484954834e-02 -5.412500000000000000e+01 -2.261250000000000000e+02 "
    "-1.608750000000000000e+02"
)
"""The first line of a file of the archive: user 1, walking."""

LINES = {
    (1, "Walk"): 500,
    (1, "Call"): 437,
    (2, "Walk"): 300,
    (2, "typing"): 899,
    (7, "Call"): 600,
    (7, "Hop"): 400,
    (7, "Wave"): 850,
    (120, "Hop"): 100,
    (120, "Wave"): 400,
    (121, "typing"): 400,
    (121, "Walk"): 99,
}
"""Lines of each (user, activity): other files are missing; four end in the middle of a window."""


def numbers_of(user: int, activity: str) -> np.ndarray:
    """Return the ten columns of one file, (lines, 10)."""
    lines = LINES[user, activity]
    generator = np.random.default_rng([user, ACTIVITIES.index(activity)])
    axes = generator.normal(10, 5, (lines, 9)).astype(np.float32)
    if (user, activity) == (1, "Walk"):
        axes[0] = np.float32(REAL_LINE.split()[1:])
    return np.column_stack([1.609661268662e12 + 20 * np.arange(lines), axes])


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Return a data folder with the archive unpacked."""
    data = tmp_path_factory.mktemp("data")
    for user, activity in LINES:
        file = data / "large_scale_HARBox" / str(user) / f"{activity}_train.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(file, numbers_of(user, activity))
    (data / "large_scale_HARBox" / ".DS_Store").write_bytes(b"\x00")
    return data


@pytest.fixture
def data(written: Path, tmp_path: Path) -> Path:
    """Return a copy of it that the test may damage."""
    return Path(shutil.copytree(written, tmp_path / "data"))


def load(data: Path, cache: Path | None = None, **options) -> Task:
    loader = Harbox(**options)
    return loader.load(loader.locate(data), cache)


def samples(task: Task) -> dict[tuple[int, int], set[bytes]]:
    """Return {(user, label): samples} of both parts."""
    found: dict[tuple[int, int], set[bytes]] = {}
    for part in (task.train, task.test):
        for x, label, user in zip(
            part.inputs, part.labels.tolist(), part.user_ids.tolist(), strict=True
        ):
            found.setdefault((user, label), set()).add(x.numpy().tobytes())
    return found


def test_the_generated_files_have_the_real_format(written: Path):
    first, *_ = (written / "large_scale_HARBox/1/Walk_train.txt").read_text().splitlines()
    assert first == REAL_LINE


def test_windows_are_the_files_hundreds_of_lines(written: Path):
    task = load(written)
    assert task.classes == ("Call", "Hop", "typing", "Walk", "Wave")
    assert task.input_shape == (900,)
    assert task.train.inputs.dtype == torch.float32
    expected = {}
    for (user, activity), lines in LINES.items():
        axes = numbers_of(user, activity)[: lines // 100 * 100, 1:].astype(np.float32)
        windows = {window.tobytes() for window in axes.reshape(-1, 900)}
        if windows:
            expected[user, ACTIVITIES.index(activity)] = windows
    assert samples(task) == expected


def test_the_real_line_opens_its_window(written: Path):
    task = load(written)
    inputs = torch.cat([task.train.inputs, task.test.inputs])
    first = torch.tensor([float(field) for field in REAL_LINE.split()[1:]])
    assert int((inputs[:, :9] == first).all(1).sum()) == 1


def test_incomplete_windows_cost_one_warning_that_counts_them(
    written: Path, tmp_path: Path, caplog
):
    caplog.set_level(logging.WARNING, "titan_repro")  # a test before may have asked for more
    for _ in ("first", "cached"):
        caplog.clear()
        load(written, tmp_path)
        assert [record.getMessage() for record in caplog.records] == [
            f"{written}/large_scale_HARBox: "
            "dropped the incomplete last window of 4 files (285 lines)"
        ]


def test_whole_files_cost_no_warning(data: Path, caplog):
    caplog.set_level(logging.WARNING)
    for (user, activity), lines in LINES.items():
        if lines % 100:
            (data / f"large_scale_HARBox/{user}/{activity}_train.txt").unlink()
    load(data)
    assert not caplog.records


def test_folder_and_zip_file_give_the_same_task(written: Path, tmp_path: Path):
    (tmp_path / "harbox").mkdir()
    shutil.make_archive(
        str(tmp_path / "harbox/large_scale_HARBox"), "zip", written, "large_scale_HARBox"
    )
    folder, zipped = load(written), load(tmp_path)
    assert folder.source == "harbox (authors' folder)"
    assert zipped.source == "harbox (authors' zip file)"
    assert folder.fingerprint == zipped.fingerprint
    for part in ("train", "test"):
        for tensor in ("inputs", "labels", "user_ids"):
            assert torch.equal(
                getattr(getattr(folder, part), tensor), getattr(getattr(zipped, part), tensor)
            )


def test_split_by_window_takes_its_share_of_every_activity(written: Path):
    task = load(written, test_fraction=0.25)
    for label in range(5):
        train, test = (int((p.labels == label).sum()) for p in (task.train, task.test))
        assert test == round(0.25 * (train + test))
    train, test = ({x.numpy().tobytes() for x in p.inputs} for p in (task.train, task.test))
    assert not train & test


def test_split_by_user_keeps_users_whole(written: Path):
    task = load(written, split="user", test_fraction=0.4)
    train, test = (set(part.user_ids.tolist()) for part in (task.train, task.test))
    assert not train & test
    assert train | test == {1, 2, 7, 120, 121}
    assert len(test) == 2


@pytest.mark.parametrize("split", ["window", "user"])
def test_the_split_follows_from_its_seed(written: Path, split: str):
    first, again, *others = (
        load(written, split=split, split_seed=seed).fingerprint for seed in (0, 0, 1, 2, 3)
    )
    assert first == again
    assert {first} != set(others)


def test_one_cache_entry_serves_every_split_and_notices_a_changed_file(data: Path, tmp_path: Path):
    cache = tmp_path / "cache"
    first = load(data, cache)
    assert load(data, cache).fingerprint == first.fingerprint == load(data).fingerprint
    load(data, cache, split="user", split_seed=3)
    assert len(list(cache.iterdir())) == 1
    os.utime(data / "large_scale_HARBox/1/Walk_train.txt", (1, 1))
    load(data, cache)
    assert len(list(cache.iterdir())) == 2


def test_a_renamed_user_is_other_data(data: Path, tmp_path: Path):
    load(data, tmp_path / "cache")
    root = data / "large_scale_HARBox"
    (root / "7").rename(root / "8")
    user_ids = load(data, tmp_path / "cache").train.user_ids
    assert 8 in user_ids
    assert 7 not in user_ids


def test_missing_data_says_where_to_get_it(tmp_path: Path):
    for request in (Harbox().locate, Harbox().fetch):
        with pytest.raises(DataError) as error:
            request(tmp_path)
        assert "https://github.com/xmouyang/FL-Datasets-for-HAR" in str(error.value)
        assert "non-commercial research" in str(error.value)
        assert str(tmp_path / "harbox") in str(error.value)


def test_a_wrong_split_is_refused():
    with pytest.raises(ValueError, match="split: found 'row'; allowed: window, user"):
        Harbox(split="row")


def replace_line(number: int, line: str):
    def damage(file: Path) -> None:
        lines = file.read_text().splitlines()
        lines[number - 1] = line
        file.write_text("\n".join(lines) + "\n")

    return damage


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGE = {
    "not a number": (
        replace_line(250, REAL_LINE.replace("6.703764796257019043e-01", "6.70x")),
        "line 250: found '6.70x', a finite number is needed",
    ),
    "not a time": (
        replace_line(1, REAL_LINE.replace("1.609661268662000000e+12", "time")),
        "line 1: found 'time', a finite number is needed",
    ),
    "NaN": (
        replace_line(500, REAL_LINE.replace("6.703764796257019043e-01", "nan")),
        "line 500: found 'nan', a finite number is needed",
    ),
    "infinity": (
        replace_line(2, REAL_LINE.replace("6.703764796257019043e-01", "-inf")),
        "line 2: found '-inf', a finite number is needed",
    ),
    "column missing": (
        replace_line(101, REAL_LINE.rsplit(" ", 1)[0]),
        "line 101: 9 numbers found, 10 needed",
    ),
    "column too many": (replace_line(3, REAL_LINE + " 1.0"), "line 3: 11 numbers found, 10 needed"),
    "commas": (replace_line(1, REAL_LINE.replace(" ", ",")), "line 1: 1 numbers found, 10 needed"),
    "cut inside a number": (
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        "line 500: 9 numbers found, 10 needed",
    ),
    "empty": (lambda file: file.write_bytes(b""), "is empty; lines of 10 numbers are needed"),
    "folder": (make_folder, "is a folder; a text file is needed"),
}


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_damage_names_the_file_and_line_and_leaves_no_cache(
    data: Path, tmp_path: Path, kind: str, form: str
):
    damage, message = DAMAGE[kind]
    damage(data / "large_scale_HARBox/1/Walk_train.txt")
    root = data / "large_scale_HARBox"
    if form == "zip":
        shutil.make_archive(str(root), "zip", data, root.name)
        shutil.rmtree(root)
        root = data / "large_scale_HARBox.zip/large_scale_HARBox"
    with pytest.raises(DataError) as error:
        load(data, tmp_path / "cache")
    assert str(error.value) == f"{root}/1/Walk_train.txt: {message}"
    assert not list((tmp_path / "cache").glob("*")) + list((tmp_path / "cache").glob(".*"))


def test_a_truncated_zip_file_is_named(data: Path, tmp_path: Path):
    file = data / "large_scale_HARBox.zip"
    shutil.make_archive(str(file.with_suffix("")), "zip", data, "large_scale_HARBox")
    shutil.rmtree(data / "large_scale_HARBox")
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"large_scale_HARBox\.zip: damaged or no zip file"):
        load(data, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("user", ["0", "122"])
def test_a_user_that_cannot_be_is_refused(data: Path, user: str):
    root = data / "large_scale_HARBox"
    (root / "7").rename(root / user)
    with pytest.raises(DataError, match=f"user {user} found, 1 to 121 allowed"):
        load(data)


@pytest.mark.parametrize("other", ["01", "001"])
def test_two_folders_of_one_user_are_refused_and_named(data: Path, other: str):
    root = data / "large_scale_HARBox"
    shutil.copytree(root / "1", root / other)
    with pytest.raises(DataError) as error:
        load(data)
    names = sorted([f"{other}/Call_train.txt", "1/Call_train.txt"])
    assert str(error.value) == (
        f"{root}: holds {names[0]} and {names[1]}, both of user 1; keep one"
    )


def test_users_may_be_written_with_zeros(data: Path):
    before = load(data).fingerprint
    root = data / "large_scale_HARBox"
    (root / "1").rename(root / "001")
    assert load(data).fingerprint == before


def test_an_archive_without_any_file_is_refused(tmp_path: Path):
    (tmp_path / "large_scale_HARBox" / "1").mkdir(parents=True)
    with zipfile.ZipFile(tmp_path / "other.zip", "w"):
        pass
    with pytest.raises(DataError, match="holds no file <user>/<activity>_train"):
        load(tmp_path)


def test_less_than_a_window_a_file_is_refused(tmp_path: Path):
    file = tmp_path / "large_scale_HARBox/1/Walk_train.txt"
    file.parent.mkdir(parents=True)
    file.write_text(f"{REAL_LINE}\n" * 99)
    with pytest.raises(DataError, match="no file in it has the 100 lines of one window"):
        load(tmp_path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
