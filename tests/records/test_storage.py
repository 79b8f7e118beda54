import threading
import time
from pathlib import Path

from titan_repro.errors import RunFolderError
from titan_repro.records.storage import exclusive


def test_only_one_of_many_holds_the_folder_at_a_time(tmp_path: Path) -> None:
    """The file is removed and made again all the time: no two may hold different files."""
    inside: list[int] = []
    most = 0

    def compete(name: int) -> None:
        nonlocal most
        held = 0
        while held < 40:
            try:
                with exclusive(tmp_path / "run"):
                    inside.append(name)
                    time.sleep(0.0002)  # another thread's turn
                    most = max(most, len(inside))
                    inside.remove(name)
                    held += 1
            except RunFolderError as error:
                assert "in use by" in str(error)  # noqa: PT017

    threads = [threading.Thread(target=compete, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not (tmp_path / "run" / ".lock").exists()
