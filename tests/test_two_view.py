import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from cvcourse import cameras, descriptors
from cvcourse.homogeneous import cross_matrix, to_homogeneous, transform_points
from cvcourse.images import as_gray, load
from cvcourse.transforms import fix_scale
from cvcourse.two_view import (
    METHODS,
    epipolar_lines,
    epipoles,
    essential_from_fundamental,
    essential_matrix,
    fit_fundamental,
    five_point,
    fundamental_from_essential,
    fundamental_from_projections,
    fundamental_rows,
    poses,
    ransac_essential,
    ransac_fundamental,
    recover_pose,
    rectifying_homographies,
    sampson_distances,
    seven_point,
    to_rank_two,
    triangulate,
)

K1_TRUE = np.array([[810.0, 2, 330], [0, 790, 228], [0, 0, 1]])
K2_TRUE = np.array([[620.0, 0, 300], [0, 640, 260], [0, 0, 1]])
R_TRUE = cameras.rotation_from_vector([0.06, -0.21, 0.04])
T_TRUE = np.array([0.9, -0.25, 0.31])
E_TRUE = essential_matrix(R_TRUE, T_TRUE)
P1_TRUE = K1_TRUE @ np.eye(3, 4)
P2_TRUE = K2_TRUE @ np.column_stack([R_TRUE, T_TRUE])
F_TRUE = fundamental_from_essential(E_TRUE, K1_TRUE, K2_TRUE)


def project(P, X):
    return cameras.project(P, X).x


def pairs(n=40, noise=0.0, outliers=0, seed=16, plane=False):
    """World points in front of both cameras, and their pixels; the last `outliers` of image 2 are anywhere."""
    rng = np.random.default_rng(seed)
    X = rng.uniform([-1.6, -1.1, 4], [1.6, 1.1, 8], (n, 3))
    if plane:
        X[:, 2] = 6 + 0.4 * X[:, 0] - 0.3 * X[:, 1]
    x1, x2 = project(P1_TRUE, X), project(P2_TRUE, X)
    x1, x2 = x1 + noise * rng.normal(size=x1.shape), x2 + noise * rng.normal(size=x2.shape)
    if outliers:
        x2[-outliers:] = rng.uniform([0, 0], [640, 480], (outliers, 2))
    return X, x1, x2


def same(F, G, atol=1e-9):
    F, G = (M / np.linalg.norm(M) for M in (F, G))
    return min(np.abs(F - G).max(), np.abs(F + G).max()) < atol


def angle(a, b):
    """Degrees between two directions."""
    return np.rad2deg(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1)))


def turn(A, B):
    """Degrees between two rotations."""
    return np.rad2deg(np.linalg.norm(cameras.vector_from_rotation(A @ B.T)))


# --- matrices from cameras -------------------------------------------------------------------


def test_the_constraint_holds_for_the_pixels_of_any_world_point():
    _, x1, x2 = pairs()
    p, q = to_homogeneous(x1), to_homogeneous(x2)
    products = np.einsum("ni,ij,nj->n", q, F_TRUE, p)
    assert np.abs(products).max() < 1e-12 * np.linalg.norm(p, axis=1).max() * np.linalg.norm(q, axis=1).max()


def test_the_printed_formula_does_not():
    """F = K^-T E K^T, as a textbook printed it."""
    _, x1, x2 = pairs()
    printed = np.linalg.inv(K2_TRUE).T @ E_TRUE @ K1_TRUE.T
    assert np.median(sampson_distances(printed, x1, x2)) > 10
    assert np.median(sampson_distances(F_TRUE.T, x1, x2)) > 10
    assert sampson_distances(F_TRUE, x1, x2).max() < 1e-9


def test_two_ways_to_f_agree():
    assert same(fundamental_from_projections(P1_TRUE, P2_TRUE), F_TRUE)
    assert same(essential_from_fundamental(F_TRUE, K1_TRUE, K2_TRUE), E_TRUE)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_f_does_not_depend_on_the_world_frame(seed):
    rng = np.random.default_rng(seed)
    frame = np.eye(4)
    frame[:3, :3], frame[:3, 3] = cameras.rotation_from_vector(rng.normal(size=3)), rng.normal(size=3)
    F = fundamental_from_projections(-2 * P1_TRUE @ frame, 5 * P2_TRUE @ frame)
    assert same(F, F_TRUE, 1e-8)


