"""Shared by all tests: nbval compares what a reader sees, and every control is swept."""

import os
import re

import pytest

# The kernels that nbval starts inherit these: sweep the controls, compile nothing.
os.environ["CVCOURSE_SWEEP"] = "1"
os.environ["CVCOURSE_NO_COMPILE"] = "1"
# Two test processes on two cores: one thread each, or they fight for the cores.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cvcourse.authoring import comparing

comparing.install()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together, in one process, the cells of a notebook, the tests of a file, and those of one exercise."""
    for item in items:
        lecture = re.search(r"\b\d\d_[a-z_]+", item.name)
        item.add_marker(pytest.mark.xdist_group(f"{item.path.name} {lecture.group() if lecture else ''}".strip()))
