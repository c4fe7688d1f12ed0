"""Alignment: the transform that carries one set of points onto another with least squared error.

`src` and `dst` are corresponding points, (N, 2) arrays in (x, y) order, in pixels; every `fit_*`
returns a (3, 3) matrix T with ``dst ~ T @ src``.  Translation, Euclidean, similarity and affine fits
minimise the distances in pixels at once.  A homography does not depend linearly on its entries: the
direct linear transform (DLT) minimises an algebraic error, and `refine_homography` goes on from there
to the distances.
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from cvcourse.compiled import SERIAL
from cvcourse.homogeneous import as_points, normalizer, null_vector, to_homogeneous, transform_points
from cvcourse.images import Array
from cvcourse.transforms import fix_scale, require_transform

DEGENERATE = 1e-10  # ratio of singular values, normalised points: below it the solution is not unique
SQUARE_LOSES = 1e-6  # ratio of eigenvalues of A^T A: above it the eigenvector keeps ten digits
NEAR_ZERO = 1e-9  # H[2, 2] against the third coordinates of the points


# --- fits that are linear in their parameters ------------------------------------------------


def fit_translation(src: ArrayLike, dst: ArrayLike) -> Array:
    """Estimate the translation with the least sum of squared distances: the mean of dst - src, Eq. (9.4).

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points (x, y), N >= 1.

    Returns
    -------
    T : ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        If the shapes disagree or a coordinate is not finite.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 8.1.1.

    Examples
    --------
    >>> fit_translation([[0, 0], [4, 0]], [[5, 2], [9, 4]])[:2, 2]
    array([5., 3.])
    """
    src, dst = _pairs(src, dst, 1, "translation")
    T = np.eye(3)
    T[:2, 2] = (dst - src).mean(axis=0)
    return T


def fit_euclidean(src: ArrayLike, dst: ArrayLike) -> Array:
    """Estimate the rotation and translation with the least sum of squared distances.

    The centroids are laid on each other; the angle is that of the similarity, Eq. (9.8), with its
    scale left out.  Never a mirror image.

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points (x, y), N >= 2.

    Returns
    -------
    T : ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        If the shapes disagree, N < 2, or the points do not determine an angle.

    References
    ----------
    .. [1] Umeyama, 1991, doi:10.1109/34.88573.

    Examples
    --------
    >>> fit_euclidean([[0, 0], [2, 0]], [[1, 1], [1, 4]]).round(6) + 0.0
    array([[ 0. , -1. ,  1. ],
           [ 1. ,  0. ,  1.5],
           [ 0. ,  0. ,  1. ]])
    """
    src, dst = _pairs(src, dst, 2, "Euclidean transform")
    z = _turn_and_scale(src, dst)
    spread = np.sqrt(np.mean((dst - dst.mean(axis=0)) ** 2) / np.mean((src - src.mean(axis=0)) ** 2))
    if abs(z) <= DEGENERATE * spread:
        raise ValueError("every angle fits the points equally well: the rotation is not unique")
    return _similarity(z / abs(z), src, dst)


def fit_similarity(src: ArrayLike, dst: ArrayLike) -> Array:
    """Estimate scale, rotation and translation with the least sum of squared distances.

    With points as complex numbers about their means a similarity is one product, q = z p: the least
    squares solution is Eq. (9.8).  Never a mirror image.

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points (x, y), N >= 2.

    Returns
    -------
    T : ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        If the shapes disagree, N < 2, all points of one set coincide, or the best scale is 0 (as for
        a mirror image).

    References
    ----------
    .. [1] Umeyama, 1991, doi:10.1109/34.88573.

    Examples
    --------
    >>> fit_similarity([[0, 0], [1, 0]], [[3, 1], [3, 3]]).round(6) + 0.0
    array([[ 0., -2.,  3.],
           [ 2.,  0.,  1.],
           [ 0.,  0.,  1.]])
    """
    src, dst = _pairs(src, dst, 2, "similarity")
    z = _turn_and_scale(src, dst)
    spread = np.sqrt(np.mean((dst - dst.mean(axis=0)) ** 2) / np.mean((src - src.mean(axis=0)) ** 2))
    if abs(z) <= DEGENERATE * spread:
        raise ValueError("the best similarity has scale 0: the points coincide or are a mirror image")
    return _similarity(z, src, dst)


def fit_affine(src: ArrayLike, dst: ArrayLike) -> Array:
    """Estimate the affine transform with the least sum of squared distances.

    Its two rows are two separate problems with the same (N, 3) matrix [x y 1], Eq. (9.6), solved by
    QR on normalised source points.

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points (x, y), N >= 3, the source not all on a line.

    Returns
    -------
    A : ndarray of shape (3, 3)
        The last row is 0 0 1.

    Raises
    ------
    ValueError
        If the shapes disagree, N < 3, or the source points lie on a line.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 8.1.1.

    Examples
    --------
    >>> triangle = np.array([[0, 0], [1, 0], [0, 1]])
    >>> fit_affine(triangle, triangle @ [[2, 0], [1, 3]] + [5, 6])[:2].round(6)
    array([[2., 1., 5.],
           [0., 3., 6.]])
    """
    src, dst = _pairs(src, dst, 3, "affine transform")
    T_src = normalizer(src)
    Q, R = np.linalg.qr(to_homogeneous(transform_points(T_src, src)))
    singular_values = np.linalg.svd(R, compute_uv=False)
    if singular_values[2] < DEGENERATE * singular_values[0]:
        raise ValueError("the source points lie on a line: the affine transform is not unique")
    rows = np.linalg.solve(R, Q.T @ dst).T  # Eq. (9.6), one row for x' and one for y'
    return np.vstack([rows @ T_src, [0.0, 0.0, 1.0]])


# --- homography: the direct linear transform -------------------------------------------------


def dlt_matrix(src: ArrayLike, dst: ArrayLike) -> Array:
    """Build the matrix A of the direct linear transform: ``A @ H.ravel() = 0`` for exact points.

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points; normalise them first, or the columns differ by orders of magnitude.

    Returns
    -------
    A : ndarray of shape (2 N, 9)
        Rows of Eq. (9.12): first the N of x', then the N of y'.

    Examples
    --------
    >>> dlt_matrix([[2, 3]], [[5, 7]])
    array([[  2.,   3.,   1.,   0.,   0.,   0., -10., -15.,  -5.],
           [  0.,   0.,   0.,   2.,   3.,   1., -14., -21.,  -7.]])
    """
    src, dst = _pairs(src, dst, 1, "DLT matrix")
    x, y = src.T
    u, v = dst.T
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows_x = np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y, -u])
    rows_y = np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y, -v])
    return np.concatenate([rows_x, rows_y])


def fit_homography(src: ArrayLike, dst: ArrayLike) -> Array:
    """Estimate the homography that carries `src` onto `dst` (normalised DLT).

    Each correspondence gives the two rows of Eq. (9.12); h is the unit vector that minimises
    ``|A h|``.  Both point sets are first moved to mean 0 and mean distance sqrt(2).

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points (x, y), N >= 4.

    Returns
    -------
    H : ndarray of shape (3, 3)
        ``dst ~ H @ src``; scaled to H[2, 2] = 1, or to unit Frobenius norm with its largest entry
        positive where H[2, 2] is (nearly) 0, that is, where the origin goes to infinity.

    Raises
    ------
    ValueError
        If the shapes disagree, N < 4, or the points leave H undetermined or singular (three of four
        points on a line).

    Notes
    -----
    O(N).  The error that is minimised is algebraic; `refine_homography` minimises distances.  The
    eigenvector of A^T A stands in for the singular vector of A where the points are so well spread
    that squaring the condition number leaves ten digits or more; else A itself is decomposed.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Algorithm 4.2.

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> fit_homography(square, 2 * square + [3, 4]).round(6) + 0.0
    array([[2., 0., 3.],
           [0., 2., 4.],
           [0., 0., 1.]])
    """
    src, dst = _pairs(src, dst, 4, "homography")
    H, trust = _dlt_loop(src, dst)
    if not trust > SQUARE_LOSES:
        H = _dlt(src, dst)
    return _show_scale(H, src)


def _dlt(src: Array, dst: Array) -> Array:
    """The textbook form: normalise, take the last singular vector, denormalise by Eq. (9.15)."""
    T_src, T_dst = normalizer(src), normalizer(dst)
    h, singular_values = null_vector(dlt_matrix(transform_points(T_src, src), transform_points(T_dst, dst)))
    if singular_values[7] < DEGENERATE * singular_values[0]:
        raise ValueError("degenerate correspondences: the homography is not unique (too many points on one line)")
    H = h.reshape(3, 3)
    if np.linalg.cond(H) > 1 / DEGENERATE:
        raise ValueError("degenerate correspondences: the homography is singular (points on one line, or coinciding)")
    return np.linalg.solve(T_dst, H @ T_src)


@njit(**SERIAL)
def _center_scale(points):
    """Mean (x, y), and sqrt(2) over the mean distance from it: 0 if all points coincide."""
    n = len(points)
    cx = cy = distance = 0.0
    for i in range(n):
        cx += points[i, 0] / n
        cy += points[i, 1] / n
    for i in range(n):
        distance += np.sqrt((points[i, 0] - cx) ** 2 + (points[i, 1] - cy) ** 2) / n
    return cx, cy, np.sqrt(2.0) / distance if distance > 1e-12 * max(1.0, abs(cx), abs(cy)) else 0.0


@njit(**SERIAL)
def _dlt_loop(src, dst):
    """H by the smallest eigenvector of A^T A on normalised points, and by which ratio of eigenvalues to trust it.

    The rows (p, 0, -u p) and (0, p, -v p) with p = (x, y, 1) make A^T A of four sums of w p p^T,
    with the weights w = 1, u, v and u^2 + v^2.
    """
    ax, ay, sa = _center_scale(src)
    bx, by, sb = _center_scale(dst)
    S = np.zeros((4, 3, 3))
    p = np.ones(3)
    for n in range(len(src)):
        p[0], p[1] = sa * (src[n, 0] - ax), sa * (src[n, 1] - ay)
        u, v = sb * (dst[n, 0] - bx), sb * (dst[n, 1] - by)
        w = u * u + v * v
        for i in range(3):
            for j in range(i + 1):
                product = p[i] * p[j]
                S[0, i, j] += product
                S[1, i, j] += u * product
                S[2, i, j] += v * product
                S[3, i, j] += w * product
    M = np.zeros((9, 9))
    for i in range(3):
        for j in range(3):
            a, b = max(i, j), min(i, j)
            M[i, j] = M[3 + i, 3 + j] = S[0, a, b]
            M[6 + i, j] = M[j, 6 + i] = -S[1, a, b]
            M[6 + i, 3 + j] = M[3 + j, 6 + i] = -S[2, a, b]
            M[6 + i, 6 + j] = S[3, a, b]
    values, vectors = np.linalg.eigh(M)
    h = vectors[:, 0]
    H = np.empty((3, 3))
    determinant = (
        h[0] * (h[4] * h[8] - h[5] * h[7]) - h[1] * (h[3] * h[8] - h[5] * h[6]) + h[2] * (h[3] * h[7] - h[4] * h[6])
    )
    trust = values[1] / values[8] if sa * sb > 0 and abs(determinant) > SQUARE_LOSES else 0.0
    for j in range(3):  # denormalise, Eq. (9.15)
        h[6 + j] *= sb
        h[j] += bx * h[6 + j]
        h[3 + j] += by * h[6 + j]
    for i in range(3):
        H[i, 0], H[i, 1] = sa * h[3 * i], sa * h[3 * i + 1]
        H[i, 2] = h[3 * i + 2] - ax * H[i, 0] - ay * H[i, 1]
    return H, trust


# --- errors ----------------------------------------------------------------------------------


def transfer_errors(T: ArrayLike, src: ArrayLike, dst: ArrayLike) -> Array:
    """Measure how far ``T @ src`` lies from `dst`, in pixels of the destination.

    Parameters
    ----------
    T : array of shape (3, 3)
    src, dst : array of shape (N, 2)

    Returns
    -------
    errors : ndarray of shape (N,)
        Infinity for a point that T sends to infinity.

    Raises
    ------
    ValueError
        If the shapes disagree or a number is not finite.

    Examples
    --------
    >>> transfer_errors(np.eye(3), [[0, 0], [1, 1]], [[3, 4], [1, 1]])
    array([5., 0.])
    """
    T = require_transform(T)
    src, dst = _pairs(src, dst, 1, "transfer error")
    return _distances(T, src, dst)


def symmetric_transfer_errors(T: ArrayLike, src: ArrayLike, dst: ArrayLike) -> Array:
    """Measure the transfer errors of both directions, as one number for each pair.

    It is the root of the sum of squares of ``|T src - dst|`` and ``|src - T^-1 dst|``: it does not
    favour a T that shrinks the picture.

    Parameters
    ----------
    T : array of shape (3, 3)
    src, dst : array of shape (N, 2)

    Returns
    -------
    errors : ndarray of shape (N,)

    Raises
    ------
    ValueError
        If T is singular, the shapes disagree, or a number is not finite.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eq. (4.7).

    Examples
    --------
    >>> symmetric_transfer_errors(np.diag([2, 2, 1]), [[0, 0]], [[6, 8]]).round(3)
    array([11.18])
    """
    T = require_transform(T)
    src, dst = _pairs(src, dst, 1, "transfer error")
    try:
        back = np.linalg.inv(T)
    except np.linalg.LinAlgError:
        raise ValueError("T is singular: it has no way back from dst to src") from None
    return np.hypot(_distances(T, src, dst), _distances(back, dst, src))


def _distances(T: Array, src: Array, dst: Array) -> Array:
    """|T src - dst| of checked arrays; infinity at infinity."""
    x, y, w = T @ to_homogeneous(src).T
    finite = w != 0
    w = np.where(finite, w, 1.0)
    with np.errstate(over="ignore"):  # so near to infinity that it is
        return np.where(finite, np.hypot(x / w - dst[:, 0], y / w - dst[:, 1]), np.inf)


# --- homography: the geometric error ---------------------------------------------------------


def homography_jacobian(H: ArrayLike, points: ArrayLike) -> Array:
    """Differentiate the transferred points by the nine entries of H, Eq. (9.18).

    Parameters
    ----------
    H : array of shape (3, 3)
    points : array of shape (N, 2)

    Returns
    -------
    J : ndarray of shape (2 N, 9)
        First the N rows of x', then the N of y'.  ``J @ H.ravel()`` is 0, for the scale of H moves nothing.

    Raises
    ------
    ValueError
        If H sends a point to infinity.

    Examples
    --------
    >>> homography_jacobian(np.eye(3), [[2, 3]])
    array([[ 2.,  3.,  1.,  0.,  0.,  0., -4., -6., -2.],
           [ 0.,  0.,  0.,  2.,  3.,  1., -6., -9., -3.]])
    """
    H = require_transform(H)
    points = as_points(points)
    p = to_homogeneous(points)
    u, v = transform_points(H, points).T
    p /= (p @ H[2])[:, None]
    zero = np.zeros_like(p)
    rows_x = np.column_stack([p, zero, -u[:, None] * p])
    rows_y = np.column_stack([zero, p, -v[:, None] * p])
    return np.concatenate([rows_x, rows_y])


def refine_homography(H: ArrayLike, src: ArrayLike, dst: ArrayLike, iterations: int = 10) -> Array:
    """Minimise the sum of squared transfer errors, beginning at H, by Gauss-Newton steps, Eq. (9.21).

    H is changed only across its own direction, so that its free scale needs no fixed entry.  A step
    that would not lower the error is halved until it does.

    Parameters
    ----------
    H : array of shape (3, 3)
        A first estimate, as from `fit_homography`.
    src, dst : array of shape (N, 2)
        Corresponding points, N >= 4, free of outliers.
    iterations : int
        Steps at most; it stops before if the error falls no more.

    Returns
    -------
    H : ndarray of shape (3, 3)
        Scaled as `fit_homography` scales it; its error is never larger than that of the first estimate.

    Raises
    ------
    ValueError
        If the shapes disagree, N < 4, or H is singular or sends a source point to infinity.

    Notes
    -----
    O(N) a step.  The most likely H if `src` is exact and the noise of `dst` is Gaussian and equal.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., sections 4.2 and 4.5, appendix 6.

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> refine_homography(np.diag([2.2, 2, 1]), square, 2 * square).round(6) + 0.0
    array([[2., 0., 0.],
           [0., 2., 0.],
           [0., 0., 1.]])
    """
    src, dst = _pairs(src, dst, 4, "homography")
    start = require_transform(H)
    if iterations < 0:
        raise ValueError(f"iterations must be 0 or more, got {iterations}")
    T_src, T_dst = normalizer(src), normalizer(dst)
    a, b = transform_points(T_src, src), transform_points(T_dst, dst)
    current = _unit_norm(T_dst @ start @ np.linalg.inv(T_src), a)
    error = _squared_error(current, a, b)
    for _ in range(iterations):
        step, before = _gauss_newton_step(current, a, b), error
        for length in 0.5 ** np.arange(12):
            trial = current + length * step
            if (lower := _squared_error(trial, a, b)) < error:
                current, error = trial / np.linalg.norm(trial), lower
                break
        if before - error <= 1e-14 * before:
            break
    return _show_scale(np.linalg.solve(T_dst, current @ T_src), src)


def homography_covariance(H: ArrayLike, src: ArrayLike, sigma: float) -> Array:
    """Predict the covariance of the nine entries of a homography that was fitted to `src`, Eq. (9.22).

    Parameters
    ----------
    H : array of shape (3, 3)
        The homography, at any scale.
    src : array of shape (N, 2)
        The source points that it was fitted to, N >= 4.
    sigma : float
        Standard deviation of the noise in x' and in y' of each destination point, pixels.

    Returns
    -------
    covariance : ndarray of shape (9, 9)
        Of ``H.ravel()`` at the scale that H has.  Its rank is 8: the scale of H is held fixed, so H
        itself is its null vector.

    Raises
    ------
    ValueError
        If sigma is negative, N < 4, the points leave H undetermined, or H is singular.

    Notes
    -----
    Exact to first order in sigma for `refine_homography`.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 5.2.

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> covariance = homography_covariance(np.eye(3), square, 0.1)
    >>> predicted_covariance(np.eye(3), covariance, [[0, 0]])[0].round(6) + 0.0
    array([[0.01, 0.  ],
           [0.  , 0.01]])
    """
    src, H = as_points(src), require_transform(H)
    if not (np.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma is a standard deviation in pixels, got {sigma}")
    if len(src) < 4:
        raise ValueError(f"a homography needs 4 correspondences, got {len(src)}")
    T_src, T_dst = normalizer(src), normalizer(transform_points(H, src))
    a, back = transform_points(T_src, src), np.linalg.inv(T_dst)
    normalised = T_dst @ H @ np.linalg.inv(T_src)
    J, basis = _tangent_jacobian(_unit_norm(normalised, a), a)
    _, s, Vt = np.linalg.svd(J, full_matrices=False)
    if s[7] < DEGENERATE * s[0]:
        raise ValueError("degenerate points: the homography is not unique (too many of them on one line)")
    root = basis @ (Vt.T / s) * T_dst[0, 0]  # times its transpose: (J^T J)^-1 in the normalised frames
    root = np.linalg.norm(normalised) * np.kron(back, T_src.T) @ root  # entries of back @ X @ T_src
    h = H.ravel() / np.linalg.norm(H)
    root -= np.outer(h, h @ root)
    return sigma**2 * root @ root.T


def predicted_covariance(H: ArrayLike, covariance: ArrayLike, points: ArrayLike) -> Array:
    """Carry the covariance of H over to the points that it predicts, Eq. (9.23).

    Parameters
    ----------
    H : array of shape (3, 3)
    covariance : array of shape (9, 9)
        From `homography_covariance` for this H, at this scale.
    points : array of shape (M, 2)
        Source points, not necessarily those of the fit.

    Returns
    -------
    covariances : ndarray of shape (M, 2, 2)
        Of the transferred points, pixels squared.

    Raises
    ------
    ValueError
        For another shape, or if H sends a point to infinity.

    Examples
    --------
    >>> predicted_covariance(np.eye(3), np.zeros((9, 9)), [[5, 6]]).shape
    (1, 2, 2)
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    if covariance.shape != (9, 9):
        raise ValueError(f"the covariance of H must have shape (9, 9), got {covariance.shape}")
    J = homography_jacobian(H, points).reshape(2, -1, 9)
    return np.einsum("ink,kl,jnl->nij", J, covariance, J)