def test_e_has_two_equal_singular_values_and_one_zero():
    s = np.linalg.svd(E_TRUE, compute_uv=False)
    np.testing.assert_allclose(s, [np.sqrt(0.5), np.sqrt(0.5), 0], atol=1e-12)


def test_scale_and_sign_are_fixed():
    for F in (E_TRUE, F_TRUE, fit_fundamental(*pairs()[1:]), *seven_point(*(x[:7] for x in pairs()[1:]))):
        assert np.linalg.norm(F) == pytest.approx(1) and F.flat[np.argmax(np.abs(F))] > 0
    assert np.array_equal(essential_matrix(R_TRUE, -3 * T_TRUE).round(12), E_TRUE.round(12))


def test_essential_from_noisy_fundamental_is_essential():
    E = essential_from_fundamental(F_TRUE + 1e-6, K1_TRUE, K2_TRUE)
    np.testing.assert_allclose(2 * E @ E.T @ E, np.trace(E @ E.T) * E, atol=1e-12)


# --- lines and epipoles ----------------------------------------------------------------------


def test_partners_lie_on_the_lines_both_ways():
    _, x1, x2 = pairs()
    for F_x, other, image in ((x1, x2, 1), (x2, x1, 2)):
        lines = epipolar_lines(F_TRUE, F_x, image)
        np.testing.assert_allclose(np.hypot(*lines[:, :2].T), 1)
        assert np.abs(np.sum(lines * to_homogeneous(other), axis=1)).max() < 1e-8


def test_epipoles_are_the_images_of_the_centres():
    e1, e2 = epipoles(F_TRUE)
    c2 = -R_TRUE.T @ T_TRUE
    np.testing.assert_allclose(e1[:2] / e1[2], project(P1_TRUE, c2[None])[0])
    np.testing.assert_allclose(e2[:2] / e2[2], (P2_TRUE[:, 3] / P2_TRUE[2, 3])[:2])
    lines = epipolar_lines(F_TRUE, pairs()[1])
    np.testing.assert_allclose(lines @ e2, 0, atol=1e-10)


def test_lines_agree_with_opencv():
    x = pairs()[1]
    ours, theirs = epipolar_lines(F_TRUE, x), cv2.computeCorrespondEpilines(x[:, None], 1, F_TRUE)[:, 0]
    np.testing.assert_allclose(np.abs(np.sum(ours[:, :2] * theirs[:, :2], axis=1)), 1, atol=1e-6)


# --- estimation ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [8, 9, 40, 500])
def test_eight_points_give_f_back(n):
    _, x1, x2 = pairs(n)
    assert same(fit_fundamental(x1, x2), F_TRUE, 1e-8)


@pytest.mark.parametrize("seed", range(5))
def test_loop_equals_the_textbook_form(seed):
    """Eqs. (16.7) to (16.9) with a singular value decomposition of all rows."""
    _, x1, x2 = pairs(8 + 8 * seed, noise=0.5, seed=seed)
    (m1, s1), (m2, s2) = ((x.mean(axis=0), np.sqrt(2) / np.hypot(*(x - x.mean(axis=0)).T).mean()) for x in (x1, x2))
    T1, T2 = (np.array([[s, 0, -s * m[0]], [0, s, -s * m[1]], [0, 0, 1]]) for m, s in ((m1, s1), (m2, s2)))
    f = np.linalg.svd(fundamental_rows((x1 - m1) * s1, (x2 - m2) * s2))[2][-1]
    U, s, Vt = np.linalg.svd(f.reshape(3, 3))
    assert same(fit_fundamental(x1, x2), T2.T @ U @ np.diag([s[0], s[1], 0]) @ Vt @ T1, 1e-8)


def test_eight_points_agree_with_opencv():
    _, x1, x2 = pairs(60, noise=0.4)
    F = cv2.findFundamentalMat(x1, x2, cv2.FM_8POINT)[0]
    _, y1, y2 = pairs(seed=5)
    np.testing.assert_allclose(
        sampson_distances(F, y1, y2), sampson_distances(fit_fundamental(x1, x2), y1, y2), atol=2e-3
    )


