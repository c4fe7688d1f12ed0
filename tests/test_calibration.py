import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from cvcourse import cameras, scenes
from cvcourse.calibration import (
    LENS,
    board_points,
    calibrate,
    find_board,
    fit_projection,
    intrinsics,
    intrinsics_from_homographies,
    lens_vector,
    pose_from_homography,
    predict_views,
    projection_rows,
    stereo_pose,
    views_jacobian,
    zhang_rows,
)
from cvcourse.homogeneous import transform_points
from cvcourse.images import as_gray, load
from cvcourse.warping import warp

K_TRUE = np.array([[820.0, 1.5, 325], [0, 790, 236], [0, 0, 1]])
R_TRUE = cameras.rotation_from_angles(0.3, -0.2, 0.1)
P_TRUE = cameras.projection_matrix(K_TRUE, R_TRUE, [0.4, -0.3, -9])
POINTS = np.random.default_rng(14).uniform(-2, 2, (30, 3))
PIXELS = cameras.project(P_TRUE, POINTS)[0]
BOARD = board_points((9, 6), 25.0)
LENS_TRUE = np.array([530.0, 520, 0, 335, 242, -0.28, 0.1, 1.2e-3, -0.8e-3])
PHOTOS = [f"{k:02d}" for k in range(1, 15) if k != 10]


def poses(M=8, tilt=0.6, seed=3):
    """Poses that keep a 200 mm board in the picture, tilted by up to `tilt` radians about both axes."""
    rng = np.random.default_rng(seed)
    vectors = np.column_stack([rng.uniform(-tilt, tilt, (M, 2)), rng.uniform(-0.3, 0.3, M)])
    R = np.array([cameras.rotation_from_vector(v) for v in vectors])
    middle = np.append(BOARD.mean(axis=0), 0)
    at = np.column_stack([rng.uniform(-60, 60, M), rng.uniform(-40, 40, M), rng.uniform(380, 550, M)])
    return R, at - R @ middle


def pictures(lens=LENS_TRUE, M=8, tilt=0.6, noise=0.0, seed=3):
    views = predict_views(BOARD, lens, *poses(M, tilt, seed))
    return views + noise * np.random.default_rng(seed + 100).normal(size=views.shape)


def homographies(K=K_TRUE, M=5, seed=3):
    R, t = poses(M, seed=seed)
    return K @ np.concatenate([R[:, :, :2], t[:, :, None]], axis=2)


# --- P from points in space


@pytest.mark.parametrize("n", [6, 7, 30])
def test_finds_the_projection_that_made_the_pixels(n):
    P = fit_projection(POINTS[:n], PIXELS[:n])
    np.testing.assert_allclose(P, P_TRUE / np.linalg.norm(P_TRUE), atol=1e-9)
    K, R, c = cameras.decompose_projection(P)
    np.testing.assert_allclose(K, K_TRUE, rtol=1e-6, atol=1e-4)
    np.testing.assert_allclose(R, R_TRUE, atol=1e-7)
    np.testing.assert_allclose(c, [0.4, -0.3, -9], atol=1e-6)


def test_error_of_P_is_proportional_to_the_noise():
    noise = np.random.default_rng(5).normal(size=PIXELS.shape)
    small, large = (
        np.abs(cameras.project(fit_projection(POINTS, PIXELS + s * noise), POINTS)[0] - PIXELS).max()
        for s in (0.01, 0.1)
    )
    assert small < 0.02 and large / small == pytest.approx(10, rel=0.1)


def test_P_does_not_depend_on_the_world_frame():
    """Rotated, shifted, scaled: the normalised DLT goes along with a similarity, noise or no noise."""
    S = np.diag([3.0, 3.0, 3.0, 1.0])
    S[:3, :3] @= cameras.rotation_from_angles(1.0, 0.4, -2.0)
    S[:3, 3] = 40, -70, 500
    noisy = PIXELS + np.random.default_rng(5).normal(size=PIXELS.shape)
    P, moved = fit_projection(POINTS, noisy), fit_projection(transform_points(S, POINTS), noisy) @ S
    np.testing.assert_allclose(moved / np.linalg.norm(moved), P, atol=1e-9)


