import numpy as np
import pytest
import skimage.transform
from hypothesis import given, settings
from hypothesis import strategies as st

from cvcourse import scenes
from cvcourse.homogeneous import transform_points
from cvcourse.images import psnr
from cvcourse.sampling import sample
from cvcourse.transforms import (
    compose,
    invert,
    rotation_matrix,
    scale_matrix,
    shear_matrix,
    through_four_points,
    translation_matrix,
)
from cvcourse.warping import WARPS, _warp_loop, local_scale, output_frame, splat, warp

IMAGE = np.random.default_rng(8).random((23, 34))  # not square, no symmetry
COLOR = np.random.default_rng(9).random((12, 17, 3))
H = np.array([[0.9, -0.2, 5.0], [0.15, 1.1, -3.0], [4e-3, -2e-3, 1.0]])
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}  # some ten roundings of values near 1; coordinates up to 50

sizes = st.integers(1, 9)
dtypes = st.sampled_from([np.float32, np.float64])


def smooth(shape, blur=2.0):
    """A photograph's stand-in: blobs, no frequency near 1/2."""
    return (
        scenes.disc(shape, 9, center=(shape[1] / 3, shape[0] / 2), blur=blur) * 0.7
        + scenes.grating(shape, 0.04, 0.6) * 0.2
    )


# --- warp


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", WARPS)
def test_the_identity_changes_no_bit(method, dtype, antialias):
    for image in (IMAGE.astype(dtype), COLOR.astype(dtype)):
        warped = warp(image, np.eye(3), method=method, antialias=antialias)
        np.testing.assert_array_equal(warped.image, image)
        assert warped.image.dtype == dtype
        assert warped.mask.dtype == bool and warped.mask.shape == image.shape[:2] and warped.mask.all()


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", WARPS)
@pytest.mark.parametrize(("tx", "ty"), [(3, -2), (-40, 0), (0, 25), (-5, 7)])
def test_a_shift_by_whole_pixels_is_exact_and_its_mask_too(tx, ty, method, antialias):
    shape = 30, 40
    warped = warp(IMAGE, translation_matrix(tx, ty), shape, method, antialias)
    expected, mask = np.zeros(shape), np.zeros(shape, bool)
    for v in range(shape[0]):
        for u in range(shape[1]):
            if 0 <= v - ty < 23 and 0 <= u - tx < 34:
                expected[v, u], mask[v, u] = IMAGE[v - ty, u - tx], True
    np.testing.assert_array_equal(warped.image, expected)
    np.testing.assert_array_equal(warped.mask, mask)


