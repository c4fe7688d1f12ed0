"""Hostile and damaged submissions for the trial exercise, each with the truth about it.

A submission that tells what it could do raises that as the text of an exception in ``double``.
"""

import json
from pathlib import Path
from typing import NamedTuple

from tests.grading_class import DOUBLE, EMPTY, MIDDLE, PLACE, SETUP, code, empty, notebook, right, text


class Case(NamedTuple):
    """What is handed in, the points it deserves, and what must stand in a message of its row."""

    content: str | bytes
    score: float | None
    says: str = ""


def tells(body: str) -> str:
    """The code of a `double` that raises what `body` leaves in ``found``."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return f"def double(a):\n    found = ''\n{lines}\n    raise ValueError(f'found {{found}}')"


# Ways to the protocol, for the attacks that write to it.
ALL_FDS = "import os, struct, json\ndef everywhere(data):\n    for fd in range(1, 30):\n        try: os.write(fd, data)\n        except OSError: pass\n"
FORGED = (
    ALL_FDS
    + "def pack(message):\n    body = json.dumps(message).encode()\n    return struct.pack('>I', len(body)) + body\n"
)


def hostile(folder: Path, port: int) -> dict[str, Case]:
    """Submissions that attack; they know every path, as an insider would."""
    inbox, private, results = folder / "inbox", folder / "private", folder / "res"
    home, keep = folder / "home", repr(str(folder))
    return {
        # --- time, memory, processes, files, output
        "loop-top": Case(right("while True: pass"), 7),
        "loop-deaf": Case(right("while True:\n    try:\n        while True: pass\n    except BaseException: pass"), 7),
        "loop-function": Case(empty(double="def double(a):\n    while True: pass", middle=MIDDLE), 2, "took too long"),
        "loop-no-alarm": Case(
            empty(
                double="def double(a):\n    import signal\n    signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    while True: pass",
                middle=MIDDLE,
            ),
            2,
            "longer than",
        ),
        "memory": Case(
            empty(double="def double(a):\n    return np.ones(3 << 30, dtype=np.uint8)", middle=MIDDLE), 2, "MemoryError"
        ),
        "memory-list": Case(
            empty(double="def double(a):\n    return [0] * (1 << 29)", middle=MIDDLE), 2, "MemoryError"
        ),
        "forks": Case(
            empty(
                double=tells(
                    """
import os, time
n = 0
try:
    while n < 400:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        n += 1
except OSError as problem:
    found = f'refused after {"many" if n >= 200 else "few"}: {problem.strerror}'
"""
                ),
                middle=MIDDLE,
            ),
            2,
            "refused after few",
        ),
        "threads": Case(
            empty(
                double=tells(
                    """
import threading, time
try:
    for n in range(400): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    found = 'all of them'
except RuntimeError: found = 'refused'
"""
                )
            ),
            0,
            "found refused",
        ),
        "big-file": Case(
            empty(
                double=tells(
                    """
n = 0
try:
    with open('/tmp/out/big', 'wb') as f:
        for n in range(1000): f.write(bytes(1 << 20)); f.flush()
except OSError as problem: found = f'stopped, {n < 300}: {problem.strerror}'
"""
                )
            ),
            0,
            "found stopped, True",
        ),
        "many-files": Case(
            empty(
                double=tells(
                    """
n = 0
try:
    for n in range(100):
        for folder in ('/tmp', '/dev/shm'):
            with open(f'{folder}/{n}', 'wb') as f: f.write(bytes(10 << 20))
except OSError as problem: found = f'stopped, {n < 30}: {problem.strerror}'
"""
                )
            ),
            0,
            "found stopped, True",
        ),
        "prints": Case(right("for _ in range(100): print('x' * 1_000_000)"), 7),
        "writes-stderr": Case(
            right("import os\nfor fd in ('/proc/1/fd/2', '/proc/1/fd/1'):\n    try:\n        f = os.open(fd, os.O_WRONLY | os.O_NONBLOCK)\n        if fd[-1] == '2': [os.write(f, b'x' * 65536) for _ in range(100)]\n    except OSError: pass"),
            7,
        ),
        # --- the machine
        "daemon": Case(
            right(
                "import os, time, sys\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
                "        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)  # left-behind'])\n"
                "    os._exit(0)"
            ),
            7,
        ),
        "deletes": Case(right(f"import shutil\nshutil.rmtree({keep}, ignore_errors=True)"), 7),
        "gradebook": Case(
            empty(
                f"for name in ('results.jsonl', 'grades.csv', 'run.json'):\n    try:\n"
                f"        with open({str(results)!r} + '/' + name, 'a') as f: f.write('forged')\n    except OSError: pass"
            ),
            0,
        ),
        "config": Case(
            right(f"try:\n    with open({str(home / '.bashrc')!r}, 'a') as f: f.write('forged')\nexcept OSError: pass"), 7
        ),
        "reads": Case(
            empty(
                double=tells(
                    f"""