def test_the_rows_vanish_on_the_true_P():
    np.testing.assert_allclose(projection_rows(POINTS, PIXELS) @ P_TRUE.ravel(), 0, atol=1e-8 * 820)


@pytest.mark.parametrize(
    ("X", "x", "message"),
    [
        (POINTS[:5], PIXELS[:5], "11 unknowns and needs 6 points, got 5"),
        (POINTS, PIXELS[:9], "30 world points but 9 image points"),
        (POINTS * [1, 1, 0], PIXELS, "lie in one plane"),
        (POINTS @ np.array([[1, 0, 1], [0, 1, 2], [0, 0, 0]]), PIXELS, "lie in one plane"),
        (POINTS * [1, 1, 1e-5], PIXELS, "lie in one plane"),
        (POINTS, PIXELS[:, ::-1], "mirrored camera"),
        (POINTS * [1, -1, 1], PIXELS, "mirrored camera"),
        (POINTS[:, :2], PIXELS, r"shape \(N, 3\)"),
        (np.full((6, 3), np.nan), PIXELS[:6], "NaN"),
    ],
)
def test_fit_projection_says_why_it_refuses(X, x, message):
    with pytest.raises(ValueError, match=message):
        fit_projection(X, x)


def test_a_twisted_cubic_through_the_centre_is_refused():
    """The critical curve of resection: points on it and the camera's centre leave P undetermined."""
    s = np.linspace(0.4, 2, 15)
    X = np.column_stack([s, s**2, s**3])  # the camera stands at s = 0
    with pytest.raises(ValueError, match="more than one projection matrix"):
        fit_projection(X, X[:, :2] / X[:, 2:])


# --- Zhang's closed form