@pytest.mark.parametrize("method", WARPS)
def test_a_quarter_turn_is_numpy_s(method):
    frame = output_frame(rotation_matrix(np.pi / 2), IMAGE.shape)
    warped = warp(IMAGE, *frame, method)
    assert warped.mask.all()
    np.testing.assert_allclose(warped.image, np.rot90(IMAGE, -1), atol=1e-12)  # clockwise, as y points down


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", WARPS)
def test_warp_reads_what_sample_reads(method, dtype):
    x, y = scenes.grid((31, 45))
    back = transform_points(invert(H), np.column_stack([x.ravel(), y.ravel()]))
    at_x, at_y = back.T.reshape(2, 31, 45)
    inside = (at_x >= -0.5) & (at_x < 33.5) & (at_y >= -0.5) & (at_y < 22.5)
    warped = warp(IMAGE.astype(dtype), H, (31, 45), method)
    np.testing.assert_array_equal(warped.mask, inside)
    truth = np.where(inside, sample(IMAGE, at_x, at_y, method), 0)
    np.testing.assert_allclose(warped.image, truth, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(("method", "order"), [("nearest", 0), ("bilinear", 1)])
def test_warp_agrees_with_scikit_image(method, order):
    oracle = skimage.transform.warp(IMAGE, invert(H), output_shape=(31, 45), order=order, mode="symmetric")
    warped = warp(IMAGE, H, (31, 45), method)
    assert 0.3 < warped.mask.mean() < 0.9
    np.testing.assert_allclose(warped.image[warped.mask], oracle[warped.mask], atol=1e-12)


def test_warp_maps_source_to_destination():
    one = scenes.impulse((15, 21), at=(4, 6))
    T = compose(translation_matrix(9, 3), scale_matrix(1.0, 1.0))
    assert np.argwhere(warp(one, T).image).tolist() == [[9, 13]]  # row 6 + 3, column 4 + 9


def test_the_mask_holds_half_a_pixel_beyond_the_centres():
    for shift, columns in [(0.5, [0, 1, 2, 3]), (0.6, [1, 2, 3]), (-0.5, [0, 1, 2]), (-0.4, [0, 1, 2, 3])]:
        mask = warp(np.ones((1, 4)), translation_matrix(shift, 0), (1, 4)).mask
        assert np.flatnonzero(mask[0]).tolist() == columns, shift


def test_rounding_does_not_decide_what_lies_on_the_border():
    # the cosine is 6e-17, not 0, so the border x = -1/2 comes out on both sides of itself
    T = translation_matrix(9, 9) @ rotation_matrix(np.pi / 2, center=(16.5, 12))
    mask = warp(IMAGE, T, (60, 60)).mask
    np.testing.assert_array_equal(mask, mask.any(axis=1)[:, None] & mask.any(axis=0))  # no ragged side
    assert mask.sum() == IMAGE.size


def test_negative_coordinates_are_not_truncated_towards_zero():
    warped = warp(np.array([[1.0, 2.0, 3.0]]), translation_matrix(0.75, 0), (1, 4), "nearest")
    np.testing.assert_array_equal(warped.image, [[0, 1, 2, 3]])
    assert warped.mask.tolist() == [[False, True, True, True]]


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_a_plane_stays_a_plane_under_an_affine_map(method):
    plane = scenes.ramp((30, 40), 0.02, -0.01, 0.4)
    T = compose(translation_matrix(4, 2), rotation_matrix(0.3), shear_matrix(0.2))
    warped = warp(plane, T, method=method)
    x, y = transform_points(invert(T), np.column_stack([c.ravel() for c in scenes.grid((30, 40))])).T.reshape(2, 30, 40)
    deep = (x > 1) & (x < 37) & (y > 1) & (y < 27)
    np.testing.assert_allclose(warped.image[deep], (0.02 * x - 0.01 * y + 0.4)[deep], atol=1e-12)


def test_there_and_back_again_loses_less_with_better_kernels():
    image = smooth((80, 110))
    T = rotation_matrix(0.4, center=(55, 40))
    scores = {}
    for method in WARPS:
        there = warp(image, T, method=method)
        back = warp(there.image, invert(T), method=method)
        whole = warp(there.mask.astype(float), invert(T)).image > 0.999
        whole[:6] = whole[-6:] = whole[:, :6] = whole[:, -6:] = False
        scores[method] = psnr(back.image[whole][None], image[whole][None])
    assert scores["nearest"] + 10 < scores["bilinear"] < min(scores["bicubic"], scores["lanczos"]) - 10


def test_a_transform_s_scale_does_not_matter():
    for factor in (-1, 1e-6, 37.0):
        np.testing.assert_allclose(warp(IMAGE, factor * H).image, warp(IMAGE, H).image, atol=1e-10)
        np.testing.assert_allclose(splat(IMAGE, factor * H).image, splat(IMAGE, H).image, atol=1e-10)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, sizes, sizes, dtypes, st.sampled_from(WARPS), st.booleans())
def test_any_shape_any_layout_any_precision(h, w, rows, cols, dtype, method, antialias):
    image = np.random.default_rng(1).random((w, h)).astype(dtype).T
    image.setflags(write=False)
    T = np.asfortranarray(compose(translation_matrix(1.3, -0.4), scale_matrix(0.4, 1.7)))
    warped = warp(image, T, (rows, cols), method, antialias)
    assert warped.image.shape == warped.mask.shape == (rows, cols)
    assert warped.image.dtype == dtype
    assert np.isfinite(warped.image).all()
    assert not warped.image[~warped.mask].any()
    dropped = splat(image, T, (rows, cols))
    assert dropped.image.dtype == dropped.weight.dtype == dtype
    assert dropped.image.max() <= image.max() * (1 + 1e-6)


def test_where_a_homography_has_its_horizon_nothing_breaks():
    T = invert(np.array([[1.0, 0.3, 2], [0.2, 1, -4], [0.05, 0.02, -1.0]]))  # the line sent to infinity is in sight
    for antialias in (False, True):
        warped = warp(IMAGE, T, (50, 60), "bicubic", antialias)
        assert np.isfinite(warped.image).all() and np.abs(warped.image).max() < 2
    warped = warp(IMAGE, invert([[1, 0, 0], [0, 1, 0], [1, 0, -10]]), (5, 30))  # w = 0 exactly in column 10
    assert not warped.mask[1:, 10].any()
    assert np.isfinite(splat(IMAGE, [[1, 0, 0], [0, 1, 0], [1, 0, -10.0]]).image).all()


