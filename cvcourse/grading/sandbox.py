"""The sandbox that a submission runs in: command lines, limits, the process and its deadlines.

Inside there is no network, no home, no other submission and no check; Python and the course's
modules can only be read.  `probe` tries it once before a class is graded, and names the remedy.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from cvcourse.grading import channel

PACKAGE = Path(__file__).resolve().parents[1]
DATA = PACKAGE.parent / "data"
COURSE = "/course"  # where the course lies inside
KINDS = ("bwrap", "docker", "podman", "sandlock")
GRACE = 2.0  # seconds from the alarm inside to the end from outside


class Limits(NamedTuple):
    """What a submission may use; seconds are wall time, sizes are in MB."""

    call_seconds: float = 10  # a call of a function
    cell_seconds: float = 20  # a cell
    seconds: float = 120  # all of a submission
    start_seconds: float = 90  # the start of the sandbox, which is not the student's
    memory: int = 4096  # address space of each process
    scratch: int = 256  # files in /tmp
    file: int = 64  # a single file
    processes: int = 64  # processes and threads
    starts: int = 5  # how often a submission is started that ends its process

    def inside(self) -> dict[str, int]:
        """Give the limits that the worker sets on itself."""
        return {
            "RLIMIT_AS": self.memory << 20,
            "RLIMIT_CPU": int(self.seconds) + 1,
            "RLIMIT_FSIZE": self.file << 20,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_CORE": 0,
        }


class SandboxError(RuntimeError):
    """The sandbox did not start: a fault of the grader, and never a mark."""


class Setup(NamedTuple):
    """How to start a sandbox: its kind, the staged course, and for containers the image."""

    kind: str
    stage: Path
    image: str = "cvcourse"
    limits: Limits = Limits()


@contextlib.contextmanager
def staged() -> Iterator[Path]:
    """Copy what may be seen inside to a folder of its own: the lectures' modules, no checks, no solutions."""
    with tempfile.TemporaryDirectory(prefix="cvcourse-stage-") as folder:
        stage = Path(folder)
        stage.chmod(0o755)
        inside, silent = stage / "cvcourse", PACKAGE / "grading" / "silent"
        for part in ("checks", "grading"):
            (inside / part).mkdir(parents=True)
        for path in sorted(PACKAGE.iterdir()):
            if path.is_file():
                shutil.copy2(path, inside / path.name)  # with its time: Numba asks for it
        shutil.copy2(silent / "controls.py", inside / "controls.py")
        shutil.copy2(silent / "checks.py", inside / "checks" / "__init__.py")
        for name in ("student", "wire"):
            shutil.copy2(PACKAGE / "checks" / f"{name}.py", inside / "checks" / f"{name}.py")
        for name in ("__init__", "channel", "source", "worker"):
            shutil.copy2(PACKAGE / "grading" / f"{name}.py", inside / "grading" / f"{name}.py")
        _stage_compiled(inside, stage / "compiled")
        shutil.copytree(DATA, stage / "data")
        yield stage


def _stage_compiled(inside: Path, compiled: Path) -> None:
    """Keep what would cost every submission seconds again: bytecode, Numba's code, the list of fonts."""
    import matplotlib

    fonts = Path(matplotlib.get_cachedir())
    if not any(fonts.glob("fontlist-*.json")):
        import matplotlib.font_manager  # makes it
    compiled.mkdir()
    (inside / "__pycache__").mkdir()
    for path in (*(PACKAGE / "__pycache__").glob("*.*"), *fonts.glob("fontlist-*.json")):
        shutil.copy2(path, compiled / path.name)


def environment(python_folder: str) -> dict[str, str]:
    """Give the environment variables inside; nothing else is passed on."""
    variables = {
        "PATH": f"{python_folder}:/usr/bin:/bin",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONPATH": COURSE,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": "/tmp/matplotlib",
        "IPYTHONDIR": "/tmp/ipython",
    }
    # a thread counts as a process for the limit
    variables |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    kept = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    return variables | {name: os.environ[name] for name in kept if name in os.environ}