@pytest.mark.parametrize(("M", "skew"), [(2, False), (3, True), (9, False), (9, True)])
def test_closed_form_gives_K_back(M, skew):
    K = K_TRUE if skew else K_TRUE * [[1, 0, 1], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_allclose(
        intrinsics_from_homographies(homographies(K, M), skew), K, rtol=1e-6, atol=1e-5 * (1 + 9 * skew)
    )


def test_zhang_rows_vanish_on_the_true_conic():
    inverse = np.linalg.inv(K_TRUE)
    B = inverse.T @ inverse
    b = B[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]
    for H in homographies():
        rows = zhang_rows(H)
        assert rows.shape == (2, 6)
        np.testing.assert_allclose(rows @ b / (np.abs(rows) @ np.abs(b)), 0, atol=1e-12)


def test_scale_and_sign_of_a_homography_do_not_matter():
    Hs = homographies()
    factors = np.array([1, -2, 0.1, 30, -5])[:, None, None]
    np.testing.assert_allclose(
        intrinsics_from_homographies(Hs * factors, True), intrinsics_from_homographies(Hs, True), rtol=1e-7, atol=1e-6
    )
    R, t = poses(5)
    for k in range(5):
        found = pose_from_homography(K_TRUE, factors[k] * Hs[k])
        np.testing.assert_allclose(found[0], R[k], atol=1e-9)
        np.testing.assert_allclose(found[1], t[k], rtol=1e-9, atol=1e-8)


def facing(M):
    """Boards square to the optical axis at different distances, turned about it."""
    R = np.array([cameras.rotation_from_angles(0, 0, 0.3 * k) for k in range(M)])
    return np.concatenate([R[:, :, :2], np.array([[[10.0 * k], [-5 * k], [400 + 30 * k]] for k in range(M)])], axis=2)


@pytest.mark.parametrize(
    ("Hs", "skew", "message"),
    [
        (K_TRUE @ facing(5), False, "do not determine K"),
        (K_TRUE @ R_TRUE @ facing(4), False, "do not determine K"),  # parallel to each other, tilted
        (np.tile(homographies(M=1), (4, 1, 1)), False, "do not determine K"),
        (homographies(M=1), False, "without skew needs 2 views of the board, got 1"),
        (homographies(M=2), True, "with skew needs 3 views of the board, got 2"),
        (np.eye(3), False, r"shape \(M, 3, 3\)"),
        (np.random.default_rng(1).normal(size=(6, 3, 3)), False, "no camera explains these views"),
    ],
)
def test_closed_form_says_why_it_refuses(Hs, skew, message):
    with pytest.raises(ValueError, match=message):
        intrinsics_from_homographies(Hs, skew)


@pytest.mark.parametrize(
    ("K", "H", "message"),
    [
        (np.diag([1.0, 1, 0]), np.eye(3), "K is singular"),
        (np.eye(3), np.diag([1.0, 0, 1]), "H is singular"),
        (np.eye(3), np.eye(3)[[1, 2, 0]], "depth 0"),
        (np.eye(2), np.eye(3), r"K must have shape \(3, 3\)"),
    ],
)
def test_pose_says_why_it_refuses(K, H, message):
    with pytest.raises(ValueError, match=message):
        pose_from_homography(K, H)


# --- prediction and its derivatives


def test_prediction_without_distortion_is_the_pinhole_camera():
    R, t = poses(3)
    views = predict_views(BOARD, lens_vector(K_TRUE), R, t)
    X = np.column_stack([BOARD, np.zeros(54)])
    for k in range(3):
        P = cameras.projection_matrix(K_TRUE, R[k], -R[k].T @ t[k])
        np.testing.assert_allclose(views[k], cameras.project(P, X)[0], atol=1e-9)


def test_prediction_with_distortion_agrees_with_lecture_11():
    R, t = poses(3)
    pinhole = predict_views(BOARD, [1, 1, 0, 0, 0, 0, 0, 0, 0], R, t).reshape(-1, 2)
    bent = cameras.distort(pinhole, LENS_TRUE[5:]) * LENS_TRUE[:2] + LENS_TRUE[3:5]
    np.testing.assert_allclose(predict_views(BOARD, LENS_TRUE, R, t).reshape(-1, 2), bent, atol=1e-9)


def test_jacobian_agrees_with_differences():
    lens = LENS_TRUE.copy()
    lens[2] = 2.0
    R, t = poses(3)
    J = views_jacobian(BOARD, lens, R, t)
    assert J.shape == (3, 54, 2, 15)
    for k in range(15):
        step = 1e-5 * (max(abs(lens[k]), 0.1) if k < 9 else 1.0)
        ends = []
        for sign in (1, -1):
            change = np.zeros(15)
            change[k] = sign * step
            turn = cameras.rotation_from_vector(change[9:12])
            ends.append(predict_views(BOARD, lens + change[:9], turn @ R, t + change[12:]))
        # central differences: rounding 1e-12 / 1e-5 of pixels of 500, and a third derivative times 1e-10
        np.testing.assert_allclose(J[..., k], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-4)


def test_lens_vector_and_intrinsics_are_inverse():
    lens = lens_vector(K_TRUE, LENS_TRUE[5:])
    np.testing.assert_array_equal(intrinsics(lens), K_TRUE)
    np.testing.assert_array_equal(lens[5:], LENS_TRUE[5:])
    assert len(LENS) == 9


def test_prediction_refuses_points_behind_the_camera_and_wrong_shapes():
    R, t = poses(2)
    with pytest.raises(ValueError, match="in front of the camera"):
        predict_views(BOARD, LENS_TRUE, R, -t)
    with pytest.raises(ValueError, match="nine numbers"):
        predict_views(BOARD, LENS_TRUE[:5], R, t)
    with pytest.raises(ValueError, match="as many rotations"):
        predict_views(BOARD, LENS_TRUE, R[:1], t)
    with pytest.raises(ValueError, match="k1, k2, p1, p2"):
        lens_vector(K_TRUE, [0.1])


# --- everything at once


@pytest.mark.parametrize("M", [2, 3, 8])
def test_exact_pictures_give_lens_and_poses_back(M):
    found = calibrate(BOARD, pictures(M=M))
    np.testing.assert_allclose(found.lens, LENS_TRUE, rtol=1e-5, atol=1e-5)
    R, t = poses(M)
    np.testing.assert_allclose(found.rotations, R, atol=1e-6)
    np.testing.assert_allclose(found.translations, t, atol=1e-3)
    assert found.rms < 1e-4


def test_skew_is_found_when_it_is_asked_for():
    lens = LENS_TRUE.copy()
    lens[2] = 8.0
    found = calibrate(BOARD, pictures(lens), terms=("skew", "k1", "k2", "p1", "p2"))
    np.testing.assert_allclose(found.lens, lens, rtol=1e-5, atol=1e-5)
    assert calibrate(BOARD, pictures(lens)).rms > 0.2


def test_what_is_not_asked_for_stays_zero():
    found = calibrate(BOARD, pictures(noise=0.2), terms=("k1",))
    assert found.distortion[0] != 0 and not found.distortion[1:].any() and found.K[0, 1] == 0
    fixed = np.isin(LENS, ("skew", "k2", "p1", "p2"))
    assert not found.covariance[fixed].any() and not found.covariance[:, fixed].any()
    assert (found.sigma[~fixed] > 0).all()


def test_agrees_with_least_squares_of_scipy():
    views = pictures(M=4, noise=0.3)
    found = calibrate(BOARD, views, terms=("k1", "k2"))
    vectors = [cameras.vector_from_rotation(R) for R in found.rotations]

    def residuals(v):
        lens = np.array([v[0], v[1], 0, v[2], v[3], v[4], v[5], 0, 0])
        own = v[6:].reshape(-1, 6)
        R = np.array([cameras.rotation_from_vector(r) for r in own[:, :3]])
        return (predict_views(BOARD, lens, R, own[:, 3:]) - views).ravel()

    start = np.concatenate([found.lens[[0, 1, 3, 4, 5, 6]], np.column_stack([vectors, found.translations]).ravel()])
    start[:6] *= 1 + np.array([0.01, -0.01, 0.01, 0.01, 0.1, -0.1])
    oracle = least_squares(residuals, start, x_scale="jac", xtol=1e-12, ftol=1e-12)
    np.testing.assert_allclose(np.sum(found.residuals**2), 2 * oracle.cost, rtol=1e-6)
    np.testing.assert_allclose(found.lens[[0, 1, 3, 4, 5, 6]], oracle.x[:6], rtol=1e-4, atol=1e-4)
    J = oracle.jac
    covariance = np.linalg.inv(J.T @ J) * 2 * oracle.cost / (len(J) - J.shape[1])
    np.testing.assert_allclose(found.sigma[[0, 1, 3, 4, 5, 6]], np.sqrt(np.diag(covariance)[:6]), rtol=1e-3)


def test_residuals_keep_the_variance_that_the_unknowns_leave():
    """The sum of squares is sigma^2 (2 n - p) on average: n = 8 * 54 points, p = 8 + 48 unknowns."""
    total = [np.sum(calibrate(BOARD, pictures(noise=0.3, seed=s)).residuals ** 2) for s in range(20)]
    # chi-squared with 808 degrees: the mean of 20 scatters by sqrt(2 / 808 / 20) = 1.1 %
    assert np.mean(total) == pytest.approx(0.09 * 808, rel=0.045)


def test_errors_scatter_as_the_covariance_says():
    """Squared errors in units of the predicted standard deviations average to 1."""
    z = []
    for s in range(60):
        views = pictures(M=4) + 0.3 * np.random.default_rng(s).normal(size=(4, 54, 2))
        found = calibrate(BOARD, views)
        moving = found.sigma > 0
        z.append(((found.lens - LENS_TRUE) / np.where(moving, found.sigma, 1))[moving])
    # each column: mean of 60 squared standard normals, deviation sqrt(2 / 60) = 0.18; four of them
    np.testing.assert_allclose(np.mean(np.square(z), axis=0), 1, atol=0.75)
    assert np.mean(np.square(z)) == pytest.approx(1, abs=0.35)  # the columns are correlated


def lost():
    views = pictures(M=3)
    views[1, 7:9] = np.nan
    return views


@pytest.mark.parametrize(
    ("views", "terms", "message"),
    [
        (pictures(M=1), ("k1",), "needs 2 views of the board, got 1"),
        (pictures(M=2), ("skew",), "with skew needs 3 views"),
        (lost(), ("k1",), "view 1 has 2 corners that were not found"),
        (pictures(M=3)[:, :53], ("k1",), r"shape \(M, 54, 2\)"),
        (pictures(M=3), ("k3",), "terms must be a sequence of"),
        (pictures(M=3), "k1", "terms must be a sequence of"),
        (np.tile(pictures(M=1), (4, 1, 1)), ("k1",), "do not determine K"),
        (pictures(tilt=0.004, noise=0.3), (), "no camera explains|stays uncertain by"),
    ],
)
def test_calibrate_says_why_it_refuses(views, terms, message):
    with pytest.raises(ValueError, match=message):
        calibrate(BOARD, views, terms)


def test_a_view_without_extent_is_named():
    views = pictures(M=3)
    views[2] = [100, 200]
    with pytest.raises(ValueError, match="view 2: "):
        calibrate(BOARD, views)


def test_nearly_parallel_boards_are_refused_with_their_angle():
    refused = []
    for seed in range(6):
        try:
            calibrate(BOARD, pictures(M=6, tilt=0.03, noise=0.5, seed=seed))
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) >= 4
    assert any("degrees; tilt the board" in text for text in refused)


