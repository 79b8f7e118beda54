"""DSADS from a generated archive in UCI's format, from an .npz of it, and the real data."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from titan_repro.errors import DataError
from titan_repro.tasks.base import Task
from titan_repro.tasks.dsads import NPZ, ZIP, Dsads
from titan_repro.tasks.readers import segments

SUBJECTS, SEGMENTS = 4, 2
"""Smaller than the archive (8 and 60): a recording has 250 steps, so two windows and a rest."""

Arrays = dict[str, np.ndarray]


@pytest.fixture(autouse=True)
def _smaller_archive(request, monkeypatch):
    if "real_data" not in request.fixturenames:
        monkeypatch.setattr(segments, "SUBJECTS", SUBJECTS)
        monkeypatch.setattr(segments, "SEGMENTS", SEGMENTS)


@pytest.fixture(scope="module")
def signals() -> np.ndarray:
    """Return signals (19, subjects, segments, 125, 5 units, 9) with four decimals."""
    shape = (19, SUBJECTS, SEGMENTS, 125, 5, 9)
    return np.random.default_rng(0).integers(-99999, 99999, shape) / 1e4


@pytest.fixture(scope="module")
def unpacked(signals, tmp_path_factory) -> Path:
    """Return a data folder with the archive unpacked."""
    data = tmp_path_factory.mktemp("uci")
    for a, p, s in np.ndindex(*signals.shape[:3]):
        file = data / f"dsads/data/a{a + 1:02}/p{p + 1}/s{s + 1:02}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(file, signals[a, p, s].reshape(125, 45), "%.4f", ",")
    return data


@pytest.fixture(scope="module")
def arrays(signals) -> Arrays:
    """Return the arrays of the .npz form, rows in random order."""
    a, p, s = (index.ravel() for index in np.indices(signals.shape[:3]))
    order = np.random.default_rng(1).permutation(len(a))
    rows = signals.reshape(-1, 125, 5, 9)[:, :, [0, 1, 3]].astype(np.float16)
    columns = {"signal": rows, "activity": a + 1, "subject": p + 1, "segment": s + 1}
    return {name: column[order] for name, column in columns.items()}


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Arrays], Path]:
    """Return a function that writes arrays as the .npz form and returns the data folder."""

    def saved(arrays: Arrays) -> Path:
        (tmp_path / "data/dsads").mkdir(parents=True, exist_ok=True)
        np.savez(tmp_path / "data/dsads" / NPZ, **arrays)
        return tmp_path / "data"

    return saved


def load(data: Path, cache: Path | None = None, **options) -> Task:
    loader = Dsads(**options)
    return loader.load(loader.locate(data), cache)


def whole(task: Task) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return inputs, labels and user_ids of both parts together."""
    train, test = task.train, task.test
    assert train.user_ids is not None
    assert test.user_ids is not None
    return (
        torch.cat([train.inputs, test.inputs]),
        torch.cat([train.labels, test.labels]),
        torch.cat([train.user_ids, test.user_ids]),
    )