import os, glob
for path in ({str(private)!r}, {str(inbox)!r}, {str(results)!r}, {str(home)!r}, {keep}, '/etc/passwd', '/etc/shadow', '/root', '/home', '/work'):
    if os.path.exists(path):
        try: content = os.listdir(path) if os.path.isdir(path) else open(path).read()
        except OSError: continue
        if any(word in str(content) for word in ('check_', 'ipynb', 'secret', 'root:', 'notebooks')): found += path + ' '
for folder, _, files in os.walk('/course'):
    found += ' '.join(f for f in files if f.startswith('check_') or '00_trial' in f or 'solution' in f)
found = found or 'nothing'
"""
                )
            ),
            0,
            "found nothing",
        ),
        "processes": Case(
            empty(
                double=tells(
                    """
import os
found = ''
for pid in filter(str.isdecimal, os.listdir('/proc')):
    try: line = open(f'/proc/{pid}/cmdline').read()
    except OSError: continue
    if 'pytest' in line or 'cvcourse.grading\\0grade' in line: found += line
found = found or 'nothing'
"""
                )
            ),
            0,
            "found nothing",
        ),
        "environment": Case(
            empty(double=tells("import os\nfound = [k for k in os.environ if 'SECRET' in k] or 'nothing'")), 0, "found nothing"
        ),
        "network": Case(
            empty(
                double=tells(
                    f"""
import socket
try:
    socket.create_connection(('127.0.0.1', {port}), 1).send(b'hello')
    found = 'connected'
except OSError as problem: found = f'refused: {{problem}}'
"""
                )
            ),
            0,
            "found refused",
        ),
        "kills": Case(
            right("import os, signal\nfor pid in (os.getppid(), 1):\n    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass"),
            7,
        ),
        "kills-all": Case(right("import os\nos.kill(-1, 9)"), 7),
        "namespaces": Case(
            empty(
                double=tells(
                    """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
found = 'refused' if libc.unshare(0x10000000) == -1 and libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == -1 else 'allowed'
"""
                )
            ),
            0,
            "found refused",
        ),
        "limits": Case(
            empty(
                double=tells(
                    """
import resource
for name in ('RLIMIT_AS', 'RLIMIT_NPROC', 'RLIMIT_CPU'):
    try:
        resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY,) * 2)
        found += name
    except (ValueError, OSError): pass
found = found or 'refused'
"""
                )
            ),
            0,
            "found refused",
        ),
        "memory-of-others": Case(
            empty(
                double=tells(
                    """
import os, ctypes
libc = ctypes.CDLL(None, use_errno=True)
for pid in range(1, 5):
    if pid == os.getpid(): continue
    if os.path.exists(f'/proc/{pid}') and 'worker' not in open(f'/proc/{pid}/cmdline').read(): found += f'{pid} '
try: open('/proc/self/mem', 'r+b').seek(0); found += 'only my own'
except OSError: pass
"""
                )
            ),
            0,
            "only my own",
        ),
        "course-files": Case(
            empty(
                double=tells(
                    """
import sys, numpy
for path in ('/course/cvcourse/grading/worker.py', '/course/data/README.md', numpy.__file__, sys.executable):
    try: open(path, 'ab').close(); found += path
    except OSError: pass
