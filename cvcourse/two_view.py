"""Two views of one scene: the epipolar constraint, the matrices F and E that hold it, poses and points from them.

Everywhere ``x2^T F x1 = 0``: F takes a pixel of image 1 to a line in image 2, its transpose back.
The first camera is K1 [I | 0] where nothing else is said, the second K2 [R | t] with ``X2 = R @ X1 + t``.
F and E have unit Frobenius norm and their largest entry positive; pixels are (N, 2) in (x, y).
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from cvcourse import panoramas
from cvcourse.alignment import DEGENERATE, _center_scale, fit_homography, transfer_errors
from cvcourse.cameras import (
    normalize_pixels,
    require_intrinsics,
    require_projection,
    require_rotation,
    rotation_from_vector,
)
from cvcourse.compiled import FAST, SERIAL
from cvcourse.homogeneous import (
    as_points,
    cross_matrix,
    normalizer,
    null_vector,
    random_generator,
    to_homogeneous,
    transform_points,
)
from cvcourse.images import Array
from cvcourse.ransac import (
    BLOCK,
    HOPELESS,
    MAX_ROUNDS,
    REFITS,
    Consensus,
    _clean_chance,
    _random,
    _require_confidence,
    _require_data,
    _require_rounds,
    _shuffled,
    ransac_homography,
    residual_threshold,
)
from cvcourse.transforms import fix_scale, rotation_matrix, translation_matrix

PLANAR = 0.9  # share of F's inliers on one homography from which on F is not determined
ENOUGH = 250  # pairs by which a share is judged, to 2 %
PARALLEL = 1e-15  # determinant of a point's 3 x 3 equations by the cube of their trace: rays 1e-7 apart
TRUST = 1e-10  # ratio of eigenvalues of A^T A from which on one step of refinement gives all digits
APART = 0.999  # scalar product of two matrices of norm 1 below which they count as different
BEHIND = 0.02  # share of points behind the cameras that rules out one of two E on a plane
REAL = 1e-6  # imaginary by real part below which a root counts as real
H_BAND = math.sqrt(2) * residual_threshold(1.0, 2) / residual_threshold(1.0, 1)
"""A homography's residual has two coordinates and the noise of both points: so much wider is its band."""


class Pose(NamedTuple):
    """The second camera from the first, ``X2 = R @ X1 + t`` with ``|t| = 1``; which pairs lie in front of both."""

    R: Array
    t: Array
    in_front: NDArray[np.bool_]


# --- the fundamental matrix from pairs -------------------------------------------------------


def fundamental_rows(x1: ArrayLike, x2: ArrayLike) -> Array:
    """Build the N x 9 system ``A f = 0`` of the epipolar constraint, f row by row, Eq. (16.7).

    Parameters
    ----------
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y).

    Returns
    -------
    A : ndarray of shape (N, 9)

    Raises
    ------
    ValueError
        If the lengths disagree or a coordinate is not finite.

    Examples
    --------
    >>> fundamental_rows([[2, 3]], [[5, 7]])
    array([[10., 15.,  5., 14., 21.,  7.,  2.,  3.,  1.]])
    """
    p, q = (to_homogeneous(x) for x in _pairs(x1, x2))
    return np.einsum("ni,nj->nij", q, p).reshape(-1, 9)


def fit_fundamental(x1: ArrayLike, x2: ArrayLike) -> Array:
    """Estimate the fundamental matrix from eight or more pairs (normalised 8-point algorithm).

    Both point sets are moved to mean 0 and mean distance sqrt(2), f is the unit vector that
    minimises ``|A f|``, Eqs. (16.7) and (16.8); then F is replaced by the nearest matrix of rank 2,
    Eq. (16.9), so that all its lines meet in the epipoles.

    Parameters
    ----------
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y) in pixels, N >= 8, all of them right.

    Returns
    -------
    F : ndarray of shape (3, 3)
        ``x2^T F x1 = 0``; rank 2, Frobenius norm 1, the largest entry positive.

    Raises
    ------
    ValueError
        If the lengths disagree, N < 8, a coordinate is not finite, or the pairs leave F
        undetermined; the message says whether they lie on one plane, as after a pure rotation.

    Notes
    -----
    Minimises an algebraic error, not a distance.  A plane is noticed if it is exact: with noise the
    answer is a matrix that means nothing, and only `ransac_fundamental`, which knows the size of the
    noise, can tell.

    References
    ----------
    .. [1] Hartley, In defense of the eight-point algorithm, 1997, doi:10.1109/34.601246.
    .. [2] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Algorithm 11.1.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(1, 2, (8, 3))
    >>> x1, x2 = X[:, :2] / X[:, 2:], (X[:, :2] - [1, 0]) / X[:, 2:]  # the second camera stands 1 to the right
    >>> F = fit_fundamental(x1, x2)
    >>> (F / F[2, 1]).round(6) + 0.0  # at this scale, y' = y
    array([[ 0.,  0.,  0.],
           [ 0.,  0., -1.],
           [ 0.,  1.,  0.]])
    """
    x1, x2 = _pairs(x1, x2, 8, "the 8-point algorithm")
    F, trust = _eight_point_loop(x1, x2)
    return F if trust > TRUST else _eight_point(x1, x2)


def _eight_point(x1: Array, x2: Array) -> Array:
    """The textbook form, for pairs that hardly determine F."""
    T1, T2 = normalizer(x1), normalizer(x2)
    f, s = null_vector(fundamental_rows(transform_points(T1, x1), transform_points(T2, x2)))
    if s[7] < DEGENERATE * s[0]:
        raise ValueError(_why_degenerate(x1, x2))
    return fix_scale(T2.T @ to_rank_two(f.reshape(3, 3)) @ T1)


def _why_degenerate(x1: Array, x2: Array) -> str:
    try:
        H = fit_homography(x1, x2)
        on_plane = np.max(transfer_errors(H, x1, x2)) < 1e-6 * np.ptp(x2)
    except ValueError:
        on_plane = False
    cause = (
        "they all fit one homography, so the scene is a plane or the camera only turned"
        if on_plane
        else "the points lie on a line, coincide, or form another critical set"
    )
    return f"the {len(x1)} pairs leave F undetermined: {cause}"


def to_rank_two(F: ArrayLike) -> Array:
    """Replace a matrix by the nearest one of rank 2, in the Frobenius norm, Eq. (16.9).

    Parameters
    ----------
    F : array of shape (3, 3)

    Returns
    -------
    ndarray of shape (3, 3)
        The smallest singular value set to 0, the scale kept.

    Examples
    --------
    >>> to_rank_two(np.diag([3, 2, 1])).round(9) + 0.0
    array([[3., 0., 0.],
           [0., 2., 0.],
           [0., 0., 0.]])
    """
    U, s, Vt = np.linalg.svd(_matrix(F))
    nearest: Array = (U[:, :2] * s[:2]) @ Vt[:2]
    return nearest


