"""Images: loading by name, conversion to floating point and gray, and the checks at every door.

An image is a floating-point array in [0, 1] of shape (H, W) or (H, W, 3), indexed ``[row, col]``.
Pixel centres lie at integers, so ``image[row, col]`` is the sample at x = col, y = row.
"""

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

DATA = Path(__file__).resolve().parents[1] / "data"
GRAY_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])  # luminance of Rec. 709

# Photographs that the scikit-image wheel itself carries: nothing is downloaded.
SCIKIT_IMAGE = (
    "astronaut brick camera cat cell chelsea clock coffee coins colorwheel grass gravel horse "
    "hubble_deep_field immunohistochemistry microaneurysms moon page retina rocket text"
).split()


@functools.cache
def registry() -> dict[str, tuple[Path, str]]:
    """Read the table in ``data/README.md``: name -> (file, SHA-256).

    The name is the path inside ``data/`` without its ending: ``building``, ``calibration/left01``.
    """
    row = re.compile(r"^\| \[`(?P<file>[^`]+)`\].*\| `(?P<sha256>[0-9a-f]{64})` \|$")
    rows = (row.match(line) for line in (DATA / "README.md").read_text("utf-8").splitlines())
    return {r["file"].rsplit(".", 1)[0]: (DATA / r["file"], r["sha256"]) for r in rows if r}


def names() -> list[str]:
    """List every name that `load` knows, in alphabetical order."""
    return sorted({*registry(), *SCIKIT_IMAGE})