def test_colour_is_warped_channel_by_channel():
    for function in (warp, splat):
        whole, one = function(COLOR, H), function(COLOR[..., 1].copy(), H)
        np.testing.assert_array_equal(whole.image[..., 1], one.image)
        np.testing.assert_array_equal(whole[1], one[1])


def test_the_compiled_loop_is_the_python_loop():
    image, back = IMAGE[:6, :7].copy(), invert(H)
    compiled, mask = _warp_loop(image, back, (5, 8), 1)
    plain, plain_mask = _warp_loop.py_func(image, back, (5, 8), 1)
    np.testing.assert_allclose(compiled, plain, atol=1e-14)
    np.testing.assert_array_equal(mask, plain_mask)


# --- prefilter


def area_mean(image, T, shape, n=12):
    """The truth for a prefilter: the mean over n x n points of every output pixel."""
    offsets = (np.arange(n) + 0.5) / n - 0.5
    shifted = [warp(image, translation_matrix(-dx, -dy) @ T, shape).image for dx in offsets for dy in offsets]
    return np.mean(shifted, axis=0)


def inner(mask, margin=3):
    kept = mask.copy()
    for _ in range(margin):
        kept[1:-1, 1:-1] &= kept[:-2, 1:-1] & kept[2:, 1:-1] & kept[1:-1, :-2] & kept[1:-1, 2:]
    return kept


TILES = scenes.checkerboard(16, (16, 16))
FLOOR = through_four_points(
    [(0, 0), (255, 0), (255, 255), (0, 255)], [(80, 12), (120, 12), (190, 115), (10, 115)]
)  # far tiles are small


@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
def test_the_prefilter_comes_near_to_the_mean_over_each_pixel(method):
    truth = area_mean(TILES, FLOOR, (120, 200))
    plain, filtered = (warp(TILES, FLOOR, (120, 200), method, antialias) for antialias in (False, True))
    kept = inner(plain.mask)
    assert kept.sum() > 5000
    before, after = (psnr(image[kept][None], truth[kept][None]) for image in (plain.image, filtered.image))
    assert after > before + 4
    np.testing.assert_array_equal(plain.mask, filtered.mask)


def test_the_prefilter_does_nothing_where_the_picture_grows():
    T = compose(translation_matrix(3, 1), rotation_matrix(0.2), scale_matrix(2.5, 1.5))
    for method in WARPS:
        filtered, plain = (warp(IMAGE, T, (50, 60), method, antialias).image for antialias in (True, False))
        np.testing.assert_allclose(filtered, plain, atol=1e-14)


def test_nearest_never_mixes_pixels():
    T = scale_matrix(0.2)
    np.testing.assert_array_equal(
        warp(IMAGE, T, method="nearest", antialias=True).image, warp(IMAGE, T, method="nearest").image
    )


def test_the_prefilter_s_blur_has_the_variance_of_the_pixel_s_box():
    for scale_x, scale_y in [(4, 4), (6, 1), (1, 5), (12, 3)]:
        impulse = scenes.impulse((129, 129))
        weights = np.zeros((129, 129))
        for k in range(129):  # the response of one output pixel to an impulse moved over the source
            moved = np.roll(impulse, k - 64, axis=1) if scale_x > 1 else np.roll(impulse, k - 64, axis=0)
            weights[k] = warp(moved, scale_matrix(1 / scale_x, 1 / scale_y, center=(64, 64)), antialias=True).image[64]
        row = weights[:, 64]
        place = np.arange(129) - 64
        variance = np.sum(row * place**2) / row.sum()
        scale = scale_x if scale_x > 1 else scale_y
        assert variance == pytest.approx((scale**2 - 1) / 12, rel=0.12)  # each level's samples are read by a tent


def test_a_constant_stays_constant_under_every_prefilter():
    flat = np.full((40, 50), 0.3)
    for T in (scale_matrix(0.1), scale_matrix(0.05, 1.0), FLOOR):
        warped = warp(flat, T, (40, 50), "bicubic", antialias=True)
        np.testing.assert_allclose(warped.image[warped.mask], 0.3, atol=1e-13)


# --- splat


def test_splat_shares_a_pixel_among_four_neighbours():
    shifted = splat(np.ones((1, 1)), translation_matrix(1.25, 2.5), (5, 4)).weight
    expected = np.zeros((5, 4))
    expected[2:4, 1:3] = np.outer([0.5, 0.5], [0.75, 0.25])
    np.testing.assert_allclose(shifted, expected, atol=1e-15)


