import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from skimage import transform as skimage_transform

from cvcourse import alignment
from cvcourse.alignment import (
    dlt_matrix,
    fit_affine,
    fit_euclidean,
    fit_homography,
    fit_similarity,
    fit_translation,
    homography_covariance,
    homography_jacobian,
    predicted_covariance,
    refine_homography,
    symmetric_transfer_errors,
    transfer_errors,
)
from cvcourse.homogeneous import normalizer, transform_points
from cvcourse.transforms import (
    compose,
    fix_scale,
    invert,
    is_same_transform,
    rotation_matrix,
    shear_matrix,
    similarity_matrix,
    translation_matrix,
)

H_TRUE = np.array([[1.1, 0.2, 30.0], [-0.1, 0.9, 12.0], [4e-4, -2e-4, 1.0]])
H_ZERO = np.array([[1.0, 0.3, 200.0], [-0.2, 1.0, 100.0], [2e-3, 1e-3, 0.0]])  # sends the origin to infinity
POINTS = np.random.default_rng(4).uniform(0, 640, size=(25, 2))
SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
LINE = np.tile(np.arange(6.0), (2, 1)).T
TRUTH = {
    fit_translation: translation_matrix(12.5, -40),
    fit_euclidean: compose(translation_matrix(12.5, -40), rotation_matrix(2.5)),
    fit_similarity: similarity_matrix(1.7, -0.8, 12.5, -40),
    fit_affine: compose(translation_matrix(12.5, -40), shear_matrix(0.3, -0.2), similarity_matrix(0.7, 2, 0, 0)),
    fit_homography: H_TRUE,
}
FEWEST = {fit_translation: 1, fit_euclidean: 2, fit_similarity: 2, fit_affine: 3, fit_homography: 4}
PARAMETERS = {fit_translation: 2, fit_euclidean: 3, fit_similarity: 4, fit_affine: 6, fit_homography: 8}
ORACLE = {
    fit_euclidean: skimage_transform.EuclideanTransform,
    fit_similarity: skimage_transform.SimilarityTransform,
}
every_fit = pytest.mark.parametrize("fit", TRUTH, ids=lambda fit: fit.__name__)


def noise(n, sigma=1.0, seed=5):
    return sigma * np.random.default_rng(seed).normal(size=(n, 2))


# --- all fits


@every_fit
@pytest.mark.parametrize("extra", [0, 1, 21])
def test_recovers_the_transform_that_made_the_points(fit, extra):
    src = POINTS[: FEWEST[fit] + extra]
    T = fit(src, transform_points(TRUTH[fit], src))
    np.testing.assert_allclose(T, TRUTH[fit], rtol=1e-9, atol=1e-10)


@every_fit
def test_error_is_proportional_to_the_noise(fit):
    dst = transform_points(TRUTH[fit], POINTS)
    errors = [
        np.abs(transform_points(fit(POINTS, dst + noise(25, sigma)), POINTS) - dst).max() for sigma in (0.01, 0.1)
    ]
    assert errors[0] < 0.02 and errors[1] / errors[0] == pytest.approx(10, rel=0.05)


@every_fit
def test_residuals_keep_the_variance_that_the_parameters_leave(fit):
    """The sum of squared residuals is sigma^2 (2 n - p) on average, p the number of parameters."""
    dst, total = transform_points(TRUTH[fit], POINTS), []
    for seed in range(200):
        noisy = dst + noise(25, 0.5, seed)
        total.append(np.sum(transfer_errors(fit(POINTS, noisy), POINTS, noisy) ** 2))
    expected = 0.25 * (50 - PARAMETERS[fit])
    # chi-squared with k = 50 - p degrees: the mean of 200 has a relative deviation of sqrt(2 / k / 200) = 1.5 %
    assert np.mean(total) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("fit", [f for f in TRUTH if f is not fit_homography], ids=lambda fit: fit.__name__)
