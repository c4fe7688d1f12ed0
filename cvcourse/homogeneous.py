"""Homogeneous coordinates and the small linear algebra that every geometry lecture needs.

Points are (N, 2) arrays in (x, y) order: x right, y down; world points are (N, 3).  A transform
``T`` acts on column vectors: ``dst ~ T @ src``.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cvcourse.images import Array


def as_points(points: ArrayLike, dim: int = 2, name: str = "points") -> Array:
    """Check points at the door: a float64 array of shape (N, dim), finite, N >= 1.

    Raises
    ------
    ValueError
        For another shape, no points, NaN or infinity.
    """
    result = np.array(points, dtype=np.float64)
    if result.ndim != 2 or result.shape[1] != dim:
        raise ValueError(f"{name} must have shape (N, {dim}), got {result.shape}")
    if len(result) == 0:
        raise ValueError(f"{name} is empty")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return result


def to_homogeneous(points: ArrayLike) -> Array:
    """Append a 1 to each point: (N, D) -> (N, D + 1).

    Examples
    --------
    >>> to_homogeneous([[3, 4]])
    array([[3., 4., 1.]])
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError(f"points must have shape (N, D), got {points.shape}")
    return np.column_stack([points, np.ones(len(points))])


def from_homogeneous(points: ArrayLike) -> Array:
    """Divide by the last coordinate and drop it: (N, D + 1) -> (N, D).

    Raises
    ------
    ValueError
        If a last coordinate is 0: that point lies at infinity.

    Examples
    --------
    >>> from_homogeneous([[6, 8, 2]])
    array([[3., 4.]])
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2:
        raise ValueError(f"points must have shape (N, D + 1), got {points.shape}")
    if np.any(points[:, -1] == 0):
        raise ValueError(f"point {int(np.argmax(points[:, -1] == 0))} lies at infinity: its last coordinate is 0")
    return points[:, :-1] / points[:, -1:]


def transform_points(T: ArrayLike, points: ArrayLike) -> Array:
    """Apply a (D + 1, D + 1) transform to (N, D) points.

    Examples
    --------
    >>> transform_points([[1, 0, 10], [0, 1, 20], [0, 0, 1]], [[3, 4]])
    array([[13., 24.]])
    """
    T, homogeneous = np.asarray(T, dtype=np.float64), to_homogeneous(points)
    dim = homogeneous.shape[1] - 1
    if T.ndim != 2 or T.shape[1] != dim + 1:
        raise ValueError(f"a transform of points with {dim} coordinates has {dim + 1} columns, got {T.shape}")
    return from_homogeneous(homogeneous @ T.T)


def null_vector(A: ArrayLike) -> tuple[Array, Array]:
    """Find the unit vector that minimises ``|A v|``, and the singular values of A.

    v is the last right singular vector; of its two signs the one is taken that makes the entry of
    largest magnitude positive, so that the answer does not depend on the LAPACK build.

    Parameters
    ----------
    A : array of shape (M, N)
        M may be smaller than N.

    Returns
    -------
    v : ndarray of shape (N,)
    singular_values : ndarray of shape (N,)
        Descending, filled up with zeros where M < N.

    Notes
    -----
    The tall matrix is reduced to its triangular factor first: O(M N^2), little memory.

    Examples
    --------
    >>> null_vector([[1, 0, -1], [0, 1, -1]])[0].round(4)
    array([0.5774, 0.5774, 0.5774])
    """
    A = np.asarray(A, dtype=np.float64)
    if A.ndim != 2 or A.size == 0:
        raise ValueError(f"expected a matrix, got shape {A.shape}")
    if not np.isfinite(A).all():
        raise ValueError("the matrix holds NaN or infinity")
    R = np.linalg.qr(A, mode="r")
    _, s, Vt = np.linalg.svd(R, full_matrices=True)
    v = Vt[-1]
    singular_values = np.zeros(A.shape[1])
    singular_values[: len(s)] = s
    return v * np.sign(v[np.argmax(np.abs(v))]), singular_values


def normalizer(points: ArrayLike) -> Array:
    """Build the similarity that moves points to mean 0 and mean distance sqrt(D) from it.

    Returns
    -------
    T : ndarray of shape (D + 1, D + 1)

    Raises
    ------
    ValueError
        If all points coincide.

    References
    ----------
    .. [1] Hartley, In defense of the eight-point algorithm, 1997, doi:10.1109/34.601246.
    """
    points = np.asarray(points, dtype=np.float64)
    points = as_points(points, dim=points.shape[-1] if points.ndim == 2 else 2)
    dim = points.shape[1]
    mean = points.mean(axis=0)
    distance = np.linalg.norm(points - mean, axis=1).mean()
    if distance <= 1e-12 * max(1.0, float(np.abs(mean).max())):
        raise ValueError("all points coincide: they cannot be normalised")
    scale = np.sqrt(dim) / distance
    T = np.diag([scale] * dim + [1.0])
    T[:dim, dim] = -scale * mean
    return T


def cross_matrix(v: ArrayLike) -> Array:
    """Build the skew matrix [v]x with ``cross_matrix(v) @ w == np.cross(v, w)``.

    Examples
    --------
    >>> cross_matrix([1, 2, 3]) @ [4, 5, 6]
    array([-3.,  6., -3.])
    """
    v = np.asarray(v, dtype=np.float64)
    if v.shape != (3,):
        raise ValueError(f"expected a vector of 3 numbers, got shape {v.shape}")
    x, y, z = v
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0.0]])


def random_generator(rng: Any) -> np.random.Generator:
    """Accept a Generator or an int seed; anything else, None included, is refused.

    A lecture must say where its noise comes from, or its numbers cannot be repeated.
    """
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool):
        return np.random.default_rng(int(rng))
    raise TypeError(f"rng must be a numpy Generator or an int seed, got {rng!r}")