def test_f_has_rank_two():
    _, x1, x2 = pairs(noise=1.0)
    assert np.linalg.svd(fit_fundamental(x1, x2), compute_uv=False)[2] < 1e-15


def test_error_is_proportional_to_the_noise():
    _, x1, x2 = pairs(60)
    _, y1, y2 = pairs(200, seed=3)
    rng = np.random.default_rng(2)
    n1, n2 = rng.normal(size=(2, *x1.shape))
    small, large = (
        np.median(sampson_distances(fit_fundamental(x1 + s * n1, x2 + s * n2), y1, y2)) for s in (0.003, 0.03)
    )
    assert large / small == pytest.approx(10, rel=0.1)


def test_normalisation_pays():
    """Far from the origin the raw equations lose F, Eq. (16.8)."""
    _, x1, x2 = pairs(60, noise=0.5, seed=4)
    _, y1, y2 = pairs(200, seed=5)
    raw = to_rank_two(np.linalg.svd(fundamental_rows(x1, x2))[2][-1].reshape(3, 3))
    errors = [np.median(sampson_distances(F, y1, y2)) for F in (fit_fundamental(x1, x2), raw)]
    assert errors[0] < 0.5 < 2 * errors[1] and errors[0] < errors[1] / 2


def test_swapping_the_images_transposes_f():
    _, x1, x2 = pairs(noise=0.3)
    assert same(fit_fundamental(x2, x1), fit_fundamental(x1, x2).T, 1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_seven_points_find_the_truth_and_only_singular_matrices(seed):
    _, x1, x2 = pairs(7, seed=seed)
    found = seven_point(x1, x2)
    assert 1 <= len(found) <= 3 and min(np.abs(F - F_TRUE).max() for F in found) < 1e-5
    for F in found:
        assert np.linalg.svd(F, compute_uv=False)[2] < 1e-12
        assert sampson_distances(F, x1, x2).max() < 1e-5


def test_seven_points_agree_with_opencv():
    _, x1, x2 = pairs(7, noise=0.5, seed=1)
    theirs = cv2.findFundamentalMat(x1, x2, cv2.FM_7POINT)[0].reshape(-1, 3, 3)
    ours = seven_point(x1, x2)
    assert len(ours) == len(theirs)
    assert all(any(same(F, G, 1e-5) for G in ours) for F in theirs)


def test_sampson_distance_is_the_least_move_to_first_order():
    """The exact least move of both points onto the constraint, by Lindstrom's correction, is a bit longer or shorter."""
    _, x1, x2 = pairs(30, noise=0.5)
    X = triangulate(P1_TRUE, P2_TRUE, x1, x2, "optimal")
    moved = np.sqrt(np.sum((project(P1_TRUE, X) - x1) ** 2 + (project(P2_TRUE, X) - x2) ** 2, axis=1))
    np.testing.assert_allclose(sampson_distances(F_TRUE, x1, x2), moved, rtol=2e-3, atol=1e-9)


def test_sampson_squared_agrees_with_opencv():
    _, x1, x2 = pairs(10, noise=2.0)
    theirs = [cv2.sampsonDistance(a, b, F_TRUE) for a, b in zip(to_homogeneous(x1), to_homogeneous(x2))]
    np.testing.assert_allclose(sampson_distances(F_TRUE, x1, x2) ** 2, theirs, rtol=1e-9)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_five_points_find_the_truth_and_only_essential_matrices(seed):
    rng = np.random.default_rng(seed)
    R, t = cameras.rotation_from_vector(0.3 * rng.normal(size=3)), rng.normal(size=3)
    X = rng.uniform([-1, -1, 3], [1, 1, 6], (5, 3))
    Y = X @ R.T + t
    x1, x2 = X[:, :2] / X[:, 2:], Y[:, :2] / Y[:, 2:]
    found, E = five_point(x1, x2), essential_matrix(R, t)
    assert 1 <= len(found) <= 10 and any(same(G, E, 1e-4) for G in found)
    for G in found:
        np.testing.assert_allclose(2 * G @ G.T @ G, np.trace(G @ G.T) * G, atol=1e-6)
        np.testing.assert_allclose(np.einsum("ni,ij,nj->n", to_homogeneous(x2), G, to_homogeneous(x1)), 0, atol=1e-6)


def test_five_points_agree_with_opencv():
    _, x1, x2 = pairs(5, noise=0.5, seed=9)
    n1, n2 = cameras.normalize_pixels(K1_TRUE, x1), cameras.normalize_pixels(K2_TRUE, x2)
    theirs = cv2.findEssentialMat(n1, n2, np.eye(3), method=cv2.RANSAC)[0].reshape(-1, 3, 3)
    ours = five_point(n1, n2)
    assert all(any(same(E, G, 1e-5) for G in ours) for E in theirs)


def test_five_points_see_a_plane_too():
    _, x1, x2 = pairs(5, plane=True)
    found = five_point(cameras.normalize_pixels(K1_TRUE, x1), cameras.normalize_pixels(K2_TRUE, x2))
    assert any(same(E, E_TRUE, 1e-6) for E in found)


# --- robust ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_ransac_finds_f_among_outliers(share):
    n = 300
    _, x1, x2 = pairs(n, noise=0.5, outliers=int(share * n))
    found = ransac_fundamental(x1, x2, 1.5, rng=1)
    good = n - int(share * n)
    assert found.inliers[:good].mean() > 0.97
    _, y1, y2 = pairs(200, seed=3)
    assert np.median(sampson_distances(found.model, y1, y2)) < 0.3
    assert np.array_equal(found.inliers, sampson_distances(found.model, x1, x2) <= 1.5)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_ransac_finds_e_among_outliers(share):
    n = 300
    _, x1, x2 = pairs(n, noise=0.5, outliers=int(share * n))
    found = ransac_essential(x1, x2, K1_TRUE, K2_TRUE, 1.5, rng=1)
    good = n - int(share * n)
    assert found.inliers[:good].mean() > 0.97
    pose = recover_pose(found.model, x1[found.inliers], x2[found.inliers], K1_TRUE, K2_TRUE)
    assert turn(pose.R, R_TRUE) < 0.5 and angle(pose.t, T_TRUE) < 3
    np.testing.assert_allclose(np.linalg.svd(found.model, compute_uv=False), [0.5**0.5, 0.5**0.5, 0], atol=1e-9)


def test_ransac_repeats_with_its_seed():
    _, x1, x2 = pairs(100, noise=0.5, outliers=30)
    a, b = (ransac_fundamental(x1, x2, 1.5, rng=4) for _ in range(2))
    assert np.array_equal(a.model, b.model) and a.rounds == b.rounds
    a, b = (ransac_essential(x1, x2, K1_TRUE, K2_TRUE, 1.5, rng=4) for _ in range(2))
    assert np.array_equal(a.model, b.model) and a.rounds == b.rounds


def test_more_outliers_need_more_rounds():
    rounds = [ransac_fundamental(*pairs(300, 0.3, k)[1:], 1.5, rng=0).rounds for k in (0, 90, 150)]
    assert rounds[0] < 10 < rounds[1] < rounds[2]


def test_refined_e_is_the_least_sum_of_squared_sampson_distances():
    """Neither SciPy's simplex nor a nudge of any of the five numbers finds a better one."""
    _, x1, x2 = pairs(60, noise=0.5)
    found = ransac_essential(x1, x2, K1_TRUE, K2_TRUE, 5.0, rng=0)
    assert found.inliers.all()
    R, t = poses(found.model)[0]
    u, v = np.linalg.svd(t[None])[2][1:]

    def cost(h):
        E = cross_matrix(t + h[3] * u + h[4] * v) @ cameras.rotation_from_vector(h[:3]) @ R
        return np.sum(sampson_distances(np.linalg.inv(K2_TRUE).T @ E @ np.linalg.inv(K1_TRUE), x1, x2) ** 2)

    best = minimize(cost, np.zeros(5), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9, "maxiter": 4000})
    assert cost(np.zeros(5)) <= best.fun * (1 + 1e-6)