# --- two cameras


R_STEREO, T_STEREO = cameras.rotation_from_vector([0.01, -0.06, 0.02]), np.array([-83.0, 1.5, 2.0])


def pair(noise=0.0, seed=3):
    R, t = poses()
    lens = LENS_TRUE + np.array([5, 4, 0, -9, 6, 0.01, 0, 0, 0])
    rng = np.random.default_rng(seed)
    views = [
        predict_views(BOARD, LENS_TRUE, R, t),
        predict_views(BOARD, lens, R_STEREO @ R, t @ R_STEREO.T + T_STEREO),
    ]
    return [calibrate(BOARD, view + noise * rng.normal(size=view.shape)) for view in views]


def test_stereo_pose_of_exact_pictures():
    found = stereo_pose(BOARD, *pair())
    np.testing.assert_allclose(found.R, R_STEREO, atol=1e-6)
    np.testing.assert_allclose(found.t, T_STEREO, atol=1e-3)
    assert found.baseline == pytest.approx(np.linalg.norm(T_STEREO), rel=1e-6)
    assert found.rms < 1e-3 and found.residuals.shape == (2, 8, 54, 2)


def test_stereo_pose_lies_within_its_error_bars_and_has_less_residual_than_the_guess():
    left, right = pair(noise=0.3)
    found = stereo_pose(BOARD, left, right)
    # the lenses are held fixed, so the bar is too short by what their own errors add; five of them suffice
    assert np.abs(found.t - T_STEREO)[:2].max() < 5 * np.sqrt(np.diag(found.covariance))[3:5].max() + 0.5
    assert found.rms == pytest.approx(0.3 * np.sqrt(2), rel=0.1)


