import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvcourse import homogeneous as hom

POINTS = np.random.default_rng(0).uniform(-50, 700, size=(9, 2))


@given(st.integers(1, 20), st.integers(2, 4), st.floats(0.1, 10))
def test_to_and_from_homogeneous_are_inverse_whatever_the_scale(count, dim, scale):
    points = np.random.default_rng(count).normal(size=(count, dim))
    np.testing.assert_allclose(hom.from_homogeneous(scale * hom.to_homogeneous(points)), points, rtol=1e-12)


def test_transform_points_composes():
    A, B = np.random.default_rng(1).normal(size=(2, 3, 3)) + 5 * np.eye(3)
    np.testing.assert_allclose(
        hom.transform_points(A @ B, POINTS), hom.transform_points(A, hom.transform_points(B, POINTS)), rtol=1e-9
    )


@pytest.mark.parametrize("rows", [3, 8, 40])
def test_null_vector_is_the_last_right_singular_vector(rows):
    A = np.random.default_rng(rows).normal(size=(rows, 5))
    v, s = hom.null_vector(A)
    Vt = np.linalg.svd(A)[2]
    assert abs(v @ Vt[-1]) == pytest.approx(1, abs=1e-12) or rows < 5
    assert np.linalg.norm(v) == pytest.approx(1)
    assert v[np.argmax(np.abs(v))] > 0
    assert s.shape == (5,)
    assert np.linalg.norm(A @ v) == pytest.approx(s[-1], abs=1e-12)


def test_null_vector_does_not_depend_on_the_sign_of_the_rows():
    A = np.random.default_rng(3).normal(size=(7, 4))
    np.testing.assert_allclose(hom.null_vector(A)[0], hom.null_vector(-A[::-1])[0], rtol=1e-10)


@pytest.mark.parametrize("dim", [2, 3])
def test_normalizer_centres_and_scales(dim):
    points = np.random.default_rng(dim).uniform(100, 900, size=(12, dim))
    moved = hom.transform_points(hom.normalizer(points), points)
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=1e-12)
    assert np.linalg.norm(moved, axis=1).mean() == pytest.approx(np.sqrt(dim))


def test_cross_matrix_is_the_cross_product():
    v, w = np.random.default_rng(4).normal(size=(2, 3))
    np.testing.assert_allclose(hom.cross_matrix(v) @ w, np.cross(v, w), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hom.as_points(np.zeros((3, 3))), "\\(N, 2\\), got \\(3, 3\\)"),
        (lambda: hom.as_points(np.zeros((0, 2))), "empty"),
        (lambda: hom.as_points([[np.nan, 0]]), "NaN"),
        (lambda: hom.to_homogeneous([1, 2]), "\\(N, D\\)"),
        (lambda: hom.from_homogeneous([[1, 2, 3], [1, 2, 0]]), "point 1 lies at infinity"),
        (lambda: hom.from_homogeneous([1.0]), "\\(N, D \\+ 1\\)"),
        (lambda: hom.transform_points(np.eye(4), [[1, 2]]), "3 columns"),
        (lambda: hom.normalizer([[2, 2], [2, 2]]), "coincide"),
        (lambda: hom.cross_matrix([1, 2]), "3 numbers"),
        (lambda: hom.null_vector([1, 2]), "matrix"),
        (lambda: hom.null_vector([[np.nan, 1]]), "NaN"),
    ],
)
def test_says_why_it_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("rng", [None, 1.5, True, "seed"])
def test_random_generator_wants_a_generator_or_a_seed(rng):
    with pytest.raises(TypeError, match="Generator or an int seed"):
        hom.random_generator(rng)
    assert hom.random_generator(3).random() == hom.random_generator(np.random.default_rng(3)).random()