found = found or 'nothing'
"""
                )
            ),
            0,
            "found nothing",
        ),
        # --- the marks
        "allclose": Case(empty("np.allclose = np.array_equal = np.isclose = lambda *a, **k: True", double="def double(a): return a", middle="def middle(a): return 0.0"), 0),
        "no-asserts": Case(
            empty(
                "import ast\nclass Drop(ast.NodeTransformer):\n    def visit_Assert(self, node): return ast.Pass()\n"
                "get_ipython().ast_transformers.append(Drop())",
                double="def double(a): return a",
            ),
            0,
        ),
        "equals-all": Case(
            empty(
                "class Always(np.ndarray):\n    def __eq__(self, other): return True\n    def __array__(self, *a, **k): return self\n"
                "class Any:\n    def __eq__(self, other): return True\n    def __float__(self): return 0.0",
                double="def double(a): return np.zeros(a.shape).view(Always)",
                middle="def middle(a): return Any()",
            ),
            0,
            "cannot be checked",
        ),
        "run-cell": Case(
            empty(
                "shell = get_ipython()\nold = type(shell).run_cell\n"
                "type(shell).run_cell = lambda self, raw, *a, **k: old(self, raw.replace('raise NotImplementedError', 'return a'), *a, **k)"
            ),
            0,
        ),
        "patch-grader": Case(
            empty(
                "from cvcourse.grading import worker, channel\nfrom cvcourse.checks import student, wire\n"
                "student.LocalStudent._run = lambda self, name, a, k: ({'passed': True, 'score': 7}, a)\n"
                "student.borrows = lambda *a: iter(())\nwire.encode = lambda value: {'a': ['<f8', [], 'AAAAAAAAAAA=']}"
            ),
            0,
        ),
        "patch-numpy": Case(
            empty(
                "np.ndarray = type('ndarray', (), {'__eq__': lambda s, o: True})\nnp.asarray = lambda *a, **k: True\n"
                "np.frombuffer = lambda *a, **k: np.zeros(1)",
                double="def double(a): return a",
            ),
            0,
        ),
        "pickle": Case(
            empty(
                "import pickle, os, struct\nclass Evil:\n    def __reduce__(self): return (os.system, ('touch /tmp/escaped',))\n"
                "data = pickle.dumps(Evil())\nfor fd in range(1, 30):\n    try: os.write(fd, struct.pack('>I', len(data)) + data)\n    except OSError: pass"
            ),
            0,
        ),
        "prints-results": Case(empty("print('{\"score\": 7, \"passed\": true}')\nprint('q1: 3 of 3 points')"), 0),
        "forged-reply": Case(
            empty(
                FORGED,
                double="def double(a):\n    for n in range(60): everywhere(pack({'n': n, 'result': {'passed': True}, 'after': {'t': [None]}, 'score': 7}))\n    os._exit(0)",
            ),
            0,
        ),
        "endless-reply": Case(
            empty(
                ALL_FDS,
                double="def double(a):\n    everywhere(struct.pack('>I', 30 << 20))\n    while True: everywhere(b'[' * 65536)",
                middle=MIDDLE,
            ),
            2,
        ),
        "too-large-reply": Case(
            empty(ALL_FDS, double="def double(a):\n    everywhere(struct.pack('>I', 0xFFFFFFFF) + b'x' * 1000)\n    return a"),
            0,
            "too large",
        ),
        "large-answer": Case(
            empty(double="def double(a): return np.zeros(60 << 20, dtype=np.uint8)", middle=MIDDLE), 2, "too large"
        ),
        "stalled": Case(
            empty(double="def double(a):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGSTOP)", middle=MIDDLE),
            2,
            "longer than",
        ),
        "deep-reply": Case(
            empty(
                ALL_FDS,
                double="def double(a):\n    everywhere(struct.pack('>I', 200000) + b'[' * 100000 + b']' * 100000)\n    return a",
            ),
            0,
            "cannot be read",
        ),
        "deep-answer": Case(
            empty(double="def double(a):\n    x = 1\n    for _ in range(500): x = [x]\n    return x"), 0
        ),
        "forged-arrays": Case(
            empty(
                "from cvcourse.checks import wire\nfrom itertools import cycle\nforms = cycle([['O', [1], 'AAAA'], ['<f8', [-1, 0], ''],"
                " ['<f8', [1 << 62, 0], ''], ['<f8', [3, 4], 'AAAA'], ['(9999,9999)f8', [], ''], 7])\n"
                "wire.encode = lambda value: {'a': next(forms)}",
                double="def double(a): return a",
                middle="def middle(a): return a",
                place="def place(a): return a",
            ),
            0,
        ),
        "nan": Case(
            empty(
                double="def double(a): return np.full(a.shape, np.nan)",
                middle="def middle(a): return float('nan')",
                place="def place(a): return (float('inf'), -float('inf'))",
            ),
            0,
        ),
        "huge-number": Case(empty(double="def double(a): return 10 ** 4000", middle="def middle(a): return {(): [1j]}"), 0),
        "odd-dict": Case(
            empty(
                "from cvcourse.checks import wire\nwire.encode = lambda value: {'d': [[[1], 2], [{'t': []}, None]]}",
                double="def double(a): return a",
            ),
            0,
        ),
        "long-text": Case(empty(double="def double(a): return 'x' * (20 << 20)", middle=MIDDLE), 2, "not str"),
        "at-exit": Case(
            empty(
                FORGED
                + "import atexit\natexit.register(lambda: everywhere(pack({'n': 5, 'result': 1, 'after': {'t': [1]}})))\n"
                "class Late:\n    def __del__(self): everywhere(b'{\"score\": 7}')\nlate = Late()"
            ),
            0,
        ),
        "late-thread": Case(
            notebook(
                [
                    SETUP,
                    FORGED
                    + "import threading, time\ndef later():\n    time.sleep(0.3)\n    for n in range(40): everywhere(pack({'n': n, 'result': 0, 'after': {'t': [0]}}))\n"
                    "threading.Thread(target=later, daemon=True).start()\ntime.sleep(0.6)",
                    *EMPTY,
                ]
            ),
            0,
        ),
        "steals-requests": Case(
            empty(
                "import os, threading\ndef steal(fd):\n    while True:\n        try: os.read(fd, 1 << 20)\n        except OSError: return\n"
                "for fd in range(3, 12): threading.Thread(target=steal, args=(fd,), daemon=True).start()",
                middle=MIDDLE,
            ),
            0,
        ),
        "frames": Case(
            empty(
                double=tells(
                    """