# --- pose and points -------------------------------------------------------------------------


def test_four_poses_make_one_e():
    four = poses(-7 * E_TRUE)
    assert len(four) == 4
    for R, t in four:
        assert np.linalg.det(R) == pytest.approx(1) and np.linalg.norm(t) == pytest.approx(1)
        assert same(essential_matrix(R, t), E_TRUE)
    assert all(turn(four[0][0], R) > 100 for R, _ in four[2:])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_cheirality_chooses_the_true_pose(seed):
    rng = np.random.default_rng(seed)
    R, t = cameras.rotation_from_vector(0.2 * rng.normal(size=3)), rng.normal(size=3)
    X = rng.uniform([-1, -1, 6], [1, 1, 12], (20, 3))
    x1, x2 = project(K1_TRUE @ np.eye(3, 4), X), project(K2_TRUE @ np.column_stack([R, t]), X)
    pose = recover_pose(essential_matrix(R, t), x1, x2, K1_TRUE, K2_TRUE)
    np.testing.assert_allclose(pose.R, R, atol=1e-9)
    np.testing.assert_allclose(pose.t, t / np.linalg.norm(t), atol=1e-9)
    assert pose.in_front.all()


def test_pose_says_which_points_are_behind():
    X, x1, x2 = pairs(20)
    X[3:5] *= -1
    x1, x2 = project(P1_TRUE, X), project(P2_TRUE, X)
    pose = recover_pose(E_TRUE, x1, x2, K1_TRUE, K2_TRUE)
    assert np.array_equal(np.flatnonzero(~pose.in_front), [3, 4])


