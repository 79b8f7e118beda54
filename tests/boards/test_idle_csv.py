"""Idle traces from a file: what is read, and one line for every kind of damage."""

import pytest

from titan_repro.boards.idle import IdleTrace
from titan_repro.boards.idle_csv import from_csv
from titan_repro.errors import ConfigurationError, DataError

GOOD = "seconds,share\n0,1\n2.5, 0.25\n\n1e1,0\n"


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes) -> str:
        path = tmp_path / "trace.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.mark.parametrize("repeat", [None, 12.0])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_steps_are_read_as_they_stand(written, repeat, ending):
    path = written("\ufeff" + GOOD.replace("\n", ending))
    assert from_csv(path, repeat) == IdleTrace((0.0, 2.5, 10.0), (1.0, 0.25, 0.0), repeat)


DAMAGED = [
    ("time,idle\n0,1\n", "line 1: found 'time,idle'; allowed: seconds,share"),
    ("0,1\n1,0\n", "line 1: found '0,1'; allowed: seconds,share"),
    ("seconds,share\n1,1\n", "line 2: found seconds 1; allowed: 0 in the first row"),
    ("seconds,share\n0,1\n\n5,1\n5,0\n", "line 5: found seconds 5; allowed: above 5"),
    ("seconds,share\n0,1\n3,0\n2,1\n", "line 4: found seconds 2; allowed: above 3"),
    ("seconds,share\n0,1\nnan,0\n", "line 3: found seconds nan; allowed: above 0"),
    ("seconds,share\n0,1\ninf,0\n", "line 3: found seconds inf; allowed: above 0"),
    ("seconds,share\n0,1.5\n", "line 2: found share 1.5; allowed: 0 to 1"),
    ("seconds,share\n0,nan\n", "line 2: found share nan; allowed: 0 to 1"),
    ("seconds,share\n0,1\n1\n", "line 3: found 1 fields; allowed: 2, seconds and share"),
    ("seconds,share\n0,1\n1,0.5,7\n", "line 3: found 3 fields; allowed: 2, seconds and share"),
    ("seconds,share\n0,much\n", "line 2: found '0,much'; allowed: two numbers"),
    ("seconds,share\n0,\n", "line 2: found '0,'; allowed: two numbers"),
    ("seconds,share\n", "found no rows; allowed: at least one"),
    ("", "found no rows; allowed: at least one"),
    (b"seconds,share\n0,\xff\n", "found bytes that are no UTF-8 text"),
]


@pytest.mark.parametrize(("content", "says"), DAMAGED)
def test_damage_is_said_in_one_line_with_file_and_line(written, content, says):
    path = written(content)
    with pytest.raises(DataError) as caught:
        from_csv(path)
    message = str(caught.value)
    assert message.startswith(f"idle.path: {path}: ")
    assert message.endswith(says) or says in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing\.csv: cannot be read \(No such file"):
        from_csv(str(tmp_path / "nothing.csv"))


@pytest.mark.parametrize("repeat", [10.0, 3.0, -1.0, float("inf"), float("nan")])
def test_a_trace_starts_again_only_after_its_last_row(written, repeat):
    with pytest.raises(ConfigurationError, match=r"^idle\.repeat_seconds: found .* above the 10 "):
        from_csv(written(GOOD), repeat)
