"""Sampling: interpolation kernels, values between the pixels, resizing, and image pyramids.

Pixel centres lie at integers, so an image of width W covers x from -1/2 to W - 1/2 and a resize by
n_in / n_out = s takes output pixel x' to ``x = (x' + 1/2) s - 1/2``.  Reducing by one pyramid level
is different on purpose: it keeps every second *sample*, so pixel u of level l lies at ``x = 2**l u``.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from cvcourse.compiled import FAST, SERIAL
from cvcourse.filtering import BORDERS, add1, add3, border_code, extend_ends, source_index
from cvcourse.images import Array, each_channel, require_image

METHODS = ("nearest", "bilinear", "bicubic", "lanczos", "spline")
NEAREST, BILINEAR, BICUBIC, LANCZOS, SPLINE = range(5)
REACH = (0.5, 1.0, 2.0, 3.0, 2.0)  # how far from a point its neighbours lie, pixels
MIRROR = BORDERS["mirror"]

BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16  # the pyramid's blur, Eq. (3.6)
FARTHEST = 1e9  # pixels: beyond it a float64 coordinate has no useful fraction left


# --- interpolation kernels -------------------------------------------------------------------


def box(x: ArrayLike) -> Array:
    """Evaluate the kernel of nearest neighbour: 1 for -1/2 <= x < 1/2, else 0.

    Examples
    --------
    >>> box([-0.5, 0.0, 0.5])
    array([1., 1., 0.])
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
    """Weights of the samples at -1, 0, 1, 2: cubic convolution with a = -1/2, Eq. (3.11)."""
    s, a = 1 - t, -0.5
    return (
        a * t * s * s,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * s - (a + 3)) * s * s + 1,
        a * s * t * t,
    )


@njit(**SERIAL)
def _bspline_weights(t):
    """Weights of the coefficients at -1, 0, 1, 2: the cubic B-spline, Eq. (3.13)."""
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
    s, c = np.sin(np.pi / 3 * t) / 2, np.cos(np.pi / 3 * t) * np.sqrt(0.75)
    weights = (
        (c - s) / (t + 2) ** 2,  # sin(pi (t + 2) / 3) = c - s, and so on
        -(c + s) / (t + 1) ** 2,
        2 * s / t**2,
        (c - s) / (t - 1) ** 2,
        -(c + s) / (t - 2) ** 2,
        2 * s / (t - 3) ** 2,
    )
    a, b, c, d, e, f = weights
    total = a + b + c + d + e + f
    return a / total, b / total, c / total, d / total, e / total, f / total


@njit(**SERIAL)
def _mix_inside(f, row, col, wy, wx):
    """Sum of wy[j] wx[i] f[row + j, col + i], all of them inside the image."""
    total = f.dtype.type(0)
    for j in range(len(wy)):
        line = f[np.uint32(row + j)]  # unsigned: no test for negative indices
        part = f.dtype.type(0)
        for i in range(len(wx)):
            part += f.dtype.type(wx[i]) * line[np.uint32(col + i)]
        total += f.dtype.type(wy[j]) * part
    return total


@njit(**SERIAL)
def _mix_outside(f, row, col, wy, wx, border):
    """The same sum where neighbours may lie outside: they follow the border rule."""
    h, w = f.shape
    total = f.dtype.type(0)
    for j in range(len(wy)):
        y = source_index(row + j, h, border)
        for i in range(len(wx) if y >= 0 else 0):
            x = source_index(col + i, w, border)
            if x >= 0:
                total += f.dtype.type(wy[j] * wx[i]) * f[y, x]
    return total


@njit(**SERIAL)
def _is_inside(f, x, y, reach):
    """Whether all samples nearer than `reach` to (x, y) exist."""
    h, w = f.shape
    return reach - 1 <= x < w - reach and reach - 1 <= y < h - reach


