"""Shared by all tests: nbval compares what a reader sees, and every control is swept."""

import os

# The kernels that nbval starts inherit these: sweep the controls, compile nothing.
os.environ["CVCOURSE_SWEEP"] = "1"
os.environ["CVCOURSE_NO_COMPILE"] = "1"
# Two test processes on two cores: one thread each, or they fight for the cores.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cvcourse.authoring import comparing

comparing.install()