def _tangent_jacobian(H: Array, points: Array) -> tuple[Array, Array]:
    """J restricted to the eight directions across H, (2 N, 8), and these directions, (9, 8)."""
    basis = np.linalg.svd(H.reshape(1, 9))[2][1:].T
    return homography_jacobian(H, points) @ basis, basis


def _gauss_newton_step(H: Array, src: Array, dst: Array) -> Array:
    """The change of H, (3, 3), that would remove the residuals if they were linear in it, Eq. (9.21)."""
    J, basis = _tangent_jacobian(H, src)
    residuals = (transform_points(H, src) - dst).T.ravel()
    return (basis @ np.linalg.lstsq(J, -residuals)[0]).reshape(3, 3)


def _squared_error(H: Array, src: Array, dst: Array) -> float:
    return float(np.sum(_distances(H, src, dst) ** 2))


# --- at the door, and at the exit ------------------------------------------------------------


def _pairs(src: ArrayLike, dst: ArrayLike, fewest: int, what: str) -> tuple[Array, Array]:
    """Two arrays of points of one length, C-contiguous, at least `fewest`."""
    src, dst = as_points(src, name="src"), as_points(dst, name="dst")
    if len(src) != len(dst):
        raise ValueError(f"{len(src)} source points but {len(dst)} destination points")
    if len(src) < fewest:
        article = "an" if what[0] in "aE" else "a"
        raise ValueError(f"{article} {what} needs {fewest} correspondences, got {len(src)}")
    return np.ascontiguousarray(src), np.ascontiguousarray(dst)


