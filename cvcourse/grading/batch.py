"""Grade all notebooks of a folder: results as they come, resumed where a run was stopped.

A results folder holds ``run.json`` (what was asked for) and ``results*.jsonl``: one line a
notebook, written and flushed to the disk as it ends.  Every shard writes a file of its own.
"""

import fcntl
import hashlib
import json
import multiprocessing
import os
import secrets
import signal
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TextIO

from cvcourse.grading.one import Task, grade, grade_cells
from cvcourse.grading.reader import NotTaken, Submission, take

Row = dict[str, Any]
TRIES = 2  # how often dask tries a notebook again whose worker was lost


class RunError(RuntimeError):
    """The run can't go on; the message says what to do."""


# --- results on disk


def settle(results: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """Keep what a run asks for, or see that it is what the folder was begun with; give it with its seed."""
    results.mkdir(parents=True, exist_ok=True)
    path = results / "run.json"
    if not path.exists():
        chosen = wanted | {"seed": secrets.randbits(31) if wanted["seed"] is None else wanted["seed"]}
        mine = results / f".run-{os.getpid()}-{secrets.token_hex(4)}.json"
        mine.write_text(json.dumps(chosen, indent=1) + "\n", "utf-8")
        try:
            os.link(mine, path)  # of shards that start together, one is first
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    begun: dict[str, Any] = json.loads(path.read_text("utf-8"))
    for key, value in wanted.items():
        if value != begun.get(key) and not (key == "seed" and value is None):
            raise RunError(
                f"{results} was begun with {key} {begun.get(key)}, not {value}: name another folder for the results"
            )
    return begun


def rows_of(results: Path) -> list[Row]:
    """Read the rows of a results folder; of several of one file the last that has a score counts.

    Raises
    ------
    RunError
        If a line is damaged; a last line that a killed run left unfinished is passed over.
    """
    rows: dict[str, Row] = {}
    for path in sorted(results.glob("results*.jsonl")):
        *lines, _torn = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                file = row["file"]
            except (ValueError, KeyError, TypeError):
                raise RunError(f"line {number} of {path} is damaged: remove it, and grade again") from None
            if file not in rows or row["score"] is not None or rows[file]["score"] is None:
                rows[file] = row
    return sorted(rows.values(), key=lambda row: str(row["id"]))


class Writer:
    """Appends rows to a results file that is its own as long as it lives."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a+b")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.file.close()
            raise RunError(f"another run is writing to {path}: wait for it, or end it") from None
        self.file.seek(0)
        whole = self.file.read().rfind(b"\n") + 1
        self.file.truncate(whole)  # what a killed run left unfinished; that notebook is graded again

    def write(self, row: Row) -> None:
        """Append a row and see it to the disk."""
        self.file.write(json.dumps(row).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        """Let the file go."""
        self.file.close()


def to_do(found: list[Submission], rows: list[Row], inbox: Path, shard: tuple[int, int]) -> list[Submission]:
    """Give the notebooks of this shard that have no mark yet, or have changed since."""
    part, parts = shard
    mine = [s for s in found if zlib.crc32(os.fsencode(s.file)) % parts == part - 1]
    marked = {row["file"]: row for row in rows if row["score"] is not None}
    return [s for s in mine if s.file not in marked or _changed(inbox / s.file, marked[s.file])]


def _changed(path: Path, row: Row) -> bool:
    try:
        return hashlib.sha256(take(path)).hexdigest() != row["sha256"]
    except NotTaken:
        return True


# --- engines: each takes notebooks and gives rows as they end

_task: Task | None = None


def _begin(task: Task) -> None:
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run itself is interrupted, and ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the run was killed; the sandbox then ends with us."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _graded(submission: Submission) -> Row:
    assert _task is not None
    return guarded(_task, submission)


def guarded(task: Task, submission: Submission) -> Row:
    """Grade a notebook; whatever breaks is a failure of the grader, and no mark."""
    try:
        return grade(task, submission)
    except Exception as problem:
        return failed(submission, f"the grader broke: {type(problem).__name__}: {problem}"[:1000])


def failed(submission: Submission, failure: str) -> Row:
    """Give the row of a notebook that could not be graded."""
    return {"file": submission.file, "id": submission.id, "sha256": "", "note": "", "score": None, "failure": failure}


def by_processes(task: Task, waiting: Iterable[Submission], jobs: int) -> Generator[Row, None, None]:
    """Grade on this machine; a process that dies is replaced, and what it did is tried once more, alone."""
    queue = deque(waiting)
    while queue:
        for suspect in (yield from _pool(task, queue, jobs)):
            if (yield from _pool(task, deque([suspect]), 1)):
                yield failed(suspect, "the grading process died, also with this notebook alone: out of memory?")


def _pool(task: Task, queue: deque[Submission], jobs: int) -> Generator[Row, None, list[Submission]]:
    """Empty the queue; if a process dies, return what was being graded."""
    context = multiprocessing.get_context("spawn")
    running: dict[Future[Row], Submission] = {}
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(task,))
    try:
        while queue or running:
            while queue and len(running) < 2 * jobs:
                submission = queue.popleft()
                running[pool.submit(_graded, submission)] = submission
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                row = future.result()
                del running[future]
                yield row
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []


def by_dask(task: Task, waiting: Iterable[Submission], scheduler: str) -> Generator[Row, None, None]:
    """Grade on the workers of a dask.distributed cluster that see the same files; lost workers are replaced."""
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise RunError("--scheduler needs dask:  pip install 'distributed>=2026.3'   (the extra distributed)") from None
    with Client(scheduler) as client:
        task_there = client.scatter(task, broadcast=True)
        submissions = list(waiting)
        futures = [client.submit(staged_there, task_there, s, pure=False, retries=TRIES) for s in submissions]
        names = dict(zip((future.key for future in futures), submissions, strict=True))
        for future in as_completed(futures):
            if future.status == "finished":
                yield future.result()
            else:
                yield failed(names[future.key], f"the worker was lost: {future.exception()}")
            future.release()


_there: dict[str, Any] = {}


def staged_there(task: Task, submission: Submission) -> Row:
    """Grade on another machine, with a stage of that machine's own."""
    from cvcourse.grading.sandbox import staged

    if "stage" not in _there:
        _there["context"] = staged()
        _there["stage"] = _there["context"].__enter__()
    return guarded(task._replace(setup=task.setup._replace(stage=_there["stage"])), submission)


# --- the run


def rehearse(task: Task) -> Row:
    """Grade the exercise's own solution before anybody's.

    Raises
    ------
    RunError
        If it does not get all points here: then nobody would be marked fairly.
    """
    row = grade_cells(task.exercise, list(task.exercise.solved), task.setup, task.seed)
    lost = [f"{check['test']}: {check['message']}" for check in row["rows"] if not check["passed"]]
    if row["failure"] or lost or not row["rows"]:
        problem = row["failure"] or "\n".join(lost) or "there are no checks"
        raise RunError(
            f"the solution of {task.exercise.name} does not get all points here; nothing was graded:\n{problem}"
        )
    return row


def run(rows: Iterator[Row], writer: Writer, count: int, show: Callable[[int, int, float], None]) -> list[Row]:
    """Write rows as they come; give those without a mark."""
    started, unmarked = time.monotonic(), []
    show(0, count, 0.0)
    for number, row in enumerate(rows, 1):
        writer.write(row)
        if row["score"] is None:
            unmarked.append(row)
        show(number, count, time.monotonic() - started)
    return unmarked


def progress(done: int, count: int, seconds: float, out: TextIO | None = None) -> None:
    """Show a bar with the rate and the time that remains; off a terminal, a line now and then."""
    out = out or sys.stderr
    rate = f"{done / seconds:.2f} a second, {_clock((count - done) * seconds / done)} left" if done else "starting"
    if out.isatty():
        width = 30 * done // max(count, 1)
        out.write(
            f"\r[{'#' * width}{'.' * (30 - width)}] {done}/{count}  {rate}\x1b[K{'' if done < count else chr(10)}"
        )
    elif done % max(count // 20, 1) == 0 or done == count:
        out.write(f"{done}/{count} graded, {rate}\n")
    out.flush()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
