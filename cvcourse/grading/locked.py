"""Start the worker under sandlock (Landlock and seccomp), where user namespaces are blocked.

Sandlock shows the real file system, cut down to what is listed here, so the course lies where it
was staged, and each worker gets a scratch folder with links to it.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Run the worker with standard input and output handed on: STAGE PROCESSES MEMORY, in MB."""
    from sandlock import Sandbox

    stage, processes, memory = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=stage) as folder:  # gone with the stage, if not before
        scratch = Path(folder)
        course = scratch / "course"  # Numba and Matplotlib look for what was compiled in folders that can be written
        course.mkdir()
        shutil.copytree(stage / "cvcourse", course / "cvcourse", symlinks=True)
        (course / "data").symlink_to(stage / "data")
        python = os.path.abspath(sys.executable)
        read = [
            *(str(stage / part) for part in ("cvcourse", "data", "compiled")),
            sys.prefix,
            sys.base_prefix,
            "/usr",
            "/lib",
            "/lib64",
            "/bin",
            "/etc/ld.so.cache",
        ]
        read += ["/etc/alternatives", "/etc/fonts", "/etc/localtime", "/proc", "/dev/urandom", "/dev/null"]
        sandbox = Sandbox(
            fs_readable=[path for path in dict.fromkeys(read) if os.path.exists(path)],
            fs_writable=[str(scratch), "/dev/null"],
            max_memory=f"{memory}M",
            max_processes=processes,
            clean_env=True,
            env=inside(scratch, python),
            cwd=str(scratch),
        )
        return int(sandbox.run_interactive([python, "-m", "cvcourse.grading.worker", str(stage / "compiled")]))


def inside(scratch: Path, python: str) -> dict[str, str]:
    """Give the environment inside: that of the other sandboxes, with the scratch folder for /tmp."""
    from cvcourse.grading.sandbox import environment

    moved = {"HOME": "", "MPLCONFIGDIR": "matplotlib", "IPYTHONDIR": "ipython", "PYTHONPATH": "course", "TMPDIR": ""}
    return environment(os.path.dirname(python)) | {name: str(scratch / place) for name, place in moved.items()}


if __name__ == "__main__":
    sys.exit(main())