def test_no_small_change_lowers_the_squared_error(fit):
    dst = transform_points(TRUTH[fit], POINTS) + noise(25, 3)
    T, center = fit(POINTS, dst), POINTS.mean(axis=0)
    best = np.sum(transfer_errors(T, POINTS, dst) ** 2)
    small = 1e-3
    changes = [translation_matrix(small * 100, 0), translation_matrix(0, small * 100)]
    if PARAMETERS[fit] >= 3:
        changes.append(rotation_matrix(small, center))
    if PARAMETERS[fit] >= 4:
        grow = similarity_matrix(1 + small, 0, *(-small * center))
        changes.append(grow)
    if PARAMETERS[fit] >= 6:
        changes += [shear_matrix(small), shear_matrix(0, small)]
    for change in changes:
        for tried in (compose(T, change), compose(T, invert(change))):
            assert np.sum(transfer_errors(tried, POINTS, dst) ** 2) > best


@pytest.mark.parametrize("fit", ORACLE, ids=lambda fit: fit.__name__)
def test_agrees_with_scikit_image(fit):
    dst = transform_points(TRUTH[fit], POINTS) + noise(25, 3)
    np.testing.assert_allclose(fit(POINTS, dst), ORACLE[fit].from_estimate(POINTS, dst).params, rtol=1e-9, atol=1e-9)


def test_affine_agrees_with_least_squares_on_the_stacked_system():
    """scikit-image is no oracle here: it solves a homogeneous system, with noise assumed in every column."""
    dst = transform_points(TRUTH[fit_affine], POINTS) + noise(25, 3)
    A = np.column_stack([POINTS, np.ones(25)])
    np.testing.assert_allclose(fit_affine(POINTS, dst)[:2].T, np.linalg.lstsq(A, dst)[0], rtol=1e-9)


@every_fit
def test_moving_both_frames_moves_the_answer_along(fit):
    """Covariance of the fit: what similarities do to the points they do to the transform."""
    dst = transform_points(TRUTH[fit], POINTS) + noise(25, 2)
    turn = np.eye(3) if fit is fit_translation else rotation_matrix(0.4)
    U, V = compose(translation_matrix(900, -50), turn), compose(turn, translation_matrix(-3, 700))
    moved = fit(transform_points(U, POINTS), transform_points(V, dst))
    assert is_same_transform(moved, compose(V, fit(POINTS, dst), invert(U)), atol=1e-9)