def test_stereo_pose_says_why_it_refuses():
    left, right = pair()
    fewer = calibrate(BOARD, pictures(M=3))
    with pytest.raises(ValueError, match="the same number of views"):
        stereo_pose(BOARD, left, fewer)
    flipped = right._replace(rotations=right.rotations @ np.diag([-1.0, -1, 1]))
    with pytest.raises(ValueError, match="numbered from the same end"):
        stereo_pose(
            BOARD,
            left,
            flipped._replace(rotations=np.where(np.arange(8)[:, None, None] < 2, flipped.rotations, right.rotations)),
        )


# --- finding boards


def rendered(H, shape=(240, 320), squares=(10, 7)):
    """A chessboard with a white margin, 12 pixels a square, seen through H, and its true corners."""
    flat = scenes.checkerboard(12, squares[::-1])
    flat = 1 - flat if flat[0, 0] > 0.5 else flat
    flat = np.pad(flat, 12, constant_values=1.0)
    corners = board_points((squares[0] - 1, squares[1] - 1), 12.0) + 23.5
    image, seen = warp(0.2 + 0.6 * flat, H, shape, antialias=True)
    return np.where(seen, image, 0.5), transform_points(H, corners)


H_VIEW = np.array([[1.6, -0.25, 60.0], [0.15, 1.5, 30.0], [4e-4, 6e-4, 1.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finds_a_rendered_board_in_order(dtype):
    image, truth = rendered(H_VIEW)
    found = find_board(image.astype(dtype), (9, 6))
    assert found.dtype == np.float64
    assert np.hypot(*(found - truth).T).max() < 0.25  # pixels; the blur of the warp shifts no corner


@pytest.mark.parametrize("angle", [0.5, 1.6, 2.8, -1.2])
def test_order_turns_with_the_board(angle):
    center = cameras.rotation_from_angles(0, 0, angle)
    T = np.eye(3)
    T[:2, 2] = 160, 120
    H = T @ center @ np.diag([1.4, 1.4, 1]) @ np.array([[1, 0, -71.5], [0, 1, -53.5], [0, 0, 1.0]])
    image, truth = rendered(H)
    assert np.hypot(*(find_board(image, (9, 6)) - truth).T).max() < 0.3


def test_a_gain_and_an_offset_move_no_corner():
    image, _ = rendered(H_VIEW)
    np.testing.assert_allclose(find_board(0.5 * image + 0.3), find_board(image), atol=1e-6)


@pytest.mark.parametrize(
    ("image", "shape", "error", "message"),
    [
        (rendered(H_VIEW)[0], (8, 6), ValueError, r"no whole board of 8 x 6.* 54 of 48; its lattice is"),
        (rendered(H_VIEW)[0][:, 120:], (9, 6), ValueError, "no whole board of 9 x 6"),
        (np.zeros((60, 80)), (9, 6), ValueError, "has 0 of 54"),
        (np.zeros((3, 3)), (9, 6), ValueError, "has 0 of 54"),
        (rendered(H_VIEW)[0], (9, 1), ValueError, "columns, rows"),
        (np.zeros((60, 80), np.uint8), (9, 6), TypeError, "float"),
    ],
)
def test_find_board_says_why_it_refuses(image, shape, error, message):
    with pytest.raises(error, match=message):
        find_board(image, shape)


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([np.float32, np.float64]), st.booleans())
def test_noise_of_any_size_is_no_board(height, width, dtype, reverse):
    image = np.random.default_rng(height * 41 + width).random((height, width)).astype(dtype)
    with pytest.raises(ValueError, match="no whole board"):
        find_board(image[:, ::-1] if reverse else image)


# --- photographs


@pytest.fixture(scope="module")
def photographs():
    views = {
        side: [find_board(as_gray(load(f"calibration/{side}{name}"))) for name in PHOTOS] for side in ("left", "right")
    }
    return {side: calibrate(BOARD, np.array(seen)) for side, seen in views.items()}


def test_all_26_photographs_calibrate_both_cameras(photographs):
    for side in ("left", "right"):
        assert photographs[side].rms <= 0.25
    assert photographs["left"].K[0, 0] == pytest.approx(532.9, rel=0.005)
    assert photographs["left"].K[1, 1] == pytest.approx(532.9, rel=0.005)


def test_the_photographed_pair_has_its_baseline(photographs):
    pose = stereo_pose(BOARD, photographs["left"], photographs["right"])
    assert pose.baseline == pytest.approx(83.2, rel=0.01)
    assert pose.rms <= 0.25
    assert np.linalg.norm(cameras.vector_from_rotation(pose.R)) < np.deg2rad(1)
