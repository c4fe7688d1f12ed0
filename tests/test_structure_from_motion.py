import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import least_squares
from scipy.sparse.csgraph import connected_components

from cvcourse import cameras as pinhole
from cvcourse import structure_from_motion as sfm
from cvcourse.images import load
from cvcourse.structure_from_motion import (
    Adjusted,
    Cameras,
    Matched,
    Pose,
    Reconstruction,
    Seen,
    Similarity,
    align_cameras,
    bundle_adjust,
    factorize,
    fit_pose,
    fit_similarity_3d,
    focal_from_fundamentals,
    jacobian_blocks,
    link_tracks,
    match_images,
    parallax,
    quaternion_from_rotation,
    ransac_pose,
    read_colmap,
    reconstruct,
    reconstruct_matches,
    refine_pose,
    reproject,
    rotation_angles,
    rotation_from_quaternion,
    triangulate_tracks,
    write_colmap,
)

K_TRUE = np.array([[620.0, 0, 325], [0, 620, 236], [0, 0, 1]])
FLIP = np.diag([1.0, -1, -1])  # Bundler and BAL look along -z, y up


def ring(n=5, distortion=(0.0, 0.0), K=K_TRUE, seed=17):
    """n cameras on an arc around the origin, 6 units away, at different heights."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(-0.5, 0.5, n)
    c = np.column_stack([6 * np.sin(angle), rng.uniform(-0.8, 0.8, n), -6 * np.cos(angle)])
    R = np.stack([pinhole.look_at(place, rng.uniform(-0.3, 0.3, 3)) for place in c])
    return Cameras(np.stack([K] * n), np.tile(distortion, (n, 1)), R, -np.einsum("nij,nj->ni", R, c))


def world(N=60, seed=3):
    return np.random.default_rng(seed).uniform(-1.2, 1.2, (N, 3))


def all_seen(cameras, X, noise=0.0, keep=1.0, seed=4):
    """Every camera sees every point, or a share of them, in a shuffled order."""
    rng = np.random.default_rng(seed)
    view, point = (v.ravel() for v in np.meshgrid(np.arange(len(cameras.R)), np.arange(len(X)), indexing="ij"))
    mine = rng.random(len(view)) < keep
    mine[: 2 * len(X)] = True  # the first two cameras see all: no point is lost
    order = rng.permutation(np.flatnonzero(mine))
    seen = Seen(view[order], point[order], np.zeros((len(order), 2)))
    x = reproject(cameras, X, seen)
    return seen._replace(x=x + noise * rng.normal(size=x.shape))


def perturbed(cameras, X, turn=0.01, shift=0.03, seed=5):
    rng = np.random.default_rng(seed)
    R = np.stack([pinhole.rotation_from_vector(turn * rng.normal(size=3)) @ R for R in cameras.R])
    return cameras._replace(R=R, t=cameras.t + shift * rng.normal(size=cameras.t.shape)), X + shift * rng.normal(
        size=X.shape
    )


SIMILARITY = Similarity(2.5, pinhole.rotation_from_angles(0.7, -0.4, 1.9), np.array([3.0, -1.0, 4.0]))


# --- tracks


def test_tracks_are_the_connected_components():
    rng = np.random.default_rng(0)
    counts = [40, 50, 45, 30]
    matches = {(i, j): rng.integers(0, [counts[i], counts[j]], (9, 2)) for i in range(4) for j in range(i + 1, 4)}
    start = np.concatenate([[0], np.cumsum(counts)])
    nodes = np.concatenate([rows + start[[i, j]] for (i, j), rows in matches.items()])
    graph = sparse.coo_array((np.ones(len(nodes)), nodes.T), shape=(165, 165))
    label = connected_components(graph, directed=False)[1]
    picture = np.repeat(np.arange(4), counts)
    expected = set()
    for k in np.unique(label):
        own = np.flatnonzero(label == k)
        if len(own) > 1 and len(set(picture[own])) == len(own):
            expected.add(tuple((int(picture[n]), int(n - start[picture[n]])) for n in own))
    rows = link_tracks(matches, counts)
    found = {tuple(map(tuple, rows[rows[:, 0] == k, 1:].tolist())) for k in np.unique(rows[:, 0])}
    assert found == expected
    assert len(expected) > 5
    assert np.all(np.diff(np.unique(rows[:, 0])) == 1)


def test_a_track_with_two_keypoints_in_a_picture_is_dropped():
    matches = {(0, 1): [[0, 0], [1, 1]], (1, 2): [[0, 0]], (0, 2): [[5, 0]]}
    np.testing.assert_array_equal(link_tracks(matches, [6, 2, 1]), [[0, 0, 1], [0, 1, 1]])


def test_the_order_of_the_matches_does_not_matter():
    matches = {(0, 1): [[3, 1], [0, 2]], (1, 2): [[1, 0], [2, 2]], (0, 2): [[3, 0]]}
    backwards = {(j, i): np.asarray(rows)[::-1, ::-1] for (i, j), rows in reversed(matches.items())}
    np.testing.assert_array_equal(link_tracks(matches, [4, 3, 3]), link_tracks(backwards, [4, 3, 3]))


def test_no_matches_give_no_tracks():
    assert link_tracks({}, [3, 4]).shape == (0, 3)
    assert link_tracks({(0, 1): np.empty((0, 2))}, [3, 4]).shape == (0, 3)


@pytest.mark.parametrize(
    ("matches", "message"),
    [
        ({(0, 2): [[0, 0]]}, "pictures 0 … 1"),
        ({(1, 1): [[0, 1]]}, "pictures 0 … 1"),
        ({(0, 1): [[3, 0]]}, "beyond their 3 and 4"),
        ({(0, 1): [[0, -1]]}, "beyond their 3 and 4"),
    ],
)
def test_link_tracks_says_why_it_refuses(matches, message):
    with pytest.raises(ValueError, match=message):
        link_tracks(matches, [3, 4])


# --- triangulation


@pytest.mark.parametrize("distortion", [(0.0, 0.0), (-0.2, 0.05)])
def test_triangulation_gives_the_points_back(distortion):
    cameras, X = ring(distortion=distortion), world()
    found = triangulate_tracks(cameras, all_seen(cameras, X, keep=0.6))
    np.testing.assert_allclose(found[:, :3] / found[:, 3:], X, atol=1e-8)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)


def test_error_falls_with_the_root_of_the_number_of_views():
    """Same arc, more cameras on it: the error is proportional to 1 / sqrt(n)."""
    X, error = world(300), []
    for n in (4, 16):
        cameras = ring(n, seed=1)
        found = triangulate_tracks(cameras, all_seen(cameras, X, noise=0.5))
        error.append(np.sqrt(np.mean((found[:, :3] / found[:, 3:] - X) ** 2)))
    assert error[0] / error[1] == pytest.approx(2, rel=0.25)


def test_parallel_rays_meet_at_infinity():
    """A star: w is 0, and nothing divides by it."""
    cameras = ring()
    star = np.array([0.1, -0.2, 1.0])
    q = cameras.R @ star
    x = (q / q[:, 2:]) @ K_TRUE.T
    found = triangulate_tracks(cameras, Seen(np.arange(5), np.zeros(5, int), x[:, :2]))[0]
    assert abs(found[3]) < 1e-12
    np.testing.assert_allclose(np.abs(found[:3] @ star) / np.linalg.norm(star), 1, atol=1e-12)


def test_triangulation_goes_along_with_a_similarity():
    cameras, X = ring(), world(20)
    seen = all_seen(cameras, X, noise=1.0)
    found, moved = (triangulate_tracks(c, seen) for c in (cameras, SIMILARITY.apply_to_cameras(cameras)))
    np.testing.assert_allclose(
        moved[:, :3] / moved[:, 3:], SIMILARITY.apply(found[:, :3] / found[:, 3:]), atol=2e-3
    )  # homogeneous least squares depends a little on the frame: errors of 1 px move points by 0.01


def test_parallax_is_the_largest_angle_between_rays():
    cameras, X = ring(), world(10)
    seen = all_seen(cameras, X)
    rays = X[:, None] - cameras.centers
    rays /= np.linalg.norm(rays, axis=2, keepdims=True)
    expected = np.arccos((rays @ rays.mT).min(axis=(1, 2)))
    np.testing.assert_allclose(parallax(cameras, X, seen), expected, atol=1e-9)
    once = Seen(np.array([0]), np.array([3]), np.zeros((1, 2)))
    assert not parallax(cameras, X, once).any()


def test_a_point_seen_once_is_refused():
    cameras = ring()
    with pytest.raises(ValueError, match="point 1 is seen 1 times"):
        triangulate_tracks(cameras, Seen([0, 1, 2], [0, 0, 1], np.zeros((3, 2))))


# --- pose from points


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("n", [6, 30])
def test_finds_the_pose_that_made_the_pixels(n, flat):
    cameras, X = ring(), world(n) * [1, 1, not flat]
    X = X @ pinhole.rotation_from_angles(0.4, 0.3, 0.2).T + [0.3, 0.2, 0.1]
    for i in range(5):
        seen = Seen(np.full(n, i), np.arange(n), np.zeros((n, 2)))
        pose = fit_pose(K_TRUE, X, reproject(cameras, X, seen))
        np.testing.assert_allclose(pose.R, cameras.R[i], atol=1e-7)
        np.testing.assert_allclose(pose.t, cameras.t[i], atol=1e-6)


def noisy_pose(noise, seed=8, n=40):
    cameras, X = ring(), world(n)
    seen = Seen(np.full(n, 2), np.arange(n), np.zeros((n, 2)))
    return cameras, X, reproject(cameras, X, seen) + noise * np.random.default_rng(seed).normal(size=(n, 2))


def test_refined_pose_is_the_minimum_of_scipy():
    cameras, X, x = noisy_pose(1.0)

    def residuals(p):
        q = X @ pinhole.rotation_from_vector(p[:3]).T + p[3:]
        return ((q / q[:, 2:]) @ K_TRUE.T)[:, :2].ravel() - x.ravel()

    pose = fit_pose(K_TRUE, X, x)
    start = np.r_[pinhole.vector_from_rotation(cameras.R[2]), cameras.t[2]]
    best = least_squares(residuals, start, xtol=1e-15, ftol=1e-15, gtol=1e-15).x
    np.testing.assert_allclose(np.r_[pinhole.vector_from_rotation(pose.R), pose.t], best, atol=1e-5)
    linear = fit_pose(K_TRUE, X, x, refine=False)
    assert rotation_angles(linear.R, pose.R) > 1e-4


def test_pose_error_is_proportional_to_the_noise():
    errors = []
    for noise in (0.02, 0.2):
        cameras, X, x = noisy_pose(noise)
        errors.append(float(rotation_angles(fit_pose(K_TRUE, X, x).R, cameras.R[2])))
    assert errors[1] / errors[0] == pytest.approx(10, rel=0.05)


def test_ransac_finds_the_pose_among_wrong_matches():
    cameras, X, x = noisy_pose(0.5, n=80)
    wrong = np.random.default_rng(0).permutation(80)[:32]
    x[wrong] = np.random.default_rng(1).uniform(0, 600, (32, 2))
    found = ransac_pose(K_TRUE, X, x, 3.0, rng=0)
    assert not found.inliers[wrong].any()
    assert found.inliers.sum() == 48
    assert np.rad2deg(rotation_angles(found.model.R, cameras.R[2])) < 0.2


def test_opencv_finds_the_same_pose():
    cv2 = pytest.importorskip("cv2")
    _, X, x = noisy_pose(1.0)
    _, r, t = cv2.solvePnP(X, x, K_TRUE, None)
    pose = fit_pose(K_TRUE, X, x)
    np.testing.assert_allclose(pose.R, cv2.Rodrigues(r)[0], atol=1e-4)
    np.testing.assert_allclose(pose.t, t.ravel(), atol=1e-3)


@pytest.mark.parametrize(
    ("X", "x", "message"),
    [
        (world(5), np.zeros((5, 2)), "needs 6 points"),
        (world(8), np.zeros((7, 2)), "8 world points but 7 image points"),
        (world(8) * [1, 0, 0], np.ones((8, 2)), "coincide|degenerate|determine"),
        (np.full((8, 3), np.nan), np.zeros((8, 2)), "NaN"),
    ],
)
def test_fit_pose_says_why_it_refuses(X, x, message):
    with pytest.raises(ValueError, match=message):
        fit_pose(K_TRUE, X, x)


def test_refine_pose_refuses_points_behind():
    with pytest.raises(ValueError, match="does not lie in front"):
        refine_pose(K_TRUE, Pose(np.eye(3), np.zeros(3)), world(8) - [0, 0, 9], np.zeros((8, 2)))


# --- bundle adjustment


def test_reprojection_is_the_lens_of_lecture_11():
    cameras, X = ring(distortion=(-0.2, 0.07)), world(8)
    seen = all_seen(cameras, X)
    for i in range(5):
        mine = seen.view == i
        expected = pinhole.project_distorted(
            K_TRUE, cameras.R[i], cameras.centers[i], (-0.2, 0.07, 0, 0), X[seen.point[mine]]
        )
        np.testing.assert_allclose(seen.x[mine], expected.x, atol=1e-9)


K_ODD = np.array([[620.0, 4, 325], [0, 650, 236], [0, 0, 1]])


@pytest.mark.parametrize("K", [K_TRUE, K_ODD])
def test_jacobian_is_the_difference_quotient(K):
    cameras, X = ring(3, (-0.2, 0.07), K), world(6)
    seen = all_seen(cameras, X)
    A, B = jacobian_blocks(cameras, X, seen, sfm.TERMS)
    h = 1e-6

    def moved(k, sign):
        step = np.zeros(12)
        step[k] = sign * h * (620 if k == 6 else 1)
        scale = np.diag([1 + step[6] / 620, 1 + step[6] / 620, 1])
        c = Cameras(
            np.stack([np.triu(k + (scale - np.eye(3)) @ (k * [1, 1, 0])) for k in cameras.K]),
            cameras.distortion + step[7:9],
            pinhole.rotation_from_vector(step[:3]) @ cameras.R,
            cameras.t + step[3:6],
        )
        return reproject(c, X + step[9:], seen)

    for k in range(12):
        quotient = (moved(k, 1) - moved(k, -1)) / (2 * h * (620 if k == 6 else 1))
        ours = A[:, :, k] if k < 9 else B[:, :, k - 9]
        np.testing.assert_allclose(ours, quotient, atol=1e-6 * np.abs(ours).max())


def dense(cameras, X, seen, terms=()):
    A, B = jacobian_blocks(cameras, X, seen, terms)
    n, size = len(cameras.R), A.shape[2]
    J = np.zeros((len(seen.x), 2, size * n + 3 * len(X)))
    for k in range(len(seen.x)):
        J[k, :, size * seen.view[k] : size * (seen.view[k] + 1)] = A[k]
        J[k, :, size * n + 3 * seen.point[k] : size * n + 3 * seen.point[k] + 3] = B[k]
    return J.reshape(2 * len(seen.x), -1)


def test_seven_directions_are_free():
    cameras, X = ring(4), world(15)
    s = np.linalg.svd(dense(cameras, X, all_seen(cameras, X)), compute_uv=False)
    assert s[-7] < 1e-9 * s[0]
    assert s[-8] > 1e-4 * s[0]


@pytest.mark.parametrize("terms", [(), ("f",), ("f", "k1"), sfm.TERMS])
def test_a_step_solves_the_dense_normal_equations(terms):
    cameras, X = ring(4, (-0.1, 0.02), K_ODD if terms == () else K_TRUE), world(15)
    seen = all_seen(cameras, X, noise=1.0, keep=0.5)
    size = 6 + len(terms)
    problem = sfm._Problem(cameras, X, seen, len(terms), False, np.inf)
    blocks = problem.U, problem.gc, problem.V, problem.gp, problem.W
    sfm._normal_equations(
        problem.R,
        problem.t,
        problem.lens,
        problem.X,
        problem.view,
        problem.point,
        problem.x,
        np.inf,
        (0,) * size,
        *blocks,
    )
    R, t, lens, moved = problem.solve(0.01)
    square = sfm._square(cameras.K)[seen.view]
    J = (square @ dense(cameras, X, seen, terms).reshape(len(seen.x), 2, -1)).reshape(2 * len(seen.x), -1)
    e = np.einsum("kij,kj->ki", square, seen.x - reproject(cameras, X, seen)).ravel()
    N = J.T @ J
    step = np.linalg.solve(N + 0.01 * np.diag(np.diag(N)), J.T @ e)
    own, points = step[: 4 * size].reshape(4, size), step[4 * size :].reshape(-1, 3)
    np.testing.assert_allclose(moved - X, points, atol=1e-8)
    np.testing.assert_allclose(t - cameras.t, own[:, 3:6], atol=1e-8)
    np.testing.assert_allclose(
        R, [pinhole.rotation_from_vector(w) @ r for w, r in zip(own[:, :3], cameras.R)], atol=1e-8
    )
    np.testing.assert_allclose(lens[:, : len(terms)] - problem.lens[:, : len(terms)], own[:, 6:], atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("terms", [(), ("f",), ("f", "k1"), sfm.TERMS])
def test_exact_pixels_lead_back_to_the_truth(terms, shared):
    cameras, X = ring(6, (-0.12, 0.03) if len(terms) == 3 else (0, 0)), world(80)
    seen = all_seen(cameras, X, keep=0.7)
    start, points = perturbed(cameras, X)
    if terms:
        start = start._replace(K=start.K * [[1.03], [1.03], [1]] * [1, 1, 0] + start.K * [0, 0, 1])
        start = start._replace(distortion=np.zeros((6, 2)))
    found = bundle_adjust(start, points, seen, terms=terms, shared=shared)
    assert found.rms < 1e-3
    S = fit_similarity_3d(found.X, X)
    np.testing.assert_allclose(S.apply(found.X), X, atol=2e-4)
    moved = S.apply_to_cameras(found.cameras)
    np.testing.assert_allclose(moved.R, cameras.R, atol=1e-4)
    np.testing.assert_allclose(found.cameras.K, cameras.K, atol=0.1)
    if shared:
        assert np.ptp(found.cameras.K, axis=0).max() == 0


def test_the_minimum_is_that_of_scipy():
    cameras, X = ring(4), world(20)
    seen = all_seen(cameras, X, noise=0.5)
    start, points = perturbed(cameras, X)

    def residuals(v):
        w, p = v[:24].reshape(4, 6), v[24:].reshape(-1, 3)
        R = np.stack([pinhole.rotation_from_vector(r) for r in w[:, :3]])
        q = np.einsum("kij,kj->ki", R[seen.view], p[seen.point]) + w[seen.view, 3:]
        return (seen.x - ((q / q[:, 2:]) @ K_TRUE.T)[:, :2]).ravel()

    v = np.column_stack([[pinhole.vector_from_rotation(R) for R in start.R], start.t]).ravel()
    best = least_squares(residuals, np.r_[v, points.ravel()], method="trf", ftol=1e-12, xtol=1e-12)
    found = bundle_adjust(start, points, seen)
    assert found.costs[-1] == pytest.approx(2 * best.cost, rel=1e-6)
    assert np.all(np.diff(found.costs) <= 0)
    assert found.costs[-1] == pytest.approx(np.sum(found.residuals**2), rel=1e-9)


def test_rms_is_what_noise_and_the_unknowns_leave():
    """E[sum r^2] = sigma^2 (2 M - 6 n - 3 N + 7), so the rms per coordinate is sigma sqrt(1 - p / 2 M)."""
    cameras, X = ring(6), world(200)
    seen = all_seen(cameras, X, noise=0.7)
    found = bundle_adjust(cameras, X, seen)
    free = 2 * len(seen.x) - 36 - 600 + 7
    expected = 0.7 * np.sqrt(free / len(seen.x))
    assert found.rms == pytest.approx(expected, rel=4 / np.sqrt(2 * free))  # four deviations


def test_the_start_frame_does_not_matter():
    cameras, X = ring(), world(30)
    seen = all_seen(cameras, X, noise=0.5)
    one = bundle_adjust(*perturbed(cameras, X), seen)
    c, p = perturbed(cameras, X, seed=9)
    other = bundle_adjust(SIMILARITY.apply_to_cameras(c), SIMILARITY.apply(p), seen)
    assert np.abs(other.X - one.X).max() > 1
    S = fit_similarity_3d(other.X, one.X)
    np.testing.assert_allclose(S.apply(other.X), one.X, atol=5e-4)


def test_a_robust_loss_ignores_wrong_matches():
    cameras, X = ring(6), world(80)
    seen = all_seen(cameras, X, noise=0.3)
    x, wrong = seen.x.copy(), np.random.default_rng(0).permutation(len(seen.x))[:30]
    x[wrong] += np.random.default_rng(1).uniform(20, 60, (30, 2))
    start = perturbed(cameras, X)
    errors = []
    for robust in (None, 1.0):
        found = bundle_adjust(*start, seen._replace(x=x), robust=robust)
        errors.append(np.sqrt(np.mean((fit_similarity_3d(found.X, X).apply(found.X) - X) ** 2)))
    assert errors[1] < 0.005 < 0.02 < errors[0]


def test_unequal_focal_lengths_and_skew_are_kept():
    cameras, X = ring(5, K=K_ODD), world(40)
    found = bundle_adjust(*perturbed(cameras, X), all_seen(cameras, X))
    assert found.rms < 1e-3
    np.testing.assert_array_equal(found.cameras.K, cameras.K)


def test_nothing_is_written_into():
    cameras, X = ring(4), world(20)
    seen = all_seen(cameras, X, noise=1.0)
    copies = [np.copy(v) for v in (*cameras, X, *seen)]
    bundle_adjust(cameras, X, seen, terms=sfm.TERMS, shared=True, robust=2.0)
    triangulate_tracks(cameras, seen)
    for copy, v in zip(copies, (*cameras, X, *seen), strict=True):
        np.testing.assert_array_equal(copy, v)


def broken(name):
    """A good problem with one fault."""
    cameras, X = ring(4), world(20)
    seen = all_seen(cameras, X)
    kw = {}
    if name == "behind":
        X = X - [0, 0, 20]
    elif name == "once":
        seen = Seen(*(v[(seen.point != 7) | (seen.view == 1)] for v in seen))
    elif name == "few":
        seen = Seen(*(v[(seen.view != 2) | (seen.point < 2)] for v in seen))
    elif name == "double":
        seen = Seen(*(np.concatenate([v, v[:1]]) for v in seen))
    elif name == "terms":
        kw = {"terms": ("k1",)}
    elif name == "robust":
        kw = {"robust": 0.0}
    elif name == "view":
        seen = seen._replace(view=seen.view + 1)
    elif name == "point":
        X = X[:-1]
    elif name == "nan":
        X = X * [1, np.nan, 1]
    elif name == "pixels":
        seen = seen._replace(x=seen.x * np.inf)
    elif name == "lengths":
        seen = seen._replace(view=seen.view[:-1])
    elif name == "mirror":
        cameras = cameras._replace(R=-cameras.R)
    elif name == "K":
        cameras = cameras._replace(K=-cameras.K)
    elif name == "shapes":
        cameras = cameras._replace(t=cameras.t[:2])
    elif name == "cameras nan":
        cameras = cameras._replace(t=cameras.t * np.nan)
    return cameras, X, seen, kw


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("behind", "does not lie in front of camera"),
        ("once", "point 7 is seen 1 times"),
        ("few", "camera 2 sees 2 points"),
        ("double", "sees a point twice"),
        ("terms", "terms are"),
        ("robust", "robust must be a positive number"),
        ("view", "views are 0 … 3, got 1 to 4"),
        ("point", "points are 0 … 18"),
        ("nan", "NaN"),
        ("pixels", "NaN or infinity"),
        ("lengths", "80 pixels, but view has shape"),
        ("mirror", "rotations"),
        ("K", "upper triangular"),
        ("shapes", r"t must have shape \(4, 3\)"),
        ("cameras nan", "t holds NaN"),
    ],
)
def test_bundle_adjust_says_why_it_refuses(fault, message):
    cameras, X, seen, kw = broken(fault)
    with pytest.raises(ValueError, match=message):
        bundle_adjust(cameras, X, seen, **kw)


def test_indices_must_be_integers():
    cameras, X = ring(4), world(20)
    seen = all_seen(cameras, X)
    with pytest.raises(TypeError, match="integers"):
        reproject(cameras, X, seen._replace(view=seen.view * 1.0))


def bal():
    data = load("sfm/bal")
    c = data["cameras"]
    R = np.stack([pinhole.rotation_from_vector(r) for r in c[:, :3]])
    cameras = Cameras(np.stack([np.diag([f, f, 1]) for f in c[:, 6]]), c[:, 7:], FLIP @ R, c[:, 3:6] @ FLIP)
    return cameras, data["points"], Seen(data["camera"], data["point"], data["xy"] * [1, -1])


def test_bundle_adjustment_in_the_large():
    cameras, X, seen = bal()
    start = Adjusted(cameras, X, seen.x - reproject(cameras, X, seen), np.zeros(1))
    assert start.rms == pytest.approx(10.39, abs=0.01)
    assert bundle_adjust(cameras, X, seen, terms=sfm.TERMS).rms <= 0.66


# --- comparing


def test_umeyama_finds_the_similarity():
    X = world(10)
    found = fit_similarity_3d(X, SIMILARITY.apply(X))
    assert found.scale == pytest.approx(2.5)
    np.testing.assert_allclose(found.R, SIMILARITY.R, atol=1e-12)
    np.testing.assert_allclose(found.t, SIMILARITY.t, atol=1e-12)


def test_umeyama_agrees_with_scikit_image():
    from skimage.transform import estimate_transform

    rng = np.random.default_rng(2)
    X = world(10)
    Y = SIMILARITY.apply(X) + 0.3 * rng.normal(size=X.shape)
    T = np.eye(4)
    found = fit_similarity_3d(X, Y)
    T[:3, :3], T[:3, 3] = found.scale * found.R, found.t
    np.testing.assert_allclose(T, estimate_transform("similarity", X, Y).params, atol=1e-9)


def test_a_mirror_image_is_not_matched_by_a_mirror():
    X = world(10)
    found = fit_similarity_3d(X, X * [1, 1, -1])
    assert np.linalg.det(found.R) == pytest.approx(1)
    assert np.abs(found.apply(X) - X * [1, 1, -1]).max() > 0.3


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_similarities_move_cameras_and_points_together(seed):
    """The seven free numbers: no picture tells them."""
    rng = np.random.default_rng(seed)
    S = Similarity(rng.uniform(0.1, 9), pinhole.rotation_from_vector(rng.normal(size=3)), 5 * rng.normal(size=3))
    cameras, X = ring(3, (-0.1, 0.0)), world(5)
    seen = all_seen(cameras, X)
    moved = S.apply_to_cameras(cameras)
    np.testing.assert_allclose(reproject(moved, S.apply(X), seen), seen.x, atol=1e-8)
    np.testing.assert_allclose(moved.centers, S.apply(cameras.centers), atol=1e-9)
    found = align_cameras(cameras, moved)
    np.testing.assert_allclose(found.apply(X), S.apply(X), atol=1e-7)


def test_cameras_on_a_line_are_aligned_by_their_rotations():
    cameras = ring(4)
    cameras = cameras._replace(t=-np.einsum("nij,nj->ni", cameras.R, np.arange(4)[:, None] * np.array([1.0, 2, 0])))
    with pytest.raises(ValueError, match="on one line"):
        fit_similarity_3d(cameras.centers, SIMILARITY.apply(cameras.centers))
    found = align_cameras(cameras, SIMILARITY.apply_to_cameras(cameras))
    np.testing.assert_allclose(found.R, SIMILARITY.R, atol=1e-9)


@pytest.mark.parametrize(
    ("src", "dst", "message"),
    [
        (world(2), world(2), "needs 3 points"),
        (world(4), world(5), "4 source points but 5"),
        (np.outer(np.arange(5.0), [1, 2, 3]), world(5), "source points lie on one line"),
        (world(5), np.ones((5, 3)), "destination points lie on one line"),
        (world(5) * np.nan, world(5), "NaN"),
        (world(5)[:, :2], world(5), r"shape \(N, 3\)"),
    ],
)
def test_fit_similarity_says_why_it_refuses(src, dst, message):
    with pytest.raises(ValueError, match=message):
        fit_similarity_3d(src, dst)


def test_align_cameras_says_why_it_refuses():
    cameras = ring(4)
    with pytest.raises(ValueError, match="two or more"):
        align_cameras(cameras, ring(5))
    with pytest.raises(ValueError, match="one place"):
        align_cameras(cameras._replace(t=0 * cameras.t), cameras)
    with pytest.raises(ValueError, match="mirror"):
        align_cameras(cameras, cameras._replace(t=-cameras.t))


def test_rotation_angles():
    R = np.stack([pinhole.rotation_from_vector(v) for v in ([0, 0, 0], [0, 1e-9, 0], [0.3, 0, 0], [0, 0, np.pi])])
    np.testing.assert_allclose(rotation_angles(R, np.eye(3)), [0, 1e-9, 0.3, np.pi], rtol=1e-7, atol=1e-15)


# --- factorisation


def affine_tracks(F=6, N=40, noise=0.0, seed=1):
    rng = np.random.default_rng(seed)
    R = np.stack([pinhole.rotation_from_vector(0.5 * rng.normal(size=3)) for _ in range(F)])
    X, t = world(N), rng.uniform(-5, 5, (F, 2))
    x = X @ R[:, :2].mT + t[:, None]
    return R, X, x + noise * rng.normal(size=x.shape)


def test_factorisation_gives_the_shape_back():
    _, X, x = affine_tracks()
    found = factorize(x)
    assert found.singular_values[3] < 1e-12 * found.singular_values[0]
    np.testing.assert_allclose(found.X @ found.M.mT + found.t[:, None], x, atol=1e-9)
    np.testing.assert_allclose(found.M @ found.M.mT, np.broadcast_to(np.eye(2), (6, 2, 2)), atol=1e-9)
    errors = [np.abs(fit_similarity_3d(found.X * [1, 1, s], X).apply(found.X * [1, 1, s]) - X).max() for s in (1, -1)]
    assert min(errors) < 1e-9 < max(errors)  # the mirror image in depth fits as well


def test_noise_shows_in_the_fourth_singular_value():
    quiet, loud = (factorize(affine_tracks(noise=s)[2]).singular_values[3] for s in (1e-4, 1e-3))
    assert loud / quiet == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((2, 9, 2)), "F >= 3"),
        (np.zeros((5, 3, 2)), "N >= 4"),
        (np.full((5, 9, 2), np.nan), "missing in a picture"),
        (np.tile(affine_tracks(1)[2], (4, 1, 1)), "rank 2"),
        ((world(20) * [1, 1, 0]) @ affine_tracks(5)[0][:, :2].mT, "rank 2"),
    ],
)
def test_factorize_says_why_it_refuses(x, message):
    with pytest.raises(ValueError, match=message):
        factorize(x)


# --- COLMAP


def example(K=K_TRUE):
    cameras, X = ring(4, (-0.11, 0.02), K), world(25)
    seen = all_seen(cameras, X, noise=0.4, keep=0.6)
    colors = np.round(255 * np.random.default_rng(0).random((25, 3))) / 255
    return Reconstruction(cameras, X, colors, seen)


@pytest.mark.parametrize("K", [K_TRUE, np.array([[620.0, 0, 325], [0, 650, 236], [0, 0, 1]])])
def test_colmap_files_read_back_as_they_were_written(tmp_path, K):
    scene = example(K)
    names, shapes = [f"view_{i}.jpg" for i in range(4)], [(480, 640)] * 4
    write_colmap(tmp_path / "model", scene, names, shapes)
    found = read_colmap(tmp_path / "model")
    assert (found.names, found.shapes) == (names, shapes)
    for ours, read in zip((*scene.cameras, scene.X, scene.colors), (*found[0].cameras, *found[0][1:3]), strict=True):
        np.testing.assert_allclose(read, ours, atol=1e-12)
    key = lambda seen: np.lexsort((seen.point, seen.view))  # noqa: E731
    for ours, read in zip(scene.seen, found[0].seen, strict=True):
        np.testing.assert_allclose(read[key(found[0].seen)], ours[key(scene.seen)], atol=1e-12)
    assert found[0].rms == pytest.approx(scene.rms, abs=1e-9)


def test_colmap_counts_from_one_and_from_half_a_pixel(tmp_path):
    scene = example()
    write_colmap(tmp_path, scene, list("abcd"), [(480, 640)] * 4)
    lens = (tmp_path / "cameras.txt").read_text().splitlines()[1].split()
    assert lens[:4] == ["1", "RADIAL", "640", "480"]
    assert lens[4:7] == ["620.0", "325.5", "236.5"]
    head, points = (tmp_path / "images.txt").read_text().splitlines()[1:3]
    w, x, y, z = map(float, head.split()[1:5])
    from scipy.spatial.transform import Rotation

    np.testing.assert_allclose(Rotation.from_quat([x, y, z, w]).as_matrix(), scene.cameras.R[0], atol=1e-12)
    first = np.flatnonzero(scene.seen.view == 0)[0]
    assert float(points.split()[0]) == scene.seen.x[first, 0] + 0.5
    assert int(points.split()[2]) == scene.seen.point[first] + 1


def test_every_line_of_points3D_has_the_documented_fields(tmp_path):
    """POINT3D_ID X Y Z R G B ERROR and pairs IMAGE_ID POINT2D_IDX that lead back to the point."""
    scene = example()
    write_colmap(tmp_path, scene, list("abcd"), [(480, 640)] * 4)
    bodies = (tmp_path / "images.txt").read_text().splitlines()[2::2]
    lines = (tmp_path / "points3D.txt").read_text().splitlines()[1:]
    assert len(lines) == 25
    for line in lines:
        words = line.split()
        assert all(0 <= int(c) <= 255 for c in words[4:7])
        mine = scene.seen.point == int(words[0]) - 1
        assert float(words[7]) == pytest.approx(np.hypot(*scene.residuals[mine].T).mean(), abs=1e-6)
        assert len(words[8:]) == 2 * mine.sum()
        for image, place in zip(words[8::2], words[9::2], strict=True):
            assert bodies[int(image) - 1].split()[3 * int(place) + 2] == words[0]


def test_pycolmap_reads_what_we_write(tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    scene = example()
    write_colmap(tmp_path, scene, list("abcd"), [(480, 640)] * 4)
    theirs = pycolmap.Reconstruction(str(tmp_path))
    assert theirs.num_points3D() == 25
    for k in range(len(scene.seen.x)):
        image = theirs.images[int(scene.seen.view[k]) + 1]
        predicted = image.project_point(theirs.points3D[int(scene.seen.point[k]) + 1].xyz)
        np.testing.assert_allclose(
            predicted - 0.5, scene.seen.x[k] - scene.residuals[k], atol=1e-6
        )  # their pixel centres lie at one half


def test_other_models_of_colmap_are_read(tmp_path):
    scene = example()
    scene = scene._replace(cameras=scene.cameras._replace(distortion=np.zeros((4, 2))))
    write_colmap(tmp_path, scene, list("abcd"), [(480, 640)] * 4)
    text = (tmp_path / "cameras.txt").read_text()
    for line in ("SIMPLE_PINHOLE 640 480 620 325.5 236.5", "PINHOLE 640 480 620 620 325.5 236.5"):
        body = "\n".join(f"{i} {line}" for i in range(1, 5))
        (tmp_path / "cameras.txt").write_text("# a comment\n" + body + "\n")
        np.testing.assert_allclose(read_colmap(tmp_path).reconstruction.cameras.K, scene.cameras.K)
    (tmp_path / "cameras.txt").write_text(text.replace("RADIAL", "FISHEYE"))
    with pytest.raises(ValueError, match="known are"):
        read_colmap(tmp_path)
    body = "\n".join(f"{i} OPENCV 640 480 620 620 325.5 236.5 0 0 0.01 0" for i in range(1, 5))
    (tmp_path / "cameras.txt").write_text(body + "\n")
    with pytest.raises(ValueError, match="tangential"):
        read_colmap(tmp_path)


def test_colmap_says_why_it_refuses(tmp_path):
    scene, shapes = example(), [(480, 640)] * 4
    with pytest.raises(ValueError, match="4 cameras, but 3 names"):
        write_colmap(tmp_path, scene, list("abc"), shapes)
    with pytest.raises(ValueError, match="spaces"):
        write_colmap(tmp_path, scene, ["a", "b", "c", "d e"], shapes)
    with pytest.raises(ValueError, match="skew"):
        write_colmap(tmp_path, example(K_ODD), list("abcd"), shapes)
    with pytest.raises(FileNotFoundError, match="model_converter"):
        read_colmap(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="four numbers"):
        rotation_from_quaternion([0, 0, 0, 0])


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3))
@settings(max_examples=50, deadline=None)
def test_quaternions_go_there_and_back(r):
    R = pinhole.rotation_from_vector(r)
    q = quaternion_from_rotation(R)
    assert q[0] >= 0
    assert np.linalg.norm(q) == pytest.approx(1)
    np.testing.assert_allclose(rotation_from_quaternion(q), R, atol=1e-9)
    np.testing.assert_allclose(rotation_from_quaternion(-3 * q), R, atol=1e-9)


# --- from photographs


def made_matches(cameras, X, noise=0.3, wrong=0, pairs=None, seed=0):
    """What `match_images` would give for points that every camera sees, some matches wrong."""
    rng = np.random.default_rng(seed)
    n, N = len(cameras.R), len(X)
    each = [reproject(cameras, X, Seen(np.full(N, i), np.arange(N), np.zeros((N, 2)))) for i in range(n)]
    keypoints = [x + noise * rng.normal(size=x.shape) for x in each]
    pairs = pairs or [(i, j) for i in range(n) for j in range(i + 1, n)]
    matched = Matched(keypoints, {}, {(i, j): 5 for i in range(n) for j in range(i + 1, n)}, {}, [(480, 640)] * n)
    for i, j in pairs:
        rows = np.column_stack([np.arange(N)] * 2)
        rows[: wrong // 2] = np.column_stack([np.arange(wrong // 2), rng.integers(0, N, wrong // 2)])
        matched.tried[i, j] = len(rows)
        sfm._verify(matched, i, j, rows, rng)
    return matched


def grade(found, cameras):
    S = align_cameras(found.cameras, cameras)
    moved = S.apply_to_cameras(found.cameras)
    span = np.linalg.norm(cameras.centers - cameras.centers.mean(axis=0), axis=1).max()
    shift = np.linalg.norm(moved.centers - cameras.centers, axis=1).max() / span
    return np.rad2deg(rotation_angles(moved.R, cameras.R).max()), shift


def test_reconstructs_made_matches_with_some_of_them_wrong():
    cameras, X = ring(5), world(150)
    found = reconstruct_matches(made_matches(cameras, X, wrong=30), K_TRUE)
    turned, moved = grade(found, cameras)
    assert turned < 0.15
    assert moved < 0.01
    assert found.rms < 0.5
    assert len(found.X) > 120
    np.testing.assert_allclose(found.cameras.R[0], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(found.cameras.t[0], 0, atol=1e-9)
    assert np.linalg.norm(found.cameras.centers, axis=1).max() == pytest.approx(1)


def test_finds_the_focal_length_of_made_matches():
    cameras, X = ring(6), world(150)
    centred = cameras._replace(K=np.stack([[[620.0, 0, 319.5], [0, 620, 239.5], [0, 0, 1]]] * 6))
    found = reconstruct_matches(made_matches(centred, X))
    assert found.cameras.K[0, 0, 0] == pytest.approx(620, rel=0.03)
    assert grade(found, centred)[0] < 0.5


def test_focal_length_from_exact_fundamental_matrices():
    cameras = ring(4)
    F = []
    for i in range(4):
        for j in range(i):
            R = cameras.R[i] @ cameras.R[j].T
            t = cameras.t[i] - R @ cameras.t[j]
            E = np.cross(np.eye(3), t) @ R
            F.append(np.linalg.inv(K_TRUE).T @ E.T @ np.linalg.inv(K_TRUE))
    assert focal_from_fundamentals(F, K_TRUE[:2, 2], 640) == pytest.approx(620, rel=0.02)  # steps of 2.3 %
    with pytest.raises(ValueError, match="no fundamental matrices"):
        focal_from_fundamentals([], (320, 240), 640)


def test_views_that_nothing_links_are_named():
    matched = made_matches(ring(5), world(60), pairs=[(0, 1), (1, 2), (0, 2), (3, 4)])
    with pytest.raises(ValueError, match=r"views 3, 4 are not linked to views 0, 1, 2"):
        reconstruct_matches(matched, K_TRUE)
    with pytest.raises(ValueError, match=r"too few matches: .* views 0 and 1, has 10 matches"):
        reconstruct_matches(made_matches(ring(2), world(10)), K_TRUE)


def test_a_view_that_sees_too_few_points_is_named():
    """Matches of view 3 with view 2 alone, on points that no other pair has."""
    cameras, X = ring(4), world(120)
    matched = made_matches(cameras, X, pairs=[(0, 1), (1, 2), (0, 2), (2, 3)])
    for pair in [(0, 1), (1, 2), (0, 2)]:
        matched.matches[pair] = matched.matches[pair][matched.matches[pair][:, 0] < 60]
    matched.matches[2, 3] = matched.matches[2, 3][matched.matches[2, 3][:, 0] >= 60]
    with pytest.raises(
        ValueError, match=r"view 3 cannot be placed, seeing 0 points of the reconstruction from views 0, 1, 2"
    ):
        reconstruct_matches(matched, K_TRUE)


@pytest.mark.parametrize("K", [K_TRUE, None])
def test_a_camera_that_only_turned_is_refused(K):
    R = np.stack([pinhole.rotation_from_angles(a, 0.05 * a, 0.1 * a) for a in np.linspace(-0.2, 0.2, 4)])
    turned = Cameras(np.stack([K_TRUE] * 4), np.zeros((4, 2)), R, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="pure rotation"):
        reconstruct_matches(made_matches(turned, world(100) + np.array([0, 0, 6])), K)


@pytest.mark.parametrize("K", [K_TRUE, None])
def test_a_flat_scene_is_refused(K):
    with pytest.raises(ValueError, match="one plane"):
        reconstruct_matches(made_matches(ring(4), world(100) * [1, 1, 0]), K)


def test_pictures_that_are_none_or_one_are_refused():
    with pytest.raises(ValueError, match="2 images at least, got 1"):
        reconstruct([np.zeros((50, 60))])
    with pytest.raises(ValueError, match="2 images at least, got 0"):
        reconstruct([])
    with pytest.raises(TypeError, match="image 1"):
        reconstruct([np.zeros((50, 60)), np.zeros((50, 60), np.uint8)])
    with pytest.raises(ValueError, match="too few matches"):
        reconstruct([np.zeros((50, 60))] * 2)
    with pytest.raises(ValueError, match="terms are"):
        reconstruct_matches(made_matches(ring(3), world(60)), K_TRUE, terms=("k2",))
    matched = made_matches(ring(3), world(60))
    with pytest.raises(ValueError, match="image 1 has shape"):
        reconstruct_matches(matched._replace(shapes=[(480, 640), (640, 480), (480, 640)]))


def bundler_reference():
    reference = load("sfm/balbianello")
    K = np.stack([[[f, 0, 319.5], [0, f, 213], [0, 0, 1]] for f in reference["focal"]])
    return Cameras(K, reference["distortion"], FLIP @ reference["R"], reference["t"] @ FLIP)


def test_villa_from_five_photographs_alone():
    found = reconstruct([load(f"sfm/balbianello_{k}") for k in range(1, 6)])
    turned, moved = grade(found, bundler_reference())
    assert found.rms < 0.6
    assert turned < 0.5
    assert moved < 0.03
    assert len(found.X) > 600
    assert found.cameras.K[0, 0, 0] == pytest.approx(520, rel=0.03)
    assert found.colors.std() > 0.1


def test_room_against_its_exact_truth():
    truth = load("sfm/room_cameras")
    K, views = np.array(truth["K"]), [0, 2, 3, 5]
    R, t = (np.array([truth["images"][i][name] for i in views]) for name in ("R", "t"))
    found = reconstruct([load(f"sfm/room_{i:02d}") for i in views], K)
    exact = Cameras(np.stack([K] * 4), np.zeros((4, 2)), R, t)
    turned, moved = grade(found, exact)
    assert turned < 0.2
    assert moved < 0.01
    X = align_cameras(found.cameras, exact).apply(found.X)
    mine = found.seen.view == 2
    col, row = found.seen.x[mine].round().astype(int).T
    depth = load("sfm/room_depth_03")["depth"].astype(float)[row, col]
    error = np.abs((X[found.seen.point[mine]] @ R[2].T + t[2])[:, 2] / depth - 1)
    assert np.median(error) < 0.01


def test_large_photographs_are_made_smaller_and_pixels_given_back(monkeypatch):
    """The same work at half the size: pixels and K of the result belong to the photographs that came."""
    images = [load(f"sfm/room_{i:02d}") for i in (2, 3, 4)]
    K = np.array(load("sfm/room_cameras")["K"])
    monkeypatch.setattr(sfm, "_working_factor", lambda images: 0.75)
    found = reconstruct(images, K)
    np.testing.assert_allclose(found.cameras.K[0], K, atol=1e-9)
    assert found.seen.x.max() > 400
    assert found.rms < 0.8
    assert reproject(found.cameras, found.X, found.seen).shape == found.seen.x.shape


def test_matching_finds_pairs_of_real_photographs():
    matched = match_images([load("sfm/room_02"), load("sfm/room_03")], rng=0)
    assert len(matched.matches[0, 1]) > 200
    assert matched.tried[0, 1] >= len(matched.matches[0, 1])
    assert len(np.unique(matched.keypoints[0].round(1), axis=0)) == len(matched.keypoints[0])
