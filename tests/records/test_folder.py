import os
import random
import resource
import time
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import simulated_run
import torch
from simulated_run import contents, processes, provenance, record, simulate, summary

from titan_repro.errors import RunFolderError
from titan_repro.records import checkpoint, rounds
from titan_repro.records.folder import RunFolder
from titan_repro.records.results import EvaluationRecord
from titan_repro.records.rounds import SCHEMA
from titan_repro.records.writer import CHECKED, RunWriter


def one_line(error: pytest.ExceptionInfo[RunFolderError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def interrupted(path: Path) -> Path:
    simulate(path, stop_at=5)
    return path


def committed_rounds(path: Path) -> int:
    """Return the rounds that need not be computed again."""
    summary = RunFolder(path).summary()
    if summary is not None and summary["status"] == "finished":
        return int(summary["rounds"])
    saved = checkpoint.load(path / "checkpoint.pt")
    return 0 if saved is None else saved.next_round


# --- a run that nothing happens to


def test_complete_run_leaves_exactly_its_files_with_every_round(tmp_path: Path) -> None:
    result = simulate(tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert {file.name for file in folder.path.iterdir()} == simulated_run.COMPLETE
    assert folder.summary() == folder.completed(7) == result
    rounds = folder.rounds()
    assert list(rounds["round"]) == list(range(7))
    assert list(rounds.columns) == SCHEMA.names
    assert rounds["trained_indices"][3].tolist() == [3, 4]
    curve = folder.evaluations()
    assert list(curve["round"]) == [2, 4, 6]
    assert list(curve["accuracy"]) == [1 / 2, 1 / 4, 1 / 6]


def test_starting_a_complete_run_again_changes_nothing(tmp_path: Path) -> None:
    first = simulate(tmp_path)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert simulate(tmp_path) == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()} == before


def test_a_run_that_has_diverged_cannot_be_started_again(tmp_path: Path) -> None:
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        run.append(record(0, loss=float("nan")))
        run.finish(summary("diverged", rounds=1, final_accuracy=None))
    with RunFolder(tmp_path).claim() as run, pytest.raises(RuntimeError, match="diverged"):
        run.start("", provenance())


def test_diverged_run_is_complete_and_keeps_its_rounds(tmp_path: Path) -> None:
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        run.append(record(0, loss=float("nan")))
        run.finish(summary("diverged", rounds=1, final_accuracy=None))
    folder = RunFolder(tmp_path)
    told = folder.completed(100)
    assert told is not None
    assert set(told.pop("files")) == set(CHECKED)
    assert told == summary("diverged", rounds=1, final_accuracy=None)
    assert not (tmp_path / "checkpoint.pt").exists()
    assert folder.rounds()["loss"].isna().all()
    assert len(folder.evaluations()) == 0


def test_merged_file_does_not_depend_on_where_the_parts_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ROWS_PER_GROUP", 16)
    for every in (1, 5, 16, 1000):
        simulate(tmp_path / str(every), rounds=50, checkpoint_every=every)
    files = [contents(tmp_path / str(every))["rounds.parquet"] for every in (1, 5, 16, 1000)]
    assert files == [files[0]] * 4
    metadata = pq.ParquetFile(tmp_path / "5" / "rounds.parquet").metadata
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert groups == [16, 16, 16, 2]


def test_rounds_leave_memory_without_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "ROWS_PER_GROUP", 4)
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        for t in range(10):
            run.append(record(t))
            assert len(run._rounds._buffer) < 4
    assert list(RunFolder(tmp_path).rounds()["round"]) == list(range(8))


def test_rounds_and_curves_of_a_running_run_can_be_read(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.claim() as run:
        run.start("", provenance())
        run.append(record(0))
        run.evaluation(EvaluationRecord(1, 0.1, 2.0, 0.5, 10))
        run.save_checkpoint({})
        run.append(record(1))
        assert list(folder.rounds()["round"]) == [0]
        assert list(folder.evaluations()["loss"]) == [2.0]
        assert folder.summary() is None
        assert folder.completed(1) is None


def test_a_folder_that_is_not_there_has_no_summary_and_no_rounds(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "absent")
    assert folder.summary() is None
    assert folder.completed(1) is None
    assert isinstance(folder.rounds(), pd.DataFrame)
    assert len(folder.rounds()) == 0


# --- stopping and going on


def test_interrupted_run_goes_on_and_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    simulate(tmp_path / "reference")
    path = tmp_path / "run"
    for stop_at in (0, 2, 5):
        simulate(path, stop_at=stop_at)
        assert RunFolder(path).completed(7) is None
        assert RunFolder(path).summary() == summary("interrupted", rounds=stop_at)
        assert len(RunFolder(path).rounds()) == stop_at
    simulate(path)
    assert contents(path) == contents(tmp_path / "reference")


def test_what_is_younger_than_the_checkpoint_is_forgotten(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.claim() as run:
        run.start("", provenance())
        run.append(record(0))
        run.evaluation(EvaluationRecord(1, 0.1, 2.0, 0.5, 10))
        run.save_checkpoint({"at": 1})
        run.append(record(1))
        run.evaluation(EvaluationRecord(2, 0.2, 2.0, 0.5, 10))
        run._rounds.flush()
    assert len(folder.rounds()) == len(folder.evaluations()) == 2
    with folder.claim() as run:
        saved = run.start("", provenance())
        assert saved is not None
        assert saved.state == {"at": 1}
        assert saved.next_round == run.next_round == 1
    assert len(folder.rounds()) == len(folder.evaluations()) == 1


def test_rounds_before_the_first_checkpoint_are_forgotten(tmp_path: Path) -> None:
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        run.append(record(0))
        run.evaluation(EvaluationRecord(1, 0.1, 2.0, 0.5, 10))
        run._rounds.flush()
    with RunFolder(tmp_path).claim() as run:
        assert run.start("", provenance()) is None
    assert len(RunFolder(tmp_path).rounds()) == len(RunFolder(tmp_path).evaluations()) == 0


def test_provenance_tells_of_every_start(tmp_path: Path) -> None:
    simulate(interrupted(tmp_path))
    told = RunFolder(tmp_path).provenance()
    assert told == {**provenance(), "resumed": [{**provenance(), "next_round": 5}]}


def test_a_run_is_not_continued_on_other_data(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with (
        RunFolder(tmp_path).claim() as run,
        pytest.raises(RunFolderError, match=r"other data.*d1.*d2") as error,
    ):
        run.start("", provenance("d2"))
    one_line(error)
    assert len(RunFolder(tmp_path).rounds()) == 5


def test_a_run_without_checkpoint_begins_anew_on_other_data(tmp_path: Path) -> None:
    for fingerprint in ("d1", "d2"):
        with RunFolder(tmp_path).claim() as run:
            assert run.start("", provenance(fingerprint)) is None
    assert RunFolder(tmp_path).provenance()["data"]["fingerprint"] == "d2"


# --- being killed


def test_kill_9_at_random_moments_on_one_folder(tmp_path: Path) -> None:
    path = tmp_path / "run"
    moments = random.Random(1)
    reached = []
    for _ in range(12):
        parent, child = processes.Pipe()
        process = processes.Process(target=simulated_run.run_until_killed, args=(path, 20, child))
        process.start()
        assert parent.poll(30)
        assert parent.recv() == "claimed"
        assert parent.poll(30)
        assert parent.recv() == "checkpoint"  # so that every attempt gets a little further
        time.sleep(moments.uniform(0.0, 0.1))
        process.kill()
        process.join(30)
        assert process.exitcode == -9
        reached.append(committed_rounds(path))
    assert reached == sorted(set(reached))
    rounds = reached[-1] + 50
    simulate(path, rounds, 20)
    assert list(RunFolder(path).rounds()["round"]) == list(range(rounds))
    simulate(tmp_path / "reference", rounds, 1000)
    assert contents(path) == contents(tmp_path / "reference")


def test_vanishing_before_any_single_change_to_the_disk(tmp_path: Path) -> None:
    parent, child = processes.Pipe()
    process = processes.Process(
        target=simulated_run.vanish_before_every_step, args=(tmp_path, child)
    )
    process.start()
    assert parent.poll(60)
    steps = parent.recv()
    process.join(30)
    expected = contents(tmp_path / "reference")
    assert steps > 40  # two checkpoints of several files each, and the ending
    paths = [tmp_path / str(step) for step in range(steps)]
    progress = [committed_rounds(path) for path in paths]
    assert progress == sorted(progress)  # no change takes back what an earlier one committed
    assert set(progress) == {0, 3, 6, 7}
    for path in paths:
        simulate(path)
        assert contents(path) == expected


def test_vanishing_before_any_single_change_to_the_disk_while_extending(tmp_path: Path) -> None:
    parent, child = processes.Pipe()
    process = processes.Process(target=simulated_run.vanish_while_extending, args=(tmp_path, child))
    process.start()
    assert parent.poll(60)
    steps = parent.recv()
    process.join(30)
    expected = contents(tmp_path / "reference")
    assert steps > 30
    paths = [tmp_path / str(step) for step in range(steps)]
    for path in paths:
        folder, told = RunFolder(path), RunFolder(path).summary()
        assert told is not None
        assert told["rounds_done"] >= 5
        assert committed_rounds(path) >= 5  # extending takes back nothing
        assert len(folder.rounds()) >= committed_rounds(path)
        assert list(folder.evaluations()["round"])[:2] == [2, 4]
        simulate(path, 9, end_point=True)
        assert contents(path) == expected


def test_a_run_that_was_being_extended_ends_at_its_old_length_if_asked(tmp_path: Path) -> None:
    simulate(tmp_path / "reference", 5, end_point=True)
    path = tmp_path / "run"
    simulate(path, 5, end_point=True)
    with RunFolder(path).claim() as run:
        run.start("", provenance())
    assert RunFolder(path).completed(5) is None
    assert simulate(path, 5, end_point=True)["status"] == "finished"
    assert contents(path) == {**contents(tmp_path / "reference")}


def test_a_result_is_whole_whatever_the_ending_left_behind(tmp_path: Path) -> None:
    simulate(tmp_path)
    expected = contents(tmp_path)
    (tmp_path / "rounds").mkdir()
    (tmp_path / "rounds" / "00000003.parquet").write_bytes(b"half removed")
    assert len(RunFolder(tmp_path).rounds()) == 7
    with RunFolder(tmp_path).claim():
        (tmp_path / "rounds").mkdir()
        assert RunFolder(tmp_path).completed(7) is not None  # busy: the result is told all the same
        (tmp_path / "rounds").rmdir()
    (tmp_path / "rounds").mkdir()
    assert RunFolder(tmp_path).completed(7) is not None
    assert contents(tmp_path) == expected


def test_temporary_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    interrupted(tmp_path)
    left = [tmp_path / ".checkpoint.pt.x.partial", tmp_path / "rounds" / ".00.parquet.y.partial"]
    for file in left:
        file.write_bytes(b"half")
    simulate(tmp_path, stop_at=6)
    assert not any(file.exists() for file in left)


# --- two processes


def test_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = interrupted(tmp_path / "run")
    parent, child = processes.Pipe()
    process = processes.Process(target=simulated_run.hold, args=(path, child))
    process.start()
    assert parent.poll(30)
    holder = parent.recv()
    with pytest.raises(RunFolderError) as error:
        simulate(path)
    assert f"{path}: in use by process {holder} on " in one_line(error)
    assert len(RunFolder(path).rounds()) == 5  # reading needs no claim
    process.kill()
    process.join(30)
    assert simulate(path)["status"] == "finished"


def test_a_claim_refuses_its_own_process_too_and_ends_with_its_block(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with folder.claim():
        with pytest.raises(RunFolderError, match=f"process {os.getpid()} "), folder.claim():
            pass
        with pytest.raises(RunFolderError, match=f"process {os.getpid()} "), folder.claim():
            pass
    with folder.claim():
        pass
    assert list(tmp_path.iterdir()) == []


# --- misuse


@pytest.mark.parametrize("wrong", [0, 2])
def test_records_must_come_in_order(tmp_path: Path, wrong: int) -> None:
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        run.append(record(0))
        with pytest.raises(ValueError, match=f"round {wrong} where 1 is next"):
            run.append(record(wrong))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "interrupted"}, "status 'interrupted', not one of finished, diverged"),
        ({"final_accuracy": float("nan")}, "final_accuracy is nan"),
    ],
)
def test_a_summary_that_cannot_stand_is_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        run.append(record(0))
        with pytest.raises(ValueError, match=message):
            run.finish(summary(**changes))
        incomplete = summary()
        del incomplete["seed"], incomplete["rounds"]
        with pytest.raises(ValueError, match="no seed, rounds"):
            run.finish(incomplete)
    assert RunFolder(tmp_path).summary() is None
    assert not (tmp_path / "rounds.parquet").exists()


# --- damage


def damage_middle(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


def damage_values(file: Path) -> None:
    """Change the last byte of a middle column's values."""
    group = pq.read_metadata(file).row_group(0)
    column = group.column(group.num_columns // 2)
    begins = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(file.read_bytes())
    content[begins + column.total_compressed_size - 1] ^= 0x10
    file.write_bytes(content)


def damage_end(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("checkpoint.pt", damage_end),
        ("checkpoint.pt", lambda file: file.write_bytes(b"")),
        ("checkpoint.pt", lambda file: torch.save({"weights": 1}, file)),
        ("checkpoint.pt", lambda file: torch.save([RunWriter], file)),
        ("rounds/00000003.parquet", damage_end),
        ("rounds/00000000.parquet", remove),
        ("rounds/00000003.parquet", remove),
        ("provenance.json", damage_end),
        ("provenance.json", remove),
        ("evaluations.csv", damage_end),
        ("summary.json", damage_end),
        ("summary.json", lambda file: file.write_text("[]")),
        ("summary.json", lambda file: file.write_text('{"status": "finished"}')),
    ],
)
def test_damage_is_named_and_not_run_over(tmp_path: Path, name: str, damage: object) -> None:
    interrupted(tmp_path)
    damage(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(RunFolderError) as error:
        simulate(tmp_path)
    text = one_line(error)
    assert str(tmp_path / Path(name).parts[0]) in text
    assert "delete the run folder to start this run again" in text


def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path: Path) -> None:
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        run.save_checkpoint({"weights": torch.ones(10_000)})
    damage_middle(tmp_path / "checkpoint.pt")
    with (
        RunFolder(tmp_path).claim() as run,
        pytest.raises(RunFolderError, match=r"checkpoint\.pt: damaged \(wrong checksum"),
    ):
        run.start("", provenance())


def test_damaged_rounds_are_noticed_before_the_run_is_called_finished(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with RunFolder(tmp_path).claim() as run:
        run.start("", provenance())
        damage_values(tmp_path / "rounds" / "00000000.parquet")
        with pytest.raises(RunFolderError, match=r"rounds/00000000\.parquet: damaged"):
            run.finish(summary(rounds=5))
    assert RunFolder(tmp_path).completed(5) is None


@pytest.mark.parametrize("content", ["", "round,loss\n1,2\n", "damage", b"\xff\xfe"])
def test_damaged_curves_are_named(tmp_path: Path, content: str | bytes) -> None:
    file = tmp_path / "evaluations.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RunFolderError, match=r"evaluations\.csv: damaged") as error:
        RunFolder(tmp_path).evaluations()
    one_line(error)


# --- disks that refuse


def test_a_file_where_the_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunFolderError, match=r"cannot be written.*paths\.runs") as error:
        simulate(tmp_path / "runs" / "run")
    assert str(tmp_path / "runs" / "run") in one_line(error)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc")
def test_a_place_where_even_root_may_not_write() -> None:
    with pytest.raises(RunFolderError, match=r"cannot be written.*paths\.runs"):
        simulate(Path("/proc/titan-repro/run"))


def test_a_disk_that_takes_no_more_leaves_the_last_checkpoint_good(tmp_path: Path) -> None:
    simulate(tmp_path / "reference")
    path = interrupted(tmp_path / "run")
    with RunFolder(path).claim() as run:
        run.start("", provenance())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            with pytest.raises(RunFolderError, match=r"checkpoint\.pt: cannot be written") as error:
                run.save_checkpoint({"weights": torch.zeros(100_000)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in one_line(error)
    simulate(path)
    assert contents(path) == contents(tmp_path / "reference")


@pytest.mark.parametrize("name", ["rounds", "evaluations.csv", "summary.json", "rounds.parquet"])
def test_any_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    simulate(tmp_path / "reference")
    path = interrupted(tmp_path / "run")
    open_file, replace = Path.open, Path.replace

    def full(self: Path) -> bool:
        return name in self.parts and not self.name.startswith(".")

    def refuse(self: Path, target: Path) -> Path:
        if full(target):
            raise OSError(28, "No space left on device")
        return replace(self, target)

    def refuse_appending(self: Path, mode: str = "r", **options: object) -> object:
        if mode == "ab" and full(self):
            raise OSError(28, "No space left on device")
        return open_file(self, mode, **options)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        patch.setattr(Path, "open", refuse_appending)
        with pytest.raises(RunFolderError, match="No space left") as error:
            simulate(path)
    assert str(path / name) in one_line(error)
    assert not list(path.rglob("*.partial"))
    simulate(path)
    assert contents(path) == contents(tmp_path / "reference")