def naive_splat(image, T, shape):
    total, weight = np.zeros(shape), np.zeros(shape)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            (u, v), *_ = transform_points(T, [[x, y]])
            for j in range(shape[0]):
                for i in range(shape[1]):
                    w = max(0, 1 - abs(u - i)) * max(0, 1 - abs(v - j))
                    total[j, i] += w * image[y, x]
                    weight[j, i] += w
    return np.where(weight > 1e-6, total / np.maximum(weight, 1e-6), 0), np.where(weight > 1e-6, weight, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_splat_is_the_sum_of_the_definition(dtype):
    image = IMAGE[:6, :8].astype(dtype)
    for T in (translation_matrix(-0.6, 0.3), compose(scale_matrix(1.4, 0.6), rotation_matrix(0.4, center=(3, 2)))):
        ours, truth = splat(image, T, (8, 9)), naive_splat(image, T, (8, 9))
        np.testing.assert_allclose(ours.weight, truth[1], atol=1e-6)
        np.testing.assert_allclose(ours.image, truth[0], atol=1e-5 if dtype == np.float32 else 1e-12)


def test_the_identity_and_whole_shifts_are_exact_for_splats_too():
    np.testing.assert_array_equal(splat(COLOR, np.eye(3)).image, COLOR)
    moved = splat(IMAGE, translation_matrix(2, -1))
    np.testing.assert_array_equal(moved.image[:-1, 2:], IMAGE[1:, :-2])
    assert not moved.weight[-1].any() and not moved.weight[:, :2].any()


def test_all_the_weight_of_what_lands_inside_is_kept():
    T = compose(translation_matrix(20, 10), rotation_matrix(0.5), scale_matrix(1.3))
    assert splat(IMAGE, T, (70, 80)).weight.sum() == pytest.approx(IMAGE.size, rel=1e-12)


def test_a_constant_stays_constant_wherever_something_fell():
    for T in (H, rotation_matrix(0.7, center=(15, 10)), scale_matrix(3.3), scale_matrix(0.3)):
        dropped = splat(np.full((23, 34), 0.3), T)
        np.testing.assert_allclose(dropped.image[dropped.weight > 0], 0.3, atol=1e-14)
        assert not dropped.image[dropped.weight == 0].any()


@pytest.mark.parametrize("s", [np.sqrt(5), np.sqrt(11), 1.5 * np.pi])
def test_the_share_of_holes_follows_from_the_scale(s):
    # irrational scales: a pixel that lands on a centre reaches one neighbour less
    n = 200
    shape = (int(s * (n - 1)),) * 2
    weight = splat(np.ones((n, n)), scale_matrix(s), shape).weight
    assert np.mean(weight == 0) == pytest.approx(1 - (2 / s) ** 2, abs=0.02)


def test_the_mean_weight_is_one_over_the_area_scale():
    weight = splat(
        np.ones((80, 80)), compose(translation_matrix(20, 0), shear_matrix(0.3), scale_matrix(0.5, 0.8)), (60, 60)
    ).weight
    assert weight[10:30, 36:50].mean() == pytest.approx(1 / 0.4, rel=0.01)


def test_rounding_fills_no_hole():
    turned = splat(np.ones((9, 9)), scale_matrix(2) @ rotation_matrix(2 * np.pi), (17, 17)).weight
    assert np.count_nonzero(turned) == 81


def test_shrinking_forwards_averages_and_does_not_alias():
    stripes = np.broadcast_to(np.arange(120) % 2, (120, 120)).astype(float)  # the highest frequency
    T = scale_matrix(1 / 4.1)
    inverse, forward = warp(stripes, T, (28, 28), "nearest").image, splat(stripes, T, (28, 28)).image
    assert inverse.std() > 0.45
    assert forward.std() < 0.15


# --- local_scale and output_frame


def numeric_area(T, x, y, h=1e-4):
    corners = transform_points(T, [[x - h, y], [x + h, y], [x, y - h], [x, y + h]])
    J = np.column_stack([corners[1] - corners[0], corners[3] - corners[2]]) / (2 * h)
    return abs(np.linalg.det(J))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 33), st.floats(0, 22), st.sampled_from([1.0, -2.0, 0.01]))
def test_local_scale_is_the_derivative_s_determinant(x, y, factor):
    assert local_scale(factor * H, x, y) == pytest.approx(numeric_area(H, x, y), rel=1e-6)


def test_local_scale_multiplies_along_a_chain_and_broadcasts():
    A, x, y = compose(scale_matrix(2, 3), shear_matrix(0.5)), np.arange(5.0), np.arange(3.0)[:, None]
    there = transform_points(H, np.column_stack([c.ravel() for c in np.broadcast_arrays(x, y)])).T.reshape(2, 3, 5)
    np.testing.assert_allclose(local_scale(A @ H, x, y), 6 * local_scale(H, x, y), rtol=1e-12)
    np.testing.assert_allclose(local_scale(H, x, y) * local_scale(invert(H), *there), 1, rtol=1e-12)