@pytest.mark.parametrize("method", METHODS)
def test_triangulation_gives_the_points_back(method):
    X, x1, x2 = pairs(50)
    np.testing.assert_allclose(triangulate(P1_TRUE, -3 * P2_TRUE, x1, x2, method), X, atol=1e-8)


def test_triangulation_agrees_with_opencv():
    _, x1, x2 = pairs(50, noise=0.5)
    Y = cv2.triangulatePoints(P1_TRUE, P2_TRUE, x1.T, x2.T)
    np.testing.assert_allclose(triangulate(P1_TRUE, P2_TRUE, x1, x2), (Y[:3] / Y[3]).T, atol=2e-3)


def test_optimal_triangulation_has_the_least_reprojection_error():
    _, x1, x2 = pairs(12, noise=4.0)

    def cost(X, k):
        return np.sum((project(P1_TRUE, X[None]) - x1[k]) ** 2 + (project(P2_TRUE, X[None]) - x2[k]) ** 2)

    found = {method: triangulate(P1_TRUE, P2_TRUE, x1, x2, method) for method in METHODS}
    for k in range(len(x1)):
        best = minimize(cost, found["dlt"][k], args=(k,), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10})
        assert cost(found["optimal"][k], k) <= best.fun + 1e-4
        assert cost(found["optimal"][k], k) <= min(cost(found["dlt"][k], k), cost(found["midpoint"][k], k))


def test_correction_agrees_with_opencv():
    """cv2.correctMatches is Hartley and Sturm's exact solution of the same least squares problem."""
    _, x1, x2 = pairs(20, noise=3.0)
    y1, y2 = cv2.correctMatches(F_TRUE, x1[None], x2[None])
    X = triangulate(P1_TRUE, P2_TRUE, x1, x2, "optimal")
    np.testing.assert_allclose(project(P1_TRUE, X), y1[0], atol=1e-3)
    np.testing.assert_allclose(project(P2_TRUE, X), y2[0], atol=1e-3)


def test_depth_error_grows_with_the_square_of_depth():
    rng = np.random.default_rng(0)
    K = np.diag([500.0, 500, 1])
    P1, P2 = K @ np.eye(3, 4), K @ np.column_stack([np.eye(3), [-1.0, 0, 0]])
    errors = []
    for z in (10.0, 20.0):
        X = np.column_stack([rng.uniform(-2, 2, (4000, 2)), np.full(4000, z)])
        x1, x2 = (project(P, X) + rng.normal(0, 0.1, (4000, 2)) for P in (P1, P2))
        errors.append(np.std(triangulate(P1, P2, x1, x2, "optimal")[:, 2]))
    assert errors[1] / errors[0] == pytest.approx(4, rel=0.1)


# --- rectification ---------------------------------------------------------------------------


def test_rectified_partners_lie_in_one_row():
    _, x1, x2 = pairs(60)
    H1, H2 = rectifying_homographies(F_TRUE, x1, x2, (480, 640))
    y1, y2 = transform_points(H1, x1), transform_points(H2, x2)
    np.testing.assert_allclose(y1[:, 1], y2[:, 1], atol=1e-8)
    rectified = np.linalg.inv(H2).T @ F_TRUE @ np.linalg.inv(H1)
    assert same(rectified, np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]), 1e-9)