def _inside_loop(method: int) -> Callable[[Array, Array, Array], Array]:
    """Compile, for one method, the values of the points with all their neighbours in the image."""
    reach = REACH[method]

    @njit(**FAST)
    def loop(f, x, y):
        out = np.empty(x.size, f.dtype)
        for k in prange(x.size):
            if _is_inside(f, x[k], y[k], reach):
                if method == NEAREST:
                    out[k] = f[np.uint32(np.floor(y[k] + 0.5)), np.uint32(np.floor(x[k] + 0.5))]
                else:
                    x0, y0 = int(np.floor(x[k])), int(np.floor(y[k]))
                    tx, ty = x[k] - x0, y[k] - y0
                    if method == BILINEAR:
                        out[k] = _mix_inside(f, y0, x0, _tent_weights(ty), _tent_weights(tx))
                    elif method == BICUBIC:
                        out[k] = _mix_inside(f, y0 - 1, x0 - 1, _cubic_weights(ty), _cubic_weights(tx))
                    elif method == LANCZOS:
                        out[k] = _mix_inside(f, y0 - 2, x0 - 2, _lanczos_weights(ty), _lanczos_weights(tx))
                    else:
                        out[k] = _mix_inside(f, y0 - 1, x0 - 1, _bspline_weights(ty), _bspline_weights(tx))
        return out

    return loop


INSIDE_LOOPS = [_inside_loop(method) for method in range(len(METHODS))]


@njit(**FAST)
def _outside_loop(out, f, x, y, method, reach, border):
    """Fill in the points whose neighbours the border rule supplies, at least in part."""
    for k in prange(x.size):
        if not _is_inside(f, x[k], y[k], reach):
            out[k] = _value_outside(f, x[k], y[k], method, border)


@njit(**SERIAL)
def _value_outside(f, x, y, method, border):
    if method == NEAREST:
        # floor, because int() would round -0.7 towards 0
        return _mix_outside(f, int(np.floor(y + 0.5)), int(np.floor(x + 0.5)), (1.0,), (1.0,), border)
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    tx, ty = x - x0, y - y0
    if method == BILINEAR:
        return _mix_outside(f, y0, x0, _tent_weights(ty), _tent_weights(tx), border)
    if method == BICUBIC:
        return _mix_outside(f, y0 - 1, x0 - 1, _cubic_weights(ty), _cubic_weights(tx), border)
    if method == LANCZOS:
        return _mix_outside(f, y0 - 2, x0 - 2, _lanczos_weights(ty), _lanczos_weights(tx), border)
    return _mix_outside(f, y0 - 1, x0 - 1, _bspline_weights(ty), _bspline_weights(tx), border)


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
    code, rule = METHODS.index(_one_of("method", method, METHODS)), border_code(border)
    x, y = _coordinates(x, y)

    def one_channel(f: Array) -> Array:
        at_x, at_y = x.ravel(), y.ravel()
        if method == "spline":
            f, margin = _continued_coefficients(f, border)
            at_x, at_y = at_x + margin, at_y + margin
        out = INSIDE_LOOPS[code](f, at_x, at_y)
        _outside_loop(out, f, at_x, at_y, code, REACH[code], rule)
        return out.reshape(x.shape)

    return each_channel(one_channel, image)


