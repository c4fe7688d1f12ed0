"""Shared by all tests: nbval compares what a reader sees, and every control is swept."""

import os
import re

# The kernels that nbval starts inherit these: sweep the controls, compile nothing.
os.environ["CVCOURSE_SWEEP"] = "1"
os.environ["CVCOURSE_NO_COMPILE"] = "1"
# Two test processes on two cores: one thread each, or they fight for the cores.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from xdist.scheduler import LoadScopeScheduling

from cvcourse.authoring import comparing

comparing.install()


class ByLecture(LoadScopeScheduling):
    """A notebook or a test file stays in one process; the exercises' file, the longest, is dealt out by lecture."""

    def _split_scope(self, nodeid):
        lecture = re.search(r"test_exercises\.py::\w+\[(\d\d_\w+)", nodeid)
        return lecture.group(1) if lecture else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config, log):
    """Deal the tests out over the processes."""
    return ByLecture(config, log)