def shown() -> list[str]:
    """List the folders of this machine that a bubblewrap sandbox shows."""
    folders = {os.path.abspath(sys.prefix), os.path.abspath(sys.base_prefix)}
    return ["/usr", *sorted(folder for folder in folders if not _within(folder, "/usr"))]


def _within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def command(setup: Setup, name: str = "cvcourse-worker") -> list[str]:
    """Give the command line that starts a worker; it speaks through its standard input and output."""
    worker = ["-m", "cvcourse.grading.worker", f"{COURSE}/compiled"]
    if setup.kind == "bwrap":
        return [*_bwrap(setup), os.path.abspath(sys.executable), *worker]  # no realpath: it would leave a venv
    if setup.kind in ("docker", "podman"):
        return [*_container(setup, name), "python", *worker]
    if setup.kind == "sandlock":
        limits = [str(setup.limits.processes), str(setup.limits.memory)]
        return [os.path.abspath(sys.executable), "-m", "cvcourse.grading.locked", str(setup.stage), *limits]
    raise ValueError(f"a sandbox is one of {', '.join(KINDS)}, not {setup.kind!r}")


def _bwrap(setup: Setup) -> list[str]:
    line = ["bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    line += ["--cap-drop", "ALL", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv"]
    # before the folders that are shown, one of which may lie in /tmp
    line += ["--size", str(setup.limits.scratch << 20), "--tmpfs", "/tmp", "--dir", "/tmp/out"]
    for folder in shown():
        line += ["--ro-bind", folder, folder]
    for path in ("/lib", "/lib64", "/bin", "/sbin"):
        if os.path.islink(path):
            line += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            line += ["--ro-bind", path, path]
    for path in ("/etc/ld.so.cache", "/etc/alternatives", "/etc/fonts", "/etc/localtime"):
        line += ["--ro-bind-try", path, path]
    if any(_within(str(PACKAGE), folder) for folder in shown()):  # installed, not a clone: hide the open checks too
        line += ["--tmpfs", str(PACKAGE)]
    line += ["--proc", "/proc", "--dev", "/dev", "--size", str(16 << 20), "--tmpfs", "/dev/shm"]
    line += ["--ro-bind", str(setup.stage), COURSE]
    line += ["--size", str(16 << 20), "--tmpfs", f"{COURSE}/cvcourse/__pycache__", "--chdir", "/tmp/out"]
    for variable, value in environment(os.path.dirname(os.path.abspath(sys.executable))).items():
        line += ["--setenv", variable, value]
    return line


def _container(setup: Setup, name: str) -> list[str]:
    limits = setup.limits
    line = [setup.kind, "run", "--rm", "--interactive", "--name", name, "--network", "none", "--read-only"]
    line += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "65534:65534"]
    line += ["--memory", f"{limits.memory}m", "--memory-swap", f"{limits.memory}m"]
    line += ["--pids-limit", str(limits.processes), "--ulimit", "core=0", "--init"]
    line += ["--tmpfs", f"/tmp:rw,nosuid,nodev,size={limits.scratch}m", "--workdir", "/tmp"]
    line += ["--tmpfs", f"{COURSE}/cvcourse/__pycache__:rw,nosuid,nodev,size=16m,mode=1777"]
    line += ["--volume", f"{setup.stage}:{COURSE}:ro"]
    for variable, value in environment("/usr/local/bin").items():
        line += ["--env", f"{variable}={value}"]
    return [*line, setup.image]


