"""The grader's commands; see ``cvcourse.grading``."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from cvcourse.grading import batch, exercise
from cvcourse.grading.batch import RunError
from cvcourse.grading.sandbox import KINDS, Limits, SandboxError, Setup, probe, shown, staged


def grade(arguments: argparse.Namespace) -> int:
    """Grade the notebooks of a folder."""
    from cvcourse.grading.one import Task
    from cvcourse.grading.reader import submissions

    if os.geteuid() == 0:
        raise RunError(
            "the grader does not run as root: a sandbox that root starts does not limit processes, and a hole in it\n"
            "would be a hole in the machine.  Run it as a normal user (in a container:  --user 1000)"
        )
    inbox, results, private = arguments.inbox.resolve(), arguments.out.resolve(), arguments.private
    if not inbox.is_dir():
        raise RunError(f"the inbox {arguments.inbox} is no folder")
    found = submissions(inbox)
    if not found:
        raise RunError(f"there is no notebook (.ipynb) in {arguments.inbox}")
    private = private.resolve() if private else None
    seen_inside(inbox, results, private)
    chosen = exercise.load(arguments.exercise, private)
    limits = Limits(
        call_seconds=arguments.call_seconds,
        cell_seconds=arguments.cell_seconds,
        seconds=arguments.seconds,
        memory=arguments.memory,
    )
    wanted = {
        "exercise": chosen.name,
        "inbox": str(inbox),
        "seed": arguments.seed,
        "checks": exercise.digest(chosen),
        "limits": list(limits),
        "by_hand": chosen.by_hand,
    }
    with staged() as stage:
        setup = Setup(arguments.sandbox, stage, arguments.image, limits)
        if arguments.sandbox in ("bwrap", "sandlock") or not arguments.scheduler:
            probe(setup)
        seed = batch.settle(results, wanted)["seed"]
        task = Task(chosen, inbox, setup, seed)
        batch.rehearse(task)
        return _graded(task, found, results, arguments)


def _graded(task: "batch.Task", found: list["batch.Submission"], results: Path, arguments: argparse.Namespace) -> int:
    part, parts = arguments.shard
    name = "results.jsonl" if parts == 1 else f"results-{part}-of-{parts}.jsonl"
    writer = batch.Writer(results / name)
    try:
        waiting = batch.to_do(found, batch.rows_of(results), task.inbox, arguments.shard)
        if arguments.scheduler:
            rows = batch.by_dask(task, waiting, arguments.scheduler)
        else:
            rows = batch.by_processes(task, waiting, arguments.jobs)
        with contextlib.closing(rows):
            unmarked = batch.run(rows, writer, len(waiting), batch.progress)
    finally:
        writer.close()
    for row in unmarked:
        print(f"no mark for {row['id']}: {row['failure']}", file=sys.stderr)
    print(f"{len(waiting) - len(unmarked)} graded, {len(unmarked)} without a mark; next:  finish {arguments.out}")
    return 1 if unmarked else 0


def seen_inside(*folders: Path | None) -> None:
    """See that the sandbox shows none of these folders.

    Raises
    ------
    RunError
        If it would.
    """
    for folder in folders:
        for prefix in shown():
            if folder and folder.is_relative_to(prefix):
                raise RunError(f"{folder} lies under {prefix}, which every submission can read: move it elsewhere")


def finish(arguments: argparse.Namespace) -> int:
    """Write grades, feedback and the list to mark by hand."""
    from cvcourse.grading.finish import finish as finished

    left = finished(arguments.results)
    print(f"{arguments.results / 'grades.csv'} and {arguments.results / 'feedback'} are written")
    print("\n".join(["still to be done:", *left]) if left else "all is marked")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the report of the class."""
    from cvcourse.grading.report import report as reported

    print(f"{reported(arguments.results)} is written: open it in a browser")
    return 0


def shard(text: str) -> tuple[int, int]:
    """Read "2/5", the second of five."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise argparse.ArgumentTypeError(f"a shard is i/n with i from 1 to n, as 2/5, not {text!r}")
    return int(part), int(parts)


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text!r}")
    return int(text)


def main() -> int:
    """Run a command."""
    parser = argparse.ArgumentParser(prog="python -m cvcourse.grading", description=__doc__)
    commands = parser.add_subparsers(required=True)
    grading = commands.add_parser("grade", help="grade all notebooks of a folder")
    grading.add_argument("exercise", metavar="EXERCISE", help="as 04_corners")
    grading.add_argument("inbox", type=Path, metavar="INBOX", help="folder of notebooks, one a student")
    grading.add_argument("--out", type=Path, required=True, metavar="RESULTS", help="folder for the results")
    grading.add_argument("--private", type=Path, metavar="DIR", help="folder of hidden checks and variants")
    grading.add_argument("--jobs", type=positive, default=os.cpu_count() or 1, metavar="N", help="processes")
    grading.add_argument("--shard", type=shard, default=(1, 1), metavar="I/N", help="grade part I of N")
    grading.add_argument("--seed", type=int, metavar="S", help="of all random numbers; drawn if not given")
    grading.add_argument("--scheduler", metavar="ADDRESS", help="of a dask.distributed cluster")
    grading.add_argument("--sandbox", choices=KINDS, default="bwrap")
    grading.add_argument("--image", default="cvcourse", help="for docker and podman")
    defaults = Limits()
    for name, what in (("call", "a call"), ("cell", "a cell")):
        default = getattr(defaults, f"{name}_seconds")
        grading.add_argument(f"--{name}-seconds", type=float, default=default, help=f"for {what} ({default})")
    grading.add_argument("--seconds", type=float, default=defaults.seconds, help="for a whole notebook (120)")
    grading.add_argument("--memory", type=positive, default=defaults.memory, help="MB, of each process (4096)")
    grading.set_defaults(run=grade)
    for command, what in ((finish, "write grades.csv, feedback and manual.csv"), (report, "write report.html")):
        parsed = commands.add_parser(command.__name__, help=what)
        parsed.add_argument("results", type=Path, metavar="RESULTS")
        parsed.set_defaults(run=command)
    arguments = parser.parse_args()
    try:
        code: int = arguments.run(arguments)
    except (RunError, SandboxError, exercise.NoExercise) as problem:
        print(f"cvcourse.grading: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