@njit(**SERIAL)
def _eight_point_loop(x1, x2):
    """F by the smallest eigenvector of A^T A on normalised points, and by which ratio of eigenvalues to trust it.

    A row is the products q_i p_j of p = (x, y, 1) and q = (x', y', 1), so A^T A holds sums of
    (q_i q_k) (p_j p_l): 36 of them are different.
    """
    ax, ay, sa = _center_scale(x1)
    bx, by, sb = _center_scale(x2)
    S, p, q = np.zeros((6, 6)), np.ones(6), np.ones(6)
    for n in range(len(x1)):
        x, y = sa * (x1[n, 0] - ax), sa * (x1[n, 1] - ay)
        u, v = sb * (x2[n, 0] - bx), sb * (x2[n, 1] - by)
        p[0], p[1], p[2], p[3], p[4] = x * x, x * y, x, y * y, y
        q[0], q[1], q[2], q[3], q[4] = u * u, u * v, u, v * v, v
        for i in range(6):
            for j in range(6):
                S[i, j] += q[i] * p[j]
    M = np.empty((9, 9))
    for i in range(9):
        for j in range(9):
            M[i, j] = S[_product(i // 3, j // 3), _product(i % 3, j % 3)]
    values, vectors = np.linalg.eigh(M)
    trust = values[1] / values[8] if sa * sb > 0 and values[8] > 0 else 0.0
    F, G = np.empty((3, 3)), np.empty((3, 3))
    for i in range(9):
        F[i // 3, i % 3] = vectors[i, 0]
    if trust > TRUST:
        _sharpen(F, x1, x2, ax, ay, sa, bx, by, sb, values, vectors)
    Vt = np.linalg.svd(F)[2]
    for i in range(3):  # F - F v v^T is the nearest matrix of rank 2, Eq. (16.9)
        along = F[i, 0] * Vt[2, 0] + F[i, 1] * Vt[2, 1] + F[i, 2] * Vt[2, 2]
        for j in range(3):
            F[i, j] -= along * Vt[2, j]
    _denormalised(F, ax, ay, sa, bx, by, sb, G)
    _unit_scale(G)
    return G, trust


@njit(**SERIAL)
def _sharpen(F, x1, x2, ax, ay, sa, bx, by, sb, values, vectors):
    """One step of iterative refinement: A^T A has lost half the digits, its product with f by way of A f has not."""
    g, along, r2 = np.zeros(9), np.zeros(9), 0.0
    for n in range(len(x1)):
        x, y = sa * (x1[n, 0] - ax), sa * (x1[n, 1] - ay)
        u, v = sb * (x2[n, 0] - bx), sb * (x2[n, 1] - by)
        row = (u * x, u * y, u, v * x, v * y, v, x, y, 1.0)
        r = 0.0
        for i in range(9):
            r += row[i] * F[i // 3, i % 3]
        for i in range(9):
            g[i] += r * row[i]
        r2 += r * r
    for k in range(1, 9):
        for i in range(9):
            along[k] += vectors[i, k] * (g[i] - r2 * F[i // 3, i % 3])
    for k in range(1, 9):
        for i in range(9):
            F[i // 3, i % 3] -= vectors[i, k] * along[k] / max(values[k] - values[0], TRUST * values[8])


@njit(**SERIAL)
def _unit_scale(F):
    """`fix_scale` in place: Frobenius norm 1, the largest entry positive."""
    largest, size = 0.0, 0.0
    for i in range(3):
        for j in range(3):
            size += F[i, j] * F[i, j]
            if abs(F[i, j]) > abs(largest):
                largest = F[i, j]
    scale = (1.0 if largest > 0 else -1.0) / np.sqrt(size) if size > 0 else 0.0
    for i in range(3):
        for j in range(3):
            F[i, j] *= scale


@njit(**SERIAL)
def _denormalised(F, ax, ay, sa, bx, by, sb, G):
    """Write ``T2^T F T1`` to G, Eq. (16.8), for T = [[s, 0, -s x], [0, s, -s y], [0, 0, 1]]."""
    for i in range(3):
        G[i, 0], G[i, 1], G[i, 2] = sa * F[i, 0], sa * F[i, 1], F[i, 2] - sa * (ax * F[i, 0] + ay * F[i, 1])
    for j in range(3):
        G[2, j] -= sb * (bx * G[0, j] + by * G[1, j])
        G[0, j] *= sb
        G[1, j] *= sb


@njit(**SERIAL)
def _product(i, j):
    """Where the product of coordinates i and j stands among (xx, xy, x, yy, y, 1)."""
    return i * (5 - i) // 2 + j if i <= j else j * (5 - j) // 2 + i


def seven_point(x1: ArrayLike, x2: ArrayLike) -> list[Array]:
    """Find all fundamental matrices through seven pairs: one, two or three, Eq. (16.10).

    Seven equations leave a pencil ``F1 + a F2``; that its determinant is 0 is a cubic in a.

    Parameters
    ----------
    x1, x2 : array of shape (7, 2)
        Corresponding points (x, y) in pixels.

    Returns
    -------
    list of ndarray of shape (3, 3)
        One to three, of rank 2, at the scale of `fit_fundamental`.

    Raises
    ------
    ValueError
        If there aren't seven pairs, or they leave F undetermined.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 11.1.2.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(1, 2, (7, 3))
    >>> found = seven_point(X[:, :2] / X[:, 2:], (X[:, :2] - [1, 0]) / X[:, 2:])
    >>> any(np.allclose(F / F[2, 1], [[0, 0, 0], [0, 0, -1], [0, 1, 0]]) for F in found)
    True
    """
    x1, x2 = _pairs(x1, x2, 7, "the 7-point algorithm")
    if len(x1) != 7:
        raise ValueError(f"the 7-point algorithm takes 7 pairs, got {len(x1)}; fit_fundamental takes more")
    T1, T2 = normalizer(x1), normalizer(x2)
    A = fundamental_rows(transform_points(T1, x1), transform_points(T2, x2))
    _, s, Vt = np.linalg.svd(A)
    if s[6] < DEGENERATE * s[0]:
        raise ValueError(_why_degenerate(x1, x2))
    Fs = np.empty((3, 3, 3))
    count = _singular_members(Vt[7].reshape(3, 3), Vt[8].reshape(3, 3), Fs)
    if count == 0:
        raise ValueError(f"{_why_degenerate(x1, x2)}; all members of their pencil are singular")
    return [fix_scale(T2.T @ to_rank_two(F) @ T1) for F in Fs[:count]]


@njit(**SERIAL)
def _singular_members(F1, F2, Fs):
    """Write the matrices ``F1 + a F2`` of determinant 0 to Fs, and count them, Eq. (16.10)."""
    c3, c2 = _det(F2), _mixed(F2, F1)
    c1, c0 = _mixed(F1, F2), _det(F1)
    roots, count = _cubic_roots(c3, c2, c1, c0)
    for k in range(count):
        for i in range(3):
            for j in range(3):
                Fs[k, i, j] = F1[i, j] + roots[k] * F2[i, j]
    return count


@njit(**SERIAL)
def _det(M):
    return (
        M[0, 0] * (M[1, 1] * M[2, 2] - M[1, 2] * M[2, 1])
        - M[0, 1] * (M[1, 0] * M[2, 2] - M[1, 2] * M[2, 0])
        + M[0, 2] * (M[1, 0] * M[2, 1] - M[1, 1] * M[2, 0])
    )


@njit(**SERIAL)
def _mixed(A, B):
    """The factor of a in det(A + a B): each row of A in turn replaced by that of B."""
    total = 0.0
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        total += B[k, 0] * (A[i, 1] * A[j, 2] - A[i, 2] * A[j, 1])
        total += B[k, 1] * (A[i, 2] * A[j, 0] - A[i, 0] * A[j, 2])
        total += B[k, 2] * (A[i, 0] * A[j, 1] - A[i, 1] * A[j, 0])
    return total


@njit(**SERIAL)
def _cubic_roots(c3, c2, c1, c0):
    """The real roots of a cubic, which may also be of lower degree, and their number."""
    roots, count = np.zeros(3), 0
    size = max(abs(c3), abs(c2), abs(c1), abs(c0))
    if abs(c3) > 1e-12 * size:
        b, c, d = c2 / c3, c1 / c3, c0 / c3
        shift, Q, R = b / 3, (b * b - 3 * c) / 9, (2 * b * b * b - 9 * b * c + 27 * d) / 54
        if R * R < Q * Q * Q:  # three real roots (Vieta)
            angle = np.arccos(R / np.sqrt(Q * Q * Q))
            for k in range(3):
                roots[k] = -2 * np.sqrt(Q) * np.cos((angle + 2 * np.pi * k) / 3) - shift
            count = 3
        else:  # one (Cardano)
            A = -np.sign(R) * (abs(R) + np.sqrt(R * R - Q * Q * Q)) ** (1 / 3)
            roots[0] = A + (Q / A if A != 0 else 0.0) - shift
            count = 1
    elif abs(c2) > 1e-12 * size:
        discriminant = c1 * c1 - 4 * c2 * c0
        if discriminant >= 0:
            roots[0] = (-c1 + np.sqrt(discriminant)) / (2 * c2)
            roots[1] = (-c1 - np.sqrt(discriminant)) / (2 * c2)
            count = 2
    elif abs(c1) > 1e-12 * size:
        roots[0], count = -c0 / c1, 1
    for k in range(count):  # Newton's method mends what cancelled
        for _ in range(2):
            x = roots[k]
            slope = (3 * c3 * x + 2 * c2) * x + c1
            if slope != 0:
                roots[k] = x - (((c3 * x + c2) * x + c1) * x + c0) / slope
    return roots, count


# --- lines, epipoles, distances --------------------------------------------------------------


def epipolar_lines(F: ArrayLike, x: ArrayLike, image: int = 1) -> Array:
    """Find the lines on which the partners of points lie, in the other image, Eq. (16.4).

    Parameters
    ----------
    F : array of shape (3, 3)
    x : array of shape (N, 2)
        Pixels (x, y).
    image : 1 or 2
        In which image the points lie: from 1 the lines are ``F x`` in image 2, from 2 they are
        ``F^T x`` in image 1.

    Returns
    -------
    lines : ndarray of shape (N, 3)
        (a, b, c) with ``a x + b y + c = 0`` and a^2 + b^2 = 1, so that the left side is a signed
        distance in pixels.

    Raises
    ------
    ValueError
        For a point that is the epipole, which has no line.

    Examples
    --------
    >>> F = [[0, 0, 0], [0, 0, -1], [0, 1, 0]]  # a rectified pair: the partner lies in the same row
    >>> epipolar_lines(F, [[5, 7]]) + 0.0
    array([[ 0., -1.,  7.]])
    """
    F, p = _matrix(F), to_homogeneous(as_points(x, name="x"))
    if image not in (1, 2):
        raise ValueError(f"image is 1 or 2, the one in which the points lie; got {image!r}")
    lines = p @ (F.T if image == 1 else F)
    length = np.hypot(lines[:, 0], lines[:, 1])
    if np.any(none := length <= 1e-12 * np.linalg.norm(F) * np.linalg.norm(p, axis=1)):
        n = int(np.argmax(none))
        raise ValueError(f"point {n}, {p[n, :2]}, has no epipolar line: it is the epipole, or its line is at infinity")
    return lines / length[:, None]


def epipoles(F: ArrayLike) -> tuple[Array, Array]:
    """Find both epipoles, the images of the other camera's centre: ``F e1 = 0`` and ``F^T e2 = 0``, Eq. (16.5).

    Parameters
    ----------
    F : array of shape (3, 3)
        If its rank is 3, by noise, the vectors that come nearest.

    Returns
    -------
    e1, e2 : ndarray of shape (3,)
        Homogeneous, of length 1, the largest entry positive.  The last coordinate is 0 where an
        epipole lies at infinity, as in a rectified pair.

    Raises
    ------
    ValueError
        If the rank of F is 1 or 0: then there are many.

    Examples
    --------
    >>> e1, e2 = epipoles([[0, 0, 0], [0, 0, -1], [0, 1, 0]])
    >>> e1 + 0.0, e2 + 0.0
    (array([1., 0., 0.]), array([1., 0., 0.]))
    """
    F = _matrix(F)
    (e1, s), (e2, _) = null_vector(F), null_vector(F.T)
    if s[1] <= 1e-15 * s[0]:
        raise ValueError("F has rank 1: no pair of cameras has it")
    return e1, e2


def sampson_distances(F: ArrayLike, x1: ArrayLike, x2: ArrayLike) -> Array:
    """Measure how far pairs are from fulfilling ``x2^T F x1 = 0``, in pixels, Eq. (16.11).

    To first order the length of the shortest move of both points together, in the four coordinates,
    that makes them fulfil it.

    Parameters
    ----------
    F : array of shape (3, 3)
        At any scale.
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y).

    Returns
    -------
    distances : ndarray of shape (N,)
        >= 0.

    Raises
    ------
    ValueError
        If the lengths disagree, or F, x1, x2 have another shape or are not finite.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eq. (11.9).

    Examples
    --------
    >>> F = [[0, 0, 0], [0, 0, -1], [0, 1, 0]]
    >>> sampson_distances(F, [[3, 5], [3, 5]], [[1, 5], [1, 7]]).round(4)  # both points may move, one row each
    array([0.    , 1.4142])
    """
    F, (x1, x2) = _matrix(F), _pairs(x1, x2)
    return np.abs(_sampson(F, to_homogeneous(x1), to_homogeneous(x2)))


def _sampson(F: Array, p: Array, q: Array) -> Array:
    """The same with a sign, of homogeneous points, for one F or a stack of them; 0 where both points are the epipoles."""
    l2, l1 = p @ F.swapaxes(-1, -2), q @ F
    length = np.sqrt(l2[..., 0] ** 2 + l2[..., 1] ** 2 + l1[..., 0] ** 2 + l1[..., 1] ** 2)
    return np.einsum("...ni,ni->...n", l2, q) / np.where(length > 0, length, 1.0)


# --- F and E from cameras, and into each other -----------------------------------------------


def essential_matrix(R: ArrayLike, t: ArrayLike) -> Array:
    """Build E = [t]x R of two cameras with ``X2 = R @ X1 + t``, Eq. (16.2).

    Parameters
    ----------
    R : array of shape (3, 3)
    t : array of shape (3,)
        Of any length but 0.

    Returns
    -------
    E : ndarray of shape (3, 3)
        Frobenius norm 1, the largest entry positive: neither sign nor length of t can be told from it.

    Raises
    ------
    ValueError
        If R is no rotation, or t = 0: the camera only turned.

    References
    ----------
    .. [1] Longuet-Higgins, A computer algorithm for reconstructing a scene from two projections, 1981,
       doi:10.1038/293133a0.

    Examples
    --------
    >>> E = essential_matrix([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [3, 0, 4])
    >>> (4 * E / E[1, 1]).round(6) + 0.0
    array([[ 4.,  0.,  0.],
           [ 0.,  4.,  3.],
           [-3.,  0.,  0.]])
    """
    R, t = require_rotation(R), np.array(t, dtype=np.float64)
    if t.shape != (3,) or not np.isfinite(t).all():
        raise ValueError(f"t must hold 3 finite numbers, got {t}")
    if not t.any():
        raise ValueError("t = 0: without a baseline, after a pure rotation, there is no epipolar geometry")
    return fix_scale(cross_matrix(t / np.linalg.norm(t)) @ R)


def fundamental_from_essential(E: ArrayLike, K1: ArrayLike, K2: ArrayLike) -> Array:
    """Take E from normalised coordinates to pixels: F = K2^-T E K1^-1, Eq. (16.3).

    Parameters
    ----------
    E : array of shape (3, 3)
    K1, K2 : array of shape (3, 3)
        Intrinsics of the first and the second camera.

    Returns
    -------
    F : ndarray of shape (3, 3)
        Frobenius norm 1, the largest entry positive.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eq. (9.12).

    Examples
    --------
    >>> K = np.diag([100.0, 100.0, 1.0])
    >>> F = fundamental_from_essential([[0, 0, 0], [0, 0, 1], [0, -2, 0]], K, K)
    >>> (F / F[1, 2]).round(6) + 0.0
    array([[ 0.,  0.,  0.],
           [ 0.,  0.,  1.],
           [ 0., -2.,  0.]])
    """
    K1, K2 = require_intrinsics(K1), require_intrinsics(K2)
    return fix_scale(np.linalg.solve(K2.T, _matrix(E, "E")) @ np.linalg.inv(K1))


def essential_from_fundamental(F: ArrayLike, K1: ArrayLike, K2: ArrayLike) -> Array:
    """Take F from pixels to normalised coordinates, and to the nearest essential matrix, Eq. (16.12).

    Parameters
    ----------
    F : array of shape (3, 3)
    K1, K2 : array of shape (3, 3)
        Intrinsics of the first and the second camera.

    Returns
    -------
    E : ndarray of shape (3, 3)
        K2^T F K1 with its two larger singular values made equal and the third 0.

    Raises
    ------
    ValueError
        If F has rank 1 or 0.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 11.7.3.

    Examples
    --------
    >>> E = essential_from_fundamental([[0, 0, 0], [0, 0, 1], [0, -3, 0]], np.eye(3), np.eye(3))
    >>> (E / E[1, 2]).round(6) + 0.0
    array([[ 0.,  0.,  0.],
           [ 0.,  0.,  1.],
           [ 0., -1.,  0.]])
    """
    E = require_intrinsics(K2).T @ _matrix(F) @ require_intrinsics(K1)
    U, s, Vt = np.linalg.svd(E)
    if s[1] <= 1e-12 * s[0]:
        raise ValueError("F has rank 1: no pair of cameras has it")
    return fix_scale(U[:, :2] @ Vt[:2])


def fundamental_from_projections(P1: ArrayLike, P2: ArrayLike) -> Array:
    """Build F of two cameras that are known: F = [e2]x P2 P1^+ with e2 the image of the first centre, Eq. (16.6).

    Parameters
    ----------
    P1, P2 : array of shape (3, 4)

    Returns
    -------
    F : ndarray of shape (3, 3)
        Frobenius norm 1, the largest entry positive.

    Raises
    ------
    ValueError
        If a camera is singular, or both stand at one place.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eq. (9.1).

    Examples
    --------
    >>> P1, P2 = np.eye(3, 4), np.eye(3, 4) - [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    >>> F = fundamental_from_projections(P1, P2)
    >>> (F / F[2, 1]).round(6) + 0.0
    array([[ 0.,  0.,  0.],
           [ 0.,  0., -1.],
           [ 0.,  1.,  0.]])
    """
    P1, P2 = require_projection(P1), require_projection(P2)
    c1, c2 = _two_centers(P1, P2)
    H = P2[:, :3] @ np.linalg.inv(P1[:, :3])  # image 1 to image 2 by the plane at infinity
    e2 = P2[:, :3] @ (c1 - c2)
    return fix_scale(cross_matrix(e2 / np.linalg.norm(e2)) @ H)


def _two_centers(P1: Array, P2: Array) -> tuple[Array, Array]:
    c1, c2 = -np.linalg.solve(P1[:, :3], P1[:, 3]), -np.linalg.solve(P2[:, :3], P2[:, 3])
    if np.linalg.norm(c1 - c2) <= 1e-12 * max(float(np.linalg.norm(c1)), float(np.linalg.norm(c2))):
        raise ValueError(f"both cameras stand at {c1}: without a baseline there is no epipolar geometry")
    return c1, c2


# --- robust estimation -----------------------------------------------------------------------


def ransac_fundamental(
    x1: ArrayLike,
    x2: ArrayLike,
    threshold: float,
    rng: np.random.Generator | int,
    confidence: float = 0.99,
    max_rounds: int = MAX_ROUNDS,
) -> Consensus:
    """Find the fundamental matrix that most pairs agree with, and fit it to all of them.

    Samples of seven pairs, so that fewer have to be drawn than of eight; each of their one to three
    matrices is counted by Sampson distances.  Each best one so far is at once refitted to its
    inliers, and at the end inliers and F are chosen in turn until they stay the same.

    Parameters
    ----------
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y), N >= 8, of which some are wrong.
    threshold : float
        Largest Sampson distance of an inlier, in pixels, > 0; ``residual_threshold(sigma, dim=1)``.
    rng : Generator or int
        Gives the seed of the samples: one number is drawn from it.
    confidence : float
        Probability of having drawn one clean sample, if the best model has all inliers.
    max_rounds : int
        End after so many rounds in any case.

    Returns
    -------
    Consensus
        F at the scale of `fit_fundamental`, its inliers (N,), and the rounds.

    Raises
    ------
    ValueError
        If the lengths disagree, N < 8, a coordinate is not finite, arguments are out of range, no F
        has eight inliers, or its inliers fit one homography as well: then the scene is a plane or the
        camera only turned, and F is not determined.
    TypeError
        If rng is neither a Generator nor an int.

    Notes
    -----
    A wrong pair that lies on its epipolar line by chance counts as an inlier: F restricts a point
    to a line, not to a place.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Algorithm 11.4.
    .. [2] Chum, Matas & Kittler, Locally optimized RANSAC, 2003, doi:10.1007/978-3-540-45243-0_31.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(1, 2, (40, 3))
    >>> x1, x2 = 500 * X[:, :2] / X[:, 2:], 500 * (X[:, :2] - [1, 0]) / X[:, 2:]
    >>> x2[30:] += np.linspace(20, 90, 10)[:, None]  # ten wrong pairs
    >>> int(ransac_fundamental(x1, x2, 1.0, rng=0).inliers.sum())
    30
    """
    x1, x2 = _pairs(x1, x2, 8, "a fundamental matrix")
    _require_data(x1, x2, 8, threshold)
    seed = np.uint64(random_generator(rng).integers(2**63))
    miss = math.log1p(-_require_confidence(confidence))
    F, rounds = _search_fundamental(x1, x2, float(threshold) ** 2, miss, _require_rounds(max_rounds), seed)
    inliers = _within(x1, x2, F, float(threshold) ** 2)
    if inliers.sum() < 8:
        raise ValueError(
            f"no fundamental matrix with 8 or more inliers in {rounds} rounds, the best has {int(inliers.sum())} of "
            f"{len(x1)} pairs: too few of the matches are right, or the threshold of {threshold:g} px is too small"
        )
    for _ in range(REFITS):
        try:
            refitted = fit_fundamental(x1[inliers], x2[inliers])
        except ValueError as reason:
            raise ValueError(f"of the largest consensus {reason}") from None
        before, F = inliers, refitted
        inliers = _within(x1, x2, F, float(threshold) ** 2)
        if np.array_equal(before, inliers) or inliers.sum() < 8:
            break
    _refuse_homography(x1[inliers], x2[inliers], threshold)
    return Consensus(fix_scale(F), inliers, rounds)


def _refuse_homography(x1: Array, x2: Array, threshold: float) -> None:
    """Refuse inliers of F that fit a homography as well, Eq. (16.18)."""
    if len(x1) < 8:
        raise ValueError(f"only {len(x1)} pairs agree with any fundamental matrix: too few of the matches are right")
    step = max(1, len(x1) // ENOUGH)
    try:
        share = ransac_homography(x1[::step], x2[::step], H_BAND * threshold, rng=0, max_rounds=30).inliers.mean()
    except ValueError:
        return
    if share >= PLANAR:
        raise ValueError(
            f"{share:.0%} of the {len(x1)} pairs that agree on F also fit one homography: the scene is a plane, or "
            "the camera only turned (or hardly moved), so F is not determined. Use the homography, or a wider baseline"
        )


@njit(**SERIAL)
def _draw(n, sample, state):
    """Different numbers below n into sample, and the next state of the generator."""
    for k in range(len(sample)):
        fresh = False
        while not fresh:
            sample[k], state = _random(state, n)
            fresh = True
            for j in range(k):
                if sample[j] == sample[k]:
                    fresh = False
    return state


@njit(**SERIAL)
def _null_pair(A, F1, F2):
    """Two vectors that span the null space of a 7 x 9 matrix, which is overwritten; whether there are just two."""
    pivot, taken = np.empty(7, np.int64), np.zeros(9, np.bool_)
    for k in range(7):
        best = -1
        for j in range(9):
            if not taken[j] and (best < 0 or abs(A[k, j]) > abs(A[k, best])):
                best = j
        if abs(A[k, best]) < 1e-9:
            return False
        pivot[k], taken[best] = best, True
        scale = 1 / A[k, best]
        for j in range(9):
            A[k, j] *= scale
        for i in range(7):
            if i != k:
                factor = A[i, best]
                for j in range(9):
                    A[i, j] -= factor * A[k, j]
    first, last = -1, -1
    for j in range(9):
        if not taken[j]:
            first, last = last, j
            F1[j // 3, j % 3] = F2[j // 3, j % 3] = 0.0
    F1[first // 3, first % 3] = F2[last // 3, last % 3] = 1.0
    for k in range(7):
        F1[pivot[k] // 3, pivot[k] % 3] = -A[k, first]
        F2[pivot[k] // 3, pivot[k] % 3] = -A[k, last]
    return True


@njit(**SERIAL)
def _count_block(x, y, u, v, F, squared):
    """How many pairs have a squared Sampson distance within the threshold, without a division."""
    a, b, c, d, e, f, g, h, i = F[0, 0], F[0, 1], F[0, 2], F[1, 0], F[1, 1], F[1, 2], F[2, 0], F[2, 1], F[2, 2]
    count = 0.0
    for k in range(x.size):
        lx, ly, lz = a * x[k] + b * y[k] + c, d * x[k] + e * y[k] + f, g * x[k] + h * y[k] + i
        mx, my = a * u[k] + d * v[k] + g, b * u[k] + e * v[k] + h
        r = u[k] * lx + v[k] * ly + lz
        count += 1.0 if r * r <= squared * (lx * lx + ly * ly + mx * mx + my * my) else 0.0
    return count


@njit(**SERIAL)
def _count(columns, F, squared, best):
    """Count the inliers of F; 0 as soon as it cannot, or hardly can, have more than `best`, Eq. (10.11)."""
    n = columns.shape[1]
    x, y, u, v = columns[0], columns[1], columns[2], columns[3]
    share, count = best / n, 0.0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        count += _count_block(x[start:stop], y[start:stop], u[start:stop], v[start:stop], F, squared)
        expected = stop * share
        if count + n - stop <= best or (stop < n and count < expected - HOPELESS * np.sqrt(expected * (1 - share))):
            return 0.0
    return count


@njit(**SERIAL)
def _within(x1, x2, F, squared):
    """Which pairs have a squared Sampson distance within the threshold."""
    inliers = np.empty(len(x1), np.bool_)
    for k in range(len(x1)):
        x, y, u, v = x1[k, 0], x1[k, 1], x2[k, 0], x2[k, 1]
        lx, ly = F[0, 0] * x + F[0, 1] * y + F[0, 2], F[1, 0] * x + F[1, 1] * y + F[1, 2]
        mx, my = F[0, 0] * u + F[1, 0] * v + F[2, 0], F[0, 1] * u + F[1, 1] * v + F[2, 1]
        r = u * lx + v * ly + F[2, 0] * x + F[2, 1] * y + F[2, 2]
        inliers[k] = r * r <= squared * (lx * lx + ly * ly + mx * mx + my * my)
    return inliers


@njit(**SERIAL)
def _search_fundamental(x1, x2, squared, miss, max_rounds, seed):
    """The F that most pairs agree with (zeros if there is none), and the rounds."""
    columns, state = _shuffled(x1, x2, seed)
    ax, ay, sa = _center_scale(x1)
    bx, by, sb = _center_scale(x2)
    sample, A, F1, F2 = np.empty(7, np.int64), np.empty((7, 9)), np.empty((3, 3)), np.empty((3, 3))
    Fs, best_F, F = np.empty((3, 3, 3)), np.zeros((3, 3)), np.empty((3, 3))
    best, needed, rounds = 0.0, float(max_rounds), 0
    while rounds < needed:
        rounds += 1
        state = _draw(len(x1), sample, state)
        for k in range(7):
            i = sample[k]
            x, y = sa * (columns[0, i] - ax), sa * (columns[1, i] - ay)
            u, v = sb * (columns[2, i] - bx), sb * (columns[3, i] - by)
            r = A[k]
            r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8] = u * x, u * y, u, v * x, v * y, v, x, y, 1.0
        if not _null_pair(A, F1, F2):
            continue
        for k in range(_singular_members(F1, F2, Fs)):
            _denormalised(Fs[k], ax, ay, sa, bx, by, sb, F)
            count = _count(columns, F, squared, best)
            if count > best:
                best = _improve(x1, x2, F, columns, squared, count, best_F)
                chance = _clean_chance(best, len(x1), 7)
                if chance > 0:
                    needed = min(needed, miss / np.log1p(-chance)) if chance < 1 else 0.0  # Eq. (10.8)
    return best_F, rounds


@njit(**SERIAL)
def _improve(x1, x2, F, columns, squared, count, best_F):
    """Write F to best_F, refitted to its inliers while more pairs agree with it then: a local step (LO-RANSAC)."""
    best_F[:, :] = F
    for _ in range(3):
        inliers = _within(x1, x2, best_F, squared)
        if count < 9:
            break
        refitted, trust = _eight_point_loop(x1[inliers], x2[inliers])
        more = _count(columns, refitted, squared, count) if trust > TRUST else 0.0
        if more <= count:
            break
        best_F[:, :] = refitted
        count = more
    return count


# --- the essential matrix from five pairs ----------------------------------------------------

# Monomials in (x, y, z, 1), as sorted triples of indices; the last ten of degree 3 are those of degree 2, times 1.
_TWO = [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3)]
_THREE = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1), (0, 0, 2), (0, 1, 2), (1, 1, 2), (0, 2, 2), (1, 2, 2), (2, 2, 2)]
_THREE += [(i, j, 3) for i, j in _TWO]
_LINEAR_BY_LINEAR = np.array([[_TWO.index((min(i, j), max(i, j))) for j in range(4)] for i in range(4)])
_MIRROR = np.array([0.37, 0.61, -0.29, 0.64])
_MIX = np.eye(4) - 2 * np.outer(_MIRROR, _MIRROR) / (_MIRROR @ _MIRROR)  # so that no E has just E4's factor 0
_TWO_BY_LINEAR = np.array([[_THREE.index(tuple(sorted((*two, k)))) for k in range(4)] for two in _TWO])  # type: ignore[arg-type]


def five_point(x1: ArrayLike, x2: ArrayLike) -> list[Array]:
    """Find all essential matrices through five pairs, up to ten, Eqs. (16.12) and (16.13).

    The pairs leave ``E = x E1 + y E2 + z E3 + E4``; that E is essential is ten cubics in x, y, z.
    Their ten highest monomials are eliminated, then multiplication by x is a 10 x 10 matrix whose
    eigenvectors hold the solutions (Stewenius' form of Nister's method).

    Parameters
    ----------
    x1, x2 : array of shape (N, 2)
        Corresponding points in normalised coordinates, K^-1 times pixels, N >= 5.  More than five
        pairs are used too: E is sought in the four directions that fit best.

    Returns
    -------
    list of ndarray of shape (3, 3)
        None to ten, at the scale of `essential_matrix`.

    Raises
    ------
    ValueError
        If the lengths disagree, N < 5, a coordinate is not finite, or the pairs leave more than a
        four-dimensional space, as coinciding or collinear points do.

    Notes
    -----
    Works for the points of a plane too.  After a pure rotation every direction of t fits.

    References
    ----------
    .. [1] Nister, An efficient solution to the five-point relative pose problem, 2004, doi:10.1109/TPAMI.2004.17.
    .. [2] Stewenius, Engels & Nister, Recent developments on direct relative orientation, 2006,
       doi:10.1016/j.isprsjprs.2006.03.005.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(1, 2, (5, 3))
    >>> found = five_point(X[:, :2] / X[:, 2:], (X[:, :2] - [1, 0]) / X[:, 2:])
    >>> any(np.allclose(E / E[2, 1], [[0, 0, 0], [0, 0, -1], [0, 1, 0]]) for E in found)
    True
    """
    x1, x2 = _pairs(x1, x2, 5, "the 5-point algorithm")
    _, s, Vt = np.linalg.svd(np.linalg.qr(fundamental_rows(x1, x2), mode="r"))
    if s[4] < DEGENERATE * s[0]:
        raise ValueError("the pairs leave E undetermined: points lie on a line or coincide")
    Es = np.empty((10, 3, 3))
    count = _essential_members(np.ascontiguousarray(Vt[5:].T @ _MIX), Es)
    return [fix_scale(E) for E in Es[:count]]


@njit(**SERIAL)
def _times(a, b, table, out, factor):
    """Add the product of two polynomials, `factor` times, to out; the table says where each product of terms goes."""
    for i in range(len(a)):
        for j in range(len(b)):
            out[table[i, j]] += factor * a[i] * b[j]


@njit(**SERIAL)
def _essential_cubics(e):
    """The ten cubics of Eq. (16.12), (10, 20), of E = e[:, 0] x + e[:, 1] y + e[:, 2] z + e[:, 3]."""
    cubics, EEt = np.zeros((10, 20)), np.zeros((3, 3, 10))
    for i in range(3):
        for j in range(3):
            for k in range(3):
                _times(e[3 * i + k], e[3 * j + k], _LINEAR_BY_LINEAR, EEt[i, j], 1.0)
    for m in range(10):
        half_trace = 0.5 * (EEt[0, 0, m] + EEt[1, 1, m] + EEt[2, 2, m])
        for i in range(3):
            EEt[i, i, m] -= half_trace
    for i in range(3):
        for j in range(3):
            for k in range(3):
                _times(EEt[i, k], e[3 * k + j], _TWO_BY_LINEAR, cubics[3 * i + j], 1.0)
    minors = np.zeros((3, 10))
    for k in range(3):  # the determinant, along the first row
        _times(e[3 + (k + 1) % 3], e[6 + (k + 2) % 3], _LINEAR_BY_LINEAR, minors[k], 1.0)
        _times(e[3 + (k + 2) % 3], e[6 + (k + 1) % 3], _LINEAR_BY_LINEAR, minors[k], -1.0)
        _times(minors[k], e[k], _TWO_BY_LINEAR, cubics[9], 1.0)
    return cubics


@njit(**SERIAL)
def _eliminate(A):
    """Gauss-Jordan elimination: the left square of A becomes the identity, unless it is singular."""
    n, width = A.shape
    for c in range(n):
        best = c
        for r in range(c + 1, n):
            if abs(A[r, c]) > abs(A[best, c]):
                best = r
        if abs(A[best, c]) < 1e-12:
            return False
        scale = 1 / A[best, c]
        for j in range(width):
            A[c, j], A[best, j] = A[best, j], A[c, j]
            A[c, j] *= scale
        for r in range(n):
            factor = A[r, c]
            if r != c and factor != 0:
                for j in range(c, width):
                    A[r, j] -= factor * A[c, j]
    return True


@njit(**SERIAL)
def _essential_members(basis, Es):
    """Write the essential matrices in the span of four, basis (9, 4), to Es, and count them."""
    cubics = _essential_cubics(basis)
    if not _eliminate(cubics):
        return 0
    action = np.zeros((10, 10), np.complex128)  # x times (xx, xy, yy, xz, yz, zz, x, y, z, 1)
    for row, cubic in enumerate((0, 1, 2, 4, 5, 7)):  # xxx, xxy, xyy, xxz, xyz, xzz
        for j in range(10):
            action[row, j] = -cubics[cubic, 10 + j]
    action[6, 0] = action[7, 1] = action[8, 3] = action[9, 6] = 1.0
    values, vectors = np.linalg.eig(action)
    count = 0
    for k in range(10):
        if abs(values[k].imag) > REAL * (1 + abs(values[k].real)) or abs(vectors[9, k]) < 1e-12:
            continue
        for i in range(9):
            x, y, z = vectors[6, k] / vectors[9, k], vectors[7, k] / vectors[9, k], vectors[8, k] / vectors[9, k]
            Es[count, i // 3, i % 3] = basis[i, 0] * x.real + basis[i, 1] * y.real + basis[i, 2] * z.real + basis[i, 3]
        count += 1
    return count


def ransac_essential(
    x1: ArrayLike,
    x2: ArrayLike,
    K1: ArrayLike,
    K2: ArrayLike,
    threshold: float,
    rng: np.random.Generator | int,
    confidence: float = 0.99,
    max_rounds: int = MAX_ROUNDS,
) -> Consensus:
    """Find the essential matrix that most pairs agree with, and refine it on all of them.

    Samples of five pairs.  At the end E is moved in its five degrees of freedom, a turn and the
    direction of the baseline, to the least sum of squared Sampson distances, and the inliers are
    chosen anew, until they stay the same.

    Parameters
    ----------
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y), in pixels, N >= 6, of which some are wrong.
    K1, K2 : array of shape (3, 3)
        Intrinsics of the first and the second camera.
    threshold : float
        Largest Sampson distance of an inlier, in pixels, > 0.
    rng : Generator or int
        Gives the seed of the samples: one number is drawn from it.
    confidence : float
        Probability of having drawn one clean sample, if the best model has all inliers.
    max_rounds : int
        End after so many rounds in any case.

    Returns
    -------
    Consensus
        E at the scale of `essential_matrix`, its inliers (N,), and the rounds.

    Raises
    ------
    ValueError
        If the lengths disagree, N < 6, a coordinate is not finite, arguments are out of range, no E
        has six inliers, the inliers fit a rotation alone: then the baseline has no direction; or they
        lie on one plane, and two E have them in front.
    TypeError
        If rng is neither a Generator nor an int.

    Notes
    -----
    The points of a plane fit two E, Eq. (16.18).  If all but a few of the pairs lie on one, the E with
    the points in front of both cameras is taken.  A round takes about 0.2 ms.

    References
    ----------
    .. [1] Nister, An efficient solution to the five-point relative pose problem, 2004, doi:10.1109/TPAMI.2004.17.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(1, 2, (40, 3))
    >>> x1, x2 = 500 * X[:, :2] / X[:, 2:], 500 * (X[:, :2] - [1, 0]) / X[:, 2:]
    >>> x2[30:] += np.linspace(20, 90, 10)[:, None]  # ten wrong pairs
    >>> K = np.diag([500.0, 500.0, 1.0])
    >>> int(ransac_essential(x1, x2, K, K, 1.0, rng=0).inliers.sum())
    30
    """
    x1, x2 = _pairs(x1, x2, 6, "an essential matrix with support")
    _require_data(x1, x2, 6, threshold)
    K1, K2 = require_intrinsics(K1), require_intrinsics(K2)
    seed = np.uint64(random_generator(rng).integers(2**63))
    miss, squared = math.log1p(-_require_confidence(confidence)), float(threshold) ** 2
    inverses = np.linalg.inv(K1), np.ascontiguousarray(np.linalg.inv(K2).T)
    columns, state = _shuffled(x1, x2, seed)
    E, best, rounds, needed = np.zeros((3, 3)), 0.0, 0, float(_require_rounds(max_rounds))
    while rounds < needed:
        found, count, rounds, state = _search_essential(
            columns, *inverses, squared, best, rounds, needed, np.uint64(state)
        )
        if count > best:
            E, best = _improve_essential(found, count, x1, x2, K1, K2, columns, squared)
            chance = _clean_chance(best, len(x1), 5)
            if chance > 0:
                needed = min(needed, miss / math.log1p(-chance)) if chance < 1 else 0.0  # Eq. (10.8)
    inliers = _within(x1, x2, inverses[1] @ E @ inverses[0], squared)
    if inliers.sum() < 6:
        raise ValueError(
            f"no essential matrix with 6 or more inliers in {rounds} rounds, the best has {int(inliers.sum())} of "
            f"{len(x1)} pairs: too few of the matches are right, or the threshold of {threshold:g} px is too small"
        )
    for _ in range(REFITS):
        E = _refine_essential(E, x1[inliers], x2[inliers], K1, K2)
        before, inliers = inliers, _within(x1, x2, inverses[1] @ E @ inverses[0], squared)
        if np.array_equal(before, inliers):
            break
    _refuse_rotation(x1[inliers], x2[inliers], K1, K2, threshold)
    E = _choose_on_plane(E, x1[inliers], x2[inliers], K1, K2, threshold)
    return Consensus(fix_scale(E), _within(x1, x2, inverses[1] @ E @ inverses[0], squared), rounds)


@njit(**SERIAL)
def _search_essential(columns, K1_inverse, K2_inverse_transposed, squared, best, rounds, needed, state):
    """Rounds until an E has more than `best` pairs that agree with it: E, their number, and where the search stands."""
    n = columns.shape[1]
    sample, A, Es, basis = np.empty(5, np.int64), np.empty((5, 9)), np.empty((10, 3, 3)), np.empty((9, 4))
    E, F, before = np.zeros((3, 3)), np.empty((3, 3)), best
    while rounds < needed and best == before:
        rounds += 1
        state = _draw(n, sample, state)
        for k in range(5):
            x, y, u, v = columns[0, sample[k]], columns[1, sample[k]], columns[2, sample[k]], columns[3, sample[k]]
            for i in range(3):
                q = K2_inverse_transposed[0, i] * u + K2_inverse_transposed[1, i] * v + K2_inverse_transposed[2, i]
                for j in range(3):
                    A[k, 3 * i + j] = q * (K1_inverse[j, 0] * x + K1_inverse[j, 1] * y + K1_inverse[j, 2])
        Vt = np.linalg.svd(A)[2]
        for i in range(9):
            for j in range(4):
                basis[i, j] = 0.0
                for k in range(4):
                    basis[i, j] += Vt[5 + k, i] * _MIX[k, j]
        for k in range(_essential_members(basis, Es)):
            _sandwich(K2_inverse_transposed, Es[k], K1_inverse, F)
            count = _count(columns, F, squared, best)
            if count > best:
                best = count
                E[:, :] = Es[k]
    return E, best, rounds, state


def _improve_essential(
    E: Array, count: float, x1: Array, x2: Array, K1: Array, K2: Array, columns: Array, squared: float
) -> tuple[Array, float]:
    """E refined on its inliers, if more pairs agree with it then: a local step (LO-RANSAC)."""
    left, right = np.linalg.inv(K2).T, np.linalg.inv(K1)
    inliers = np.flatnonzero(_within(x1, x2, left @ E @ right, squared))
    if len(inliers) < 6:
        return E, count
    inliers = inliers[:: max(1, len(inliers) // 100)]  # a hundred are enough to see whether it is worth it
    refined = _refine_essential(E, x1[inliers], x2[inliers], K1, K2, steps=5)
    more = float(_count(columns, left @ refined @ right, squared, 0.0))
    return (refined, more) if more > count else (E, count)


@njit(**SERIAL)
def _sandwich(A, E, B, F):
    """Write the product A E B of 3 x 3 matrices to F."""
    for i in range(3):
        for j in range(3):
            F[i, j] = 0.0
            for k in range(3):
                for m in range(3):
                    F[i, j] += A[i, k] * E[k, m] * B[m, j]


def _refine_essential(E: Array, x1: Array, x2: Array, K1: Array, K2: Array, steps: int = 30) -> Array:
    """Move E = [t]x R in its five degrees of freedom to the least sum of squared Sampson distances."""
    p, q = to_homogeneous(x1), to_homogeneous(x2)
    left, right = np.linalg.inv(K2).T, np.linalg.inv(K1)
    R, t = poses(E)[0]

    def moved(step: Array) -> tuple[Array, Array]:
        across = np.linalg.svd(t[None])[2][1:]  # two directions at right angles to t
        return rotation_from_vector(step[:3]) @ R, rotation_from_vector(step[3:] @ across) @ t

    def residuals(steps: Array) -> Array:
        Es = [cross_matrix(along) @ turned for turned, along in map(moved, steps)]
        return _sampson(left @ np.stack(Es) @ right, p, q)

    damping, r = 1e-4, residuals(np.zeros((1, 5)))[0]
    for _ in range(steps):
        ahead, behind = residuals(np.concatenate([1e-6 * np.eye(5), -1e-6 * np.eye(5)])).reshape(2, 5, -1)
        J = (ahead - behind) / 2e-6
        N = J @ J.T
        step = -np.linalg.lstsq(N + damping * np.diag(np.diag(N)), J @ r, rcond=None)[0]
        tried = residuals(step[None])[0]
        if not tried @ tried < r @ r:
            damping *= 100
            if damping > 1e6:
                break
            continue
        settled = r @ r - tried @ tried <= 1e-7 * (r @ r)
        (R, t), r, damping = moved(step), tried, damping / 10
        if settled:
            break
    return cross_matrix(t) @ R


def _refuse_rotation(x1: Array, x2: Array, K1: Array, K2: Array, threshold: float) -> None:
    """Refuse pairs that a turn about the centre explains as well."""
    if len(x1) < 6:
        raise ValueError(f"only {len(x1)} pairs agree with any essential matrix: too few of the matches are right")
    d1, d2 = (to_homogeneous(normalize_pixels(K, x)) for K, x in ((K1, x1), (K2, x2)))
    try:
        H = panoramas.rotation_homography(K1, panoramas.fit_rotation(d1, d2), K2)
    except ValueError:
        return
    turned = transfer_errors(H, x1, x2) <= H_BAND * threshold
    if turned.mean() >= PLANAR:
        raise ValueError(
            f"{turned.sum()} of the {len(x1)} pairs that agree on E also fit a pure rotation: the camera turned and "
            "hardly moved, so the direction of t is not determined. Take a pair with a wider baseline"
        )


def _choose_on_plane(E: Array, x1: Array, x2: Array, K1: Array, K2: Array, threshold: float) -> Array:
    """Of the two E that fit the pairs of a plane, the one that has them in front of both cameras, Eq. (16.18)."""
    try:
        on_plane = ransac_homography(x1, x2, H_BAND * threshold, rng=0, max_rounds=30).inliers
    except ValueError:
        return E
    if on_plane.mean() < PLANAR:
        return E
    n1, n2 = normalize_pixels(K1, x1), normalize_pixels(K2, x2)
    left, right, p, q = np.linalg.inv(K2).T, np.linalg.inv(K1), to_homogeneous(x1), to_homogeneous(x2)
    rivals, rng = [fix_scale(E)], np.random.default_rng(0)
    for _ in range(20):
        sample = rng.choice(np.flatnonzero(on_plane), 5, replace=False)
        for G in five_point(n1[sample], n2[sample]):
            if np.mean(np.abs(_sampson(left @ G @ right, p, q)) <= 2 * threshold) < PLANAR:
                continue
            G = fix_scale(_refine_essential(G, x1, x2, K1, K2))
            if all(abs(np.sum(G * rival)) < APART for rival in rivals):
                rivals.append(G)
    errors = np.array([np.sum(_sampson(left @ G @ right, p, q) ** 2) for G in rivals])
    fitting = [G for G, error in zip(rivals, errors) if error <= 1.25 * errors.min()]
    front = [_in_front(G, to_homogeneous(n1), to_homogeneous(n2))[1].mean(axis=1).max() for G in fitting]
    if np.sum(np.array(front) > max(front) - BEHIND) > 1:
        raise ValueError(
            f"{on_plane.sum()} of the {len(x1)} pairs that agree on E lie on one plane, and two essential matrices fit "
            "them, both with the points in front of the cameras: a third view, or points off the plane, must decide"
        )
    return fitting[int(np.argmax(front))]


# --- pose ------------------------------------------------------------------------------------


def poses(E: ArrayLike) -> list[tuple[Array, Array]]:
    """Take E apart into its four poses (R, t) with ``E ~ [t]x R``, Eq. (16.14).

    Parameters
    ----------
    E : array of shape (3, 3)
        At any scale; if it is not quite essential, its nearest essential matrix is taken.

    Returns
    -------
    list of (R, t)
        Two rotations, each with t and -t, ``|t| = 1``: (Ra, t), (Ra, -t), (Rb, t), (Rb, -t).  The largest entry of the
        first t is positive, and Ra turns by the smaller angle.

    Raises
    ------
    ValueError
        If E has rank 1 or 0, another shape, NaN or infinity.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Result 9.19.

    Examples
    --------
    >>> four = poses(essential_matrix(np.eye(3), [-1, 0, 0]))
    >>> [(np.diag(R).round(6).tolist(), float(t[0])) for R, t in four]
    [([1.0, 1.0, 1.0], 1.0), ([1.0, 1.0, 1.0], -1.0), ([1.0, -1.0, -1.0], 1.0), ([1.0, -1.0, -1.0], -1.0)]
    """
    U, s, Vt = np.linalg.svd(_matrix(E, "E"))
    if s[1] <= 1e-12 * s[0]:
        raise ValueError("E has rank 1: no pair of cameras has it")
    U, Vt = U * np.sign(np.linalg.det(U)), Vt * np.sign(np.linalg.det(Vt))
    W = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    Ra, Rb = sorted((U @ W @ Vt, U @ W.T @ Vt), key=lambda R: -np.trace(R))
    t = U[:, 2] * np.sign(U[np.argmax(np.abs(U[:, 2])), 2])
    return [(Ra, t), (Ra, -t), (Rb, t), (Rb, -t)]


def recover_pose(E: ArrayLike, x1: ArrayLike, x2: ArrayLike, K1: ArrayLike, K2: ArrayLike) -> Pose:
    """Choose, of the four poses of E, the one with most points in front of both cameras (cheirality).

    Parameters
    ----------
    E : array of shape (3, 3)
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y) in pixels; the inliers of E.
    K1, K2 : array of shape (3, 3)

    Returns
    -------
    Pose
        R and t with ``X2 = R @ X1 + t``, ``|t| = 1``; in_front (N,), which pairs lie in front of both.

    Raises
    ------
    ValueError
        If another pose has as many points in front, or none has any: points at infinity, a wrong E,
        or images in the wrong order.

    Notes
    -----
    A pair whose rays are parallel within the noise may fall on either side: look at the share of
    `in_front` in all.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 9.6.3.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(1, 2, (9, 3))
    >>> x1, x2, K = X[:, :2] / X[:, 2:], (X[:, :2] - [1, 0]) / X[:, 2:], np.eye(3)
    >>> pose = recover_pose(fit_fundamental(x1, x2), x1, x2, K, K)
    >>> pose.R.round(6) + 0.0, pose.t.round(6) + 0.0
    (array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]]), array([-1.,  0.,  0.]))
    """
    x1, x2 = _pairs(x1, x2)
    d1, d2 = (to_homogeneous(normalize_pixels(K, x)) for K, x in ((K1, x1), (K2, x2)))
    candidates, front = _in_front(_matrix(E, "E"), d1, d2)
    order = np.argsort(-front.sum(axis=1), kind="stable")
    most, next_most = (int(front[k].sum()) for k in order[:2])
    if most == next_most:
        raise ValueError(
            f"cheirality does not decide: two poses have {most} of {len(x1)} points in front of both cameras. Are the "
            "points at infinity (a pure rotation), E wrong, or the images in the other order?"
        )
    R, t = candidates[order[0]]
    return Pose(R, t, front[order[0]])


def _in_front(E: Array, d1: Array, d2: Array) -> tuple[list[tuple[Array, Array]], NDArray[np.bool_]]:
    """The four poses, and for each of them which pairs of rays meet in front of both cameras (4, N)."""
    candidates = poses(E)
    return candidates, np.array([np.all(_depths(R, t, d1, d2) > 0, axis=0) for R, t in candidates])


def _depths(R: Array, t: Array, d1: Array, d2: Array) -> Array:
    """Depths (2, N) where the rays s1 R d1 + t and s2 d2 pass each other, Eq. (16.15).

    They come times the squared sine of the rays' angle, which is positive: the signs stay.
    """
    a = d1 @ R.T
    aa, ad, dd = np.sum(a * a, axis=1), np.sum(a * d2, axis=1), np.sum(d2 * d2, axis=1)
    at, dt = a @ t, d2 @ t
    return np.stack([ad * dt - dd * at, aa * dt - ad * at])


# --- triangulation ---------------------------------------------------------------------------

METHODS = ("dlt", "midpoint", "optimal")


def triangulate(P1: ArrayLike, P2: ArrayLike, x1: ArrayLike, x2: ArrayLike, method: str = "dlt") -> Array:
    """Find the world points that two cameras see at pairs of pixels.

    Parameters
    ----------
    P1, P2 : array of shape (3, 4)
    x1, x2 : array of shape (N, 2)
        Corresponding pixels (x, y).
    method : {"dlt", "midpoint", "optimal"}
        "dlt": least squares of the four equations ``x (P3 X) = P1 X`` ..., Eq. (16.16).  "midpoint": the middle of
        the shortest connection of the two rays, Eq. (16.15).  "optimal": first the pixels are moved as little as possible to
        fulfil the epipolar constraint (Lindstrom), Eq. (16.17); then the rays meet.

    Returns
    -------
    X : ndarray of shape (N, 3)
        In the cameras' world; also points behind a camera, see `cameras.is_in_front`.

    Raises
    ------
    ValueError
        If the lengths disagree, a camera is singular, both stand at one place, the method is not
        known, or the rays of a pair are parallel: its point lies at infinity.

    Notes
    -----
    "optimal" minimises the sum of squared distances in both images, the likeliest point for equal
    Gaussian noise; the other two do so about, for distances that are alike.

    References
    ----------
    .. [1] Hartley & Sturm, Triangulation, 1997, doi:10.1006/cviu.1997.0547.
    .. [2] Lindstrom, Triangulation made easy, 2010, doi:10.1109/CVPR.2010.5539785.

    Examples
    --------
    >>> P1, P2 = np.eye(3, 4), np.eye(3, 4) - [[0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    >>> triangulate(P1, P2, [[0.5, 0.25]], [[0.25, 0.25]]).round(9)
    array([[2., 1., 4.]])
    """
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}; got {method!r}")
    P1, P2 = require_projection(P1), require_projection(P2)
    p, q = _pairs(x1, x2)
    c1, c2 = _two_centers(P1, P2)
    if method == "optimal":
        p, q = _corrected(fundamental_from_projections(P1, P2), p, q)
    if method == "midpoint":
        X, trust = _midpoints(P1, P2, c1, c2, p, q)
    else:
        X, trust = _dlt_points(P1 / np.linalg.norm(P1[2, :3]), P2 / np.linalg.norm(P2[2, :3]), p, q)
    if np.any(far := ~(trust > PARALLEL)):
        n = int(np.argmax(far))
        raise ValueError(f"the rays of pair {n} are parallel: its point lies at infinity ({far.sum()} of {len(p)} do)")
    return X


@njit(**FAST)
def _dlt_points(P1, P2, x1, x2):
    """Each point by the normal equations of its four rows, Eq. (16.16), and its determinant by the cube of the trace."""
    X, trust = np.empty((len(x1), 3)), np.empty(len(x1))
    for n in prange(len(x1)):
        X[n, 0], X[n, 1], X[n, 2], trust[n] = _dlt_point(P1, P2, x1[n, 0], x1[n, 1], x2[n, 0], x2[n, 1])
    return X, trust


@njit(**SERIAL)
def _dlt_point(P1, P2, x, y, u, v):
    xx = xy = xz = yy = yz = zz = gx = gy = gz = 0.0
    for k in range(4):
        P, i = (P1, k) if k < 2 else (P2, k - 2)
        c = (x, y, u, v)[k]
        a, b, d = c * P[2, 0] - P[i, 0], c * P[2, 1] - P[i, 1], c * P[2, 2] - P[i, 2]
        r = P[i, 3] - c * P[2, 3]
        xx, xy, xz, yy, yz, zz = xx + a * a, xy + a * b, xz + a * d, yy + b * b, yz + b * d, zz + d * d
        gx, gy, gz = gx + a * r, gy + b * r, gz + d * r
    return _solve_symmetric(xx, xy, xz, yy, yz, zz, gx, gy, gz)


@njit(**SERIAL)
def _solve_symmetric(xx, xy, xz, yy, yz, zz, gx, gy, gz):
    """Cramer's rule for a symmetric 3 x 3 matrix; also its determinant by the cube of its trace."""
    a, b, c = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    d, e, f = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    det, trace = xx * a + xy * b + xz * c, xx + yy + zz
    scale = 1.0 / det if det > 0 else 0.0
    return (
        scale * (a * gx + b * gy + c * gz),
        scale * (b * gx + d * gy + e * gz),
        scale * (c * gx + e * gy + f * gz),
        det / (trace * trace * trace),
    )


def _midpoints(P1: Array, P2: Array, c1: Array, c2: Array, x1: Array, x2: Array) -> tuple[Array, Array]:
    """Each point half-way between its rays c1 + s1 a and c2 + s2 b, Eq. (16.15), and the squared sine of their angle."""
    a, b = (to_homogeneous(x) @ np.linalg.inv(P[:, :3]).T for P, x in ((P1, x1), (P2, x2)))
    aa, ab, bb = np.sum(a * a, axis=1), np.sum(a * b, axis=1), np.sum(b * b, axis=1)
    at, bt = a @ (c2 - c1), b @ (c2 - c1)
    det = aa * bb - ab * ab
    safe = np.where(det > 0, det, 1.0)
    s1, s2 = (bb * at - ab * bt) / safe, (ab * at - aa * bt) / safe
    return (c1 + s1[:, None] * a + c2 + s2[:, None] * b) / 2, det / (aa * bb)


@njit(**FAST)
def _corrected(F, x1, x2):
    """The nearest pairs that fulfil the epipolar constraint: Lindstrom's iteration, Eq. (16.17)."""
    y1, y2 = np.empty_like(x1), np.empty_like(x2)
    for n in prange(len(x1)):
        y1[n, 0], y1[n, 1], y2[n, 0], y2[n, 1] = _correct(F, x1[n, 0], x1[n, 1], x2[n, 0], x2[n, 1])
    return y1, y2


@njit(**SERIAL)
def _correct(F, x, y, u, v):
    """Step along the gradient of the constraint at the point that was reached, so far that the constraint is met."""
    a, b, d, e = F[0, 0], F[0, 1], F[1, 0], F[1, 1]
    l2x, l2y = a * x + b * y + F[0, 2], d * x + e * y + F[1, 2]
    l1x, l1y = a * u + d * v + F[2, 0], b * u + e * v + F[2, 1]
    c = u * l2x + v * l2y + F[2, 0] * x + F[2, 1] * y + F[2, 2]
    n1x, n1y, n2x, n2y = l1x, l1y, l2x, l2y
    for last in (False, False, False, False, True):
        curve = n2x * (a * n1x + b * n1y) + n2y * (d * n1x + e * n1y)
        slope = 0.5 * (n1x * l1x + n1y * l1y + n2x * l2x + n2y * l2y)
        root = np.sqrt(max(slope * slope - curve * c, 0.0))
        below = slope + (root if slope >= 0 else -root)
        step = c / below if below != 0 else 0.0
        m1x, m1y, m2x, m2y = step * n1x, step * n1y, step * n2x, step * n2y
        if not last:
            n1x, n1y = l1x - (a * m2x + d * m2y), l1y - (b * m2x + e * m2y)
            n2x, n2y = l2x - (a * m1x + b * m1y), l2y - (d * m1x + e * m1y)
    return x - m1x, y - m1y, u - m2x, v - m2y


# --- rectification ---------------------------------------------------------------------------


def rectifying_homographies(F: ArrayLike, x1: ArrayLike, x2: ArrayLike, shape: Sequence[int]) -> tuple[Array, Array]:
    """Find homographies after which corresponding points lie in the same row, without calibration (Hartley).

    H2 turns the epipole of image 2 onto the x axis and sends it to infinity, moving the middle of
    the image as little as possible; H1 is the matching homography that brings the pairs nearest
    together in x, Eq. (16.19).

    Parameters
    ----------
    F : array of shape (3, 3)
    x1, x2 : array of shape (N, 2)
        Corresponding points (x, y), N >= 3: inliers of F.
    shape : (H, W) or (H, W, 3)
        Of both images.

    Returns
    -------
    H1, H2 : ndarray of shape (3, 3)
        For `warping.warp` of each image; after them ``F ~ [[0, 0, 0], [0, 0, -1], [0, 1, 0]]``.

    Raises
    ------
    ValueError
        If an epipole lies inside its image: rectifying would tear the image there.  If the lengths
        disagree, N < 3, or the points lie on a line.

    References
    ----------
    .. [1] Hartley, Theory and practice of projective rectification, 1999, doi:10.1023/A:1008115206617.

    Examples
    --------
    >>> F = [[0, 0, 0], [0, 0, -1], [0, 1, 0]]  # a rectified pair stays as it is, but for a shift and a stretch in x
    >>> H1, H2 = rectifying_homographies(F, [[9, 5], [30, 9], [9, 30]], [[5, 5], [25, 9], [7, 30]], (40, 60))
    >>> H2.round(6) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    F, (x1, x2) = _matrix(F), _pairs(x1, x2, 3, "a rectification")
    if len(shape) not in (2, 3) or min(shape[:2]) < 1:
        raise ValueError(f"an image has shape (H, W) or (H, W, 3), got {tuple(shape)}")
    e1, e2 = epipoles(F)
    for name, e in (("1", e1), ("2", e2)):
        _refuse_inside(name, e, shape)
    H2 = _to_infinity(e2, shape)
    M = cross_matrix(e2) @ F  # of rank 2; the term e2 e1^T makes it regular and is the first guess of H1
    M = M / np.linalg.norm(M)
    H0 = H2 @ (M + np.outer(e2, e1) * np.sign(np.median(to_homogeneous(x1) @ M[2]) or 1.0))
    moved, target = transform_points(H0, x1), transform_points(H2, x2)
    rows, (T, _) = to_homogeneous(moved), (normalizer(moved), None)
    coefficients, _, rank, _ = np.linalg.lstsq(rows @ T.T, target[:, 0], rcond=1e-10)
    if rank < 3:
        raise ValueError("the points lie on a line: the rectification of image 1 is not determined")
    along = np.vstack([coefficients @ T, [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    H1 = along @ H0
    return _upright(H1, shape), _upright(H2, shape)


def _to_infinity(e: Array, shape: Sequence[int]) -> Array:
    """Turn about the middle of the image until the epipole lies on the x axis, then send it to (1, 0, 0)."""
    center = (np.array([shape[1], shape[0]]) - 1) / 2
    e = translation_matrix(*-center) @ e
    angle = np.arctan2(e[1], e[0])
    if abs(angle) > np.pi / 2:  # the shorter turn
        angle -= np.sign(angle) * np.pi
    turn = rotation_matrix(-angle)
    e = turn @ e
    G = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-e[2] / e[0], 0.0, 1.0]])
    H: Array = translation_matrix(*center) @ G @ turn @ translation_matrix(*-center)
    return H


def _refuse_inside(name: str, e: Array, shape: Sequence[int]) -> None:
    if abs(e[2]) > 1e-12:
        x, y = e[:2] / e[2]
        if -0.5 <= x <= shape[1] - 0.5 and -0.5 <= y <= shape[0] - 0.5:
            raise ValueError(
                f"the epipole of image {name} lies inside it, at ({x:.0f}, {y:.0f}): the camera moved forwards or "
                "backwards, and no homography makes lines that meet inside the image parallel"
            )


def _upright(H: Array, shape: Sequence[int]) -> Array:
    """At the scale at which the middle of the image has third coordinate 1."""
    return H / (H[2] @ [(shape[1] - 1) / 2, (shape[0] - 1) / 2, 1])


# --- at the door -----------------------------------------------------------------------------


def _pairs(x1: ArrayLike, x2: ArrayLike, least: int = 1, what: str = "") -> tuple[Array, Array]:
    """Check corresponding points: two contiguous (N, 2), as many in both, at least so many."""
    x1, x2 = np.ascontiguousarray(as_points(x1, name="x1")), np.ascontiguousarray(as_points(x2, name="x2"))
    if len(x1) != len(x2):
        raise ValueError(f"{len(x1)} points in image 1 but {len(x2)} in image 2")
    if len(x1) < least:
        raise ValueError(f"too few matches: {what} needs {least} pairs, got {len(x1)}")
    return x1, x2


def _matrix(F: Any, name: str = "F") -> Array:
    F = np.array(F, dtype=np.float64)
    if F.shape != (3, 3):
        raise ValueError(f"{name} must have shape (3, 3), got {F.shape}")
    if not np.isfinite(F).all() or not F.any():
        raise ValueError(f"{name} is zero, or holds NaN or infinity")
    return F