import sys, gc
frame = sys._getframe()
while frame:
    if any('truth' in str(name) or 'test_' in str(name) for name in frame.f_locals): found += frame.f_code.co_name
    frame = frame.f_back
found += ''.join(type(o).__name__ for o in gc.get_objects() if type(o).__name__ == 'Version')
found = found or 'nothing'
"""
                )
            ),
            0,
            "found nothing",
        ),
        "known-answers": Case(
            empty(
                "import zlib\nrng = np.random.default_rng([0, zlib.crc32(b'test_double')])\nstored = 2 * rng.normal(size=(3, 4))\n"
                "m = np.random.default_rng([0, zlib.crc32(b'test_middle')]).normal(size=(4, 6)).mean()",
                double="def double(a): return stored",
                middle="def middle(a): return m",
            ),
            0,
        ),
        "borrowed": Case(right("import scipy.ndimage", answers=[f"{DOUBLE.replace('2 * a', 'scipy.ndimage.zoom(a, 1, order=0) * 2')}", MIDDLE, PLACE]), 4, "uses scipy"),
        "borrowed-patched": Case(
            right(
                "from cvcourse.checks import student\nstudent.borrows = lambda *a: iter(())\nfrom scipy import ndimage as nd\nhelp_ = nd.zoom",
                answers=["def helper(a): return help_(a, 1, order=0) * 2", "def double(a): return helper(a)", "import numpy\nmiddle = numpy.mean", PLACE],
            ),
            2,
            "uses scipy",
        ),
        "raises-known-mistake": Case(empty(double="def double(a): raise ValueError('this is the half')"), 0, "this is the half"),
        "carries-inputs-out": Case(
            empty(double="def double(a): raise ValueError(f'input {a.tolist()}')", middle="def middle(a): raise type(f'E{a.sum():.0f}secret', (Exception,), {})"), 0, "raised"
        ),
        "exits": Case(right("import sys\nsys.exit()"), 7),
        "exits-in-function": Case(empty(double="def double(a):\n    import os\n    os._exit(0)", middle=MIDDLE, place=PLACE), 4, "ended the Python process"),
        "exits-in-cell": Case(right("import os\nos._exit(0)"), 7),
        "exits-often": Case(
            empty(*["import os\nos._exit(0)"] * 8, double=DOUBLE), 0, "too often"
        ),
        "segfault": Case(empty(double="def double(a):\n    import ctypes\n    ctypes.string_at(0)", middle=MIDDLE), 2, "ended the Python process"),
        "source-bomb": Case(right("x = " + "-" * 200_000 + "1", "y = " + "(" * 5000 + ")" * 5000, "z = 'a'" + ".b" * 100_000), 7),
        "html": Case(
            notebook([SETUP, *EMPTY[1:], "def double(a): raise ValueError('<script>alert(1)</script><img src=x onerror=alert(1)>')",
                      "raise ValueError('</td><script>alert(2)</script>')", text("**Answer q4:** =cmd|' /C calc'!A0 <script>alert(3)</script>")]),
            0,
            "<script>",
        ),
    }  # fmt: skip


def damaged() -> dict[str, Case]:
    """Submissions that editors, platforms and students have damaged, most of them right all the same."""
    whole = json.loads(right())
    bare = {"cells": [{"cell_type": c["cell_type"], "source": c["source"]} for c in whole["cells"]]}
    sheets = {
        "worksheets": [{"cells": [{"cell_type": "code", "input": c["source"]} for c in whole["cells"]]}],
        "nbformat": 3,
    }
    lines = json.loads(right())
    for cell in lines["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    odd = {
        "cells": [None, 3, "text", {"cell_type": "code"}, {"cell_type": "code", "source": {"a": 1}}, *whole["cells"]]
    }
    old = {**whole, "nbformat_minor": 4, "cells": [{k: v for k, v in c.items() if k != "id"} for c in whole["cells"]]}
    as_markdown = notebook([SETUP, text(DOUBLE), MIDDLE, PLACE])
    bomb = json.loads(right())
    bomb["metadata"] = {"zip": "UEsDBBQ" * 2_000_000, "deep": {}}
    step = bomb["metadata"]["deep"]
    for _ in range(300):
        step["x"] = step = {}
    return {
        "edited-checks": Case(right("def check(*a): print('7 of 7')\nchecks = None"), 7),
        "no-metadata": Case(json.dumps(bare), 7),
        "format-3": Case(json.dumps(sheets), 7),
        "source-as-lines": Case(json.dumps(lines), 7),
        "no-ids": Case(json.dumps(old), 7),
        "odd-cells": Case(json.dumps(odd), 7),
        "with-bom": Case("\ufeff" + right(), 7),
        "no-check-cells": Case(notebook([f"import numpy as np\n{DOUBLE}", MIDDLE, PLACE]), 7),
        "no-setup": Case(notebook([DOUBLE, MIDDLE.replace("a.sum() / a.size", "float(a.sum()) / a.size"), PLACE]), 5, "NameError"),
        "duplicate-cells": Case(right(answers=[DOUBLE, DOUBLE, MIDDLE, MIDDLE, PLACE]), 7),
        "code-to-markdown": Case(as_markdown, 4, "double is not defined"),
        "extra-and-magics": Case(
            right("%matplotlib inline\n%config InlineBackend.figure_format = 'retina'", "!true", "x = 1; x", "?print", "%%time\ny = 2", "%load_ext nothing"), 7
        ),
        "top-level-await": Case(right("import asyncio\nawait asyncio.sleep(0)"), 7),
        "missing-function": Case(right(answers=[DOUBLE, PLACE]), 5, "middle is not defined in the notebook"),
        "renamed-function": Case(
            right(answers=[DOUBLE, MIDDLE.replace("def middle", "def my_middle"), PLACE]), 5, "there is my_middle"
        ),
        "syntax-error": Case(right(answers=["def double(a)\n    return 2 * a", MIDDLE, PLACE]), 4, "double is not defined: its cell stops with SyntaxError"),
        "truncated": Case(right()[:-40], 0),
        "not-json": Case("this is no notebook", 0),
        "empty-file": Case("", 0),
        "only-a-list": Case("[1, 2]", 0),
        "no-cells": Case('{"cells": "none"}', 0),
        "not-utf8": Case(b"\xff\xfe{}\x80", 0),
        "deep-json": Case("[" * 100_000 + "]" * 100_000, 0),
        "huge-integer": Case('{"cells": [], "nbformat": ' + "9" * 5000 + "}", 0),
        "one-hundred-mb": Case(right()[:-1] + ', "x": "' + "y" * (100 << 20) + '"}', 0),
        "metadata-bomb": Case(json.dumps(bomb), 7),
        "many-cells": Case(json.dumps({**whole, "cells": [*[code("")] * 100_000, *[code("x = 1")] * 1000, *whole["cells"]]}), 7),
        "wrong-exercise": Case(
            notebook([SETUP, *(f"def {name}(*a): return 0" for name in ("patch_sums", "harris", "structure_tensor", "peaks", "weakest", "det_over_trace", "adapted_threshold", "repeatability"))]), 0, "not defined"
        ),
        "王小明": Case(right(), 7),
        "name with space": Case(right(), 7),
        "=cmd()|x": Case(right(), 7),
        "-rf": Case(right(), 7),
        "..%2f..%2fetc": Case(right(), 7),
        "a\nb": Case(right(), 7),
        "<b>bold": Case(right(), 7),
        "\u202egnp": Case(right(), 7),
        "x" * 200: Case(right(), 7),
        "Ann": Case(right(), 7),
        "ann": Case(empty(), 0),
        "caf\u00e9": Case(right(), 7),
        "cafe\u0301": Case(empty(), 0),
    }  # fmt: skip


def write(folder: Path, cases: dict[str, Case]) -> None:
    for name, case in cases.items():
        content = case.content if isinstance(case.content, bytes) else case.content.encode()
        (folder / f"{name}.ipynb").write_bytes(content)
