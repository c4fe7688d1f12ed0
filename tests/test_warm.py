"""The compiled kernels: the same numbers on one thread and on two, and nothing left to compile."""

import json
import os
import subprocess
import sys

import numpy as np

from cvcourse import warm

DIGESTS = """
import hashlib, json
import numpy as np
from cvcourse import warm

def flat(value):
    if isinstance(value, (list, tuple)):
        return b"".join(map(flat, value))
    return np.asarray(value).tobytes()

images = [np.random.default_rng(0).random((97, 130)).astype(dtype) for dtype in (np.float64, np.float32)]
print(json.dumps({label: [hashlib.sha256(flat(call(image))).hexdigest() for image in images] for label, call in warm.CALLS}))
"""


def digests(threads: int) -> dict[str, list[str]]:
    environment = {**os.environ, "NUMBA_NUM_THREADS": str(threads), "CVCOURSE_NO_COMPILE": "1"}
    return json.loads(subprocess.check_output([sys.executable, "-c", DIGESTS], env=environment, text=True))


def test_one_thread_or_two_give_the_same_bits_and_nothing_compiles():
    assert digests(1) == digests(2)


def test_warming_forgets_what_was_compiled_before(tmp_path, monkeypatch, capsys):
    kept = tmp_path / "__pycache__"
    kept.mkdir()
    for name in ("filtering.loop.nbi", "filtering.loop.1.nbc", "filtering.pyc"):
        (kept / name).touch()
    monkeypatch.setattr(warm, "__file__", str(tmp_path / "warm.py"))
    seen = []
    monkeypatch.setattr(warm, "CALLS", [("trial", lambda image: seen.append(image.dtype))])
    warm.main()
    assert sorted(path.name for path in kept.iterdir()) == ["filtering.pyc"]
    assert seen == [np.float64, np.float32]
    assert "2/2 trial" in capsys.readouterr().err


def test_warming_one_module_keeps_the_others(tmp_path, monkeypatch):
    kept = tmp_path / "__pycache__"
    kept.mkdir()
    for name in ("edges.loop.nbi", "edges.loop.1.nbc", "filtering.loop.nbi"):
        (kept / name).touch()
    monkeypatch.setattr(warm, "__file__", str(tmp_path / "warm.py"))
    monkeypatch.setattr(warm, "CALLS", [])
    warm.main("edges")
    assert [path.name for path in kept.iterdir()] == ["filtering.loop.nbi"]