def recordings(part) -> set[tuple[int, int]]:
    """Return the (activity, subject) pairs in a part."""
    return set(zip(part.labels.tolist(), (part.user_ids // 3).tolist(), strict=True))


def test_a_window_is_100_steps_of_one_unit_and_runs_over_segment_borders(unpacked, signals):
    task = load(unpacked)
    inputs, labels, user_ids = whole(task)
    assert task.input_shape == (900,)
    assert task.train.inputs.dtype == torch.float16
    assert len(inputs) == 19 * SUBJECTS * 3 * 2
    activity, subject = 12, 2
    steps = signals[activity, subject].reshape(250, 5, 9).astype(np.float16)
    for position, unit in enumerate((0, 1, 3)):  # torso, right arm, right leg of the five
        found = inputs[(labels == activity) & (user_ids == subject * 3 + position)].numpy()
        assert np.array_equal(found, steps[:200, unit].reshape(2, 900))


def test_user_ids_are_subject_times_units(unpacked):
    _, _, user_ids = whole(load(unpacked))
    assert torch.equal(user_ids.bincount(), torch.full((SUBJECTS * 3,), 19 * 2))


def test_all_forms_give_the_same_task(unpacked, arrays, save, tmp_path):
    shutil.make_archive(str(tmp_path / "zip"), "zip", unpacked / "dsads", "data")
    (tmp_path / "zip.zip").rename(tmp_path / ZIP)
    tasks = [load(unpacked), load(tmp_path), load(save(arrays))]
    assert [t.source for t in tasks] == [
        "dsads (UCI folder)",
        "dsads (UCI zip file)",
        "dsads (npz)",
    ]
    for task in tasks[1:]:
        for found, expected in zip(whole(task), whole(tasks[0]), strict=True):
            assert torch.equal(found, expected)
    assert len({task.fingerprint for task in tasks}) == 1


@pytest.mark.parametrize("inside", ["", "/data"])
def test_one_folder_more_on_top_is_the_same(unpacked, tmp_path, inside):
    inner = tmp_path / f"tree/daily+and+sports+activities{inside}"
    shutil.copytree(unpacked / "dsads/data", inner)
    before = load(unpacked).fingerprint
    assert load(tmp_path / "tree").fingerprint == before
    (tmp_path / "packed").mkdir()
    shutil.make_archive(str(tmp_path / "zip"), "zip", tmp_path / "tree")
    (tmp_path / "zip.zip").rename(tmp_path / "packed" / ZIP)
    assert load(tmp_path / "packed").fingerprint == before


def test_single_precision_is_rounded_alike(arrays, save):
    half = load(save(arrays)).fingerprint
    single = arrays | {"signal": arrays["signal"].astype(np.float32) * (1 + 1e-6)}
    assert load(save(single)).fingerprint == half


@pytest.mark.parametrize("seed", range(4))
def test_no_recording_is_on_both_sides_and_every_activity_is_on_each(arrays, save, seed):
    task = load(save(arrays), split_seed=seed)
    train, test = recordings(task.train), recordings(task.test)
    assert not train & test
    assert len(train | test) == 19 * SUBJECTS
    assert np.bincount([activity for activity, _ in test]).tolist() == [1] * 19


def test_recordings_are_drawn_for_each_activity_anew(arrays, save):
    task = load(save(arrays))
    assert len({subject for _, subject in recordings(task.test)}) > 1


def test_split_by_subject_keeps_people_whole(arrays, save):
    task = load(save(arrays), split="subject", test_fraction=0.5)
    train, test = ({subject for _, subject in recordings(p)} for p in (task.train, task.test))
    assert len(train) == len(test) == 2
    assert not train & test


@pytest.mark.parametrize("split", ["recording", "subject"])
def test_the_split_follows_from_its_seed(arrays, save, split):
    data = save(arrays)
    first, again, *others = (
        load(data, split=split, split_seed=seed).fingerprint for seed in (0, 0, 1, 2, 3)
    )
    assert first == again
    assert {first} != set(others)


def test_moments_repeat_nine_axes_of_the_training_part(arrays, save):
    task = load(save(arrays))
    steps = task.train.inputs.double().reshape(-1, 9)
    assert task.mean.shape == task.std.shape == (900,)
    assert torch.allclose(task.mean.reshape(100, 9).double(), steps.mean(0), rtol=1e-5, atol=1e-6)
    assert torch.allclose(task.std.reshape(100, 9).double(), steps.std(0, correction=0), rtol=1e-5)


@pytest.mark.parametrize("form", ["npz", "folder"])
def test_one_cache_entry_serves_every_split(arrays, save, unpacked, tmp_path, form):
    data, cache = (save(arrays) if form == "npz" else unpacked), tmp_path / "cache"
    first = load(data, cache)
    assert load(data, cache).fingerprint == first.fingerprint
    assert load(data, cache, split="subject").fingerprint != first.fingerprint
    assert len(list(cache.iterdir())) == 1


def test_missing_data_says_where_to_get_it(tmp_path):
    for request in (Dsads().locate, Dsads().fetch):
        with pytest.raises(DataError) as error:
            request(tmp_path)
        assert "https://archive.ics.uci.edu/dataset/256" in str(error.value)
        assert str(tmp_path / "dsads") in str(error.value)


def test_a_wrong_split_is_refused():
    with pytest.raises(ValueError, match="split: found 'window'; allowed: recording, subject"):
        Dsads(split="window")


def change(**columns) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | columns


def set_value(name: str, index, value) -> Callable[[Arrays], Arrays]:
    def changed(arrays: Arrays) -> Arrays:
        copy = arrays[name].copy()
        copy[index] = value
        return arrays | {name: copy}

    return changed


def shorten(name: str) -> Callable[[Arrays], Arrays]:
    return lambda arrays: arrays | {name: arrays[name][:-1]}


DAMAGED_ARRAYS = {
    "key missing": (
        lambda a: {k: v for k, v in a.items() if k != "subject"},
        "subject is not a file in the archive; signal, activity, subject, segment are needed",
    ),
    "NaN": (
        set_value("signal", (7, 3, 1, 2), np.nan),
        "signal in row 7 holds a number that is not finite",
    ),
    "infinity": (
        set_value("signal", (0, 0, 0, 0), -np.inf),
        "signal in row 0 holds a number that is not finite",
    ),
    "too large for half precision": (
        lambda a: set_value("signal", (5, 0, 0, 0), 1e6)(
            a | {"signal": a["signal"].astype(np.float32)}
        ),
        "signal in row 5 holds a number that is not finite",
    ),
    "steps": (
        lambda a: a | {"signal": a["signal"][:, :100]},
        "signal is float16 of shape (152, 100, 3, 9); floats of shape (152, 125, 3, 9) are needed",
    ),
    "dimensions": (
        lambda a: a | {"signal": a["signal"].reshape(152, -1)},
        "signal is float16 of shape (152, 3375); floats of shape (152, 125, 3, 9) are needed",
    ),
    "scalar": (change(signal=np.float16(1)), "signal is float16 of shape (); floats of shape (152"),
    "integers": (
        lambda a: a | {"signal": a["signal"].astype(np.int16)},
        "signal is int16 of shape (152, 125, 3, 9); floats of shape (152, 125, 3, 9) are needed",
    ),
    "lengths": (
        shorten("segment"),
        "signal is float16 of shape (152, 125, 3, 9); floats of shape (151",
    ),
    "activity": (set_value("activity", 9, 20), "activity 20 in row 9; 1 to 19 allowed"),
    "subject": (set_value("subject", 3, 0), "subject 0 in row 3; 1 to 4 allowed"),
    "text": (
        change(segment=np.array(["one"] * 152)),
        "segment is <U3 of shape (152,); integers of shape (152) are needed",
    ),
    "twice": (
        lambda a: {name: np.concatenate([column, column[:1]]) for name, column in a.items()},
        "153 segments, 152 of them different; each of the 152 is needed once",
    ),
    "segment missing": (
        lambda a: {name: column[1:] for name, column in a.items()},
        "151 segments, 151 of them different; each of the 152 is needed once",
    ),
    "no row": (
        lambda a: {name: column[:0] for name, column in a.items()},
        "0 segments, 0 of them different; each of the 152 is needed once",
    ),
    "objects": (change(segment=np.array([None] * 152)), "damaged or no .npz file (Object arrays"),
}


@pytest.mark.parametrize("kind", DAMAGED_ARRAYS)
def test_a_damaged_array_is_named_and_leaves_no_cache(arrays, save, tmp_path, kind):
    damage, message = DAMAGED_ARRAYS[kind]
    data = save(damage(arrays))
    with pytest.raises(DataError) as error:
        load(data, tmp_path / "cache")
    assert str(error.value).startswith(f"{data}/dsads/{NPZ}: {message}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "cache").exists()


def make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGED_NPZ = {
    "truncated": (
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        "damaged or no .npz file (",
    ),
    "empty": (lambda file: file.write_bytes(b""), "damaged or no .npz file ("),
    "text": (lambda file: file.write_text("signal"), "damaged or no .npz file ("),
    "folder": (make_folder, "is a folder; an .npz file is needed"),
    "one array": (
        lambda file: np.save(file.open("wb"), np.zeros(3)),
        "damaged or no .npz file (",
    ),
    "bytes changed": (
        lambda file: file.write_bytes(file.read_bytes()[:9000] + b"?" + file.read_bytes()[9001:]),
        "damaged or no .npz file (Bad CRC-32",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED_NPZ)
def test_a_damaged_npz_file_is_named_and_leaves_no_cache(arrays, save, tmp_path, kind):
    damage, message = DAMAGED_NPZ[kind]
    data = save(arrays)
    damage(data / "dsads" / NPZ)
    with pytest.raises(DataError) as error:
        load(data, tmp_path / "cache")
    assert str(error.value).startswith(f"{data}/dsads/{NPZ}: {message}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "cache").exists()


def edit(number: int, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        lines = file.read_text().splitlines()
        lines[number - 1] = ",".join(change(lines[number - 1].split(",")))
        file.write_text("\n".join(lines))

    return damage


def keep_lines(count: int) -> Callable[[Path], None]:
    return lambda file: file.write_text("\n".join(file.read_text().splitlines()[:count]))


DAMAGED_TEXT = {
    "not a number": (
        edit(17, lambda fields: ["0x1f", *fields[1:]]),
        "line 17: found '0x1f', a finite number is needed",
    ),
    "NaN": (
        edit(125, lambda fields: [*fields[:-1], "NaN"]),
        "line 125: found 'NaN', a finite number is needed",
    ),
    "empty field": (
        edit(1, lambda fields: ["", *fields[1:]]),
        "line 1: found '', a finite number is needed",
    ),
    "columns": (edit(3, lambda fields: fields[:27]), "line 3: 27 numbers found, 45 needed"),
    "lines": (keep_lines(124), "124 lines found, 125 needed"),
    "empty": (keep_lines(0), "0 lines found, 125 needed"),
    "folder": (make_folder, "is a folder; a text file is needed"),
}


@pytest.mark.parametrize("kind", DAMAGED_TEXT)
def test_a_damaged_segment_is_named_and_leaves_no_cache(unpacked, tmp_path, kind):
    damage, message = DAMAGED_TEXT[kind]
    data = Path(shutil.copytree(unpacked, tmp_path / "data"))
    file = data / "dsads/data/a01/p2/s02.txt"
    damage(file)
    with pytest.raises(DataError) as error:
        load(data, tmp_path / "cache")
    assert str(error.value) == f"{file}: {message}"
    assert not (tmp_path / "cache").exists()


def test_an_incomplete_archive_is_refused(unpacked, tmp_path):
    data = Path(shutil.copytree(unpacked, tmp_path / "data"))
    shutil.rmtree(data / "dsads/data/a07/p3")
    with pytest.raises(DataError) as error:
        load(data)
    assert str(error.value) == (
        f"{data}/dsads/data: holds no a07/p3/s01.txt; 2 of the archive's 152 files are missing"
    )


def test_a_damaged_zip_file_is_named(tmp_path):
    (tmp_path / ZIP).write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"activities\.zip: damaged or no zip file"):
        load(tmp_path)


@pytest.fixture
def real_data() -> Path:
    """Return the folder that TITAN_DATA names, if DSADS is there."""
    data = Path(os.environ.get("TITAN_DATA", "data"))
    if not (data / "dsads" / NPZ).exists():
        pytest.skip("TITAN_DATA names no folder with DSADS")
    return data


def test_real_data(real_data, tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    task = load(real_data, tmp_path)
    assert torch.equal(task.train.labels.bincount(), torch.full((19,), 6 * 3 * 75))
    assert torch.equal(task.test.labels.bincount(), torch.full((19,), 2 * 3 * 75))
    inputs, _, user_ids = whole(task)
    assert torch.equal(user_ids.bincount(), torch.full((24,), 19 * 75))
    assert bool(torch.isfinite(inputs).all())
    assert load(real_data, tmp_path).fingerprint == task.fingerprint
    assert not caplog.records


def test_real_segments_join(real_data):
    """The claim behind cutting windows from joined segments, measured on the data."""
    signals = segments.read_npz(real_data / "dsads" / NPZ).astype(np.float32)
    signals = signals.reshape(19 * 8, 60, 125, 27)[::3]  # 51 recordings of all activities
    inside = np.abs(np.diff(signals, axis=2))  # (51, 60, 124, 27)
    border = np.abs(signals[:, 1:, 0] - signals[:, :-1, -1])  # (51, 59, 27)
    apart = np.abs(signals[:, 30:, 0] - signals[:, :30, -1])  # segments 150 s apart
    typical = np.median(inside, axis=(1, 2))  # (51, 27)
    assert 0.9 < np.median(np.median(border, 1) / typical) < 1.1
    assert np.median(np.median(apart, 1) / typical) > 2
    rare = np.quantile(inside, 0.999, axis=(1, 2))[:, None]
    assert np.mean((border > rare).sum(-1) >= 6) < 0.02