def spline_coefficients(image: Array, border: str = "mirror") -> Array:
    """Find the coefficients c whose cubic B-spline passes through every pixel.

    The spline's value at a pixel is (c[i-1] + 4 c[i] + c[i+1]) / 6 along each axis.  That is a
    convolution, so it is undone where convolution is a product: each frequency is divided by the
    filter's response (2 + cos omega) / 3, Eq. (3.14).

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


def _continued_coefficients(f: Array, border: str) -> tuple[Array, int]:
    """Spline coefficients with a margin of ``border`` pixels, and the margin's width.

    Mirrored or wrapped samples have mirrored or wrapped coefficients; for the other two rules the
    coefficients settle beyond the border, by a factor of 2 - sqrt(3) a pixel: to 1e-16 in 28.
    """
    if border in ("mirror", "wrap"):
        return spline_coefficients(f, border), 0
    continued = np.pad(f, 28, mode="edge" if border == "clamp" else "constant")
    return spline_coefficients(continued), 28


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


KERNELS: dict[str, tuple[Callable[[Array], Array], int]] = {
    "bilinear": (tent, 1),
    "bicubic": (cubic, 2),
    "lanczos": (lanczos, 3),
}


def _weight_table(n_in: int, n_out: int, method: str, antialias: bool) -> tuple[Array, Array]:
    """For every output sample: the first input sample it mixes, and the weights from there on."""
    kernel, reach = KERNELS[method]
    stretch = max(n_in / n_out, 1.0) if antialias else 1.0
    centre = ((2 * np.arange(n_out) + 1) * n_in - n_out) / (2 * n_out)  # Eq. (3.15), rounded only once
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
            total += (
                w[j] * line[np.uint32(x + j)]
                + w[j + 1] * line[np.uint32(x + j + 1)]
                + w[j + 2] * line[np.uint32(x + j + 2)]
            )
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
    k0, k1, k2 = k[0], k[1], k[2]
    for x in range(c.size):
        line[x] = k0 * (a[x] + e[x]) + k1 * (b[x] + d[x]) + k2 * c[x]


@njit(**SERIAL)
def _blur_and_halve(out, line, k):
    k0, k1, k2 = k[0], k[1], k[2]
    for u in range(out.size):
        x = 2 * u
        out[u] = k0 * (line[x] + line[x + 4]) + k1 * (line[x + 1] + line[x + 3]) + k2 * line[x + 2]


@njit(**FAST)
def _reduce_loop(f, k):
    """g[v, u] = sum over i, j of k[i] k[j] f[2 v + i - 2, 2 u + j - 2], Eq. (3.6)."""
    h, w = f.shape
    g = np.empty(((h + 1) // 2, (w + 1) // 2), f.dtype)
    for v in prange(g.shape[0]):
        y = 2 * v
        a, b = f[source_index(y - 2, h, MIRROR)], f[source_index(y - 1, h, MIRROR)]
        d, e = f[source_index(y + 1, h, MIRROR)], f[source_index(y + 2, h, MIRROR)]
        line = np.empty(w + 4, f.dtype)
        _blur_rows(line[2:], a, b, f[y], d, e, k)
        extend_ends(line, 2, w, MIRROR)
        _blur_and_halve(g[v], line, k)
    return g


@njit(**SERIAL)
def _double_row(out, f, line, k, gain):
    """Write f + gain * (the line at twice its resolution); line[u + 1] is coarse sample u."""
    k0, k1, k2 = gain * k[0], gain * k[1], gain * k[2]
    for u in range(out.size // 2):
        out[2 * u] = f[2 * u] + k0 * (line[u] + line[u + 2]) + k2 * line[u + 1]
        out[2 * u + 1] = f[2 * u + 1] + k1 * (line[u + 1] + line[u + 2])
    if out.size % 2:
        u = out.size // 2
        out[2 * u] = f[2 * u] + k0 * (line[u] + line[u + 2]) + k2 * line[u + 1]


@njit(**SERIAL)
def _even_line(line, up, middle, low, k):
    k0, k2 = k[0], k[2]
    for x in range(line.size):
        line[x] = k0 * (up[x] + low[x]) + k2 * middle[x]


@njit(**SERIAL)
def _odd_line(line, up, low, k):
    k1 = k[1]
    for x in range(line.size):
        line[x] = k1 * (up[x] + low[x])


@njit(**FAST)
def _add_expanded_loop(f, g, k, gain):
    """Compute f + gain * (g expanded to f's shape), Eq. (3.8); k holds twice the binomial weights.

    Even places see the coarse samples -1, 0, 1 under k[0], k[2], k[4]; odd ones 0, 1 under k[1], k[3].
    """
    out = np.empty_like(f)
    for y in prange(f.shape[0]):
        v = y // 2
        up, low = g[source_index(v - 1, len(g), MIRROR)], g[source_index(v + 1, len(g), MIRROR)]
        line = np.empty(g.shape[1] + 2, f.dtype)
        inner = line[1 : g.shape[1] + 1]
        if y % 2 == 0:
            _even_line(inner, up, g[v], low, k)
        else:
            _odd_line(inner, g[v], low, k)
        extend_ends(line, 1, g.shape[1], MIRROR)
        _double_row(out[y], f[y], line, k, gain)
    return out


def reduce(image: Array) -> Array:
    """Blur by 1 4 6 4 1 / 16 both ways and keep every second pixel: one step up a pyramid.

    Output pixel (u, v) lies at input (2 u, 2 v); borders are mirrored.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64

    Returns
    -------
    ndarray of shape (ceil(H / 2), ceil(W / 2)) (..., 3)

    Raises
    ------
    TypeError, ValueError
        For what is no image.

    References
    ----------
    .. [1] Burt & Adelson, The Laplacian pyramid as a compact image code, 1983,
       doi:10.1109/TCOM.1983.1095851.

    Examples
    --------
    >>> reduce(np.array([[0.0, 0.0, 16.0, 0.0, 0.0]]))
    array([[1., 6., 1.]])
    """
    return _reduce(require_image(image))


def _reduce(image: Array) -> Array:
    k = BINOMIAL.astype(image.dtype)
    return each_channel(lambda f: _reduce_loop(f, k), image)


def expand(image: Array, shape: tuple[int, int]) -> Array:
    """Double an image's resolution: one step down a pyramid.

    Zeros are set between the pixels and blurred by 1 4 6 4 1 / 8 both ways, so even places become
    (1 6 1) / 8 and odd ones (1 1) / 2 of the pixels near them; input pixel (u, v) lies at (2 u, 2 v).

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, 3), float32 or float64
    shape : (int, int)
        Height and width of the result: of an image that `reduce` makes (h, w) of.

    Returns
    -------
    ndarray of that shape (..., 3)

    Raises
    ------
    TypeError, ValueError
        For what is no image, or a shape that does not reduce to the image's.

    References
    ----------
    .. [1] Burt & Adelson, 1983, doi:10.1109/TCOM.1983.1095851.

    Examples
    --------
    >>> expand(np.array([[0.0, 8.0, 8.0]]), (1, 5))
    array([[1., 4., 7., 8., 8.]])
    """
    image = require_image(image)
    _require_halves(shape := _shape(shape), image.shape[:2])
    return _add_expanded(np.zeros((*shape, *image.shape[2:]), image.dtype), image, 1)


def _add_expanded(fine: Array, coarse: Array, gain: float) -> Array:
    """Compute fine + gain * expand(coarse) in one sweep."""
    k, gain = (2 * BINOMIAL).astype(fine.dtype), fine.dtype.type(gain)
    if fine.ndim == 2:
        return _add_expanded_loop(fine, coarse, k, gain)
    channels = [np.ascontiguousarray(np.moveaxis(image, 2, 0)) for image in (fine, coarse)]
    return np.stack([_add_expanded_loop(f, g, k, gain) for f, g in zip(*channels, strict=True)], axis=-1)


def gaussian_pyramid(image: Array, levels: int) -> list[Array]:
    """Reduce an image again and again.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
    levels : int
        How many images, the given one included: at most ``1 + ceil(log2(max(H, W)))``, where one
        pixel is left.

    Returns
    -------
    list of `levels` ndarrays
        Level 0 is `image` itself, no copy; pixel u of level l lies at x = 2**l u.

    Raises
    ------
    TypeError, ValueError
        For what is no image, or a number of levels that is not whole or out of range.

    Notes
    -----
    All levels together hold 1 + 1/4 + 1/16 + ... < 4/3 of the image's pixels.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 3.5.3.

    Examples
    --------
    >>> [level.shape for level in gaussian_pyramid(np.zeros((5, 8)), 4)]
    [(5, 8), (3, 4), (2, 2), (1, 1)]
    """
    image = require_image(image)
    most = 1 + (max(image.shape[:2]) - 1).bit_length()
    if not _is_count(levels) or levels > most:
        raise ValueError(
            f"levels must be a whole number from 1 to {most} for an image of shape {image.shape}, got {levels!r}"
        )
    pyramid = [image]
    while len(pyramid) < levels:
        pyramid.append(_reduce(pyramid[-1]))
    return pyramid


def laplacian_pyramid(image: Array, levels: int) -> list[Array]:
    """Split an image into what each reduction loses and the last, small image.

    Level l is the Gaussian level l less the expanded level l + 1: a band of frequencies, about 0.

    Parameters
    ----------
    image, levels
        As for `gaussian_pyramid`.

    Returns
    -------
    list of `levels` ndarrays
        The last is the last level of the Gaussian pyramid.

    Raises
    ------
    TypeError, ValueError
        As for `gaussian_pyramid`.

    Notes
    -----
    `from_laplacian_pyramid` gives the image back whatever the blur is.

    References
    ----------
    .. [1] Burt & Adelson, 1983, doi:10.1109/TCOM.1983.1095851.

    Examples
    --------
    >>> laplacian_pyramid(np.array([[0.0, 16.0, 0.0, 0.0]]), 2)[1]
    array([[5., 4.]])
    """
    gauss = gaussian_pyramid(image, levels)
    return [_add_expanded(fine, coarse, -1) for fine, coarse in pairwise(gauss)] + gauss[-1:]


def from_laplacian_pyramid(pyramid: Sequence[Array]) -> Array:
    """Rebuild the image of a Laplacian pyramid: expand the last level, add the one before, repeat.

    Parameters
    ----------
    pyramid : sequence of ndarray
        As `laplacian_pyramid` gives it, or changed: blended, with bands scaled.

    Returns
    -------
    ndarray of the shape of level 0

    Raises
    ------
    TypeError, ValueError
        If the pyramid is empty, or a level is no image or is not half the size, in pixels, of the
        one before it.

    Examples
    --------
    >>> image = np.arange(15.0).reshape(3, 5)
    >>> np.abs(from_laplacian_pyramid(laplacian_pyramid(image, 3)) - image).max() < 1e-13
    np.True_
    """
    levels = [require_image(level, name=f"level {i}") for i, level in enumerate(pyramid)]
    if not levels:
        raise ValueError("the pyramid has no levels")
    for fine, coarse in pairwise(levels):
        _require_halves(fine.shape[:2], coarse.shape[:2])
        if fine.shape[2:] != coarse.shape[2:] or fine.dtype != coarse.dtype:
            kinds = f"{fine.shape} {fine.dtype} and {coarse.shape} {coarse.dtype}"
            raise ValueError(f"levels must be all gray or all colour and of one precision, got {kinds}")
    image = levels.pop()
    while levels:
        image = _add_expanded(levels.pop(), image, 1)
    return image


# --- frequencies -----------------------------------------------------------------------------


def spectrum(image: Array) -> Array:
    """Measure how much of each frequency an image holds: the centred magnitude of its DFT.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64

    Returns
    -------
    ndarray of the image's shape and precision
        Divided by the number of pixels: frequency 0, the mean, is at ``[H // 2, W // 2]``, and
        ``[H // 2 + v, W // 2 + u]`` belongs to u / W and v / H cycles per pixel along x and y.
        The squares add up to the mean of the squared image (Parseval).

    Raises
    ------
    TypeError, ValueError
        For what is no image.

    Notes
    -----
    The DFT takes the image as one period: where opposite borders differ, a cross appears.

    Examples
    --------
    >>> spectrum(np.array([[1.0, 0.0, 1.0, 0.0]]))
    array([[0.5, 0. , 0.5, 0. ]])
    """
    from scipy import fft

    image = require_image(image)
    return each_channel(lambda f: np.abs(fft.fftshift(fft.fft2(f))) / f.dtype.type(f.size), image)


# --- checks at the door ----------------------------------------------------------------------


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}; got {value!r}")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def _shape(shape: Any) -> tuple[int, int]:
    if not isinstance(shape, tuple | list) or len(shape) != 2 or not all(map(_is_count, shape)):
        raise ValueError(f"shape must be (height, width), two whole numbers >= 1; got {shape!r}")
    return int(shape[0]), int(shape[1])


def _require_halves(fine: tuple[int, ...], coarse: tuple[int, ...]) -> None:
    expected = ((fine[0] + 1) // 2, (fine[1] + 1) // 2)
    if expected != tuple(coarse):
        raise ValueError(f"an image of shape {tuple(fine)} reduces to {expected}, not to {tuple(coarse)}")


def _coordinates(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Two float64 arrays of one shape, in C order and writeable, as the loops are compiled for."""
    both = []
    for name, values in (("x", x), ("y", y)):
        values = np.require(values, np.float64, ["C", "W"])
        if values.size and not (np.min(values) >= -FARTHEST and np.max(values) <= FARTHEST):  # NaN fails both
            raise ValueError(
                f"{name} must be finite and within +-{FARTHEST:g} pixels, got {np.min(values):g} to {np.max(values):g}"
            )
        both.append(values)
    try:
        shape = np.broadcast_shapes(both[0].shape, both[1].shape)
    except ValueError:
        raise ValueError(f"x of shape {both[0].shape} and y of shape {both[1].shape} do not broadcast") from None
    x, y = (v if v.shape == shape else np.broadcast_to(v, shape).copy() for v in both)
    return x, y
