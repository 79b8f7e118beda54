"""Runs of older versions: what moved since is found where it is now."""

import json
from pkgutil import resolve_name

import yaml

from titan_repro.records.moved import MOVED, current
from titan_repro.records.recorded import FolderRun
from titan_repro.records.storage import sha256_of
from titan_repro.runs.run import run


def test_addresses_of_moved_modules_are_replaced_wherever_they_are():
    old = {
        "idle": {"name": "csv", "trace": {"_target_": "titan_repro.devices.idle_csv.from_csv"}},
        "list": [{"_target_": "titan_repro.devices.idle.constant", "share": 0.5}, 7],
        "own": {"_target_": "mine.devices.idle.constant", "text": "titan_repro.devices.idle.x"},
    }
    new = current(old)
    assert new["idle"] == {
        "name": "csv",
        "trace": {"_target_": "titan_repro.boards.idle_csv.from_csv"},
    }
    assert new["list"] == [{"_target_": "titan_repro.boards.idle.constant", "share": 0.5}, 7]
    assert new["own"] == old["own"]
    assert old["list"][0]["_target_"] == "titan_repro.devices.idle.constant"


def test_what_moved_is_there():
    for module in MOVED.values():
        resolve_name(module)


def test_a_run_folder_of_before_is_read_with_the_new_addresses(configure):
    outcome = run(configure("selector=rs", "rounds=1", "evaluation_samples=20"))
    path = outcome.folder / "config.yaml"
    text = path.read_text()
    assert "titan_repro.boards.idle.constant" in text
    now = FolderRun(outcome.folder).config
    path.write_text(text.replace("titan_repro.boards.idle", "titan_repro.devices.idle"))
    files = {**outcome.summary["files"], "config.yaml": sha256_of(path)}
    told = json.dumps({**outcome.summary, "files": files})
    (outcome.folder / "summary.json").write_text(told)
    assert yaml.safe_load(path.read_text())["idle"] != now["idle"]
    assert FolderRun(outcome.folder).config == now