def test_rectification_keeps_the_image_the_right_way_up():
    _, x1, x2 = pairs(60)
    for H in rectifying_homographies(F_TRUE, x1, x2, (480, 640)):
        corners = transform_points(H, [[0, 0], [639, 0], [639, 479], [0, 479]])
        right, down = corners[1] - corners[0], corners[3] - corners[0]
        assert right[0] > 100 and down[1] > 100
        assert np.all(to_homogeneous([[0, 0], [639, 0], [639, 479], [0, 479]]) @ H[2] > 0)


def test_rectified_points_are_brought_together():
    """No shear or shift in x brings them nearer together."""
    _, x1, x2 = pairs(60)
    H1, H2 = rectifying_homographies(F_TRUE, x1, x2, (480, 640))
    y1, y2 = transform_points(H1, x1), transform_points(H2, x2)
    rest = y1[:, 0] - y2[:, 0]
    np.testing.assert_allclose(to_homogeneous(y1).T @ rest, 0, atol=1e-5)


# --- real photographs ------------------------------------------------------------------------


def matches(name1, name2):
    f1, f2 = (descriptors.sift(as_gray(load(name))) for name in (name1, name2))
    found = descriptors.match(f1.descriptors, f2.descriptors, ratio=0.8, mutual=True)
    return f1.keypoints[found[:, 0]], f2.keypoints[found[:, 1]]


@pytest.mark.parametrize("i, j", [(0, 1), (2, 3), (3, 5), (8, 9)])
def test_pose_of_the_room(i, j):
    truth = load("sfm/room_cameras")
    K = np.array(truth["K"])
    (Ri, ti), (Rj, tj) = ((np.array(truth["images"][k]["R"]), np.array(truth["images"][k]["t"])) for k in (i, j))
    R, t = Rj @ Ri.T, tj - Rj @ Ri.T @ ti
    x1, x2 = matches(f"sfm/room_{i:02d}", f"sfm/room_{j:02d}")
    found = ransac_essential(x1, x2, K, K, 1.0, rng=0)
    pose = recover_pose(found.model, x1[found.inliers], x2[found.inliers], K, K)
    assert turn(pose.R, R) <= 0.75 and angle(pose.t, t) < 3.5
    assert pose.in_front.mean() > 0.99


def test_leuven_is_no_plane():
    x1, x2 = matches("matching/leuvenA", "matching/leuvenB")
    found = ransac_fundamental(x1, x2, 1.0, rng=0)
    assert found.inliers.sum() > 200
    assert np.median(sampson_distances(found.model, x1[found.inliers], x2[found.inliers])) < 0.5


# --- refusals --------------------------------------------------------------------------------


def turned(n=100, noise=0.3, seed=1):
    """Pairs of a camera that only turned."""
    X, x1, _ = pairs(n, seed=seed)
    rng = np.random.default_rng(seed)
    x2 = project(K2_TRUE @ np.column_stack([R_TRUE, np.zeros(3)]), X)
    return x1 + noise * rng.normal(size=x1.shape), x2 + noise * rng.normal(size=x2.shape)


def test_exact_plane_is_named():
    with pytest.raises(ValueError, match="one homography, so the scene is a plane or the camera only turned"):
        fit_fundamental(*pairs(20, plane=True)[1:])
    with pytest.raises(ValueError, match="one homography"):
        fit_fundamental(*turned(noise=0))
    with pytest.raises(ValueError, match="one homography"):
        seven_point(*pairs(7, plane=True)[1:])


@pytest.mark.parametrize("seed", range(5))
def test_noisy_plane_and_pure_rotation_are_named(seed):
    with pytest.raises(ValueError, match="also fit one homography: the scene is a plane"):
        ransac_fundamental(*pairs(150, 0.4, 30, seed=seed, plane=True)[1:], 1.0, rng=seed)
    with pytest.raises(ValueError, match="also fit one homography"):
        ransac_fundamental(*turned(seed=seed), 1.0, rng=seed)
    with pytest.raises(ValueError, match="pure rotation"):
        ransac_essential(*turned(seed=seed), K1_TRUE, K2_TRUE, 1.0, rng=seed)


