"""Sampling: interpolation kernels, values between the pixels, resizing, and image pyramids.

Pixel centres lie at integers, so an image of width W covers x from -1/2 to W - 1/2 and a resize by
n_in / n_out = s takes output pixel x' to ``x = (x' + 1/2) s - 1/2``.  Reducing by one pyramid level
is different on purpose: it keeps every second *sample*, so pixel u of level l lies at ``x = 2**l u``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from cvcourse.compiled import FAST, SERIAL
from cvcourse.filtering import BORDERS, add1, add3, source_index
from cvcourse.images import Array, each_channel, require_image

METHODS = ("nearest", "bilinear", "bicubic", "lanczos", "spline")
NEAREST, BILINEAR, BICUBIC, LANCZOS, SPLINE = range(5)
MIRROR = BORDERS["mirror"]

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16  # the pyramid's blur, Eq. (3.13)
FARTHEST = 1e9  # pixels: beyond it a float64 coordinate has no useful fraction left


# --- interpolation kernels -------------------------------------------------------------------


def box(x: ArrayLike) -> Array:
    """Evaluate the kernel of nearest neighbour: 1 for -1/2 <= x < 1/2, else 0.

    Examples
    --------
    >>> box([-0.5, 0.0, 0.5])
    array([1., 0., 0.])
    """
    x = np.asarray(x, dtype=np.float64)
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def tent(x: ArrayLike) -> Array:
    """Evaluate the kernel of linear interpolation, max(0, 1 - |x|).

    Examples
    --------
    >>> tent([-0.25, 0.75, 1.5])
    array([0.75, 0.25, 0.  ])
    """
    return np.maximum(0.0, 1 - np.abs(np.asarray(x, dtype=np.float64)))


def cubic(x: ArrayLike, a: float = -0.5) -> Array:
    """Evaluate the cubic convolution kernel of Keys, zero for |x| >= 2.

    ``a`` is its slope at x = 1.  a = -1/2 (Catmull-Rom) reproduces every quadratic; OpenCV and
    PyTorch use -3/4, Pillow -1/2.

    References
    ----------
    .. [1] Keys, Cubic convolution interpolation, 1981, doi:10.1109/TASSP.1981.1163711.

    Examples
    --------
    >>> cubic([-1.5, -0.5, 0.5, 1.5])
    array([-0.0625,  0.5625,  0.5625, -0.0625])
    """
    x = np.abs(np.asarray(x, dtype=np.float64))
    inner = ((a + 2) * x - (a + 3)) * x * x + 1
    outer = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, inner, np.where(x < 2, outer, 0.0))


def lanczos(x: ArrayLike, lobes: int = 3) -> Array:
    """Evaluate sinc(x) sinc(x / lobes), zero for |x| >= lobes and exactly zero at other integers.

    Its samples do not add up to 1 exactly: whoever interpolates with it divides by their sum.

    Raises
    ------
    ValueError
        If `lobes` < 1.

    Examples
    --------
    >>> lanczos([0.0, 0.5, 1.0]).round(4)
    array([1.    , 0.6079, 0.    ])
    """
    if lobes < 1:
        raise ValueError(f"lobes counts the lobes on either side, at least 1; got {lobes}")
    x = np.asarray(x, dtype=np.float64)
    windowed = np.where(np.abs(x) < lobes, np.sinc(x) * np.sinc(x / lobes), 0.0)
    return np.where(x == np.round(x), x == 0, windowed)


def bspline(x: ArrayLike) -> Array:
    """Evaluate the cubic B-spline, the box convolved with itself three times; zero for |x| >= 2.

    It is 2/3 at 0 and 1/6 at +-1, so it does not interpolate: see `spline_coefficients`.

    Examples
    --------
    >>> 6 * bspline([-1, 0, 1, 2])
    array([1., 4., 1., 0.])
    """
    x = np.abs(np.asarray(x, dtype=np.float64))
    return np.where(x < 1, (4 - 6 * x**2 + 3 * x**3) / 6, np.maximum(0.0, 2 - x) ** 3 / 6)


# --- a value between the pixels --------------------------------------------------------------


@njit(**SERIAL)
def _tent_weights(t):
    """Weights of the samples at 0, 1 for a point at t in [0, 1]."""
    return 1 - t, t


@njit(**SERIAL)
def _cubic_weights(t):
    """Weights of the samples at -1, 0, 1, 2: cubic convolution with a = -1/2, Eq. (3.9)."""
    s, a = 1 - t, -0.5
    return (
        a * t * s * s,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * s - (a + 3)) * s * s + 1,
        a * s * t * t,
    )


@njit(**SERIAL)
def _bspline_weights(t):
    """Weights of the coefficients at -1, 0, 1, 2: the cubic B-spline, Eq. (3.10)."""
    s = 1 - t
    return s * s * s / 6, (4 - 6 * t * t + 3 * t * t * t) / 6, (4 - 6 * s * s + 3 * s * s * s) / 6, t * t * t / 6


@njit(**SERIAL)
def _lanczos_weights(t):
    """Weights of the samples at -2 ... 3: sinc(x) sinc(x / 3), made to add up to 1.

    At x = t - k, sin(pi x) is sin(pi t) up to its sign: that factor drops out of the ratio.
    """
    if t < 1e-12:
        return 0.0, 0.0, 1.0, 0.0, 0.0, 0.0
    if t > 1 - 1e-12:
        return 0.0, 0.0, 0.0, 1.0, 0.0, 0.0
    third = np.pi / 3
    a = np.sin(third * (t + 2)) / ((t + 2) * (t + 2))
    b = -np.sin(third * (t + 1)) / ((t + 1) * (t + 1))
    c = np.sin(third * t) / (t * t)
    d = -np.sin(third * (t - 1)) / ((t - 1) * (t - 1))
    e = np.sin(third * (t - 2)) / ((t - 2) * (t - 2))
    f = -np.sin(third * (t - 3)) / ((t - 3) * (t - 3))
    total = a + b + c + d + e + f
    return a / total, b / total, c / total, d / total, e / total, f / total


@njit(**SERIAL)
def _mix(f, row, col, wy, wx, border):
    """Sum of wy[j] wx[i] f[row + j, col + i]; neighbours outside follow the border rule."""
    h, w = f.shape
    n = len(wx)
    total = f.dtype.type(0)
    if row >= 0 and col >= 0 and row + n <= h and col + n <= w:
        for j in range(n):
            line = f[np.uint32(row + j)]  # unsigned: no test for negative indices
            part = f.dtype.type(0)
            for i in range(n):
                part += f.dtype.type(wx[i]) * line[np.uint32(col + i)]
            total += f.dtype.type(wy[j]) * part
        return total
    for j in range(n):
        y = source_index(row + j, h, border)
        for i in range(n):
            x = source_index(col + i, w, border)
            if y >= 0 and x >= 0:
                total += f.dtype.type(wy[j] * wx[i]) * f[y, x]
    return total


@njit(**SERIAL)
def sample_at(f, x, y, method, border):
    """Give the value of the gray image f at one point (x, y); for compiled loops, unchecked.

    `method` is an index into `METHODS`, `border` a value of `filtering.BORDERS`; for SPLINE, f holds
    the coefficients.
    """
    if method == NEAREST:
        x0, y0 = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))  # floor: int() would go towards 0
        return _mix(f, y0, x0, (1.0,), (1.0,), border)
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    tx, ty = x - x0, y - y0
    if method == BILINEAR:
        return _mix(f, y0, x0, _tent_weights(ty), _tent_weights(tx), border)
    if method == BICUBIC:
        return _mix(f, y0 - 1, x0 - 1, _cubic_weights(ty), _cubic_weights(tx), border)
    if method == LANCZOS:
        return _mix(f, y0 - 2, x0 - 2, _lanczos_weights(ty), _lanczos_weights(tx), border)
    return _mix(f, y0 - 1, x0 - 1, _bspline_weights(ty), _bspline_weights(tx), border)


@njit(**FAST)
def _sample_loop(f, x, y, method, border):
    """One value a point; x and y are flat."""
    out = np.empty(x.size, f.dtype)
    for k in prange(x.size):
        out[k] = sample_at(f, x[k], y[k], method, border)
    return out


def sample(image: Array, x: ArrayLike, y: ArrayLike, method: str = "bilinear", border: str = "mirror") -> Array:
    """Interpolate an image at any points (x, y), in pixels.

    Interpolation is reconstruction: a continuous image is built from the samples by a kernel k,
    ``g(x, y) = sum over i, j of f[j, i] k(x - i) k(y - j)``, and read off at the points.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
    x, y : array_like
        Coordinates, pixel centres at integers; broadcast against each other.
    method : {"nearest", "bilinear", "bicubic", "lanczos", "spline"}
        `box` (1 neighbour; halves are rounded up), `tent` (4), `cubic` with a = -1/2 (16), `lanczos`
        with 3 lobes (36), `bspline` of `spline_coefficients` (16).
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on outside.

    Returns
    -------
    ndarray of the coordinates' shape, (..., 3) for colour, in the image's precision

    Raises
    ------
    TypeError, ValueError
        For what is no image, an unknown method or border, coordinates that do not broadcast or
        that are not finite and within +-1e9.

    Notes
    -----
    O(neighbours) a point.  "spline" also pays for its prefilter at every call.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., sections 3.5.1 and 3.6.1.
    .. [2] Thevenaz, Blu & Unser, Interpolation revisited, 2000, doi:10.1109/42.875199.

    Examples
    --------
    >>> sample(np.array([[0.0, 1.0], [2.0, 3.0]]), x=[0.5, 1], y=[0, 0.25])
    array([0.5, 1.5])
    """
    image = require_image(image)
    code, rule = METHODS.index(_one_of("method", method, METHODS)), BORDERS[_one_of("border", border, BORDERS)]
    x, y = _coordinates(x, y)

    def one_channel(f: Array) -> Array:
        if method != "spline":
            return _sample_loop(f, x.ravel(), y.ravel(), code, rule).reshape(x.shape)
        margin = 0 if border in ("mirror", "wrap") else SPLINE_MARGIN
        goes_on = spline_coefficients(np.pad(f, margin, PAD_MODES[border]), "wrap" if border == "wrap" else "mirror")
        return _sample_loop(goes_on, x.ravel() + margin, y.ravel() + margin, code, rule).reshape(x.shape)

    return each_channel(one_channel, image)


def spline_coefficients(image: Array, border: str = "mirror") -> Array:
    """Find the coefficients c whose cubic B-spline passes through every pixel.

    The spline's value at a pixel is (c[i-1] + 4 c[i] + c[i+1]) / 6 along each axis.  That is a
    convolution, so it is undone where convolution is a product: each frequency is divided by the
    filter's response (2 + cos omega) / 3, Eq. (3.11).

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
    border : {"mirror", "wrap"}
        How image and coefficients go on outside: a cosine or a Fourier transform.

    Returns
    -------
    ndarray of the image's shape and precision

    Raises
    ------
    TypeError, ValueError
        For what is no image, or another border.

    Notes
    -----
    O(N log N); B-spline libraries use a recursive filter, O(N), with the same result.

    References
    ----------
    .. [1] Unser, Splines: a perfect fit for signal and image processing, 1999, doi:10.1109/79.799930.

    Examples
    --------
    >>> spline_coefficients(np.full((2, 3), 0.5))
    array([[0.5, 0.5, 0.5],
           [0.5, 0.5, 0.5]])
    """
    from scipy import fft

    image = require_image(image)
    wrap = _one_of("border", border, ("mirror", "wrap")) == "wrap"

    def response(n: int) -> Array:
        omega = np.arange(n) * ((2 if wrap else 1) * np.pi / n)
        return ((2 + np.cos(omega)) / 3).astype(image.dtype)

    def one_channel(f: Array) -> Array:
        gain = response(f.shape[0])[:, None] * response(f.shape[1])
        if wrap:
            return np.ascontiguousarray(fft.ifft2(fft.fft2(f) / gain).real)
        return fft.idctn(fft.dctn(f) / gain)

    return each_channel(one_channel, image)


# --- resizing --------------------------------------------------------------------------------


def subsample(image: Array, step: int) -> Array:
    """Keep every `step`-th pixel of every `step`-th row, without any filter before it.

    Output pixel (u, v) is the input pixel (step u, step v).  Frequencies above 1 / (2 step) cycles
    per pixel come out as others (aliasing): blur first, or use `resize`.

    Raises
    ------
    ValueError
        If `step` is not a whole number >= 1.

    Examples
    --------
    >>> subsample(np.arange(12.0).reshape(2, 6), 3)
    array([[0., 3.]])
    """
    image = require_image(image)
    if not _is_count(step):
        raise ValueError(f"step must be a whole number >= 1, got {step!r}")
    return image[::step, ::step].copy()


KERNELS: dict[str, tuple[Callable[[Array], Array], int]] = {"bilinear": (tent, 1), "bicubic": (cubic, 2), "lanczos": (lanczos, 3)}


def _weight_table(n_in: int, n_out: int, method: str, antialias: bool) -> tuple[Array, Array]:
    """For every output sample: the first input sample it mixes, and the weights from there on."""
    kernel, reach = KERNELS[method]
    stretch = max(n_in / n_out, 1.0) if antialias else 1.0
    centre = ((2 * np.arange(n_out) + 1) * n_in - n_out) / (2 * n_out)  # Eq. (3.8), rounded only once
    first = np.floor(centre - reach * stretch).astype(np.int64) + 1
    count = int(np.ceil(2 * reach * stretch))
    tap = first[:, None] + np.arange(count)
    weights = kernel((tap - centre[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)

    period = tap % (2 * n_in)  # mirror: dcba|abcd|dcba
    tap = np.where(period < n_in, period, 2 * n_in - 1 - period)
    width = min(count + -count % 3, n_in)  # in threes, as the loops take them
    start = np.clip(first, 0, n_in - width)
    place = np.arange(n_out)[:, None] * width + tap - start[:, None]
    table = np.bincount(place.ravel(), weights.ravel(), n_out * width)
    return start, table.reshape(n_out, width)


@njit(**FAST)
def _mix_rows_loop(f, start, weights):
    """Every output row is a weighted sum of consecutive input rows."""
    out = np.zeros((start.size, f.shape[1]), f.dtype)
    n = weights.shape[1]
    for v in prange(start.size):
        w, y = weights[v], start[v]
        for i in range(0, n - 2, 3):
            add3(out[v], w[i], f[y + i], w[i + 1], f[y + i + 1], w[i + 2], f[y + i + 2])
        for i in range(n - n % 3, n):
            add1(out[v], w[i], f[y + i])
    return out


@njit(**FAST)
def _mix_columns_loop(f, start, weights):
    """Every output column is a weighted sum of consecutive input columns."""
    out = np.empty((f.shape[0], start.size), f.dtype)
    for v in prange(f.shape[0]):
        _mix_columns(out[v], f[v], start, weights)
    return out


@njit(**SERIAL)
def _mix_columns(out, line, start, weights):
    n = weights.shape[1]
    for u in range(out.size):
        w, x, total = weights[u], np.uint32(start[u]), line.dtype.type(0)
        for j in range(0, n - 2, 3):
            total += w[j] * line[np.uint32(x + j)] + w[j + 1] * line[np.uint32(x + j + 1)] + w[j + 2] * line[np.uint32(x + j + 2)]
        for j in range(n - n % 3, n):
            total += w[j] * line[np.uint32(x + j)]
        out[u] = total


@njit(**FAST)
def _pick_loop(f, rows, cols):
    """Every output pixel is one input pixel."""
    out = np.empty((rows.size, cols.size), f.dtype)
    for v in prange(rows.size):
        line = f[rows[v]]
        for u in range(cols.size):
            out[v, u] = line[np.uint32(cols[u])]
    return out


def resize(image: Array, shape: tuple[int, int], method: str = "bicubic", antialias: bool = True) -> Array:
    """Resize an image to `shape`, both covering the same square of the world.

    Output pixel x' is the value at ``x = (x' + 1/2) s - 1/2`` with s = input size / output size.
    Where s > 1 and `antialias`, the kernel is stretched by s: it then also removes the frequencies
    that the new grid cannot hold.  Borders are mirrored.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
    shape : (int, int)
        New height and width.
    method : {"nearest", "bilinear", "bicubic", "lanczos"}
        As for `sample`; "nearest" never mixes pixels, so `antialias` does not change it.
    antialias : bool
        Without it the image is only read at the new points.

    Returns
    -------
    ndarray of the new shape, in the image's precision

    Raises
    ------
    TypeError, ValueError
        For what is no image, an unknown method, or a shape that is not two whole numbers >= 1.

    Notes
    -----
    The kernel is separable: rows and columns are mixed one after the other, O(stretch) a pixel.
    A constant stays constant and a resize to the same shape changes nothing, bit for bit.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., sections 3.5.1 and 3.5.2.

    Examples
    --------
    >>> resize(np.array([[0.0, 1.0]]), (1, 4), "bilinear")
    array([[0.  , 0.25, 0.75, 1.  ]])
    """
    image = require_image(image)
    rows, cols = _shape(shape)
    _one_of("method", method, METHODS[:SPLINE])
    h, w = image.shape[:2]
    if method == "nearest":
        y, x = ((2 * np.arange(n) + 1) * size // (2 * n) for n, size in ((rows, h), (cols, w)))
        return each_channel(lambda f: _pick_loop(f, y, x), image)
    y0, wy = _weight_table(h, rows, method, antialias)
    x0, wx = _weight_table(w, cols, method, antialias)
    wy, wx = wy.astype(image.dtype), wx.astype(image.dtype)
    if rows < h:  # the cheaper order
        return each_channel(lambda f: _mix_columns_loop(_mix_rows_loop(f, y0, wy), x0, wx), image)
    return each_channel(lambda f: _mix_rows_loop(_mix_columns_loop(f, x0, wx), y0, wy), image)


# --- pyramids --------------------------------------------------------------------------------


@njit(**SERIAL)
def _blur_rows(line, a, b, c, d, e, k):
    for x in range(c.size):
        line[x + 2] = k[0] * (a[x] + e[x]) + k[1] * (b[x] + d[x]) + k[2] * c[x]


@njit(**SERIAL)
def _blur_and_halve(out, line, k):
    for u in range(out.size):
        x = 2 * u
        out[u] = k[0] * (line[x] + line[x + 4]) + k[1] * (line[x + 1] + line[x + 3]) + k[2] * line[x + 2]


@njit(**FAST)
def _reduce_loop(f, k):
    """g[v, u] = sum over i, j of k[i] k[j] f[2 v + i - 2, 2 u + j - 2], Eq. (3.13)."""
    h, w = f.shape
    g = np.empty(((h + 1) // 2, (w + 1) // 2), f.dtype)
    for v in prange(g.shape[0]):
        a, b, c, d, e = [f[source_index(2 * v + i, h, MIRROR)] for i in range(-2, 3)]
        line = np.empty(w + 4, f.dtype)
        _blur_rows(line, a, b, c, d, e, k)
        for j in (-2, -1, w, w + 1):
            line[j + 2] = line[source_index(j, w, MIRROR) + 2]
        _blur_and_halve(g[v], line, k)
    return g
