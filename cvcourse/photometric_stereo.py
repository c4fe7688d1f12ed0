"""Light and photometric stereo: spectra and cones, Lambert's law, normals from several lights, depth from normals.

Vectors of this module (normals, directions towards a light) are (x, y, z): x right, **y down** as in every image of
the course, and z **towards the camera**, so that a surface that is seen has n_z > 0 and `height` grows towards the
viewer.  The camera is orthographic, one pixel is one unit of length unless a `spacing` says otherwise.  Data whose y
points up come in through `flip_y`, and nowhere else; the camera frame of lecture 11 (z away) has the z of the other sign.

Images are linear (no gamma) and stacked (K, H, W), one for each of K lights; `lights` (K, 3) are unit vectors
towards the lights and `intensities` (K,) their strengths.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage, sparse
from scipy.sparse.linalg import spsolve

from cvcourse.compiled import FAST
from cvcourse.filtering import add1, add3
from cvcourse.homogeneous import as_points
from cvcourse.images import Array, require_image

UNIT = 1e-4  # a direction whose length differs more from 1 is refused
FLAT = 1e-6  # lights in one plane: smallest over largest singular value
UNDETERMINED = 1e-9  # det(A) over (trace(A) / 3)^3 below which a pixel's lights fix no normal
STEEPEST = 0.05  # n_z below which a slope is taken as that of n_z = 0.05, 87 degrees

# CIE XYZ of 1931 as sums of Gaussians with two widths: (height, peak, width below, width above), in nm.
LOBES = (
    ((1.056, 599.8, 37.9, 31.0), (0.362, 442.0, 16.0, 26.7), (-0.065, 501.1, 20.4, 26.2)),
    ((0.821, 568.8, 46.9, 40.5), (0.286, 530.9, 16.3, 31.1)),
    ((1.217, 437.0, 11.8, 36.0), (0.681, 459.0, 26.0, 13.8)),
)
XYZ_TO_LMS = np.array([[0.38971, 0.68898, -0.07868], [-0.22981, 1.18340, 0.04641], [0.0, 0.0, 1.0]])
XYZ_TO_RGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])


class Surface(NamedTuple):
    """Unit normals (H, W, 3), albedo (H, W), and where both are known (H, W); elsewhere they are 0."""

    normals: Array
    albedo: Array
    valid: NDArray[np.bool_]


class DepthSystem(NamedTuple):
    """Sparse A (M, N) and b (M,): ``A @ z = b``; `unknown` (H, W) numbers the pixels of the mask, -1 outside."""

    A: sparse.csr_array
    b: Array
    unknown: NDArray[np.int64]


# --- spectra and cones -----------------------------------------------------------------------


def matching_functions(wavelengths: ArrayLike) -> Array:
    """Give the CIE 1931 colour-matching functions x, y, z by an analytic fit, Eq. (18.3).

    Parameters
    ----------
    wavelengths : array of shape (N,)
        In nanometres.

    Returns
    -------
    ndarray of shape (3, N)

    Raises
    ------
    ValueError
        If they are not finite positive numbers in one row.

    Notes
    -----
    Sums of Gaussians whose two halves have different widths; within 0.03 of the tables.

    References
    ----------
    .. [1] Wyman, Sloan, Shirley, Simple analytic approximations to the CIE XYZ color matching functions,
       Journal of Computer Graphics Techniques 2(2), 2013.

    Examples
    --------
    >>> matching_functions([555.0]).round(2)
    array([[0.52],
           [1.  ],
           [0.01]])
    """
    x = np.asarray(wavelengths, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not (np.isfinite(x).all() and (x > 0).all()):
        raise ValueError("wavelengths must be a row of positive numbers, in nanometres")
    return np.array(
        [sum(a * np.exp(-0.5 * ((x - m) / np.where(x < m, s, t)) ** 2) for a, m, s, t in lobes) for lobes in LOBES]
    )


def cone_sensitivities(wavelengths: ArrayLike) -> Array:
    """Give the sensitivity of the eye's L, M and S cones, each 1 at its peak.

    The colour-matching functions through the matrix of Hunt, Pointer and Estevez; a stand-in for the
    tabulated cone fundamentals, smooth and short: the peaks lie within 10 nm of the measured ones.

    Parameters
    ----------
    wavelengths : array of shape (N,)
        In nanometres.

    Returns
    -------
    ndarray of shape (3, N)
        Rows L, M, S; values >= 0.

    References
    ----------
    .. [1] Fairchild, Color Appearance Models, 3rd ed., section 9.4 (the matrix); Wyman et al. 2013 (the functions).

    Examples
    --------
    >>> x = np.arange(390.0, 731.0)
    >>> x[cone_sensitivities(x).argmax(axis=1)]
    array([576., 547., 448.])
    """
    peaks = XYZ_TO_LMS @ matching_functions(np.arange(390.0, 731.0))
    found: Array = np.maximum(XYZ_TO_LMS @ matching_functions(wavelengths), 0) / peaks.max(axis=1, keepdims=True)
    return found


def sensor_responses(spectrum: ArrayLike, sensitivities: ArrayLike, step: float = 1.0) -> Array:
    """Add up a spectrum under each sensitivity, Eq. (18.1).

    Parameters
    ----------
    spectrum : array of shape (N,) or (N, M)
        Power at N wavelengths, of one or M lights.
    sensitivities : array of shape (C, N)
    step : float
        Distance of the wavelengths.

    Returns
    -------
    ndarray of shape (C,) or (C, M)

    Raises
    ------
    ValueError
        If the shapes disagree.

    Examples
    --------
    >>> sensor_responses([1, 2, 3], [[1, 0, 0], [0, 1, 1]], step=10)
    array([10., 50.])
    """
    f, S = np.asarray(spectrum, dtype=np.float64), np.asarray(sensitivities, dtype=np.float64)
    if f.ndim not in (1, 2) or S.ndim != 2 or S.shape[1] != len(f):
        raise ValueError(f"sensitivities (C, N) and a spectrum of N values are needed, got {S.shape} and {f.shape}")
    return S @ f * step


def metamer(spectrum: ArrayLike, wish: ArrayLike, sensitivities: ArrayLike) -> Array:
    """Change a spectrum towards another as far as the sensors do not notice, Eq. (18.2).

    What lies in the null space of the sensitivities adds nothing to any response.  The part of
    ``wish - spectrum`` in it is added, all of it or as much as keeps the power >= 0 everywhere.

    Parameters
    ----------
    spectrum, wish : array of shape (N,)
        Power at N wavelengths, >= 0.
    sensitivities : array of shape (C, N)
        C < N rows, linearly independent.

    Returns
    -------
    ndarray of shape (N,)
        Same responses as `spectrum`.

    Raises
    ------
    ValueError
        For negative power, shapes that disagree, or sensors that leave no null space.

    Examples
    --------
    >>> metamer([1.0, 1, 1], [2.0, 1, 0], [[1.0, 1, 1]])
    array([2., 1., 0.])
    """
    f, g = np.asarray(spectrum, dtype=np.float64), np.asarray(wish, dtype=np.float64)
    S = np.asarray(sensitivities, dtype=np.float64)
    if f.ndim != 1 or f.shape != g.shape or S.ndim != 2 or S.shape[1] != len(f):
        raise ValueError(
            f"two spectra of N values and sensitivities (C, N) are needed: {f.shape}, {g.shape}, {S.shape}"
        )
    if not (np.min(f) >= 0 and np.min(g) >= 0):
        raise ValueError("a spectrum holds power: no value may be negative or NaN")
    if np.linalg.matrix_rank(S) >= len(f):
        raise ValueError(f"{len(S)} sensors see every change of {len(f)} values: the null space is empty")
    change = g - f
    change = change - np.linalg.pinv(S) @ (S @ change)
    falling = change < -1e-12 * np.abs(g - f).max(initial=1e-300)
    t = np.min(f[falling] / -change[falling], initial=1.0)
    return np.maximum(f + t * change, 0)


def to_rgb(spectrum: ArrayLike, wavelengths: ArrayLike, white: float = 1.0) -> Array:
    """Give the colour of a spectrum on a screen: sRGB with gamma, what the screen cannot show clipped.

    Parameters
    ----------
    spectrum, wavelengths : array of shape (N,)
        Power at equally spaced wavelengths in nanometres.
    white : float
        The luminance (sum of spectrum times y) that is shown as the screen's white.

    Returns
    -------
    ndarray of shape (3,)
        In [0, 1].

    References
    ----------
    .. [1] IEC 61966-2-1 (sRGB).

    Examples
    --------
    >>> bool(np.argmax(to_rgb([0, 0, 1.0], [450.0, 550, 650])) == 0)  # 650 nm is red
    True
    """
    rgb = XYZ_TO_RGB @ sensor_responses(spectrum, matching_functions(wavelengths)) / white
    rgb = np.clip(rgb, 0, 1)
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


# --- directions and rendering ----------------------------------------------------------------


def flip_y(vectors: ArrayLike) -> Array:
    """Turn vectors with y up into vectors with y down, or back: the one place where that happens.

    Parameters
    ----------
    vectors : array of shape (..., 3)

    Returns
    -------
    ndarray of the same shape
        A copy with the sign of y changed.

    Examples
    --------
    >>> flip_y([0.6, 0.0, 0.8]) + 0.0
    array([0.6, 0. , 0.8])
    """
    v = np.asarray(vectors)
    if v.ndim == 0 or v.shape[-1] != 3:
        raise ValueError(f"vectors must have shape (..., 3), got {v.shape}")
    return v * np.array([1, -1, 1], dtype=v.dtype if np.issubdtype(v.dtype, np.floating) else np.float64)


def light_direction(azimuth: float, elevation: float) -> Array:
    """Give the unit vector towards a light, Eq. (18.6).

    Parameters
    ----------
    azimuth : float
        Radians from +x towards +y: on the screen clockwise, for y points down.
    elevation : float
        Radians above the image plane; pi / 2 is the camera's own direction.

    Returns
    -------
    ndarray of shape (3,)

    Examples
    --------
    >>> light_direction(0.0, np.pi / 6).round(3)
    array([0.866, 0.   , 0.5  ])
    """
    a, e = float(azimuth), float(elevation)
    return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])


def surface_normals(height: Array, spacing: tuple[float, float] = (1.0, 1.0)) -> Array:
    """Give the unit normals of a height field, by central differences, Eq. (18.7).

    Parameters
    ----------
    height : ndarray of shape (H, W)
        Towards the viewer, H, W >= 3.
    spacing : (float, float)
        Width and height of a pixel, in the unit of `height`.

    Returns
    -------
    ndarray of shape (H, W, 3)
        ``(-z_x, -z_y, 1)`` over its length.

    Raises
    ------
    ValueError
        For fewer than 3 rows or columns.

    Examples
    --------
    >>> surface_normals(np.outer(np.ones(3), [0.0, 1, 2]))[1, 1].round(3) + 0.0  # rises to the right, faces left
    array([-0.707,  0.   ,  0.707])
    """
    z = require_image(height, gray=True, name="height")
    if min(z.shape) < 3:
        raise ValueError(f"height needs 3 rows and columns for central differences, got shape {z.shape}")
    dx, dy = _spacing(spacing)
    zy, zx = np.gradient(z, dy, dx, edge_order=2)
    n = np.stack([-zx, -zy, np.ones_like(z)], axis=-1)
    result: Array = n / np.linalg.norm(n, axis=-1, keepdims=True)
    return result


def shade(normals: Array, albedo: Array, lights: ArrayLike, intensities: ArrayLike | None = None) -> Array:
    """Render a Lambertian surface with attached shadows, Eq. (18.5).

    Parameters
    ----------
    normals : ndarray of shape (H, W, 3)
        Unit vectors, or 0 where there is no surface.
    albedo : ndarray of shape (H, W)
    lights : array of shape (3,) or (K, 3)
        Unit vectors towards the lights.
    intensities : array of shape (K,), optional
        1 if not given.

    Returns
    -------
    ndarray of shape (H, W) or (K, H, W)
        ``albedo * intensity * max(0, n . l)``; above 1 where a sensor would saturate.

    Raises
    ------
    ValueError
        If shapes disagree, or a light is not a unit vector.

    Notes
    -----
    No cast shadows (see `cast_shadows`), no interreflection.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 2.2.2.

    Examples
    --------
    >>> shade(np.array([[[0, 0, 1.0]]]), np.array([[0.5]]), [0.6, 0, 0.8])
    array([[0.4]])
    """
    n, k = _require_normals(normals), require_image(albedo, gray=True, name="albedo")
    if n.shape[:2] != k.shape:
        raise ValueError(f"normals have shape {n.shape}, albedo {k.shape}")
    single = np.ndim(lights) == 1
    scaled = _scaled_lights(np.atleast_2d(lights), intensities).astype(n.dtype)
    images: Array = np.maximum(np.moveaxis(n @ scaled.T, -1, 0), 0) * k
    return images[0] if single else np.ascontiguousarray(images)


@njit(**FAST)
def _shadow_loop(z, ux, uy, rise, top, lit):
    """Walk from each pixel towards the light, pixel by pixel, and look whether the surface is above the ray."""
    height, width = z.shape
    for row in prange(height):
        for col in range(width):
            x, y, ray = float(col), float(row), float(z[row, col])
            lit[row, col] = True
            while True:
                x, y, ray = x + ux, y + uy, ray + rise
                if ray >= top or x < 0 or y < 0 or x > width - 1 or y > height - 1:
                    break
                i, j = int(y), int(x)
                a, b = y - i, x - j
                i1, j1 = min(i + 1, height - 1), min(j + 1, width - 1)
                surface = (1 - a) * ((1 - b) * z[i, j] + b * z[i, j1]) + a * ((1 - b) * z[i1, j] + b * z[i1, j1])
                if surface > ray:
                    lit[row, col] = False
                    break


def cast_shadows(height: Array, light: ArrayLike, spacing: tuple[float, float] = (1.0, 1.0)) -> NDArray[np.bool_]:
    """Find which pixels of a height field the light reaches.

    From each pixel a ray goes towards the light, in steps of one pixel; the pixel is in shadow if the
    surface, read bilinearly, rises above the ray before the ray is above all of it.

    Parameters
    ----------
    height : ndarray of shape (H, W)
    light : array of shape (3,)
        Unit vector towards the light, l_z > 0.
    spacing : (float, float)
        Width and height of a pixel, in the unit of `height`.

    Returns
    -------
    lit : bool ndarray of shape (H, W)
        False in cast shadows, and on slopes that face away.

    Raises
    ------
    ValueError
        For a light that is no unit vector, or not in front.

    Notes
    -----
    Costs a walk a pixel: long for low lights over high surfaces.  What lies beyond the picture casts no shadow.

    Examples
    --------
    >>> wall = np.array([[0.0, 0, 0, 2, 0, 0]])
    >>> cast_shadows(wall, [0.8, 0, 0.6]).astype(int)  # the light is at the right, 37 degrees high
    array([[1, 0, 0, 1, 1, 1]])
    """
    z = require_image(height, gray=True, name="height")
    lx, ly, lz = _unit_vectors(np.atleast_2d(light), "light")[0]
    if lz <= 0:
        raise ValueError(f"the light must be in front of the surface, l_z > 0; got {lz:g}")
    dx, dy = _spacing(spacing)
    lit = np.ones(z.shape, dtype=bool)
    longest = max(abs(lx) / dx, abs(ly) / dy)
    if longest > 1e-12:
        slack = 1e-9 * float(np.ptp(z))
        _shadow_loop(z - slack, lx / dx / longest, ly / dy / longest, lz / longest + slack, float(z.max()), lit)
    return lit


# --- normals and albedo ----------------------------------------------------------------------


@njit(**FAST)
def _fit_loop(images, inverse, normals, albedo):
    """Multiply by the pseudoinverse at each pixel, g = L^+ i, Eq. (18.13): its length is the albedo, its direction the normal."""
    count, height, width = images.shape
    zero, one = images.dtype.type(0), images.dtype.type(1)
    for row in prange(height):
        g = np.zeros((3, width), images.dtype)
        for part in range(3):
            for k in range(0, count - 2, 3):  # three images a sweep
                a, b, c = inverse[part, k], inverse[part, k + 1], inverse[part, k + 2]
                add3(g[part], a, images[k, row], b, images[k + 1, row], c, images[k + 2, row])
            for k in range(count - count % 3, count):
                add1(g[part], inverse[part, k], images[k, row])
        gx, gy, gz, length, normal = g[0], g[1], g[2], albedo[row], normals[row]
        for x in range(width):
            length[x] = np.sqrt(gx[x] * gx[x] + gy[x] * gy[x] + gz[x] * gz[x])
        for x in range(width):
            s = one / length[x] if length[x] > zero else zero
            normal[x, 0], normal[x, 1], normal[x, 2] = gx[x] * s, gy[x] * s, gz[x] * s


@njit(**FAST)
def _sum_loop(images, weights, lights, A):
    """Collect the six entries of A = sum w l l^T and the three of sum w i l, Eq. (18.12), at each pixel of (9, H, W)."""
    count, height, width = images.shape
    for row in prange(height):
        for k in range(count):
            lx, ly, lz = lights[k]
            i, w = images[k, row], weights[k, row]
            for x in range(width):
                v = float(w[x])
                A[0, row, x] += v * lx * lx
                A[1, row, x] += v * lx * ly
                A[2, row, x] += v * lx * lz
                A[3, row, x] += v * ly * ly
                A[4, row, x] += v * ly * lz
                A[5, row, x] += v * lz * lz
                A[6, row, x] += v * i[x] * lx
                A[7, row, x] += v * i[x] * ly
                A[8, row, x] += v * i[x] * lz


def _adjugate(A: Array) -> tuple[Array, Array]:
    """Adjugate (six entries) and determinant of symmetric 3 x 3 matrices given by six entries (6, ...)."""
    a, b, c, d, e, f = A[:6]
    adjugate = np.stack([d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b])
    return adjugate, a * adjugate[0] + b * adjugate[1] + c * adjugate[2]


def _solvable(A: Array, det: Array) -> NDArray[np.bool_]:
    """Whether at least three lights that are not in one plane have a weight."""
    result: NDArray[np.bool_] = det > UNDETERMINED * ((A[0] + A[3] + A[5]) / 3) ** 3
    return result


def fit_normals(
    images: Array, lights: ArrayLike, intensities: ArrayLike | None = None, weights: Array | None = None
) -> Surface:
    """Estimate normal and albedo at each pixel from K >= 3 images, by (weighted) least squares.

    ``g = albedo * normal`` minimises ``sum w_k (i_k - e_k l_k . g)^2``; its length is the albedo.
    Without weights the pseudoinverse of the lights is the same at all pixels, so g is K products a pixel.

    Parameters
    ----------
    images : ndarray of shape (K, H, W)
        Linear intensities, float32 or float64.
    lights : array of shape (K, 3)
        Unit vectors towards the lights, not all in one plane.
    intensities : array of shape (K,), optional
        Strengths of the lights, > 0; 1 if not given.
    weights : ndarray of shape (K, H, W), optional
        >= 0 (or bool); 0 leaves a value out, for example a shadow.

    Returns
    -------
    Surface
        Where fewer than three lights (or three in one plane) have a weight, or all is black, `valid` is False.

    Raises
    ------
    TypeError
        For images that are not floating point.
    ValueError
        For fewer than three lights, lights in one plane, lights that are no unit vectors, shapes that disagree,
        NaN, or if no pixel at all can be solved ("all in shadow").

    Notes
    -----
    Shadows and highlights bias the result unless weights leave them out: see `trimmed_weights`.

    References
    ----------
    .. [1] Woodham, Photometric method for determining surface orientation from multiple images, 1980,
       doi:10.1117/12.7972479.

    Examples
    --------
    >>> lights = np.eye(3)
    >>> fit_normals(np.array([0.3, 0.0, 0.4]).reshape(3, 1, 1), lights).normals[0, 0].round(6)
    array([0.6, 0. , 0.8])
    """
    stack, directions = _require_stack(images, finite=weights is not None), _require_lights(lights)
    scaled = _scaled_lights(directions, intensities)
    if len(stack) != len(scaled):
        raise ValueError(f"{len(stack)} images but {len(scaled)} lights")
    normals, albedo = np.empty((*stack.shape[1:], 3), stack.dtype), np.empty(stack.shape[1:], stack.dtype)
    if weights is None:
        _fit_loop(stack, np.linalg.pinv(scaled).astype(stack.dtype), normals, albedo)
        if not np.isfinite(albedo).all():  # one NaN in any image makes it NaN here: no pass over all images is needed
            raise ValueError("images hold NaN or infinity")
        valid = albedo > 0
    else:
        A = np.zeros((9, *stack.shape[1:]))
        _sum_loop(stack, _require_weights(weights, stack.shape), scaled, A)
        inverse, det = _adjugate(A)
        valid = _solvable(A, det)
        g = _symmetric_product(inverse / np.where(valid, det, np.inf), A[6:])
        albedo[...] = np.sqrt((g**2).sum(axis=0))
        valid &= albedo > 0
        normals[...] = np.moveaxis(g / np.where(valid, np.sqrt((g**2).sum(axis=0)), np.inf), 0, -1)
        albedo[~valid] = 0
    if not valid.any():
        raise ValueError("all in shadow: no pixel is lit by three lights that are not in one plane")
    return Surface(normals, albedo, valid)


def _symmetric_product(A: Array, v: Array) -> Array:
    """Matrices of six entries (6, ...) times vectors (3, ...)."""
    a, b, c, d, e, f = A
    return np.stack([a * v[0] + b * v[1] + c * v[2], b * v[0] + d * v[1] + e * v[2], c * v[0] + e * v[1] + f * v[2]])


@njit(**FAST)
def _trim_loop(images, low, high, weights):
    """Rank the values of each pixel by counting smaller ones; keep the ranks from `low` to `high` - 1."""
    count, height, width = images.shape
    for row in prange(height):
        rank = np.empty(width, np.int64)
        for k in range(count):
            rank[:] = 0
            mine = images[k, row]
            for j in range(count):
                other = images[j, row]
                if j < k:  # of equal values the earlier image counts as smaller
                    for x in range(width):
                        rank[x] += other[x] <= mine[x]
                else:
                    for x in range(width):
                        rank[x] += other[x] < mine[x]
            for x in range(width):
                weights[k, row, x] = (rank[x] >= low) & (rank[x] < high)


def trimmed_weights(images: Array, darkest: int, brightest: int) -> NDArray[np.bool_]:
    """Leave out the darkest and the brightest values of each pixel.

    Parameters
    ----------
    images : ndarray of shape (K, H, W)
        Divided by the intensities of their lights before, or a weak light's image counts as dark.
    darkest, brightest : int
        How many to leave out; at least three must remain.

    Returns
    -------
    weights : bool ndarray of shape (K, H, W)

    Raises
    ------
    ValueError
        If fewer than three values remain.

    Notes
    -----
    Shadows are too dark and highlights too bright for Lambert's law.  Also good values go, and with them precision.

    Examples
    --------
    >>> trimmed_weights(np.array([0.1, 0.9, 0.3, 0.4, 0.5]).reshape(5, 1, 1), 1, 1).ravel().astype(int)
    array([0, 0, 1, 1, 1])
    """
    stack = _require_stack(images)
    kept = len(stack) - _count("darkest", darkest) - _count("brightest", brightest)
    if kept < 3:
        raise ValueError(f"three values must remain, but of {len(stack)} images {kept} would")
    weights = np.empty(stack.shape, dtype=bool)
    _trim_loop(stack, darkest, darkest + kept, weights)
    return weights


def fit_albedo(
    images: Array,
    lights: ArrayLike,
    normals: Array,
    intensities: ArrayLike | None = None,
    weights: Array | None = None,
) -> Array:
    """Estimate the albedo of a surface whose normals are known, for each colour channel: Eq. (18.15).

    Parameters
    ----------
    images : ndarray of shape (K, H, W) or (K, H, W, 3)
    lights, intensities, weights
        As for `fit_normals`; two lights are enough here.
    normals : ndarray of shape (H, W, 3)

    Returns
    -------
    albedo : ndarray of shape (H, W) or (H, W, 3)
        0 where no light reaches the surface.

    Raises
    ------
    ValueError
        If shapes disagree.

    Examples
    --------
    >>> up = np.array([[[0, 0, 1.0]]])
    >>> fit_albedo(np.array([[[[0.4, 0.2, 0.1]]]]), [[0.6, 0, 0.8]], up).round(3)
    array([[[0.5  , 0.25 , 0.125]]])
    """
    stack = _require_stack(images, channels=True)
    s = shade(normals, np.ones(np.shape(normals)[:2]), np.atleast_2d(lights), intensities)
    if s.shape != stack.shape[:3]:
        raise ValueError(f"images have shape {stack.shape}, lights and normals make {s.shape}")
    w = s if weights is None else s * _require_weights(weights, s.shape)
    total = (w * s).sum(axis=0)
    w = w / np.where(total > 0, total, np.inf)
    return np.einsum("khw...,khw->hw...", stack, w).astype(stack.dtype)


def angular_error(normals: ArrayLike, truth: ArrayLike) -> Array:
    """Measure the angle between two fields of normals.

    Parameters
    ----------
    normals, truth : array of shape (..., 3)
        Of any length; a zero vector counts as perpendicular.

    Returns
    -------
    ndarray of shape (...)
        Radians, 0 to pi.

    Examples
    --------
    >>> angular_error([0, 0, 1], [0, 1, 1]).round(4)
    np.float64(0.7854)
    """
    a, b = np.asarray(normals, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise ValueError(f"two arrays of equal shape (..., 3) are needed, got {a.shape} and {b.shape}")
    dot = (a * b).sum(axis=-1)
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    angle: Array = np.where((dot == 0) & (cross == 0), np.pi / 2, np.arctan2(cross, dot))
    return angle


# --- lights from a mirror ball ---------------------------------------------------------------


def find_highlight(image: Array, fraction: float = 0.97) -> Array:
    """Find the brightest spot: the centroid of all pixels above a fraction of the maximum.

    Parameters
    ----------
    image : ndarray of shape (H, W)
    fraction : float
        In (0, 1].

    Returns
    -------
    ndarray of shape (2,)
        (x, y), in pixels.

    Raises
    ------
    ValueError
        For a black image.

    Examples
    --------
    >>> find_highlight(np.array([[0.0, 0, 0, 0], [0, 0, 0.9, 0.9]]))
    array([2.5, 1. ])
    """
    f = require_image(image, gray=True)
    top = float(f.max())
    if top <= 0 or not 0 < fraction <= 1:
        raise ValueError("a highlight needs an image that is not black, and a fraction in (0, 1]")
    row, col = np.nonzero(f >= fraction * top)
    w = f[row, col].astype(np.float64)
    return np.array([w @ col, w @ row]) / w.sum()


def light_from_highlight(point: ArrayLike, center: ArrayLike, radius: float) -> Array:
    """Give the direction of a distant light from its mirror image in a chrome ball, Eqs. (18.16), (18.17).

    Parameters
    ----------
    point, center : array of shape (2,)
        The highlight and the ball's centre, (x, y) in pixels.
    radius : float
        Of the ball, in pixels.

    Returns
    -------
    ndarray of shape (3,)
        Unit vector towards the light, y down.

    Raises
    ------
    ValueError
        If the point is not on the ball.

    Examples
    --------
    >>> light_from_highlight([15, 10], [10, 10], 10).round(3) + 0.0  # half way out: 30 degrees, so 60 for the light
    array([0.866, 0.   , 0.5  ])
    """
    (x, y), r = as_points(np.atleast_2d(point))[0] - as_points(np.atleast_2d(center))[0], float(radius)
    if not r > 0 or x * x + y * y >= r * r:
        raise ValueError(f"the highlight is {np.hypot(x, y):.4g} px from the centre, outside the ball of radius {r:g}")
    n = np.array([x, y, np.sqrt(r * r - x * x - y * y)]) / r
    result: Array = 2 * n[2] * n - np.array([0, 0, 1.0])
    return result


# --- depth from normals ----------------------------------------------------------------------


def slopes(normals: Array, spacing: tuple[float, float] = (1.0, 1.0)) -> tuple[Array, Array]:
    """Give the rise of the surface per pixel, p = z_x and q = z_y, from its normals: Eq. (18.18).

    Parameters
    ----------
    normals : ndarray of shape (H, W, 3)
        n_z below 0.05 counts as 0.05: a slope beyond 87 degrees is not measured, but noise.
    spacing : (float, float)
        Width and height of a pixel.

    Returns
    -------
    p, q : ndarrays of shape (H, W)
        To the right and down.

    Examples
    --------
    >>> p, q = slopes(np.array([[[-0.6, 0, 0.8]]]))
    >>> p.item().__round__(4), q.item() + 0
    (0.75, 0.0)
    """
    n, (dx, dy) = _require_normals(normals), _spacing(spacing)
    nz = np.maximum(n[..., 2], n.dtype.type(STEEPEST))
    return -n[..., 0] / nz * n.dtype.type(dx), -n[..., 1] / nz * n.dtype.type(dy)


def depth_system(
    normals: Array, mask: NDArray[np.bool_] | None = None, spacing: tuple[float, float] = (1.0, 1.0)
) -> DepthSystem:
    """Write the equations that tie the heights of neighbouring pixels to their normals, Eq. (18.21).

    One row for each pair of neighbours inside the mask, first the horizontal ones, then the vertical:
    ``w (z_right - z_left) = w (p_left + p_right) / 2``, weighted by the smaller n_z of the two.

    Parameters
    ----------
    normals : ndarray of shape (H, W, 3)
    mask : bool ndarray of shape (H, W), optional
        Where there is a surface; everywhere if not given.
    spacing : (float, float)
        Width and height of a pixel.

    Returns
    -------
    DepthSystem
        Two entries a row; A has the vector of ones in its null space, once for every connected part.

    Raises
    ------
    ValueError
        For an empty mask, or shapes that disagree.

    Examples
    --------
    >>> flat = np.tile([0.0, 0, 1], (1, 3, 1))
    >>> depth_system(flat).A.toarray().astype(int)
    array([[-1,  1,  0],
           [ 0, -1,  1]])
    """
    n = _require_normals(normals)
    inside = _require_mask(mask, n.shape[:2])
    p, q = slopes(n, spacing)
    unknown = np.where(inside, np.cumsum(inside).reshape(inside.shape) - 1, -1)
    pairs, values = [], []
    for slope, first, second in ((p, np.s_[:, :-1], np.s_[:, 1:]), (q, np.s_[:-1], np.s_[1:])):
        both = inside[first] & inside[second]
        w = np.maximum(np.minimum(n[..., 2][first], n[..., 2][second]), STEEPEST)[both]
        pairs.append(np.stack([unknown[first][both], unknown[second][both], w], axis=1))
        values.append(w * (slope[first][both] + slope[second][both]) / 2)
    left, right, w = np.concatenate(pairs).T
    rows = np.arange(len(w))
    A = sparse.csr_array(
        (np.concatenate([-w, w]), (np.concatenate([rows, rows]), np.concatenate([left, right]).astype(int))),
        shape=(len(w), int(inside.sum())),
    )
    return DepthSystem(A, np.concatenate(values).astype(np.float64), unknown)


def depth_from_normals(
    normals: Array, mask: NDArray[np.bool_] | None = None, spacing: tuple[float, float] = (1.0, 1.0)
) -> Array:
    """Find the height field whose slopes agree best with the normals, inside a mask, by sparse least squares.

    Parameters
    ----------
    normals : ndarray of shape (H, W, 3)
    mask : bool ndarray of shape (H, W), optional
        Where there is a surface; everywhere if not given.
    spacing : (float, float)
        Width and height of a pixel; the height comes in the same unit.

    Returns
    -------
    height : ndarray of shape (H, W), float64
        Towards the viewer, with mean 0 in each connected part of the mask (its constant is unknown); 0 outside.

    Raises
    ------
    ValueError
        For an empty mask, or shapes that disagree.

    Notes
    -----
    Solves ``A^T A z = A^T b`` directly: about 0.2 s for 30 000 pixels, growing as N^1.3.  For a full rectangle
    `integrate` is some hundred times faster, without the weights.  A step in depth is invisible to normals.

    References
    ----------
    .. [1] Quéau, Durou, Aujol, Normal integration: a survey, 2018, doi:10.1007/s10851-017-0773-x.

    Examples
    --------
    >>> depth_from_normals(np.tile([-0.6, 0, 0.8], (1, 3, 1))).round(6) + 0.0
    array([[-0.75,  0.  ,  0.75]])
    """
    A, b, unknown = depth_system(normals, mask, spacing)
    inside = unknown >= 0
    parts, count = ndimage.label(inside)
    part = parts[inside] - 1
    free = np.ones(len(part), dtype=bool)
    free[np.unique(part, return_index=True)[1]] = False  # one pixel of each part is held at 0: the constant
    z = np.zeros(len(part))
    if free.any():
        B = A[:, free]
        z[free] = spsolve((B.T @ B).tocsc(), B.T @ b, permc_spec="MMD_AT_PLUS_A")
    z -= (np.bincount(part, z, count) / np.bincount(part, minlength=count))[part]
    height = np.zeros(unknown.shape)
    height[inside] = z
    return height


@njit(**FAST)
def _divergence(p, q, out):
    """A^T b of the differences (p_left + p_right) / 2 and (q_up + q_down) / 2, Eq. (18.22)."""
    height, width = p.shape
    half = p.dtype.type(0.5)
    for y in prange(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        above, below = half * (y > 0), half * (y < height - 1)
        here, line = p[y], out[y]
        for x in range(width):
            line[x] = above * (q[up, x] + q[y, x]) - below * (q[y, x] + q[down, x])
        for x in range(1, width - 1):
            line[x] += half * (here[x - 1] - here[x + 1])
        if width > 1:
            line[0] -= half * (here[0] + here[1])
            line[width - 1] += half * (here[width - 2] + here[width - 1])


@njit(**FAST)
def _divide(f, ey, ex):
    for y in prange(f.shape[0]):
        for x in range(f.shape[1]):
            f[y, x] /= ey[y] + ex[x]


def integrate(p: Array, q: Array) -> Array:
    """Find the height field with the given slopes on a full rectangle: Poisson's equation by cosine transforms.

    Least squares over all differences, ``z_right - z_left = (p_left + p_right) / 2`` and downwards likewise.
    The normal equations are a discrete Poisson equation, diagonal in the cosine transform, Eq. (18.23).

    Parameters
    ----------
    p, q : ndarray of shape (H, W)
        Rise per pixel to the right and down, float32 or float64.

    Returns
    -------
    height : ndarray of shape (H, W)
        With mean 0.

    Raises
    ------
    ValueError
        If the shapes disagree.

    Notes
    -----
    O(N log N).  Every pixel counts, also where there is no surface: for a mask use `depth_from_normals`.

    References
    ----------
    .. [1] Simchony, Chellappa, Shao, Direct analytical methods for solving Poisson equations in computer vision
       problems, 1990, doi:10.1109/34.55103.

    Examples
    --------
    >>> integrate(np.full((1, 3), 0.75), np.zeros((1, 3))).round(6) + 0.0
    array([[-0.75,  0.  ,  0.75]])
    """
    p, q = _require_pair(p, q)
    f = np.empty_like(p)
    _divergence(p, q, f)
    f = fft.dctn(f, type=2, overwrite_x=True)
    ey, ex = ((2 - 2 * np.cos(np.pi * np.arange(k) / k)).astype(p.dtype) for k in p.shape)
    f[0, 0] = 0
    ey[0] = 1e-30  # instead of 0 / 0 at the constant, which is free
    _divide(f, ey, ex)
    result: Array = fft.idctn(f, type=2, overwrite_x=True)
    return result


def integrate_periodic(p: Array, q: Array) -> Array:
    """Find the height field with the given slopes by Fourier transforms (Frankot and Chellappa), Eq. (18.24).

    Parameters
    ----------
    p, q : ndarray of shape (H, W)
        Rise per pixel to the right and down.

    Returns
    -------
    height : ndarray of shape (H, W)
        With mean 0.

    Raises
    ------
    ValueError
        If the shapes disagree.

    Notes
    -----
    It takes the surface for one tile of a periodic pattern: what rises from one border to the other cannot be
    represented, and `integrate` should be used.

    References
    ----------
    .. [1] Frankot, Chellappa, A method for enforcing integrability in shape from shading algorithms, 1988,
       doi:10.1109/34.3909.

    Examples
    --------
    >>> x = 2 * np.pi * np.arange(8) / 8
    >>> p = np.tile(2 * np.pi / 8 * np.cos(x), (8, 1))
    >>> np.allclose(integrate_periodic(p, np.zeros((8, 8))), np.sin(x))
    True
    """
    p, q = _require_pair(p, q)
    v, u = 2 * np.pi * fft.fftfreq(p.shape[0])[:, None], 2 * np.pi * fft.rfftfreq(p.shape[1])[None]
    size = u**2 + v**2
    size[0, 0] = np.inf
    z = -1j * (u * fft.rfft2(p) + v * fft.rfft2(q)) / size
    height: Array = fft.irfft2(z, p.shape).astype(p.dtype)
    return height


# --- what cannot be known, and how well the rest is ------------------------------------------


def bas_relief_matrix(mu: float, nu: float, lam: float) -> Array:
    """Build the bas-relief transform: the surface z becomes ``lam z + mu x + nu y``, Eq. (18.27).

    Parameters
    ----------
    mu, nu : float
        Added slope to the right and down.
    lam : float
        Factor of the relief, > 0.

    Returns
    -------
    G : ndarray of shape (3, 3)
        Points go to ``G @ X``, ``albedo * normal`` to ``inv(G).T @ g``, lights (times intensity) to ``G @ l``:
        then every image stays as it was.

    Raises
    ------
    ValueError
        If lam is not positive.

    References
    ----------
    .. [1] Belhumeur, Kriegman, Yuille, The bas-relief ambiguity, 1999, doi:10.1023/A:1008154927611.

    Examples
    --------
    >>> bas_relief_matrix(0.1, 0.2, 0.5) @ [1, 1, 2]
    array([1. , 1. , 1.3])
    """
    if not (np.isfinite([mu, nu, lam]).all() and lam > 0):
        raise ValueError(f"mu and nu must be finite and lam > 0, got {mu}, {nu}, {lam}")
    return np.array([[1, 0, 0], [0, 1, 0], [mu, nu, lam]], dtype=np.float64)


def noise_gain(lights: ArrayLike, intensities: ArrayLike | None = None) -> float:
    """Give trace((L^T L)^-1): the variance of g, summed over its parts, for image noise of variance 1, Eq. (18.25).

    Parameters
    ----------
    lights, intensities
        As for `fit_normals`.

    Returns
    -------
    float
        9 / K at best, for K >= 3 lights of intensity 1.

    Raises
    ------
    ValueError
        As `fit_normals` for the lights.

    Examples
    --------
    >>> noise_gain(np.eye(3))
    3.0
    """
    L = _scaled_lights(_require_lights(lights), intensities)
    return float(np.trace(np.linalg.inv(L.T @ L)))


def predicted_error(
    surface: Surface,
    lights: ArrayLike,
    sigma: float,
    intensities: ArrayLike | None = None,
    weights: Array | None = None,
) -> Array:
    """Predict the error of the normals that `fit_normals` will make, before any picture is taken: Eq. (18.26).

    Parameters
    ----------
    surface : Surface
        Normals and albedo, true or estimated.
    lights, intensities
        As for `fit_normals`.
    sigma : float
        Standard deviation of the noise of the images.
    weights : ndarray of shape (K, H, W), optional
        Which values will be used, 0 or 1; all if not given.

    Returns
    -------
    error : ndarray of shape (H, W)
        Root mean square angle in radians, to first order (good to some 10 degrees); infinite where the
        normal is not determined.

    Raises
    ------
    ValueError
        As `fit_normals`.

    Examples
    --------
    >>> flat = Surface(np.array([[[0, 0, 1.0]]]), np.array([[0.5]]), np.array([[True]]))
    >>> predicted_error(flat, np.eye(3), 0.01).round(4)  # sqrt(2) sigma / albedo
    array([[0.0283]])
    """
    n, L = _require_normals(surface.normals).astype(np.float64), _scaled_lights(_require_lights(lights), intensities)
    shape = n.shape[:2]
    A = np.zeros((9, *shape))
    used = np.ones((len(L), *shape)) if weights is None else _require_weights(weights, (len(L), *shape))
    _sum_loop(np.zeros_like(used), used, L, A)
    inverse, det = _adjugate(A)
    valid = _solvable(A, det) & (surface.albedo > 0)
    C = inverse / np.where(valid, det, np.inf)
    n = np.moveaxis(n, -1, 0)
    along = (n * _symmetric_product(C, n)).sum(axis=0)
    across = np.maximum(C[0] + C[3] + C[5] - along, 0)
    return np.where(valid, sigma * np.sqrt(across) / np.where(valid, surface.albedo, 1), np.inf)


# --- checks at the door ----------------------------------------------------------------------


def _unit_vectors(vectors: ArrayLike, name: str) -> Array:
    v = as_points(vectors, 3, name)
    length = np.linalg.norm(v, axis=1)
    worst = int(np.argmax(np.abs(length - 1)))
    if abs(length[worst] - 1) > UNIT:
        raise ValueError(
            f"{name} must be unit vectors, but number {worst} has length {length[worst]:.4g}: "
            "divide by the length; a light's strength goes into intensities"
        )
    return v


def _require_lights(lights: ArrayLike) -> Array:
    L = _unit_vectors(lights, "lights")
    if len(L) < 3:
        raise ValueError(f"three unknowns a pixel need at least 3 lights, got {len(L)}")
    s = np.linalg.svd(L, compute_uv=False)
    if s[2] < FLAT * s[0]:
        raise ValueError("the lights lie in one plane: normals across it are not determined; move one light out of it")
    return L


def _scaled_lights(lights: ArrayLike, intensities: ArrayLike | None) -> Array:
    """Rows e_k l_k."""
    L = _unit_vectors(lights, "lights")
    if intensities is None:
        return L
    e = np.asarray(intensities, dtype=np.float64)
    if e.shape != (len(L),) or not (np.isfinite(e).all() and (e > 0).all()):
        raise ValueError(f"intensities must be {len(L)} positive numbers, one for each light; got shape {e.shape}")
    return L * e[:, None]


def _require_stack(images: Any, channels: bool = False, finite: bool = True) -> Array:
    if isinstance(images, list | tuple):
        images = np.stack(images)
    if not isinstance(images, np.ndarray) or images.dtype not in (np.float32, np.float64):
        found = getattr(images, "dtype", type(images).__name__)
        raise TypeError(f"images must be a float32 or float64 array (K, H, W), got {found}")
    if images.ndim != 3 and not (channels and images.ndim == 4 and images.shape[3] == 3):
        raise ValueError(f"images must have shape (K, H, W), got {images.shape}")
    if images.size == 0:
        raise ValueError(f"images are empty: their shape is {images.shape}")
    if finite and not np.isfinite(images).all():
        raise ValueError("images hold NaN or infinity")
    return np.require(images, requirements=["C", "W"])


def _require_weights(weights: Any, shape: Sequence[int]) -> Array:
    w = np.asarray(weights)
    if w.shape != tuple(shape):
        raise ValueError(f"weights must have the images' shape {tuple(shape)}, got {w.shape}")
    w = np.require(w, dtype=np.float64, requirements=["C", "W"])
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("weights must be finite and not negative")
    return w


def _require_normals(normals: Any) -> Array:
    n = require_image(normals, name="normals")
    if n.ndim != 3:
        raise ValueError(f"normals must have shape (H, W, 3), got {n.shape}")
    return n


def _require_mask(mask: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(shape, dtype=bool)
    m = np.asarray(mask)
    if m.dtype != np.bool_ or m.shape != shape:
        raise ValueError(f"mask must be bool of shape {shape}, got {m.dtype} of shape {m.shape}")
    if not m.any():
        raise ValueError("the mask is empty: there is no surface")
    return m


def _require_pair(p: Any, q: Any) -> tuple[Array, Array]:
    p, q = require_image(p, gray=True, name="p"), require_image(q, gray=True, name="q")
    if p.shape != q.shape:
        raise ValueError(f"p has shape {p.shape}, q {q.shape}")
    return p, np.require(q, dtype=p.dtype, requirements=["C", "W"])


def _spacing(spacing: Any) -> tuple[float, float]:
    if np.shape(spacing) != (2,) or not (np.isfinite(spacing).all() and min(spacing) > 0):
        raise ValueError(f"spacing must be (width, height) of a pixel, two positive numbers; got {spacing!r}")
    return float(spacing[0]), float(spacing[1])


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")
    return int(value)