def pose_on_a_plane(seed):
    """Errors of R and t in degrees, or why there is no pose."""
    _, x1, x2 = pairs(150, 0.3, plane=True, seed=seed)
    try:
        found = ransac_essential(x1, x2, K1_TRUE, K2_TRUE, 1.0, rng=seed)
    except ValueError as reason:
        return str(reason)
    pose = recover_pose(found.model, x1[found.inliers], x2[found.inliers], K1_TRUE, K2_TRUE)
    return turn(pose.R, R_TRUE), angle(pose.t, T_TRUE)


def test_on_a_plane_e_is_right_or_refused():
    """Two fit: cheirality tells them apart at best; a wrong pose must not come out."""
    answers = [pose_on_a_plane(seed) for seed in range(6)]
    refused = [answer for answer in answers if isinstance(answer, str)]
    right = np.array([answer for answer in answers if not isinstance(answer, str)])
    assert all("two essential matrices fit" in reason for reason in refused)
    assert len(right) >= 1 and np.all(right < [1.5, 10])


def test_a_plane_that_fits_two_e_is_named():
    """Towards a slanted wall: the wall's normal and the baseline may change places."""
    rng = np.random.default_rng(0)
    X = rng.uniform([-2, -1.5, 6], [2, 1.5, 6], (150, 3))
    X[:, 2] += 0.8 * X[:, 0]
    P2 = K2_TRUE @ np.column_stack([cameras.rotation_from_vector([0.02, -0.05, 0.01]), [0.3, 0, -1]])
    x1, x2 = (project(P, X) + rng.normal(0, 0.3, (150, 2)) for P in (P1_TRUE, P2))
    with pytest.raises(ValueError, match="lie on one plane, and two essential matrices fit"):
        ransac_essential(x1, x2, K1_TRUE, K2_TRUE, 1.0, rng=0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x1, x2: fit_fundamental(x1[:7], x2[:7]), "too few matches: the 8-point algorithm needs 8 pairs, got 7"),
        (lambda x1, x2: seven_point(x1[:6], x2[:6]), "needs 7 pairs, got 6"),
        (lambda x1, x2: seven_point(x1[:8], x2[:8]), "takes 7 pairs, got 8"),
        (lambda x1, x2: five_point(x1[:4], x2[:4]), "needs 5 pairs, got 4"),
        (lambda x1, x2: ransac_fundamental(x1[:7], x2[:7], 1.0, 0), "needs 8 pairs"),
        (lambda x1, x2: ransac_essential(x1[:5], x2[:5], K1_TRUE, K2_TRUE, 1.0, 0), "needs 6 pairs"),
        (lambda x1, x2: fit_fundamental(x1, x2[:-1]), "40 points in image 1 but 39 in image 2"),
        (lambda x1, x2: fit_fundamental(x1, np.full_like(x2, np.nan)), "NaN"),
        (lambda x1, x2: fit_fundamental(x1.T, x2.T), "shape"),
        (lambda x1, x2: fit_fundamental(np.ones((9, 2)), x2[:9]), "coincide"),
        (lambda x1, x2: five_point(np.tile(x1[:1], (5, 1)), np.tile(x2[:1], (5, 1))), "undetermined"),
        (lambda x1, x2: ransac_fundamental(x1, x2, 0.0, 0), "threshold"),
        (lambda x1, x2: ransac_fundamental(x1, x2, 1.0, 0, confidence=1.0), "confidence"),
        (lambda x1, x2: epipolar_lines(F_TRUE, x1, image=0), "image is 1 or 2"),
        (lambda x1, x2: epipolar_lines(np.zeros((3, 3)), x1), "zero"),
        (lambda x1, x2: epipolar_lines(np.eye(2), x1), r"shape \(3, 3\)"),
        (lambda x1, x2: epipoles(np.outer([1.0, 2, 3], [3.0, 1, 1])), "rank 1"),
        (lambda x1, x2: poses(np.outer([1.0, 2, 3], [3.0, 1, 1])), "rank 1"),
        (lambda x1, x2: essential_from_fundamental(np.outer([1.0, 2, 3], [3.0, 1, 1]), K1_TRUE, K2_TRUE), "rank 1"),
        (lambda x1, x2: essential_matrix(R_TRUE, [0, 0, 0]), "pure rotation"),
        (lambda x1, x2: essential_matrix(R_TRUE, [1, np.nan, 0]), "finite"),
        (lambda x1, x2: essential_matrix(-R_TRUE, T_TRUE), "mirrors"),
        (lambda x1, x2: fundamental_from_essential(E_TRUE, np.linalg.inv(K1_TRUE) * 2, K2_TRUE), "K"),
        (lambda x1, x2: fundamental_from_projections(P1_TRUE, P1_TRUE), "without a baseline"),
        (lambda x1, x2: triangulate(P1_TRUE, K2_TRUE @ np.eye(3, 4), x1, x2), "without a baseline"),
        (lambda x1, x2: triangulate(P1_TRUE, P2_TRUE, x1, x2, "svd"), "method is one of dlt, midpoint, optimal"),
        (lambda x1, x2: rectifying_homographies(F_TRUE, x1[:2], x2[:2], (480, 640)), "needs 3 pairs"),
        (lambda x1, x2: rectifying_homographies(F_TRUE, x1, x2, (480,)), r"shape \(H, W\)"),
    ],
)
def test_says_why_it_refuses(call, message):
    _, x1, x2 = pairs()
    with pytest.raises(ValueError, match=message):
        call(x1, x2)


