"""A federation over Flower on this machine, from one command: what `flwr run` needs, and its end.

    python -m titan_repro.flower.local simulation|loopback [--result FILE] [OVERRIDE ...]

simulation: Flower's own simulator, which keeps nodes in one process (Ray) for each core.
loopback: a SuperLink and, for every device, a SuperNode, real processes that talk over 127.0.0.1.
Overrides are those of titan-run. Everything that was started is ended, also after Ctrl-C.
"""

import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from titan_repro.errors import ConfigurationError, PipelineError, UserError
from titan_repro.flower.assembly import composed

Mode = Literal["simulation", "loopback"]

APP = Path(__file__).parent / "app"
"""APP: the folder that `flwr run` is given."""

PATIENCE = 60.0
"""PATIENCE: seconds that a SuperLink may take to start."""

QUIET = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
"""QUIET: Flower reports its use to its makers unless told not to."""


class LocalFlower:
    """A SuperLink of its own on free ports, and what belongs to it, in a scratch folder.

    nodes: the SuperNodes by device, {} in a simulation. log: of everything but the run itself.
    """

    def __init__(self, mode: Mode, devices: int, folder: Path) -> None:
        self.mode = mode
        self.devices = devices
        self.log = folder / "flower.log"
        self.nodes: dict[int, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._link: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        programs = str(Path(sys.executable).parent)
        self._environment = {
            **os.environ,
            **QUIET,
            "FLWR_HOME": str(folder),
            "PATH": os.pathsep.join([programs, os.environ.get("PATH", "")]),
        }

    def start(self) -> None:
        """Start the SuperLink, and the SuperNodes when it answers.

        Raises PipelineError if it does not.
        """
        address = f'address = "127.0.0.1:{self._port}"\ninsecure = true\n'
        text = f'[superlink]\ndefault = "here"\n\n[superlink.here]\n{address}'
        (self._folder / "config.toml").write_text(text, encoding="utf-8")
        own = ("--insecure", "--disable-runtime-dependency-installation")
        ports = [f"--{api}-api-address=127.0.0.1:{free_port()}" for api in ("control", "fleet")]
        kind = ["--simulation"] if self.mode == "simulation" else []
        self._link = self._program(
            "flower-superlink", *own, "--host=127.0.0.1", f"--port={self._port}", *ports, *kind
        )
        until = time.monotonic() + PATIENCE
        while not self._answers():
            if self._link.poll() is not None or time.monotonic() > until:
                raise PipelineError(f"flower-superlink did not start: {self.last_line()}")
            time.sleep(0.2)
        if self.mode == "loopback":
            for device in range(self.devices):
                self.start_node(device)

    def start_node(self, device: int) -> None:
        """Start the SuperNode of a device, or another one in its place."""
        numbers = f"partition-id={device} num-partitions={self.devices}"
        link, port = f"127.0.0.1:{self._port}", str(free_port())
        options = ("--superlink", link, "--port", port, "--node-config", numbers)
        self.nodes[device] = self._program("flower-supernode", "--insecure", *options)

    def run(self, overrides: Sequence[str], result: Path) -> None:
        """Run the App and show its log until it has ended."""
        words = shlex.join(overrides)
        if '"' in words:
            raise ConfigurationError(f'overrides: found {words}; allowed with Flower: none with "')
        values = f'overrides="{words}" result="{result.resolve()}"'
        command = ["flwr", "run", str(APP), "here", "--stream", "--run-config", values]
        if self.mode == "simulation":
            nodes = f"num-supernodes={self.devices} client-resources-num-cpus=1"
            command += ["--federation-config", nodes]
        subprocess.run(command, env=self._environment, check=False)

    def stop(self) -> None:
        """End what was started."""
        end_all([*self.nodes.values(), *([self._link] if self._link else [])])

    def last_line(self) -> str:
        """Return the last line of the log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _program(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def _answers(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self._port}/health", timeout=1) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False


def end_all(programs: Sequence[subprocess.Popen[bytes]], seconds: float = 10.0) -> None:
    """Ask programs to end; kill what is left of them and of what they started after a while."""
    running = []
    for program in programs:
        with suppress(psutil.NoSuchProcess):  # Flower's and Ray's have sessions of their own
            running += psutil.Process(program.pid).children(recursive=True)
    for program in programs:
        program.terminate()
    for program in programs:
        with suppress(subprocess.TimeoutExpired):
            program.wait(seconds)
        program.kill()
        program.wait()
    _, left = psutil.wait_procs(running, timeout=1)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def local_flower(mode: Mode, devices: int) -> Iterator[LocalFlower]:
    """Start Flower on this machine; end it and remove its files when the block ends."""
    with ExitStack() as open_now:
        folder = Path(open_now.enter_context(TemporaryDirectory(prefix="titan-flower-")))
        flower = LocalFlower(mode, devices, folder)
        open_now.callback(flower.stop)
        flower.start()
        yield flower


def run_locally(mode: Mode, overrides: Sequence[str], result: Path) -> dict[str, Any]:
    """Run a federation over Flower and return what its server wrote to `result`.

    Raises ConfigurationError for overrides that cannot be, PipelineError if the run failed.
    """
    config, federation = composed(shlex.join(overrides))
    if federation.devices is None:
        raise ConfigurationError(
            "federation.devices: found null; allowed here: a number, as each device is a node"
        )
    result.unlink(missing_ok=True)
    with local_flower(mode, federation.devices) as flower:
        flower.run(overrides, result)
    if not result.exists():
        raise PipelineError(f"flwr run: no result after {config.rounds} rounds; its log says why")
    found: dict[str, Any] = json.loads(result.read_text("utf-8"))
    return found


def main() -> None:
    """Run a federation over Flower; exit status as titan-run's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("mode", choices=("simulation", "loopback"))
    parser.add_argument("--result", type=Path, default=Path("flower.json"))
    options, overrides = parser.parse_known_args()
    try:
        found = run_locally(options.mode, overrides, options.result)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_status)
    print(f"{options.result}: accuracy {found['final_accuracy']:.4f}, {found['weights_sha256']}")


if __name__ == "__main__":
    main()
