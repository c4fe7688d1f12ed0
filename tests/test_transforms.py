"""Transforms against truth by construction, laws of the groups, and scikit-image and NumPy as oracles."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from skimage import transform as skimage_transform

from cvcourse import transforms as tf
from cvcourse.homogeneous import to_homogeneous, transform_points

POINTS = np.random.default_rng(0).uniform(-50, 700, size=(12, 2))
SQUARE = np.array([[100.0, 50.0], [420.0, 50.0], [420.0, 290.0], [100.0, 290.0]])
H = np.array([[1.1, 0.2, 30.0], [-0.1, 0.9, 12.0], [4e-4, -2e-4, 1.0]])
INFINITE = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # (x, y) -> (1 / x, y / x): H[2, 2] = 0
angles = st.floats(-3.1, 3.1)


def members(rng):
    """One random member of every group, none of them of a smaller one."""
    tx, ty = rng.uniform(20, 200, 2)
    theta, scale = rng.uniform(0.2, 2.0), rng.uniform(1.2, 3.0)
    similarity = tf.similarity_matrix(scale, theta, tx, ty)
    affine = similarity @ tf.shear_matrix(rng.uniform(0.2, 0.8))
    projective = affine.copy()
    projective[2, :2] = rng.uniform(2e-4, 9e-4, 2)
    return {
        "translation": tf.translation_matrix(tx, ty),
        "Euclidean": tf.similarity_matrix(1.0, theta, tx, ty),
        "similarity": similarity,
        "affine": affine,
        "projective": projective,
    }


# ---------------------------------------------------------------------------------------------
# Building


def test_basic_matrices_do_what_their_names_say():
    point = np.array([3.0, 4.0, 1.0])
    np.testing.assert_array_equal(tf.translation_matrix(10, -20) @ point, [13, -16, 1])
    np.testing.assert_array_equal(tf.scale_matrix(2) @ point, [6, 8, 1])
    np.testing.assert_array_equal(tf.scale_matrix(2, -1) @ point, [6, -4, 1])
    np.testing.assert_array_equal(tf.shear_matrix(0.5, 3) @ point, [5, 13, 1])
    np.testing.assert_allclose(tf.rotation_matrix(np.pi / 2) @ point, [-4, 3, 1], atol=1e-15)


@given(angles, st.floats(0.1, 10), st.tuples(st.floats(-500, 500), st.floats(-500, 500)))
def test_the_center_stays_and_the_rest_is_as_about_the_origin(theta, scale, center):
    for T, about_origin in [
        (tf.rotation_matrix(theta, center), tf.rotation_matrix(theta)),
        (tf.scale_matrix(scale, -2, center), tf.scale_matrix(scale, -2)),
    ]:
        np.testing.assert_allclose(transform_points(T, [center]), [center], atol=1e-10)
        shift, back = tf.translation_matrix(*center), tf.translation_matrix(*np.negative(center))
        np.testing.assert_allclose(T, shift @ about_origin @ back, atol=1e-9)


def test_a_similarity_is_scale_then_rotation_then_shift():
    parts = tf.compose(tf.translation_matrix(5, -7), tf.rotation_matrix(0.4), tf.scale_matrix(1.7))
    np.testing.assert_allclose(tf.similarity_matrix(1.7, 0.4, 5, -7), parts, atol=1e-15)


def test_a_similarity_agrees_with_scikit_image():
    theirs = skimage_transform.SimilarityTransform(scale=1.7, rotation=0.4, translation=(5, -7))
    np.testing.assert_allclose(tf.similarity_matrix(1.7, 0.4, 5, -7), theirs.params, atol=1e-15)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tf.translation_matrix(np.nan, 0), "tx must be a finite number, got nan"),
        (lambda: tf.rotation_matrix(np.inf), "theta must be a finite number"),
        (lambda: tf.rotation_matrix(1.0, center=(1, 2, 3)), "center must have shape"),
        (lambda: tf.rotation_matrix(1.0, center=(np.nan, 0)), "center hold NaN"),
        (lambda: tf.scale_matrix(2, 0), "a scale of 0 flattens .* sy = 0"),
        (lambda: tf.scale_matrix([1, 2]), "sx must be a finite number"),
        (lambda: tf.shear_matrix(2, 0.5), "kx ky = 1"),
        (lambda: tf.similarity_matrix(0, 1, 0, 0), "scale of a similarity is positive, got 0"),
        (lambda: tf.similarity_matrix(-1, 1, 0, 0), "positive, got -1"),
    ],
)
def test_builders_say_why_they_refuse(build, message):
    with pytest.raises(ValueError, match=message):
        build()


# ---------------------------------------------------------------------------------------------
# Joining, undoing, comparing


def test_in_a_composition_the_last_acts_first():
    A, B, C = (np.random.default_rng(k).normal(size=(3, 3)) + 4 * np.eye(3) for k in range(3))
    one_by_one = transform_points(A, transform_points(B, transform_points(C, POINTS)))
    np.testing.assert_allclose(transform_points(tf.compose(A, B, C), POINTS), one_by_one, rtol=1e-10)
    np.testing.assert_array_equal(tf.compose(A), A)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", tf.GROUPS)
def test_groups_are_closed_and_hold_their_inverses(name, seed):
    S, T = (members(np.random.default_rng(k))[name] for k in (seed, seed + 10))
    for product in (S @ T, tf.invert(S), tf.invert(S @ T)):
        assert tf.GROUPS.index(tf.group(product)) <= tf.GROUPS.index(name)
    np.testing.assert_allclose(tf.invert(S) @ S, np.eye(3), atol=1e-12)


def test_the_inverse_of_an_affine_map_is_affine_to_the_last_bit():
    T = tf.compose(tf.rotation_matrix(0.3), tf.shear_matrix(0.7), tf.translation_matrix(1e4, -3e3))
    np.testing.assert_array_equal(tf.invert(T)[2], [0, 0, 1])
    np.testing.assert_array_equal(tf.invert(4 * T)[2], [0, 0, 0.25])


def test_units_make_no_matrix_singular():
    """A map from kilometres to nanometres, with a long shift, can be undone."""
    T = np.array([[1e12, 0.0, 1e15], [0.0, 1e12, 1e15], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(tf.invert(T) @ T, np.eye(3), atol=1e-10)
    assert tf.group(T) == "similarity"


@pytest.mark.parametrize("call", [tf.invert, tf.group, lambda T: tf.transform_lines(T, [[1, 0, 0]])])
@pytest.mark.parametrize(
    "T",
    [
        np.zeros((3, 3)),
        np.diag([1.0, 0.0, 1.0]),
        np.ones((3, 3)),
        np.outer([1.0, 2.0, 3.0], [0.1, 0.3, 0.7]) + np.outer([2.0, 1.0, 0.3], [0.9, 0.1, 0.3]),  # rank 2, rounded
    ],
)
def test_singular_matrices_are_refused(call, T):
    with pytest.raises(ValueError, match="singular"):
        call(T)


@pytest.mark.parametrize(
    "call", [tf.invert, tf.group, tf.fix_scale, tf.compose, lambda T: tf.compose(np.eye(3), T), tf.require_transform]
)
@pytest.mark.parametrize(
    ("T", "message"),
    [(np.eye(2), "shape \\(3, 3\\), got \\(2, 2\\)"), (np.diag([1, np.nan, 1]), "NaN"), (np.inf * H, "infinity")],
)
def test_what_is_no_transform_is_refused(call, T, message):
    with pytest.raises(ValueError, match=message):
        call(T)


def test_compose_needs_something():
    with pytest.raises(ValueError, match="at least one"):
        tf.compose()


@given(st.sampled_from([1e-300, 1e-8, -1.0, -3e5, 1e300]))
def test_fixing_the_scale_forgets_the_factor(factor):
    for T in (H, INFINITE):
        fixed = tf.fix_scale(factor * T)
        np.testing.assert_allclose(fixed, tf.fix_scale(T), rtol=1e-14)
        assert np.linalg.norm(fixed) == pytest.approx(1)
        assert fixed.flat[np.argmax(np.abs(fixed))] > 0
        assert tf.is_same_transform(factor * T, T)


def test_the_zero_matrix_has_no_scale():
    with pytest.raises(ValueError, match="zero matrix"):
        tf.fix_scale(np.zeros((3, 3)))


def test_a_tie_between_opposite_entries_does_not_matter():
    T = np.array([[1.0, 0, 0], [0, -1.0, 0], [0, 0, 0.5]])
    nearly = T + np.diag([0, -1e-12, 0])  # now the other entry is larger
    assert tf.is_same_transform(T, nearly)
    assert not tf.is_same_transform(T, np.abs(T))
    assert not tf.is_same_transform(H, np.eye(3))


# ---------------------------------------------------------------------------------------------
# Recognising


def rotation(theta):
    return np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])


@settings(max_examples=60)
@given(st.tuples(*[st.floats(-3, 3)] * 4))
@example((0.0, -0.0625, 0.0, 1.0))  # phi is -pi/2 to the last bit
def test_a_decomposition_multiplies_back(entries):
    A = np.array(entries).reshape(2, 2)
    parts = tf.decompose(A)
    back = rotation(parts.theta) @ rotation(-parts.phi) @ np.diag(parts.scales) @ rotation(parts.phi)
    np.testing.assert_allclose(back, A, atol=1e-13)
    # NumPy's smallest value of a singular matrix is right to a rounding of the largest only
    np.testing.assert_allclose(np.abs(parts.scales), np.linalg.svd(A)[1], atol=1e-14 * (1 + np.abs(A).max()))
    assert np.prod(parts.scales) == pytest.approx(np.linalg.det(A), abs=1e-13)
    assert parts.scales[0] >= abs(parts.scales[1])
    assert -np.pi <= parts.theta <= np.pi
    assert -np.pi / 2 < parts.phi <= np.pi / 2


@given(angles, st.floats(-1.5, 1.5), st.floats(0.1, 0.9), st.booleans())
def test_a_decomposition_finds_the_parts_it_was_made_of(theta, phi, ratio, mirror):
    scales = np.array([2.0, -2 * ratio if mirror else 2 * ratio])
    T = 3 * np.eye(3)
    T[:2, :2] = 3 * rotation(theta) @ rotation(-phi) @ np.diag(scales) @ rotation(phi)
    T[:2, 2] = 3 * np.array([7.0, -4.0])
    parts = tf.decompose(T)
    assert parts.theta == pytest.approx(theta, abs=1e-12)
    assert parts.phi == pytest.approx(phi, abs=1e-12)
    np.testing.assert_allclose(parts.scales, scales, rtol=1e-12)
    np.testing.assert_allclose(parts.translation, [7, -4], rtol=1e-12)


@pytest.mark.parametrize(
    ("A", "theta", "phi", "scales"),
    [
        (np.eye(2), 0, 0, (1, 1)),
        (-np.eye(2), np.pi, 0, (1, 1)),
        (5 * rotation(0.7), 0.7, 0, (5, 5)),
        (np.diag([1.0, -1.0]), 0, 0, (1, -1)),
        (np.diag([-1.0, 1.0]), 0, np.pi / 2, (1, -1)),
        (np.zeros((2, 2)), 0, 0, (0, 0)),
        (np.diag([0.0, 3.0]), 0, np.pi / 2, (3, 0)),
    ],
)
def test_decompositions_that_are_not_unique_are_fixed(A, theta, phi, scales):
    parts = tf.decompose(A)
    assert parts.theta == pytest.approx(theta)
    assert parts.phi == pytest.approx(phi)
    np.testing.assert_allclose(parts.scales, scales, atol=1e-14)


@pytest.mark.parametrize(
    ("A", "message"),
    [(H, "last row"), (INFINITE, "last row"), (np.ones((2, 3)), "shape \\(3, 3\\)"), (np.full((2, 2), np.nan), "NaN")],
)
def test_decompose_says_why_it_refuses(A, message):
    with pytest.raises(ValueError, match=message):
        tf.decompose(A)


@pytest.mark.parametrize("factor", [1.0, -7.0, 1e-9])
@pytest.mark.parametrize("seed", range(5))
def test_each_member_is_known_whatever_its_factor(seed, factor):
    for name, T in members(np.random.default_rng(seed)).items():
        assert tf.group(factor * T) == name


def test_corner_cases_of_the_groups():
    assert tf.group(np.eye(3)) == "translation"
    assert tf.group(tf.rotation_matrix(np.pi)) == "Euclidean"
    assert tf.group(tf.scale_matrix(-2)) == "similarity"  # half a turn, not a mirror
    assert tf.group(tf.scale_matrix(1, -1)) == "affine"
    assert tf.group(INFINITE) == "projective"
    assert tf.group(H.T) == "projective"


def test_the_tolerance_of_a_group_is_a_share_and_knows_the_size():
    nearly = tf.similarity_matrix(1.001, 0.3, 10, 10)
    assert [tf.group(nearly, tol) for tol in (1e-4, 1e-2)] == ["similarity", "Euclidean"]
    bent = np.eye(3)
    bent[2, 0] = 1e-5  # changes the scale by 1 % over 1000 px, by 0.1 % over 100 px
    assert [tf.group(bent, 2e-3, size) for size in (1000, 100)] == ["projective", "translation"]


@pytest.mark.parametrize(("tol", "size"), [(-1e-9, 1000), (np.nan, 1000), (1e-9, 0), (1e-9, np.nan)])
def test_group_refuses_impossible_tolerances(tol, size):
    with pytest.raises(ValueError, match="tol must be at least 0 and size positive"):
        tf.group(np.eye(3), tol, size)


# ---------------------------------------------------------------------------------------------
# Points and lines


@pytest.mark.parametrize("T", [tf.similarity_matrix(2, 0.3, 40, -20), H, INFINITE])
def test_points_stay_on_their_lines(T):
    p, q = to_homogeneous(POINTS[:6]), to_homogeneous(POINTS[6:])
    lines = np.cross(p, q)
    moved = tf.transform_lines(T, lines)
    np.testing.assert_allclose(np.sum(moved * (p @ T.T), axis=1), 0, atol=1e-7 * np.abs(lines).max())
    r = to_homogeneous(np.random.default_rng(9).uniform(0, 600, (6, 2)))
    np.testing.assert_allclose(np.sum(moved * (r @ T.T), axis=1), np.sum(lines * r, axis=1), rtol=1e-9)


def test_the_third_row_is_the_line_that_goes_to_infinity():
    horizon = H[2]
    moved = tf.transform_lines(H, [horizon])[0]
    np.testing.assert_allclose(moved, [0, 0, 1], atol=1e-12)
    on_it = np.array([[0.0, -horizon[2] / horizon[1], 1.0]])
    assert (on_it @ H.T)[0, 2] == pytest.approx(0, abs=1e-12)


def test_a_point_that_goes_to_infinity_is_refused():
    with pytest.raises(ValueError, match="point 1 lies at infinity"):
        transform_points(INFINITE, [[2.0, 1.0], [0.0, 5.0]])


@pytest.mark.parametrize(
    ("lines", "message"),
    [([[1, 2]], "shape \\(N, 3\\)"), ([[1, 2, 3], [0, 0, 0]], "line 1 is"), ([[np.nan, 1, 1]], "NaN")],
)
def test_what_is_no_line_is_refused(lines, message):
    with pytest.raises(ValueError, match=message):
        tf.transform_lines(H, lines)


def test_cross_ratio_of_equal_steps_and_its_symmetries():
    a, b, c, d = np.array([10.0, -5.0]) + np.outer(range(4), [3.0, 4.0])
    assert tf.cross_ratio([a, b, c, d]) == pytest.approx(4 / 3)
    assert tf.cross_ratio([b, a, d, c]) == pytest.approx(4 / 3)
    assert tf.cross_ratio([c, d, a, b]) == pytest.approx(4 / 3)
    assert tf.cross_ratio([b, a, c, d]) == pytest.approx(3 / 4)
    assert tf.cross_ratio([a, c, b, d]) == pytest.approx(1 - 4 / 3)


@given(st.integers(0, 10_000))
@settings(max_examples=40)
def test_every_homography_keeps_the_cross_ratio(seed):
    rng = np.random.default_rng(seed)
    t = np.cumsum(rng.uniform(20, 150, 4))
    points = rng.uniform(0, 300, 2) + np.outer(rng.permutation(t), rotation(rng.uniform(0, 6))[0])
    T = members(rng)["projective"]
    w = to_homogeneous(points) @ T[2]
    assume(np.abs(w).min() > 0.05)  # else a point goes nearly to infinity, and takes its digits along
    assert tf.cross_ratio(transform_points(T, points)) == pytest.approx(tf.cross_ratio(points), rel=1e-8)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.zeros((3, 2)), "four points, got 3"),
        ([[0, 0], [1, 0], [1, 0], [3, 0]], "coincide"),
        (np.zeros((4, 2)), "coincide"),
        ([[0, 0], [10, 0], [20, 0], [30, 4]], "do not lie on a line"),
        (np.zeros((4, 3)), "shape \\(N, 2\\)"),
        ([[0, 0], [1, 0], [2, 0], [np.inf, 0]], "infinity"),
    ],
)
def test_cross_ratio_says_why_it_refuses(points, message):
    with pytest.raises(ValueError, match=message):
        tf.cross_ratio(points)


# ---------------------------------------------------------------------------------------------
# Four points


@pytest.mark.parametrize("T", [np.eye(3), tf.similarity_matrix(3, 2.0, -400, 70), H, tf.invert(H), INFINITE])
def test_four_points_recover_the_homography_that_made_them(T):
    found = tf.through_four_points(SQUARE, transform_points(T, SQUARE))
    assert np.linalg.norm(found) == pytest.approx(1)
    assert tf.is_same_transform(found, T, atol=1e-12)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)  # the first call loads the kernel
def test_any_four_points_go_to_any_four(seed):
    src, dst = np.random.default_rng(seed).uniform(0, 640, size=(2, 4, 2))
    triangles = [np.delete(q, k, axis=0) for q in (src, dst) for k in range(4)]
    assume(min(abs(np.linalg.det(to_homogeneous(t))) for t in triangles) > 500)
    T = tf.through_four_points(src, dst)
    np.testing.assert_allclose(transform_points(T, src), dst, atol=1e-6)
    back = tf.through_four_points(dst, src)
    assert tf.is_same_transform(tf.fix_scale(back) @ T, np.eye(3), atol=1e-6)


def test_four_points_agree_with_scikit_image():
    dst = SQUARE + np.array([[3, 8], [-40, 22], [15, -31], [6, 9]])
    theirs = skimage_transform.ProjectiveTransform.from_estimate(SQUARE, dst).params
    np.testing.assert_allclose(tf.fix_scale(theirs), tf.through_four_points(SQUARE, dst), atol=1e-9)


def test_far_away_no_digits_are_lost():
    far = np.array([1e6, -3e6])
    dst = transform_points(H, SQUARE)
    found = tf.through_four_points(SQUARE + far, dst + far)
    # the matrix multiplies both shifts: rounding leaves 2e-16 times 3e6 squared, over the size of 300
    np.testing.assert_allclose(transform_points(found, SQUARE + far), dst + far, rtol=0, atol=6e-6)


def test_the_origin_may_go_to_infinity():
    """H[2, 2] = 0, which a solver that sets it to 1 cannot find."""
    found = tf.through_four_points(SQUARE, transform_points(INFINITE, SQUARE))
    assert abs(found[2, 2]) < 1e-12
    assert tf.is_same_transform(found, INFINITE, atol=1e-12)


def test_the_case_that_was_reported_to_opencv():
    """https://github.com/opencv/opencv/issues/4834: the origin goes to infinity."""
    src, dst = [[1, 1], [2, 2], [-1, 1], [-2, 2]], [[1, 0], [1, 1], [0, 0], [0, 1]]
    found = tf.through_four_points(src, dst)
    assert abs(found[2, 2]) < 1e-15
    np.testing.assert_allclose(transform_points(found, [*src, [0, 1]]), [*dst, [0.5, 0]], atol=1e-14)


