"""Make nbval run a cell as JupyterLab does and compare what a reader sees.

nbval by itself compares text exactly and pictures never, and passes a notebook that was stored
without having been run.  `install` changes four of its methods, so nbval's version is pinned:

- numbers in text are compared within `RTOL` and `ATOL`, blanks are not compared;
- pictures are compared by their pixels;
- a cell stored unrun fails;
- a cell's trailing ``;`` mutes its value.
"""

import base64
import io
import re
from typing import Any

import matplotlib
import matplotlib.ft2font
import numpy as np
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell
from PIL import Image

# NumPy, SciPy and BLAS builds differ in the last digits of what a lecture prints, never more.
RTOL, ATOL = 1e-6, 1e-9
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:e[-+]?\d+)?", re.I)
# The same matplotlib with the same FreeType draws the same pixels; another one moves letters, so
# then only a 32 x 32 miniature is compared: letters change it by 2 to 7 grey levels, a wrong
# figure by 50 and more.
SAME_DRAWER = matplotlib.__version__.startswith("3.11.") and matplotlib.ft2font.__freetype_version__ == "2.14.3"
MINIATURE, LIMIT = ((0, 0), 0.1) if SAME_DRAWER else ((32, 32), 10.0)


class Text(str):
    """Text that equals another but for blanks and rounding."""

    def __eq__(self, other: object) -> bool:
        mine, others = ("".join(NUMBER.sub("#", str(x)).split()) for x in (self, other))
        if mine != others:
            return False
        a, b = ([float(n) for n in NUMBER.findall(str(x))] for x in (self, other))
        return bool(np.allclose(a, b, rtol=RTOL, atol=ATOL))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def _pixels(encoded: str) -> np.ndarray:
    image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    return np.asarray(image.resize(MINIATURE, Image.Resampling.BOX) if any(MINIATURE) else image, float)


def picture_difference(stored: list[dict[str, Any]], drawn: list[dict[str, Any]]) -> str:
    """Say how the PNG pictures of two lists of outputs differ; an empty string if they don't."""
    before, now = (
        [o["data"]["image/png"] for o in outputs if "image/png" in o.get("data", {})] for outputs in (stored, drawn)
    )
    if len(before) != len(now):
        return f"{len(before)} stored pictures, {len(now)} drawn"
    for number, (a, b) in enumerate(zip(map(_pixels, before), map(_pixels, now), strict=True)):
        rms = float(np.sqrt(np.mean((a - b) ** 2))) if a.shape == b.shape else np.inf
        if rms > LIMIT:
            return f"picture {number}: stored {a.shape}, drawn {b.shape}, they differ by {rms:.2f} of 255 (RMS)"
    return ""


def execute_like_lab(self: RunningKernel, code: str, allow_stdin: bool | None = None) -> Any:
    """Send code to the kernel; with a history a trailing ``;`` mutes the value, as in JupyterLab."""
    return self.kc.execute(code, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


def install() -> None:
    """Change nbval for this process; a second call changes nothing."""
    if getattr(IPyNbCell, "_compares_pictures", False):
        return
    plain_sanitize, plain_compare, plain_run = IPyNbCell.sanitize, IPyNbCell.compare_outputs, IPyNbCell.runtest

    def sanitize(self: IPyNbCell, text: Any) -> Any:
        return Text(plain_sanitize(self, text)) if isinstance(text, str) else text

    def compare(self: IPyNbCell, test: Any, ref: Any, skip_compare: Any = None) -> bool:
        if not plain_compare(self, test, ref, skip_compare):
            return False
        difference = picture_difference(ref, test)
        if difference:
            self.comparison_traceback.append(difference)
        return not difference

    def runtest(self: IPyNbCell) -> None:
        if self.cell.source.strip() and self.cell.execution_count is None and not self.options["skip"]:
            self.raise_cell_error("this cell was stored without having been run: record the notebook")
        plain_run(self)

    RunningKernel.execute_cell_input = execute_like_lab
    IPyNbCell.sanitize, IPyNbCell.compare_outputs, IPyNbCell.runtest = sanitize, compare, runtest
    IPyNbCell._compares_pictures = True