@pytest.mark.parametrize(
    "T",
    [
        H,
        np.eye(3),
        translation_matrix(-7.3, 4.6),
        rotation_matrix(0.7),
        scale_matrix(2),
        scale_matrix(-1.5, 0.4),
        FLOOR,
        -3 * H,
    ],
)
def test_the_frame_holds_all_of_the_image_and_nothing_more(T):
    frame = output_frame(T, IMAGE.shape)
    rows, cols = frame.shape
    outside = translation_matrix(10, 10) @ frame.T
    mask = warp(IMAGE, outside, (rows + 20, cols + 20)).mask
    assert mask[10:-10, 10:-10].sum() == mask.sum(), "some of the image lies beyond the frame"
    used = np.argwhere(mask[10:-10, 10:-10])
    tight = np.argwhere(mask)
    assert len(tight) == len(used)
    for side in (mask[10], mask[-11], mask[:, 10], mask[:, -11]):
        assert side.any() or rows * cols < 50 or np.abs(np.linalg.det(T)) != 1


def test_frames_of_simple_maps():
    assert output_frame(np.eye(3), IMAGE.shape).shape == (23, 34)
    frame = output_frame(scale_matrix(2), IMAGE.shape)
    assert frame.shape == (46, 68)
    np.testing.assert_allclose(frame.T[:2, 2], 1)  # pixel 0 covers -1/2 … 1/2, twice as large -1 … 1
    frame = output_frame(translation_matrix(-3, 5), (4, 6, 3))
    np.testing.assert_array_equal(frame.T, np.eye(3))
    assert frame.shape == (4, 6)
    assert output_frame(scale_matrix(1e-3), (4, 6)).shape == (1, 1)


# --- refusals


@pytest.mark.parametrize("function", [warp, splat])
def test_no_images_are_refused(function):
    with pytest.raises(TypeError, match="float32 or float64, got uint8"):
        function(np.zeros((2, 2), np.uint8), np.eye(3))
    with pytest.raises(ValueError, match="NaN"):
        function(np.full((2, 2), np.nan), np.eye(3))
    with pytest.raises(ValueError, match="empty"):
        function(np.zeros((0, 2)), np.eye(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: warp(IMAGE, np.ones((3, 3))), "singular"),
        (lambda: warp(IMAGE, np.eye(2)), r"shape \(3, 3\), got \(2, 2\)"),
        (lambda: warp(IMAGE, np.full((3, 3), np.nan)), "NaN"),
        (lambda: warp(IMAGE, np.eye(3), (5,)), r"\(height, width\)"),
        (lambda: warp(IMAGE, np.eye(3), (5, 0)), "whole numbers >= 1"),
        (lambda: warp(IMAGE, np.eye(3), method="spline"), "one of 'nearest', .*got 'spline'"),
        (lambda: splat(IMAGE, np.eye(2)), r"shape \(3, 3\)"),
        (lambda: splat(IMAGE, np.eye(3), (5.0, 4)), "whole numbers"),
        (lambda: local_scale([[1, 0, 0], [0, 1, 0], [1, 0, -5]], [4, 5], 2), "infinity: w = 0"),
        (lambda: local_scale(np.eye(4), 0, 0), r"shape \(3, 3\)"),
        (lambda: output_frame([[1, 0, 0], [0, 1, 0], [1, 0, -5]], (9, 9)), "no frame can hold it"),
        (lambda: output_frame(np.diag([1, 1, 0]), (9, 9)), "singular"),
        (lambda: output_frame(scale_matrix(1e5), (9, 9)), "9e\\+05 x 9e\\+05 pixels"),
        (lambda: output_frame(np.eye(3), (9,)), r"\(height, width\)"),
    ],
)
def test_says_why_it_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_arguments_are_left_alone():
    image, T = IMAGE.copy(), H.copy()
    warp(image, T, antialias=True), splat(image, T), output_frame(T, image.shape)
    np.testing.assert_array_equal(image, IMAGE)
    np.testing.assert_array_equal(T, H)


@pytest.mark.parametrize("scale", [0.3, 0.15, 0.12, 0.11, 0.7, 1 / 3])
def test_a_prefiltered_constant_stays_constant_at_every_uniform_scale(scale):
    """Both axes of the footprint are equal here, up to rounding of either sign."""
    shrunk = warp(np.ones((50, 60)), np.diag([scale, scale, 1.0]), antialias=True)
    np.testing.assert_allclose(shrunk.image[shrunk.mask], 1.0, rtol=1e-12)