@every_fit
@settings(max_examples=15, deadline=None)
@given(
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8]),
    layout=st.sampled_from(["C", "F", "strided", "list", "read-only"]),
    order=st.permutations(range(6)),
)
def test_any_type_layout_and_order_of_points_gives_the_same(fit, dtype, layout, order):
    whole = np.array([[10, 20], [200, 30], [180, 210], [30, 190], [90, 110], [140, 50]])
    src, dst = whole[order].astype(dtype), (whole[::-1].copy() // 2 + 60)[order].astype(dtype)
    expected = fit(whole, whole[::-1] // 2 + 60)
    if layout == "list":
        src, dst = src.tolist(), dst.tolist()
    elif layout == "F":
        src, dst = np.asfortranarray(src), np.asfortranarray(dst)
    elif layout == "strided":
        src, dst = np.repeat(src, 2, axis=0)[::2], np.hstack([dst, dst])[:, 2:]
    elif layout == "read-only":
        src.flags.writeable = dst.flags.writeable = False
    np.testing.assert_allclose(fit(src, dst), expected, rtol=1e-8, atol=1e-8)


@every_fit
def test_leaves_its_arguments_as_they_are(fit):
    src, dst = POINTS.copy(), transform_points(TRUTH[fit], POINTS)
    kept = dst.copy()
    fit(src, dst)
    np.testing.assert_array_equal(src, POINTS)
    np.testing.assert_array_equal(dst, kept)


# --- refusals


@every_fit
def test_says_how_many_correspondences_are_needed(fit):
    few = POINTS[: FEWEST[fit] - 1] if FEWEST[fit] > 1 else np.empty((0, 2))
    with pytest.raises(ValueError, match="is empty" if len(few) == 0 else f"needs {FEWEST[fit]} corr.*got {len(few)}"):
        fit(few, few)


@every_fit
def test_refuses_points_that_do_not_correspond(fit):
    with pytest.raises(ValueError, match="25 source points but 24 destination"):
        fit(POINTS, POINTS[:-1])
    with pytest.raises(ValueError, match=r"dst must have shape \(N, 2\), got \(25, 3\)"):
        fit(POINTS, np.zeros((25, 3)))
    with pytest.raises(ValueError, match="src hold NaN"):
        fit(np.where(POINTS > 600, np.nan, POINTS), POINTS)


@pytest.mark.parametrize(
    ("fit", "src", "dst", "message"),
    [
        (fit_euclidean, np.ones((5, 2)), POINTS[:5], "coincide"),
        (fit_euclidean, SQUARE, SQUARE * [1, -1], "rotation is not unique"),
        (fit_similarity, SQUARE, np.ones((4, 2)), "coincide"),
        (fit_similarity, SQUARE, SQUARE * [1, -1], "scale 0"),
        (fit_affine, LINE, LINE, "lie on a line"),
        (fit_affine, 1000 + LINE * [1, 1e-9], LINE, "lie on a line"),
        (fit_homography, LINE, LINE, "not unique"),
        (fit_homography, LINE[[0, 1, 2, 3]] * [1, 0] + [[0, 0], [0, 0], [0, 0], [0, 1]], SQUARE, "singular"),
        (fit_homography, SQUARE, LINE[[0, 1, 2, 3]] * [1, 0] + [[0, 0], [0, 0], [0, 0], [0, 1]], "singular"),
        (fit_homography, SQUARE[[0, 0, 1, 2]], SQUARE[[0, 0, 1, 2]], "not unique"),
        (fit_homography, SQUARE, np.ones((4, 2)), "coincide"),
    ],
)
def test_says_why_it_refuses(fit, src, dst, message):
    with pytest.raises(ValueError, match=message):
        fit(src, dst)


# --- homography by the DLT


def test_homography_agrees_with_scikit_image():
    dst = transform_points(H_TRUE, POINTS) + noise(25)
    oracle = skimage_transform.ProjectiveTransform.from_estimate(POINTS, dst).params
    # it normalises by the root mean square distance instead of the mean distance: not the same, but nearly
    np.testing.assert_allclose(
        transform_points(fit_homography(POINTS, dst), POINTS), transform_points(oracle, POINTS), atol=0.02
    )


@pytest.mark.parametrize("n", [4, 5, 25])
@pytest.mark.parametrize("sigma", [0, 2])
def test_compiled_form_agrees_with_the_textbook_form(n, sigma):
    dst = transform_points(H_TRUE, POINTS[:n]) + noise(n, sigma)
    compiled, trust = alignment._dlt_loop(POINTS[:n], dst)
    textbook = alignment._dlt(POINTS[:n], dst)
    assert trust > alignment.SQUARE_LOSES
    # eigenvector of A^T A: relative error 1e-16 / trust < 1e-10, in units of some hundred pixels
    np.testing.assert_allclose(transform_points(compiled, POINTS), transform_points(textbook, POINTS), atol=1e-7)


def test_the_loop_is_plain_python_too():
    dst = transform_points(H_TRUE, POINTS) + noise(25)
    H, trust = alignment._dlt_loop.py_func(POINTS, dst)
    compiled, compiled_trust = alignment._dlt_loop(POINTS, dst)
    assert is_same_transform(H, compiled, atol=1e-10) and trust == pytest.approx(compiled_trust, rel=1e-9)


def test_nearly_collinear_points_take_the_form_that_does_not_square():
    src = POINTS[:10] * [1, 1e-5] + [0, 300]  # 5 hundredths of a pixel off a line
    dst = transform_points(H_TRUE, src)
    assert alignment._dlt_loop(src, dst)[1] < alignment.SQUARE_LOSES
    np.testing.assert_allclose(transfer_errors(fit_homography(src, dst), src, dst), 0, atol=1e-7)


@pytest.mark.parametrize("sigma", [0, 1])
def test_a_zero_in_the_corner_is_no_special_case(sigma):
    dst = transform_points(H_ZERO, POINTS + 100) + noise(25, sigma)
    H = fit_homography(POINTS + 100, dst)
    assert np.isfinite(H).all()
    assert is_same_transform(H, H_ZERO, atol=1e-12 if sigma == 0 else 1e-2)
    assert transfer_errors(H, POINTS + 100, dst).max() < (1e-9 if sigma == 0 else 4)
    if sigma == 0:
        np.testing.assert_allclose(H, fix_scale(H_ZERO), atol=1e-11)
        np.testing.assert_allclose(refine_homography(H, POINTS + 100, dst), fix_scale(H_ZERO), atol=1e-11)


@pytest.mark.parametrize("offset", [0, 5e3, 1e6, 1e8])
def test_a_far_origin_costs_no_more_than_the_digits_of_the_coordinates(offset):
    src = POINTS + offset
    dst = transform_points(H_TRUE, POINTS) + offset
    H = fit_homography(src, dst)
    # w = h31 x + h32 y + h33 is of size 1, what cancels in it of size |h| offset: x loses that many units in
    # its last place, and ten such errors add up
    cancelled = 1 + np.abs(H_TRUE[2, :2]).sum() * offset
    assert transfer_errors(H, src, dst).max() < 1e-8 + 10 * np.finfo(float).eps * offset * cancelled


def test_dlt_matrix_is_zero_on_the_true_homography():
    src = POINTS / 640
    H = np.eye(3) + 0.1 * np.random.default_rng(0).normal(size=(3, 3))
    A = dlt_matrix(src, transform_points(H, src))
    assert A.shape == (50, 9)
    np.testing.assert_allclose(A @ H.ravel(), 0, atol=1e-13)


def test_algebraic_error_is_the_distance_times_the_third_coordinate():
    dst = transform_points(H_TRUE, POINTS) + noise(25)
    algebraic = np.hypot(*(dlt_matrix(POINTS, dst) @ H_TRUE.ravel()).reshape(2, -1))
    w = POINTS @ H_TRUE[2, :2] + H_TRUE[2, 2]
    np.testing.assert_allclose(algebraic, w * transfer_errors(H_TRUE, POINTS, dst), rtol=1e-9)


# --- errors


def test_transfer_error_is_infinite_at_infinity():
    np.testing.assert_array_equal(transfer_errors(H_ZERO, [[0, 0], [0, 100]], [[0, 0], [2300, 2000]]), [np.inf, 0])


def test_symmetric_error_is_symmetric():
    dst = transform_points(H_TRUE, POINTS) + noise(25)
    forward = symmetric_transfer_errors(H_TRUE, POINTS, dst)
    np.testing.assert_allclose(forward, symmetric_transfer_errors(invert(H_TRUE), dst, POINTS), rtol=1e-9)
    assert np.all(forward > transfer_errors(H_TRUE, POINTS, dst))


@pytest.mark.parametrize("errors", [transfer_errors, symmetric_transfer_errors])
def test_errors_refuse(errors):
    with pytest.raises(ValueError, match=r"shape \(3, 3\), got \(2, 3\)"):
        errors(H_TRUE[:2], POINTS, POINTS)
    with pytest.raises(ValueError, match="25 source points but 1 destination"):
        errors(H_TRUE, POINTS, POINTS[:1])
    with pytest.raises(ValueError, match="NaN"):
        errors(H_TRUE * np.nan, POINTS, POINTS)


def test_symmetric_error_refuses_a_transform_without_return():
    with pytest.raises(ValueError, match="singular"):
        symmetric_transfer_errors(np.diag([1, 0, 1]), POINTS, POINTS)


# --- refinement


@pytest.mark.parametrize("H", [H_TRUE, H_ZERO, 7 * H_TRUE], ids=["plain", "h22 = 0", "scaled"])
def test_jacobian_is_the_difference_quotient(H):
    points, step = POINTS[:5] + 100, 1e-6
    quotients = []
    for entry in np.eye(9).reshape(9, 3, 3):
        change = step * np.abs(H).max(axis=1, keepdims=True) * entry  # rows differ by orders of magnitude
        ahead, behind = transform_points(H + change, points), transform_points(H - change, points)
        quotients.append((ahead - behind).T.ravel() / (2 * change.sum()))
    J = homography_jacobian(H, points)
    np.testing.assert_allclose(J, np.transpose(quotients), rtol=1e-4, atol=1e-6 * np.abs(J).max())
    np.testing.assert_allclose(J @ H.ravel(), 0, atol=1e-9)


@pytest.mark.parametrize("offset", [0, 1000])
def test_refinement_finds_the_minimum_that_scipy_finds(offset):
    src = POINTS[:12] + offset
    H_true = compose(H_TRUE, translation_matrix(-offset, -offset))
    dst = transform_points(H_true, src) + noise(12, 5)
    start = fit_homography(src, dst)
    H = refine_homography(start, src, dst)
    move = translation_matrix(offset, offset)  # SciPy's own steps need well scaled coordinates
    oracle = least_squares(
        lambda h: (transform_points(np.append(h, 1).reshape(3, 3), src - offset) - dst).ravel(),
        (compose(start, move) / compose(start, move)[2, 2]).ravel()[:8],
        x_scale=np.abs(H_TRUE).ravel()[:8],
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    found = np.sum(transfer_errors(H, src, dst) ** 2)
    assert found == pytest.approx(2 * oracle.cost, rel=1e-9)
    assert found < np.sum(transfer_errors(start, src, dst) ** 2)


def test_refinement_never_raises_the_error_even_from_a_bad_start():
    dst = transform_points(H_TRUE, POINTS) + noise(25)
    best = np.sum(transfer_errors(refine_homography(fit_homography(POINTS, dst), POINTS, dst), POINTS, dst) ** 2)
    errors = [
        np.sum(transfer_errors(refine_homography(np.eye(3), POINTS, dst, iterations=k), POINTS, dst) ** 2)
        for k in (0, 1, 2, 20)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(best, rel=1e-9)


def test_refinement_needs_no_scale():
    dst = transform_points(H_TRUE, POINTS) + noise(25)
    np.testing.assert_allclose(
        refine_homography(-1e6 * H_TRUE, POINTS, dst), refine_homography(H_TRUE, POINTS, dst), rtol=1e-9
    )


def test_refinement_leaves_an_exact_fit_alone():
    dst = transform_points(H_TRUE, POINTS[:4])
    np.testing.assert_allclose(refine_homography(H_TRUE, POINTS[:4], dst), H_TRUE, rtol=1e-9)


@pytest.mark.parametrize(
    ("H", "iterations", "message"),
    [
        (np.diag([1, 0, 1]), 10, "singular"),
        (np.zeros((3, 3)), 10, "singular"),
        ([[1, 0, 0], [0, 1, 0], [1, 0, -1]], 10, "to infinity"),
        (np.eye(3), -1, "iterations must be 0 or more, got -1"),
        (np.eye(2), 10, "shape"),
    ],
)
def test_refinement_refuses(H, iterations, message):
    with pytest.raises(ValueError, match=message):
        refine_homography(H, SQUARE, SQUARE, iterations)


# --- covariance


def test_covariance_of_the_fit_is_that_of_many_fits():
    """95 % of the fits lie within the ellipse that the prediction draws, at points inside and outside of the data."""
    src, corners = POINTS[:20], np.array([[0.0, 0.0], [640.0, 480.0], [320.0, 240.0]])
    dst, truth = transform_points(H_TRUE, src), transform_points(H_TRUE, corners)
    predicted = predicted_covariance(H_TRUE, homography_covariance(H_TRUE, src, 0.5), corners)
    fits = []
    for seed in range(400):
        noisy = dst + noise(20, 0.5, seed)
        fits.append(transform_points(refine_homography(fit_homography(src, noisy), src, noisy), corners) - truth)
    d2 = np.einsum("tni,nij,tnj->tn", fits, np.linalg.inv(predicted), fits)
    inside = np.mean(d2 < 5.991, axis=0)  # chi-squared with 2 degrees of freedom
    np.testing.assert_allclose(inside, 0.95, atol=0.035)  # three deviations of a share of 400
    spread = np.einsum("tni,tnj->nij", fits, fits) / len(fits)
    np.testing.assert_allclose(spread, predicted, atol=0.25 * np.abs(predicted).max())


def test_covariance_of_the_normalised_dlt_is_nearly_the_same():
    src = POINTS[:20]
    dst, corner = transform_points(H_TRUE, src), np.array([[640.0, 480.0]])
    predicted = predicted_covariance(H_TRUE, homography_covariance(H_TRUE, src, 0.5), corner)[0]
    truth = transform_points(H_TRUE, corner)
    fits = np.array(
        [transform_points(fit_homography(src, dst + noise(20, 0.5, s)), corner)[0] - truth[0] for s in range(400)]
    )
    assert np.trace(fits.T @ fits / 400) == pytest.approx(np.trace(predicted), rel=0.25)


def test_covariance_shrinks_with_the_number_of_points_and_grows_with_the_noise():
    once, corner = homography_covariance(H_TRUE, POINTS, 1.0), [[0, 0]]
    np.testing.assert_allclose(homography_covariance(H_TRUE, np.tile(POINTS, (4, 1)), 1.0), once / 4, rtol=1e-7)
    np.testing.assert_allclose(homography_covariance(H_TRUE, POINTS, 3.0), 9 * once, rtol=1e-12)
    assert predicted_covariance(H_TRUE, once, corner).shape == (1, 2, 2)


def test_covariance_is_that_of_the_entries_at_their_scale():
    C = homography_covariance(H_TRUE, POINTS, 1.0)
    np.testing.assert_allclose(homography_covariance(-5 * H_TRUE, POINTS, 1.0), 25 * C, rtol=1e-8)
    assert np.linalg.norm(C @ H_TRUE.ravel()) < 1e-9 * np.linalg.norm(C) * np.linalg.norm(H_TRUE)
    np.testing.assert_allclose(C, C.T)
    np.testing.assert_allclose(
        predicted_covariance(-5 * H_TRUE, 25 * C, POINTS), predicted_covariance(H_TRUE, C, POINTS), rtol=1e-8
    )


def test_covariance_is_sigma_squared_times_the_inverse_in_well_scaled_coordinates():
    """sigma^2 pinv(J^T J) is the covariance across H; in unit coordinates it can be computed as written."""
    src = POINTS / 640
    T = normalizer(POINTS)
    H = compose(T, H_TRUE, invert(T))
    J = homography_jacobian(H, src)
    h = H.ravel() / np.linalg.norm(H)
    basis = np.linalg.svd(h[None])[2][1:].T
    expected = 0.01 * basis @ np.linalg.inv(basis.T @ J.T @ J @ basis) @ basis.T
    np.testing.assert_allclose(homography_covariance(H, src, 0.1), expected, rtol=1e-6, atol=1e-9)


def test_covariance_with_a_zero_in_the_corner():
    src = POINTS + 100
    C = predicted_covariance(H_ZERO, homography_covariance(H_ZERO, src, 1.0), src)
    # the fit of 50 numbers by 8 parameters: the variances of the predictions add up to 8 sigma^2
    assert np.einsum("nii->", C) == pytest.approx(8, rel=1e-9)


@pytest.mark.parametrize(
    ("src", "sigma", "message"),
    [
        (POINTS[:3], 1, "needs 4 correspondences, got 3"),
        (POINTS, -1, "standard deviation in pixels, got -1"),
        (POINTS, np.inf, "standard deviation in pixels, got inf"),
        (LINE, 1, "not unique"),
        (np.ones((5, 2)), 1, "coincide"),
    ],
)
def test_covariance_refuses(src, sigma, message):
    with pytest.raises(ValueError, match=message):
        homography_covariance(H_TRUE, src, sigma)


def test_predicted_covariance_refuses():
    with pytest.raises(ValueError, match=r"shape \(9, 9\), got \(8, 8\)"):
        predicted_covariance(H_TRUE, np.eye(8), POINTS)
    with pytest.raises(ValueError, match="infinity"):
        predicted_covariance(H_ZERO, np.eye(9), [[0, 0]])