def test_the_epipole_itself_has_no_line():
    e1, _ = epipoles(F_TRUE)
    with pytest.raises(ValueError, match="point 1.*is the epipole"):
        epipolar_lines(F_TRUE, [[1, 2], e1[:2] / e1[2]])


@pytest.mark.parametrize("method", METHODS)
def test_parallel_rays_are_refused(method):
    P2 = np.eye(3, 4)
    P2[0, 3] = -1
    with pytest.raises(ValueError, match="rays of pair 1 are parallel"):
        triangulate(np.eye(3, 4), P2, [[0.1, 0.2], [0.3, 0.1]], [[0.0, 0.2], [0.3, 0.1]], method)


def test_random_matches_have_no_f():
    x1, x2 = np.random.default_rng(0).uniform(0, 640, (2, 30, 2))
    with pytest.raises(ValueError, match="too few of the matches are right"):
        ransac_fundamental(x1, x2, 1e-4, rng=0, max_rounds=20)


def test_forward_motion_cannot_be_rectified():
    X = pairs()[0]
    P2 = K1_TRUE @ np.column_stack([np.eye(3), [0.01, 0, -1]])
    F = fundamental_from_projections(P1_TRUE, P2)
    with pytest.raises(ValueError, match="epipole of image 1 lies inside it.*moved forwards or backwards"):
        rectifying_homographies(F, project(P1_TRUE, X), project(P2, X), (480, 640))


def test_cheirality_may_not_decide():
    """Two of the points in front for one pose, two for another."""
    X = pairs(4)[0] * np.array([1, 1, -1, -1])[:, None]
    x1, x2 = project(P1_TRUE, X), project(P2_TRUE, X)
    with pytest.raises(ValueError, match="cheirality does not decide"):
        recover_pose(E_TRUE, x1, x2, K1_TRUE, K2_TRUE)


@pytest.mark.parametrize("rng", [None, 0.5, "0"])
def test_rng_is_a_generator_or_a_seed(rng):
    _, x1, x2 = pairs()
    with pytest.raises(TypeError, match="rng"):
        ransac_fundamental(x1, x2, 1.0, rng)


def test_arguments_are_left_alone_and_any_layout_is_taken():
    _, x1, x2 = pairs(noise=0.2)
    before = x1.copy(), x2.copy()
    F = fit_fundamental(x1, x2)
    assert np.array_equal(before[0], x1) and np.array_equal(before[1], x2)
    wide = np.asfortranarray(x1), np.repeat(x2, 2, axis=0)[::2]
    assert np.array_equal(fit_fundamental(*wide), F)
    np.testing.assert_allclose(fit_fundamental(x1.astype("f4"), x2.astype("f4")), F, atol=1e-4)


def test_rank_two_is_the_nearest():
    M = np.random.default_rng(0).normal(size=(3, 3))
    near = to_rank_two(M)
    assert np.linalg.norm(M - near) == pytest.approx(np.linalg.svd(M, compute_uv=False)[2])
    assert same(fix_scale(near), near)