def _unit_norm(H: Array, points: Array) -> Array:
    """H at norm 1, refused if it is singular or sends one of the points to infinity."""
    norm = np.linalg.norm(H)
    if norm == 0 or np.linalg.cond(H) > 1 / DEGENERATE:
        raise ValueError("H is singular: it does not carry the plane onto a plane")
    if np.any(to_homogeneous(points) @ H[2] == 0):
        raise ValueError("H sends a source point to infinity")
    return H / norm


def _show_scale(H: Array, points: Array) -> Array:
    """H with H[2, 2] = 1; where that entry, the third coordinate of the origin, is about 0: `fix_scale`."""
    w = np.abs(to_homogeneous(points) @ H[2]).max()
    return H / H[2, 2] if abs(H[2, 2]) > NEAR_ZERO * w else fix_scale(H)


def _turn_and_scale(src: Array, dst: Array) -> complex:
    """The complex number z that minimises the sum of |z p - q|^2 about the means, Eq. (9.8)."""
    p, q = (points @ (1, 1j) for points in (src - src.mean(axis=0), dst - dst.mean(axis=0)))
    normalizer(src), normalizer(dst)  # refuses points that all coincide
    return complex(np.vdot(p, q) / np.vdot(p, p).real)


def _similarity(z: complex, src: Array, dst: Array) -> Array:
    """The matrix of q = z p about the means."""
    T = np.array([[z.real, -z.imag, 0.0], [z.imag, z.real, 0.0], [0.0, 0.0, 1.0]])
    T[:2, 2] = dst.mean(axis=0) - T[:2, :2] @ src.mean(axis=0)
    return T
