"""Neighbourhood filters: each new pixel is computed from the pixels around the old one.

Linear filters are a kernel of weights (`correlate`, `convolve`, `gaussian`, `box`, `sharpen`);
`median`, `bilateral` and `threshold` are not linear.  Beyond the border an image goes on by one of
four rules (`BORDERS`).  Colour images are filtered channel by channel.
"""

import math

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, DTypeLike

from cvcourse.compiled import FAST, SERIAL
from cvcourse.images import Array, each_channel, require_image

BORDERS = {"mirror": 0, "clamp": 1, "wrap": 2, "zero": 3}
"""How a row ``abcd`` goes on: ``dcba|abcd|dcba``, ``aaaa|abcd|dddd``, ``abcd|abcd|abcd``, zeros."""


# ---------------------------------------------------------------------------------------------
# Linear filters


def correlate(image: Array, kernel: ArrayLike, border: str = "mirror") -> Array:
    """Correlate an image with a kernel: slide, multiply, add.

    ``g[y, x] = sum over i, j of kernel[i, j] * image[y + i - a, x + j - b]`` with the anchor
    ``(a, b) = (rows // 2, columns // 2)``: the middle of an odd kernel, the pixel right of and
    below the middle of an even one.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    kernel : array_like of shape (h, w)
        Weights, any size, odd or even, also larger than the image.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border; see `BORDERS`.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, an empty or not two-dimensional kernel, an unknown border.

    Notes
    -----
    h w products a pixel.  From about 21 x 21 on Fourier transforms (`scipy.signal.fftconvolve`)
    are faster, and a separable kernel is far faster in `correlate_separable`.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.

    Examples
    --------
    >>> row = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    >>> correlate(row, [[1, 2, 3]])
    array([[0., 3., 2., 1., 0.]])
    """
    image = require_image(image)
    kernel = _require_kernel(kernel, image.dtype)
    return _correlate(image, kernel, (kernel.shape[0] // 2, kernel.shape[1] // 2), border)


def convolve(image: Array, kernel: ArrayLike, border: str = "mirror") -> Array:
    """Convolve an image with a kernel: correlate with the kernel turned by 180 degrees.

    ``g[y, x] = sum over i, j of kernel[i, j] * image[y - i + a, x - j + b]`` with the anchor
    ``(a, b) = (rows // 2, columns // 2)``.  An impulse comes out as the kernel itself, its anchor
    where the impulse was.

    Parameters
    ----------
    image, kernel, border
        As for `correlate`.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        As for `correlate`.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.

    Examples
    --------
    >>> row = np.array([[0.0, 0.0, 1.0, 0.0, 0.0]])
    >>> convolve(row, [[1, 2, 3]])
    array([[0., 1., 2., 3., 0.]])
    """
    image = require_image(image)
    kernel = _require_kernel(kernel, image.dtype)
    anchor = ((kernel.shape[0] - 1) // 2, (kernel.shape[1] - 1) // 2)
    return _correlate(image, np.ascontiguousarray(kernel[::-1, ::-1]), anchor, border)


def correlate_separable(image: Array, column: ArrayLike, row: ArrayLike, border: str = "mirror") -> Array:
    """Correlate with the kernel ``outer(column, row)`` in two passes, columns then rows.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    column, row : array_like of shape (h,) and (w,)
        Weights along axis 0 and along axis 1, anchored at ``h // 2`` and ``w // 2``.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border; see `BORDERS`.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, weights that are not one-dimensional, an unknown border.

    Notes
    -----
    h + w products a pixel instead of h w.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.1.

    Examples
    --------
    >>> correlate_separable(np.eye(3), [1, 2, 1], [0, 1, 0])
    array([[3., 1., 0.],
           [1., 2., 1.],
           [0., 1., 3.]])
    """
    image = require_image(image)
    code = border_code(border)
    column, row = _require_taps(column, image.dtype, "column"), _require_taps(row, image.dtype, "row")
    a, b = len(column) // 2, len(row) // 2
    column, row = _in_threes(column), _in_threes(row)
    return each_channel(lambda channel: _separable_loop(channel, column, a, row, b, code), image)


def gaussian_kernel(sigma: float, truncate: float = 4.0) -> Array:
    """Sample a Gaussian at the integers and divide by the sum, so that brightness is kept.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, >= 0; 0 gives the single weight 1.
    truncate : float
        Where to cut, in units of sigma: the radius is ``floor(truncate * sigma + 1/2)``.

    Returns
    -------
    ndarray of shape (2 * radius + 1,)
        Symmetric weights of sum 1; the 2-D kernel is their outer product.

    Raises
    ------
    ValueError
        If sigma is negative or infinite, or truncate is not positive.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.2.

    Examples
    --------
    >>> gaussian_kernel(1.0, truncate=2).round(3)
    array([0.054, 0.244, 0.403, 0.244, 0.054])
    """
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma is a standard deviation in pixels, >= 0; got {sigma}")
    if not 0 < truncate < math.inf:
        raise ValueError(f"truncate is a number of sigmas, > 0; got {truncate}")
    radius = int(truncate * sigma + 0.5)
    if radius == 0:
        return np.ones(1)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def gaussian(image: Array, sigma: float, border: str = "mirror", truncate: float = 4.0) -> Array:
    """Blur with a Gaussian of standard deviation `sigma`, as two 1-D passes.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    sigma : float
        Standard deviation in pixels, >= 0; 0 returns a copy.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border; see `BORDERS`.
    truncate : float
        Where the kernel is cut, in units of sigma.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, a negative sigma, an unknown border.

    Notes
    -----
    About 16 sigma products a pixel at ``truncate=4``.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.2.

    Examples
    --------
    >>> image = np.zeros((5, 5)); image[2, 2] = 1
    >>> gaussian(image, 1.0, truncate=2)[2].round(3)
    array([0.022, 0.098, 0.162, 0.098, 0.022])
    """
    weights = gaussian_kernel(sigma, truncate)
    return correlate_separable(image, weights, weights, border)


def box(image: Array, size: int, border: str = "mirror") -> Array:
    """Average over a ``size`` x ``size`` window, with running sums.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    size : int
        Side of the window, >= 1; an even window is anchored at ``size // 2`` as in `correlate`.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border; see `BORDERS`.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, a size that is no integer or below 1, an unknown border.

    Notes
    -----
    When the window moves by one pixel, one value enters and one leaves: two additions a pixel and
    direction, whatever the size.  Sums are kept in float64.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.2.

    Examples
    --------
    >>> box(np.array([[0.0, 0.0, 9.0, 0.0, 0.0]]), 3)
    array([[0., 3., 3., 3., 0.]])
    """
    image = require_image(image)
    code, size = border_code(border), _require_size(size)
    return each_channel(lambda channel: _box_loop(channel, size, code), image)


def sharpen(image: Array, sigma: float, amount: float) -> Array:
    """Add `amount` times the detail that a Gaussian of `sigma` removes (unsharp masking).

    ``image + amount * (image - gaussian(image, sigma))``, Eq. (1.13); the result may leave [0, 1].

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    sigma : float
        Standard deviation of the blur in pixels.
    amount : float
        The factor alpha; 0 returns a copy, a negative one blurs.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, a negative sigma, an amount that is not finite.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.2.

    Examples
    --------
    >>> sharpen(np.array([[0.2, 0.2, 0.8, 0.8]]), 1.0, 1.0).round(2)
    array([[0.16, 0.02, 0.98, 0.84]])
    """
    image = require_image(image)
    if not math.isfinite(amount):
        raise ValueError(f"amount is a finite factor, got {amount}")
    alpha = image.dtype.type(amount)
    return each_channel(lambda channel: _sharpen_loop(channel, gaussian(channel, sigma), alpha), image)


def frequency_response(kernel: ArrayLike, size: int) -> Array:
    """Tell what convolution with `kernel` does to each frequency: its Fourier transform.

    A wave of frequency f leaves the filter multiplied by the complex number at f: the magnitude is
    the gain, the angle the shift.  The anchor ``n // 2`` is the origin, so a kernel symmetric about
    it has a real response.

    Parameters
    ----------
    kernel : array_like of shape (n,) or (h, w)
        Weights, no side longer than `size`.
    size : int
        Number of frequencies in each direction.

    Returns
    -------
    ndarray of shape (size,) or (size, size), complex
        Frequency 0 at index ``size // 2``; the frequencies, in cycles per pixel, are
        ``np.fft.fftshift(np.fft.fftfreq(size))``.

    Raises
    ------
    ValueError
        If the kernel has another number of dimensions, is empty, or is longer than `size`.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.4.

    Examples
    --------
    >>> frequency_response([1 / 4, 1 / 2, 1 / 4], 4).real + 0.0
    array([0. , 0.5, 1. , 0.5])
    """
    kernel, size = np.asarray(kernel, dtype=np.float64), _require_size(size)
    if kernel.ndim not in (1, 2) or kernel.size == 0 or max(kernel.shape) > size:
        raise ValueError(f"expected a 1-D or 2-D kernel of sides 1 to {size}, got shape {kernel.shape}")
    padded = np.zeros((size,) * kernel.ndim)
    padded[tuple(slice(n) for n in kernel.shape)] = kernel
    padded = np.roll(padded, [-(n // 2) for n in kernel.shape], axis=tuple(range(kernel.ndim)))
    return np.fft.fftshift(np.fft.fftn(padded))


# ---------------------------------------------------------------------------------------------
# Filters that no kernel can describe


def threshold(image: Array, level: float) -> Array:
    """Give 1 where the image is brighter than `level`, and 0 elsewhere.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    level : float
        A pixel equal to it becomes 0.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.3.1.

    Examples
    --------
    >>> threshold(np.array([[0.2, 0.5, 0.8]]), 0.5)
    array([[0., 0., 1.]])
    """
    image = require_image(image)
    if math.isnan(level):
        raise ValueError("level is a brightness, got NaN")
    return (image > level).astype(image.dtype)


def median(image: Array, size: int = 3, border: str = "mirror") -> Array:
    """Replace each pixel by the median of the ``size`` x ``size`` window around it.

    Removes impulses and keeps straight edges; each output value is one of the input's.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point.
    size : int
        Side of the window, odd, >= 1.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border; see `BORDERS`.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, a size that is even or below 1, an unknown border.

    Notes
    -----
    A sorting network of minima and maxima on whole rows; its length grows somewhat faster than
    size squared, so windows beyond about 11 x 11 are slow.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.3.1.
    .. [2] Batcher, Sorting networks and their applications, 1968, doi:10.1145/1468075.1468121.

    Examples
    --------
    >>> median(np.array([[0.1, 0.2, 0.9, 0.3, 0.4]]))
    array([[0.1, 0.2, 0.3, 0.4, 0.4]])
    """
    image = require_image(image)
    code, size = border_code(border), _require_size(size)
    if size % 2 == 0:
        raise ValueError(f"the window needs a middle: size must be odd, got {size}")
    if size == 1:
        return image.copy()
    if size == 3:
        return each_channel(lambda channel: _median3_loop(channel, code), image)
    steps = _selection_network(size * size)
    return each_channel(lambda channel: _median_loop(channel, size, steps, code), image)


def bilateral(
    image: Array, sigma_space: float, sigma_range: float, radius: int | None = None, border: str = "mirror"
) -> Array:
    """Average over neighbours that are near in space *and* in brightness: smooth, but keep edges.

    A neighbour at distance d whose brightness differs by e has the weight
    ``exp(-d**2 / (2 sigma_space**2)) * exp(-e**2 / (2 sigma_range**2))``; weights are divided by
    their sum, pixel by pixel.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3)
        Floating point; in colour images each channel is filtered by itself.
    sigma_space : float
        Standard deviation in pixels, > 0.
    sigma_range : float
        Standard deviation in brightness, > 0.
    radius : int, optional
        Radius of the round window in pixels; 2 sigma_space, rounded up, if not given.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border; see `BORDERS`.

    Returns
    -------
    ndarray of the shape and precision of `image`

    Raises
    ------
    TypeError, ValueError
        For integer images, NaN, a sigma that is not positive, a negative radius, an unknown border.

    Notes
    -----
    About pi radius squared weights a pixel.  The exponential is good to 1e-9.

    References
    ----------
    .. [1] Tomasi & Manduchi, Bilateral filtering for gray and color images, 1998,
       doi:10.1109/ICCV.1998.710815.

    Examples
    --------
    >>> bilateral(np.array([[0.0, 0.1, 1.0, 0.9]]), 2.0, 0.1).round(2)
    array([[0.03, 0.06, 0.96, 0.93]])
    """
    image = require_image(image)
    code = border_code(border)
    if not 0 < sigma_space < math.inf or not 0 < sigma_range < math.inf:
        raise ValueError(f"both sigmas must be positive, got {sigma_space} in space and {sigma_range} in range")
    radius = math.ceil(2 * sigma_space) if radius is None else _require_size(radius, "radius", 0)
    i = np.arange(-radius, radius + 1)
    d2 = i[:, None] ** 2 + i**2
    space = np.where(d2 <= radius**2, np.exp(-d2 / (2 * sigma_space**2)), 0).astype(image.dtype)
    slope = image.dtype.type(1 / (2 * sigma_range**2))
    return each_channel(lambda channel: _bilateral_loop(channel, space, slope, code), image)


# ---------------------------------------------------------------------------------------------
# Checks at the door


def border_code(border: str) -> int:
    """Give the number by which compiled loops know a border rule, or say which rules there are."""
    if border not in BORDERS:
        raise ValueError(f"border must be one of {', '.join(map(repr, BORDERS))}; got {border!r}")
    return BORDERS[border]


def _require_size(size: int, name: str = "size", least: int = 1) -> int:
    if not isinstance(size, int | np.integer) or isinstance(size, bool):
        raise TypeError(f"{name} must be an integer, got {size!r}")
    if size < least:
        raise ValueError(f"{name} must be at least {least}, got {size}")
    return int(size)


def _require_kernel(kernel: ArrayLike, dtype: DTypeLike) -> Array:
    kernel = np.array(kernel, dtype=dtype, order="C")
    if kernel.ndim != 2 or kernel.size == 0:
        raise ValueError(f"a kernel has shape (h, w), both at least 1; got {kernel.shape}")
    if not np.isfinite(kernel).all():
        raise ValueError("kernel holds NaN or infinity")
    return kernel


def _require_taps(taps: ArrayLike, dtype: DTypeLike, name: str) -> Array:
    taps = np.array(taps, dtype=dtype)
    if taps.ndim != 1 or taps.size == 0:
        raise ValueError(f"{name} must be a list of at least one weight, got shape {taps.shape}")
    if not np.isfinite(taps).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return taps


def _in_threes(weights: Array) -> Array:
    """Lengthen the last axis by zeros to a multiple of three: the loops take three taps a sweep."""
    n = weights.shape[-1]
    longer = np.zeros((*weights.shape[:-1], n + -n % 3), weights.dtype)
    longer[..., :n] = weights
    return longer


def _correlate(image: Array, kernel: Array, anchor: tuple[int, int], border: str) -> Array:
    code = border_code(border)
    if kernel.shape == (3, 3) and border != "zero":
        return each_channel(lambda channel: _correlate3_loop(channel, kernel, code), image)
    kernel = _in_threes(kernel)
    return each_channel(lambda channel: _correlate_loop(channel, kernel, *anchor, code), image)


# ---------------------------------------------------------------------------------------------
# Row helpers, shared with later modules


@njit(**SERIAL)
def source_index(i, n, border):
    """Index of the sample 0 … n - 1 that stands at place i of the continued row, or -1 for zero."""
    if border == 0:  # mirror: period 2 n, its second half backwards
        i %= 2 * n
        i = i if i < n else 2 * n - 1 - i
    elif border == 1:  # clamp
        i = min(max(i, 0), n - 1)
    elif border == 2:  # wrap
        i %= n
    elif i < 0 or i >= n:
        i = -1
    return i


@njit(**SERIAL)
def source_row(image, zeros, y, border):
    """Row y of the continued image; `zeros` is what stands for a row of zeros."""
    source = source_index(y, image.shape[0], border)
    return image[source] if source >= 0 else zeros


@njit(**SERIAL)
def extend_ends(line, before, n, border):
    """Continue the n samples ``line[before:before + n]`` to both ends of the line."""
    for x in range(before):
        source = source_index(x - before, n, border)
        line[x] = line[before + source] if source >= 0 else 0
    for x in range(before + n, line.size):
        source = source_index(x - before, n, border)
        line[x] = line[before + source] if source >= 0 else 0


@njit(**SERIAL)
def add1(out, a, f):
    """Add a f to a row, in place."""
    for x in range(out.size):
        out[x] += a * f[x]


@njit(**SERIAL)
def add3(out, a, f, b, g, c, h):
    """Add a f + b g + c h to a row, in place: three taps a sweep keep the sums in registers."""
    for x in range(out.size):
        out[x] += a * f[x] + b * g[x] + c * h[x]


@njit(**SERIAL)
def add_shifts(out, line, weights):
    """Add the sum over j of ``weights[j]`` times the line from place j on; three taps a sweep."""
    n = out.size
    for j in range(0, weights.size, 3):
        f, g, h = line[j : j + n], line[j + 1 : j + 1 + n], line[j + 2 : j + 2 + n]
        add3(out, weights[j], f, weights[j + 1], g, weights[j + 2], h)


@njit(**SERIAL)
def add_rows(out, image, weights, y, border):
    """Add the sum over i of ``weights[i]`` times row y + i of the continued image."""
    h, zero = image.shape[0], image.dtype.type(0)
    for i in range(0, weights.size, 3):
        p, q, r = source_index(y + i, h, border), source_index(y + i + 1, h, border), source_index(y + i + 2, h, border)
        a = weights[i] if p >= 0 else zero  # image[-1] is then read, and counts nothing
        b = weights[i + 1] if q >= 0 else zero
        c = weights[i + 2] if r >= 0 else zero
        add3(out, a, image[p], b, image[q], c, image[r])


@njit(**FAST)
def padded(image, before, after, border):
    """Continue an image by ``before`` pixels left and above, ``after`` right and below."""
    h, w = image.shape
    out = np.empty((before + h + after, before + w + after), image.dtype)
    zeros = np.zeros(w, image.dtype)
    for y in prange(len(out)):
        out[y, before : before + w] = source_row(image, zeros, y - before, border)
        extend_ends(out[y], before, w, border)
    return out


# ---------------------------------------------------------------------------------------------
# Loops


@njit(**FAST)
def _correlate_loop(image, kernel, a, b, border):
    """g(y, x) = sum over i, j of k(i, j) f(y + i - a, x + j - b), a whole row of g at a time."""
    h, w = image.shape
    g = np.zeros((h, w), image.dtype)
    for y in prange(h):
        line = np.empty(w + kernel.shape[1], image.dtype)
        for i in range(kernel.shape[0]):
            source = source_index(y + i - a, h, border)
            if source >= 0:
                line[b : b + w] = image[source]
                extend_ends(line, b, w, border)
                add_shifts(g[y], line, kernel[i])
    return g


@njit(**FAST)
def _correlate3_loop(image, kernel, border):
    """3 x 3, any border but zero: all nine products in one sweep."""
    h, w = image.shape
    before, after = source_index(-1, w, border), source_index(w, w, border)
    g = np.empty_like(image)
    for y in prange(h):
        up, low = image[source_index(y - 1, h, border)], image[source_index(y + 1, h, border)]
        _nine_products(g[y], up, image[y], low, kernel, before, after)
    return g


@njit(**SERIAL)
def _nine_products(out, up, row, low, k, before, after):
    """One row of g; places `before` and `after` stand for what lies left and right of the row."""
    a, b, c, d, e, f, p, q, r = k[0, 0], k[0, 1], k[0, 2], k[1, 0], k[1, 1], k[1, 2], k[2, 0], k[2, 1], k[2, 2]
    n = out.size
    for x in range(1, n - 1):
        out[x] = (
            a * up[x - 1] + b * up[x] + c * up[x + 1]
            + d * row[x - 1] + e * row[x] + f * row[x + 1]
            + p * low[x - 1] + q * low[x] + r * low[x + 1]
        )  # fmt: skip
    for x in (0, n - 1):
        left, right = before if x == 0 else x - 1, after if x == n - 1 else x + 1
        out[x] = (
            a * up[left] + b * up[x] + c * up[right]
            + d * row[left] + e * row[x] + f * row[right]
            + p * low[left] + q * low[x] + r * low[right]
        )  # fmt: skip


@njit(**FAST)
def _separable_loop(image, column, a, row, b, border):
    """Weighted rows into a line, then weighted shifts of the line."""
    h, w = image.shape
    g = np.zeros((h, w), image.dtype)
    for y in prange(h):
        line = np.zeros(w + row.size, image.dtype)
        add_rows(line[b : b + w], image, column, y - a, border)
        extend_ends(line, b, w, border)
        add_shifts(g[y], line, row)
    return g


@njit(**FAST)
def _box_loop(image, size, border):
    """Running sums along the rows, then down the columns: one value enters, one leaves."""
    h, w = image.shape
    before, after = size // 2, size - 1 - size // 2
    sums = np.empty((h, w))
    for y in prange(h):
        line = np.empty(before + w + after)
        line[before : before + w] = image[y]
        extend_ends(line, before, w, border)
        _running_sum(line, size, sums[y])
    g = np.empty_like(image)
    zeros = np.zeros(w)
    bands = (h + 63) // 64  # each begins its own sum, so that they can run side by side
    for band in prange(bands):
        total = np.zeros(w)
        start = band * 64
        for i in range(size):
            add1(total, 1.0, source_row(sums, zeros, start + i - before, border))
        for y in range(start, min(start + 64, h)):
            g[y] = total / size**2
            add1(total, 1.0, source_row(sums, zeros, y + 1 + after, border))
            add1(total, -1.0, source_row(sums, zeros, y - before, border))
    return g


@njit(**SERIAL)
def _running_sum(line, size, out):
    total = 0.0
    for x in range(size):
        total += line[x]
    out[0] = total
    for x in range(1, out.size):
        total += line[x + size - 1] - line[x - 1]
        out[x] = total


@njit(**FAST)
def _sharpen_loop(f, blurred, alpha):
    g = np.empty_like(f)
    for y in prange(f.shape[0]):
        for x in range(f.shape[1]):
            g[y, x] = f[y, x] + alpha * (f[y, x] - blurred[y, x])
    return g


@njit(**FAST)
def _median3_loop(image, border):
    """Sort each column of three; the median is the middle of (max of lows, middle of middles, min of highs)."""
    h, w = image.shape
    g = np.empty_like(image)
    zeros = np.zeros(w, image.dtype)
    for y in prange(h):
        ranks = np.empty((3, w + 2), image.dtype)
        low, middle, high = ranks[0], ranks[1], ranks[2]
        above, below = source_row(image, zeros, y - 1, border), source_row(image, zeros, y + 1, border)
        _sort_columns(above, image[y], below, low[1:], middle[1:], high[1:])
        for rank in range(3):
            extend_ends(ranks[rank], 1, w, border)
        _middle_of_nine(low, middle, high, g[y])
    return g


@njit(**SERIAL)
def _sort_columns(a, b, c, low, middle, high):
    for x in range(a.size):
        less, more = min(a[x], b[x]), max(a[x], b[x])
        low[x], middle[x], high[x] = min(less, c[x]), max(less, min(more, c[x])), max(more, c[x])


@njit(**SERIAL)
def _middle_of_nine(low, middle, high, out):
    for x in range(out.size):
        a = max(max(low[x], low[x + 1]), low[x + 2])
        b = max(min(middle[x], middle[x + 1]), min(max(middle[x], middle[x + 1]), middle[x + 2]))
        c = min(min(high[x], high[x + 1]), high[x + 2])
        out[x] = max(min(a, b), min(max(a, b), c))


def _selection_network(n: int) -> Array:
    """List the compare-exchanges that bring the median of n values to place n // 2.

    Batcher's odd-even merge sort without the exchanges that the middle does not need.
    """
    steps, p = [], 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        steps.append((i + j, i + j + k))
            k //= 2
        p *= 2
    needed, kept = {n // 2}, []
    for a, b in reversed(steps):
        if a in needed or b in needed:
            needed |= {a, b}
            kept.append((a, b))
    return np.array(kept[::-1])


@njit(**SERIAL)
def _exchange(a, b, low, high):
    """Write to other rows: in place, LLVM would store only where a value changes, one at a time."""
    for x in range(a.size):
        low[x], high[x] = min(a[x], b[x]), max(a[x], b[x])


@njit(**FAST)
def _median_loop(image, size, steps, border):
    """Run the network on pieces of rows that fit the first cache; `row` says where each value is."""
    h, w = image.shape
    piece, n = min(w, 256), size * size
    f = padded(image, size // 2, size // 2, border)
    g = np.empty_like(image)
    for y in prange(h):
        v, row = np.empty((n + 2, piece), image.dtype), np.arange(n + 2)  # two to spare
        for part in range((w + piece - 1) // piece):
            left = min(part * piece, w - piece)
            for i in range(n):
                v[row[i]] = f[y + i // size, left + i % size : left + i % size + piece]
            for s in range(len(steps)):
                i, j = steps[s, 0], steps[s, 1]
                _exchange(v[row[i]], v[row[j]], v[row[n]], v[row[n + 1]])
                row[i], row[n] = row[n], row[i]
                row[j], row[n + 1] = row[n + 1], row[j]
            g[y, left : left + piece] = v[row[n // 2]]
    return g


@njit(**FAST)
def _bilateral_loop(image, space, slope, border):
    """Sum of weights times neighbours over sum of weights, neighbour by neighbour over whole rows."""
    h, w = image.shape
    radius = len(space) // 2
    f = padded(image, radius, radius, border)
    g = np.empty_like(image)
    for y in prange(h):
        top, bottom = np.zeros(w, image.dtype), np.zeros(w, image.dtype)
        for i in range(len(space)):
            for j in range(len(space)):
                if space[i, j] > 0:
                    _add_weighted(top, bottom, image[y], f[y + i, j : j + w], space[i, j], slope)
        for x in range(w):
            g[y, x] = top[x] / bottom[x]
    return g


@njit(**SERIAL)
def _add_weighted(top, bottom, center, neighbour, space, slope):
    """Add one neighbour, with exp(-z) = exp(-z / 64)^64 by a polynomial (libm's exp does not vectorise)."""
    real = top.dtype.type  # an integer or a bare 0.5 would turn float32 into float64
    zero, one, limit, part = real(0), real(1), real(30), real(1 / 64)
    c2, c3, c4, c5 = real(1 / 2), real(1 / 6), real(1 / 24), real(1 / 120)
    for x in range(top.size):
        d = neighbour[x] - center[x]
        z = d * d * slope
        u = z * part
        e = one - u * (one - u * (c2 - u * (c3 - u * (c4 - u * c5))))
        e = e if z < limit else zero
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e * space
        top[x] += e * neighbour[x]
        bottom[x] += e