class Box:
    """A running worker: requests in, replies out, each with a deadline that holds from outside."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.count, self.child = setup, 0, 0
        self.name = f"cvcourse-{os.getpid()}-{secrets.token_hex(4)}"
        line, far, near = command(setup, self.name), -1, -1
        if setup.kind == "bwrap":  # it tells the number of the process to end
            near, far = os.pipe()
            line[1:1] = ["--info-fd", str(far)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            self.process = subprocess.Popen(line, bufsize=0, pass_fds=(far,) if far >= 0 else (), **pipes)
        except OSError as problem:
            if near >= 0:
                os.close(near)
            raise SandboxError(f"{line[0]} cannot be started: {problem.strerror}.{remedy(setup)}") from None
        finally:
            if far >= 0:
                os.close(far)
        self.stdin, self.stdout, self.stderr = (
            cast(IO[bytes], pipe) for pipe in (self.process.stdin, self.process.stdout, self.process.stderr)
        )
        os.set_blocking(self.stdin.fileno(), False)
        self._deadline = time.monotonic() + setup.limits.start_seconds
        try:
            if near >= 0:
                with os.fdopen(near, "rb") as file:
                    self.child = int(json.loads(file.read() or b"{}").get("child-pid", 0))
            if channel.unpack(self._read, 1 << 10) != {"hello": 1}:
                raise ValueError("no greeting")
            if "limited" not in self.ask(setup.limits.start_seconds, do="limit", limits=setup.limits.inside()):
                raise ValueError("the limits could not be set")
        except (EOFError, OSError, ValueError) as problem:
            said = self._errors() or str(problem)
            self.close()
            raise SandboxError(f"the sandbox did not start ({setup.kind}): {said}.{remedy(setup)}") from None
        self.stderr.close()  # the student could write there without end

    def _errors(self) -> str:
        with contextlib.suppress(OSError):
            self.process.kill()
        return self.stderr.read(4000).decode("utf-8", "replace").strip()[-1000:]

    def ask(self, seconds: float, **request: Any) -> dict[str, Any]:
        """Send a request and give its reply.

        Raises
        ------
        TimeoutError
            If the worker did not answer in time; it is ended.
        EOFError, OSError
            If the worker has ended.
        ValueError
            If the reply is none.
        """
        self.count += 1
        self._deadline = time.monotonic() + seconds + GRACE
        self._write(channel.pack({"n": self.count, "seconds": seconds, **request}))
        reply = channel.unpack(self._read, channel.MAX_REPLY)
        if not isinstance(reply, dict) or reply.get("n") != self.count:
            raise ValueError("the reply does not belong to the request")
        return reply

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            self.close()
            raise TimeoutError("it took too long")
        return left

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if select.select([], [self.stdin], [], self._left())[1]:
                view = view[self.stdin.write(view) or 0 :]

    def _read(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            if not select.select([self.stdout], [], [], self._left())[0]:
                continue
            part = self.stdout.read(min(size, 1 << 20))
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """End the worker and everything that it started."""
        if self.process.poll() is None:
            self._end()
        for file in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                file.close()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self.stdin.close()  # a sound worker ends by itself
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.2)
            return
        if self.setup.kind in ("docker", "podman"):
            subprocess.run([self.setup.kind, "kill", self.name], capture_output=True, timeout=30, check=False)
        elif self.child:  # the first process of the sandbox: all others end with it
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
                return
        self.process.kill()
        self.process.wait()


REMEDIES = {
    "bwrap": """\
  not installed:  sudo apt install bubblewrap   (Fedora: sudo dnf install bubblewrap)
  "setting up uid map: Permission denied", "No permissions to create new namespace":
      this system forbids user namespaces.  Ubuntu from 23.10 on: install the AppArmor profile of bubblewrap
      (package apparmor-profiles), or  sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0
  in a container or on a JupyterHub, or on macOS and Windows:  --sandbox docker, --sandbox podman or --sandbox sandlock""",
    "docker": "  is Docker running, and was the image built?  See cvcourse/grading/README.md",
    "podman": "  is podman installed, and was the image built?  See cvcourse/grading/README.md",
    "sandlock": "  not installed:  pip install 'sandlock>=0.9,<0.10'   (the extra grading); it needs Linux 6.12 or newer",
}


def remedy(setup: Setup) -> str:
    """Say what helps where a sandbox does not start."""
    return f"\nWhat helps:\n{REMEDIES[setup.kind]}"


def probe(setup: Setup) -> None:
    """Start the sandbox once, with no submission.

    Raises
    ------
    SandboxError
        If it does not start; the message names the remedy.  There is no way round it.
    """
    Box(setup).close()