def load(name: str) -> Any:
    """Load an image, or its ground truth, by name.

    Names come from ``data/README.md`` and, without any download, from scikit-image.

    Parameters
    ----------
    name : str
        For example ``"camera"``, ``"building"``; `names` lists all.

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), float64 in [0, 1]
        For a picture.  A ``.json`` file gives its dict, an ``.npz`` a dict of arrays,
        a ``.txt`` an array of numbers.

    Raises
    ------
    KeyError
        If there is no such name; the message lists close ones.
    ValueError
        If the file is not the one whose SHA-256 the table holds.

    Examples
    --------
    >>> load("camera").shape
    (512, 512)
    """
    if name in registry():
        return _read(*registry()[name])
    if name in SCIKIT_IMAGE:
        import skimage.data

        return as_float(getattr(skimage.data, name)())
    close = difflib.get_close_matches(name, names(), n=4, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {', '.join(names())}"
    raise KeyError(f"no image is called {name!r}; {hint}")


def _read(path: Path, sha256: str) -> Any:
    if not path.exists():
        raise ValueError(f"{path} is missing: get it back with  git checkout -- {path}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{path} has changed: its SHA-256 is {found[:12]}…, data/README.md says {sha256[:12]}…; "
            f"get it back with  git checkout -- {path}"
        )
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    if path.suffix == ".txt":
        return np.loadtxt(path)
    return read(path)


def read(path: str | Path) -> Array:
    """Read a picture file of your own: float64 in [0, 1], shape (H, W) or (H, W, 3).

    Turns the picture as its EXIF orientation says, and lays a transparent one over white.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a picture.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not Path(path).exists():
        raise FileNotFoundError(f"no file {path}; the notebook runs in {Path.cwd()}")
    try:
        picture = ImageOps.exif_transpose(Image.open(path))
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture that Pillow can read") from None
    if picture.mode.startswith(("I", "F")):
        return as_float(np.asarray(picture))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return as_float(np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB")))


def as_float(image: ArrayLike) -> Array:
    """Convert an image to float64 in [0, 1].

    uint8 is divided by 255, uint16 by 65535, bool becomes 0 and 1; floating point is copied and
    must already lie in [0, 1].  Pillow's 32-bit integers ("I" mode of 16-bit PNG files) count as
    uint16.

    Raises
    ------
    TypeError
        If the type has no agreed range, as int64.
    ValueError
        If values lie outside [0, 1] or are not finite.

    Examples
    --------
    >>> as_float(np.array([[0, 51, 255]], np.uint8))
    array([[0. , 0.2, 1. ]])
    """
    values = np.asarray(image)
    scale = {"bool": 1, "uint8": 255, "uint16": 65535, "int32": 65535, "float32": 1, "float64": 1}.get(
        str(values.dtype)
    )
    if scale is None:
        raise TypeError(f"expected an image of uint8, uint16, bool, float32 or float64, got {values.dtype}")
    result = values.astype(np.float64) / scale
    if result.size and not (np.min(result) >= 0 and np.max(result) <= 1):  # NaN fails both
        raise ValueError(f"expected values in [0, 1], got {np.min(result):g} to {np.max(result):g}")
    return result


def as_gray(image: Array) -> Array:
    """Reduce an RGB image to its luminance 0.2126 R + 0.7152 G + 0.0722 B; gray passes unchanged.

    Examples
    --------
    >>> as_gray(np.ones((4, 5, 3))).shape
    (4, 5)
    """
    image = require_image(image)
    return image if image.ndim == 2 else image @ GRAY_WEIGHTS.astype(image.dtype)


def as_uint8(image: Array) -> NDArray[np.uint8]:
    """Round an image to 0 … 255, values outside [0, 1] clipped: for files and screens only.

    Examples
    --------
    >>> as_uint8(np.array([[-0.1, 0.5, 1.0]]))
    array([[  0, 128, 255]], dtype=uint8)
    """
    image = np.asarray(image)
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"expected floating point in [0, 1], got {image.dtype}")
    if not np.isfinite(image).all():
        raise ValueError("expected finite values, got NaN or infinity")
    return np.clip(np.floor(image * 255 + 0.5), 0, 255).astype(np.uint8)


def require_image(image: Any, *, gray: bool = False, name: str = "image") -> Array:
    """Check an image at a kernel's door and return it C-contiguous and writable, in its own precision.

    Values may lie outside [0, 1]: a derivative is an image too.

    Raises
    ------
    TypeError
        For integers (their arithmetic wraps), bool, complex, float16, or what is no array.
    ValueError
        For a wrong shape, an empty array, NaN or infinity.
    """
    if not isinstance(image, np.ndarray):
        raise TypeError(f"{name} must be an array, got {type(image).__name__}")
    if image.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name} must be float32 or float64, got {image.dtype}: convert it with images.as_float")
    if image.ndim != 2 and (gray or image.ndim != 3 or image.shape[2] != 3):
        expected = "(H, W)" if gray else "(H, W) or (H, W, 3)"
        raise ValueError(f"{name} must have shape {expected}, got {image.shape}")
    if image.size == 0:
        raise ValueError(f"{name} is empty: its shape is {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return np.require(image, requirements=["C", "W"])  # Numba would compile again for a read-only array


def each_channel(function: Callable[[Array], Array], image: Array) -> Array:
    """Apply `function` to a gray image, or to the three channels of a colour image one by one."""
    if image.ndim == 2:
        return function(image)
    channels = [function(np.ascontiguousarray(image[:, :, c])) for c in range(3)]
    return np.stack(channels, axis=-1)


def psnr(image: Array, reference: Array) -> float:
    """Measure the peak signal-to-noise ratio 10 log10(1 / mean squared error), in decibels.

    The peak is 1, the white of a floating-point image.  Equal images give infinity.

    Examples
    --------
    >>> psnr(np.full((4, 5), 0.5), np.full((4, 5), 0.6)).__round__(6)
    20.0
    """
    image, reference = require_image(image), require_image(reference, name="reference")
    if image.shape != reference.shape:
        raise ValueError(f"image has shape {image.shape}, reference {reference.shape}")
    error = float(np.mean((image - reference) ** 2, dtype=np.float64))
    return float("inf") if error == 0 else float(-10 * np.log10(error))