@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda a: a[::-1][::-1], np.ndarray.tolist])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_layout_and_type_of_the_points_do_not_matter(layout, dtype):
    src, dst = SQUARE.astype(dtype), (SQUARE @ [[1, 0.25], [-0.5, 2]]).astype(dtype)
    before = src.copy()
    expected = tf.through_four_points(SQUARE, SQUARE @ [[1, 0.25], [-0.5, 2]])
    np.testing.assert_array_equal(tf.through_four_points(layout(src), layout(dst)), expected)
    np.testing.assert_array_equal(src, before)


COLLINEAR = np.array([[0, 0], [10, 10], [20, 20], [5, 30]])


@pytest.mark.parametrize(
    ("src", "dst", "message"),
    [
        (COLLINEAR, SQUARE, "four points of src lie on a line"),
        (SQUARE, COLLINEAR + 1000, "four points of dst lie on a line"),
        (SQUARE, SQUARE[[0, 1, 2, 2]], "dst lie on a line, or two coincide"),
        (np.zeros((4, 2)), SQUARE, "src lie on a line"),
        (SQUARE[:3], SQUARE[:3], "src must hold exactly 4 points, got 3"),
        (SQUARE, POINTS, "dst must hold exactly 4 points, got 12"),
        (to_homogeneous(SQUARE), SQUARE, "src must have shape \\(N, 2\\)"),
        (SQUARE, np.where(SQUARE == 420, np.nan, SQUARE), "dst hold NaN"),
    ],
)
def test_four_points_say_why_they_refuse(src, dst, message):
    with pytest.raises(ValueError, match=message):
        tf.through_four_points(src, dst)


def test_the_compiled_form_is_the_same_without_checks():
    dst = transform_points(H, SQUARE)
    raw, flat_src, flat_dst = tf.homography_of_four(SQUARE, dst)
    assert tf.is_same_transform(raw, H, atol=1e-12)
    assert min(flat_src, flat_dst) > 0.1
    assert tf.homography_of_four(SQUARE, COLLINEAR.astype(float))[2] <= tf.FLAT
    plain = tf.homography_of_four.py_func(SQUARE, dst)[0]
    np.testing.assert_allclose(raw, plain, rtol=1e-9)
