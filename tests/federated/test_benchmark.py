import sys

import pytest


def test_pfl_where_it_is_not_installed_is_refused_in_one_line(monkeypatch, capsys):
    monkeypatch.syspath_prepend("scripts")
    monkeypatch.setitem(sys.modules, "pfl", None)  # cannot be imported, even where it is installed
    import bench_federated

    monkeypatch.setattr(sys, "argv", ["bench_federated.py", "--pfl", "50"])
    with pytest.raises(SystemExit) as end:
        bench_federated.main()
    assert end.value.code == 2
    out, line = capsys.readouterr()
    assert out == ""
    assert line.startswith("--pfl: found no pfl")
    assert line.count("\n") == 1
