"""Descriptors and matching against truth by construction, laws, and plain NumPy, SciPy and scikit-image as oracles."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.stats import mannwhitneyu
from skimage import feature

from cvcourse import descriptors, edges, filtering, homogeneous, images, sampling, scenes

EPS = {np.float32: 2e-4, np.float64: 1e-9}
GRAF = "matching/graf1", "matching/graf3"


def photo(dtype=np.float64):
    """A real image, neither square nor symmetric, with an even and an odd side."""
    return np.ascontiguousarray(images.load("camera")[60:287, 130:330].astype(dtype))


def turn_points(points, shape, k):
    """Where `points` of an image of this shape lie after np.rot90(image, k)."""
    x, y = np.asarray(points, dtype=np.float64).T
    height, width = shape
    for _ in range(k):
        x, y, height, width = y, width - 1 - x, width, height
    return np.column_stack([x, y])


def blob(shape, center, sigma):
    x, y = scenes.grid(shape)
    return np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (2 * sigma**2))


def angle_between(a, b):
    return np.abs((np.asarray(a) - b + np.pi) % (2 * np.pi) - np.pi)


# ---------------------------------------------------------------------------------------------
# MOPS


def mops_slowly(image, x, y, theta):
    """Each sample by SciPy's bilinear interpolation, one at a time."""
    smooth = filtering.gaussian(image, 2.5)
    patch = np.empty((8, 8))
    for v, u in np.ndindex(8, 8):
        a, b = 5 * (u - 3.5), 5 * (v - 3.5)
        px, py = x + a * math.cos(theta) - b * math.sin(theta), y + a * math.sin(theta) + b * math.cos(theta)
        patch[v, u] = ndimage.map_coordinates(smooth, [[py], [px]], order=1, mode="reflect")[0]
    return ((patch - patch.mean()) / patch.std()).ravel()


def test_mops_is_the_turned_normalised_grid():
    image, points = photo(), [(90.25, 101.5), (61.0, 140.75), (8.0, 215.0)]  # the last reaches over the border
    theta = [0.3, -2.2, 1.0]
    result = descriptors.mops(image, points, theta)
    expected = [mops_slowly(image, *p, t) for p, t in zip(points, theta, strict=True)]
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(result.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(result.std(axis=1), 1, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_mops_is_the_same_after_a_quarter_turn(k, dtype):
    image, points = photo(dtype), np.array([[60, 70], [101.5, 99.25], [122, 160], [5, 5]])
    turned = np.rot90(image, k).copy()
    result = descriptors.mops(turned, turn_points(points, image.shape, k))
    np.testing.assert_allclose(result, descriptors.mops(image, points), rtol=0, atol=EPS[dtype])


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.0), (1.0, -0.3), (0.2, 0.7), (3.0, 0.1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_mops_is_the_same_under_gain_and_offset(gain, offset, dtype):
    image, points = photo(dtype), [(60, 70), (101.5, 99.25), (122, 160)]
    changed = image * dtype(gain) + dtype(offset)
    np.testing.assert_allclose(
        descriptors.mops(changed, points), descriptors.mops(image, points), rtol=0, atol=10 * EPS[dtype]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_flat_patch_gives_zeros(value, dtype):
    result = descriptors.mops(np.full((50, 60), value, dtype), [(20, 30), (0, 0)])
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, np.zeros((2, 64)))


def test_mops_is_blurred_before_it_is_sampled():
    stripes = scenes.grating((80, 90), 0.2)  # five pixels a period: without blur the grid sees a constant
    x = descriptors.mops(stripes + 1e-3 * scenes.ramp((80, 90), 1.0, 0.0), [(45, 40)], [0.0]).reshape(8, 8)[3]
    np.testing.assert_allclose(np.diff(x), 0.436, atol=0.02)  # only the ramp is left


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0, 3.1, -1.3, -2.9])
def test_gradient_orientation_of_a_ramp(angle):
    image = scenes.ramp((60, 70), 0.01 * math.cos(angle), 0.01 * math.sin(angle), 0.5)
    result = descriptors.gradient_orientations(image, [(35, 30), (33.3, 28.1)])
    assert angle_between(result, angle).max() < 1e-9


def test_orientation_follows_brightness_and_not_its_axis():
    image = photo()
    up, down = (descriptors.gradient_orientations(f, [(60, 70)]) for f in (image, 1 - image))
    assert angle_between(up, down)[0] == pytest.approx(np.pi)


# ---------------------------------------------------------------------------------------------
# Scale space and keypoints


def test_each_level_has_the_blur_that_it_claims():
    image = filtering.gaussian(photo(), 0.5)  # the blur that SIFT takes for granted
    raw = photo()
    for octave in descriptors.scale_space(image)[1:3]:
        for i in (0, 2, 5):
            sigma = descriptors.SIGMA * 2 ** (i / 3) * octave.step
            truth = filtering.gaussian(raw, sigma)
            rows, cols = (np.arange(n) * octave.step for n in octave.levels.shape[1:])
            expected = sampling.sample(
                truth, *np.meshgrid(octave.origin[0] + cols, octave.origin[1] + rows), method="spline"
            )
            inner = np.s_[20:-20, 20:-20] if octave.step == 1 else np.s_[12:-12, 12:-12]
            assert np.abs(octave.levels[i] - expected)[inner].max() < 0.03


@pytest.mark.parametrize("shape", [(33, 33), (34, 47), (120, 65), (16, 200)])
def test_octaves_lie_symmetrically_in_the_image(shape):
    for octave in descriptors.scale_space(photo()[: shape[0], : shape[1]].copy()):
        for axis, n in enumerate(octave.levels.shape[1:]):
            first = octave.origin[1 - axis]
            last = first + octave.step * (n - 1)
            assert first == shape_of(shape, axis) - 1 - last


def shape_of(shape, axis):
    return min(shape[axis], photo().shape[axis])


@pytest.mark.parametrize("sigma", [2.0, 3.5, 5.0, 9.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_blob_is_found_at_its_place_and_scale(sigma, sign):
    center = (70.3, 61.8)
    image = 0.5 + sign * 0.4 * blob((130, 150), center, sigma)
    keypoints, scales = descriptors.dog_keypoints(descriptors.scale_space(image))
    assert len(keypoints) == 1
    np.testing.assert_allclose(keypoints[0], center, atol=0.1)
    # scale space makes the blob wider by half a pixel; the DoG of ratio k answers most at sigma / sqrt(k)
    expected = math.sqrt(sigma**2 - 0.25) / 2 ** (1 / 6)
    assert scales[0] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_sift_is_the_same_after_a_quarter_turn(k, dtype):
    image = photo(dtype)
    before, after = descriptors.sift(image), descriptors.sift(np.rot90(image, k).copy())
    assert len(before.keypoints) == len(after.keypoints) > 150
    points = turn_points(before.keypoints, image.shape, k)
    apart = np.abs(points[:, None] - after.keypoints).max(axis=2)
    apart = np.maximum(apart, angle_between(before.orientations[:, None] - k * np.pi / 2, after.orientations))
    partner = np.argmin(apart, axis=1)
    assert apart[np.arange(len(partner)), partner].max() < {np.float32: 0.01, np.float64: 1e-8}[dtype]
    assert len(set(partner)) == len(partner)
    np.testing.assert_allclose(after.scales[partner], before.scales, rtol={np.float32: 1e-3, np.float64: 1e-9}[dtype])
    difference = np.abs(after.descriptors[partner] - before.descriptors).max()
    assert difference < {np.float32: 0.02, np.float64: 1e-8}[dtype]


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0.0), (0.25, 0.6), (1.0, -0.2)])
def test_sift_is_the_same_under_gain_and_offset(gain, offset):
    image = photo()
    before = descriptors.sift(image)
    after = descriptors.sift(gain * image + offset, contrast=gain * descriptors.CONTRAST)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-8)


def test_sift_is_deterministic_and_leaves_its_argument_alone():
    image = photo()
    kept = image.copy()
    for one, other in zip(descriptors.sift(image), descriptors.sift(image), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(image, kept)


def test_contrast_and_edge_only_remove_keypoints():
    octaves = descriptors.scale_space(photo())
    counts = [len(descriptors.dog_keypoints(octaves, c)[0]) for c in (0.0, 0.01, 0.02, 0.05)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1] > 0
    counts = [len(descriptors.dog_keypoints(octaves, edge=e)[0]) for e in (1e9, 10, 4, 1.5)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1] > 0


def test_edges_are_no_keypoints():
    image = scenes.step_edge((90, 100), angle=0.3, blur=1.0)
    assert len(descriptors.sift(image).keypoints) == 0


def test_keypoints_agree_with_scikit_image():
    """Another implementation finds most of the same points: 1.5 pixels, both ways."""
    image = photo()
    ours = descriptors.sift(image).keypoints
    theirs = feature.SIFT(c_dog=descriptors.CONTRAST)
    theirs.detect_and_extract(image)
    apart = np.linalg.norm(ours[:, None] - theirs.positions[:, ::-1], axis=2)
    assert np.mean(apart.min(axis=1) < 1.5) > 0.75
    assert np.mean(apart.min(axis=0) < 1.5) > 0.75


# ---------------------------------------------------------------------------------------------
# Orientations and descriptors


@pytest.mark.parametrize("angle", [0.0, 0.4, 2.0, 3.1, -1.3, -2.9])
def test_dominant_orientation_of_a_ramp(angle):
    image = scenes.ramp((60, 70), 0.01 * math.cos(angle), 0.01 * math.sin(angle), 0.5)
    which, result = descriptors.dominant_orientations(descriptors.scale_space(image), [(35, 30)], [2.0])
    assert which.tolist() == [0]
    assert angle_between(result, angle)[0] < np.deg2rad(0.7)  # the parabola does not know the votes' shape
    assert 0 <= result[0] < 2 * np.pi


def test_two_directions_give_two_orientations():
    x, y = scenes.grid((61, 61))
    image = 0.01 * np.abs(x - 30) + 1e-4 * y  # to the left in one half, to the right in the other
    which, result = descriptors.dominant_orientations(descriptors.scale_space(image), [(30, 30), (30, 30)], [2.0, 2.0])
    assert which.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(np.rad2deg(result[:2]), [0.6, 179.4], atol=0.7)


def describe_slowly(octave, level, x, y, sigma, theta):
    """The votes as formulas over all samples of a level: tents in u, v and direction, no loop over bins' neighbours."""
    magnitude, angle = edges.polar_gradient(octave.levels[level], "central")
    rows, cols = np.indices(magnitude.shape)
    dx = octave.origin[0] + octave.step * cols - x
    dy = octave.origin[1] + octave.step * rows - y
    width = 3 * sigma
    u = (math.cos(theta) * dx + math.sin(theta) * dy) / width + 1.5
    v = (math.cos(theta) * dy - math.sin(theta) * dx) / width + 1.5
    weight = magnitude * np.exp(-(dx**2 + dy**2) / (2 * (2 * width) ** 2))
    bins = np.empty((4, 4, 8))
    for j, i, k in np.ndindex(4, 4, 8):
        gap = angle_between(angle - theta, k * np.pi / 4) / (np.pi / 4)
        bins[j, i, k] = np.sum(weight * sampling.tent(u - i) * sampling.tent(v - j) * sampling.tent(gap))
    unit = bins.ravel() / np.linalg.norm(bins)
    return np.minimum(unit, 0.2) / np.linalg.norm(np.minimum(unit, 0.2))


@pytest.mark.parametrize(
    ("o", "level", "x", "y", "theta"),
    [(0, 1, 80.25, 90.5, 0.0), (1, 2, 100.0, 120.75, 2.3), (1, 3, 95.1, 60.2, -0.7), (2, 1, 3.0, 220.0, 5.5)],
)
def test_a_descriptor_is_its_formula(o, level, x, y, theta):
    octaves = descriptors.scale_space(photo())
    sigma = descriptors.SIGMA * 2 ** (level / 3) * octaves[o].step
    result = descriptors.describe(octaves, [(x, y)], [sigma], [theta])[0]
    np.testing.assert_allclose(result, describe_slowly(octaves[o], level, x, y, sigma, theta), rtol=0, atol=1e-9)


@pytest.mark.parametrize("k", range(8))
def test_a_ramp_fills_one_direction(k):
    angle = k * np.pi / 4
    image = scenes.ramp((80, 80), 0.01 * math.cos(angle), 0.01 * math.sin(angle), 0.5)
    bins = descriptors.describe(descriptors.scale_space(image), [(40, 40)], [2.0], [0.0]).reshape(16, 8)
    assert bins[:, k].sum() > 0.999 * bins.sum()


def test_cells_are_in_reading_order_of_the_upright_window():
    image = np.full((81, 81), 0.5)
    image += 0.3 * blob(image.shape, (49, 37), 2.0)  # 1.5 cells of 6 pixels to the right, half a cell up
    cells = descriptors.describe(descriptors.scale_space(image), [(40, 40)], [2.0], [0.0]).reshape(4, 4, 8).sum(axis=2)
    assert np.unravel_index(np.argmax(cells), (4, 4)) == (1, 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_descriptors_have_length_one(dtype):
    found = descriptors.sift(photo(dtype))
    assert found.descriptors.dtype == dtype
    np.testing.assert_allclose(np.linalg.norm(found.descriptors, axis=1), 1, atol=1e-6)
    assert found.descriptors.min() >= 0


def test_clip_caps_and_one_caps_nothing():
    octaves, point = descriptors.scale_space(photo()), ([(80, 90)], [2.0], [0.3])
    free, tight = descriptors.describe(octaves, *point, clip=1), descriptors.describe(octaves, *point, clip=0.05)
    capped = np.minimum(free, 0.05)
    np.testing.assert_allclose(tight, capped / np.linalg.norm(capped), atol=1e-14)


def test_extreme_scales_use_the_first_or_the_last_level():
    octaves = descriptors.scale_space(photo())
    result = descriptors.describe(octaves, [(80, 90)] * 2, [0.05, 500.0], [0, 0])
    assert np.isfinite(result).all()


# ---------------------------------------------------------------------------------------------
# Nothing there, and refusals


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 2), (60, 70)])
def test_a_constant_image_has_no_features(shape, dtype):
    found = descriptors.sift(np.full(shape, 0.7, dtype))
    assert [part.shape for part in found] == [(0, 2), (0,), (0,), (0, 128)]
    assert found.descriptors.dtype == dtype


def test_no_keypoints_give_empty_descriptors():
    image, none = photo(), np.empty((0, 2))
    octaves = descriptors.scale_space(image)
    assert descriptors.mops(image, none).shape == (0, 64)
    assert descriptors.gradient_orientations(image, none).shape == (0,)
    assert descriptors.describe(octaves, none, [], []).shape == (0, 128)
    which, angles = descriptors.dominant_orientations(octaves, none, [])
    assert which.shape == angles.shape == (0,)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "read-only"]),
    seed=st.integers(0, 99),
)
def test_any_image_is_served(shape, dtype, layout, seed):
    big = np.random.default_rng(seed).random((2 * shape[0], 2 * shape[1])).astype(dtype)
    image = np.asfortranarray(big[::2, ::2]) if layout == "F" else big[::2, ::2]
    image = image.copy() if layout == "C" else image
    image.flags.writeable = layout != "read-only"
    found = descriptors.sift(image)
    assert found.descriptors.shape == (len(found.keypoints), 128)
    assert all(np.isfinite(part).all() for part in found)
    patches = descriptors.mops(image, [(0, 0), (shape[1] - 1, shape[0] - 1)])
    assert patches.shape == (2, 64) and patches.dtype == dtype and np.isfinite(patches).all()


GOOD = np.random.default_rng(0).random((30, 40))
SPACE = descriptors.scale_space(GOOD)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: descriptors.sift(np.zeros((9, 9), np.uint8)), TypeError, "uint8"),
        (lambda: descriptors.sift(np.zeros((9, 9, 3))), ValueError, r"\(9, 9, 3\)"),
        (lambda: descriptors.sift(np.full((9, 9), np.nan)), ValueError, "NaN"),
        (lambda: descriptors.sift(GOOD, contrast=-1), ValueError, "contrast"),
        (lambda: descriptors.sift(GOOD, edge=0.5), ValueError, "edge"),
        (lambda: descriptors.sift(GOOD, clip=0), ValueError, "clip"),
        (lambda: descriptors.mops(GOOD.astype(np.int64), [(1, 1)]), TypeError, "int64"),
        (lambda: descriptors.mops(GOOD, [1, 2]), ValueError, r"\(N, 2\), got \(2,\)"),
        (lambda: descriptors.mops(GOOD, [(1, np.nan)]), ValueError, "NaN"),
        (lambda: descriptors.mops(GOOD, [(1, 2)], [0.0, 1.0]), ValueError, r"orientations must have shape \(1,\)"),
        (lambda: descriptors.gradient_orientations(GOOD, [(1, 2)], -1), ValueError, "sigma"),
        (lambda: descriptors.describe(SPACE, [(1, 2)], [0.0], [0.0]), ValueError, "scales are standard deviations"),
        (
            lambda: descriptors.describe(SPACE, [(1, 2)], [1.0, 2.0], [0.0]),
            ValueError,
            r"scales must have shape \(1,\)",
        ),
        (lambda: descriptors.describe(SPACE, [(1, 2)], [1.0], [np.inf]), ValueError, "orientations hold NaN"),
        (lambda: descriptors.dominant_orientations(SPACE, [(1, 2)], [-1.0]), ValueError, "scales are"),
        (lambda: descriptors.nearest(np.zeros(3), np.zeros((2, 3))), ValueError, r"\(N, D\), got \(3,\)"),
        (lambda: descriptors.nearest(np.zeros((2, 3)), np.zeros((2, 4))), ValueError, "3 and 4"),
        (lambda: descriptors.nearest([[np.nan]], [[0.0]]), ValueError, "descriptors1 hold NaN"),
        (lambda: descriptors.match([[1.0]], [[1.0]], ratio=0), ValueError, "ratio"),
        (lambda: descriptors.match([[1.0]], [[1.0]], ratio=1.1), ValueError, "ratio"),
        (lambda: descriptors.roc([1.0, 2.0], [True, True]), ValueError, "2 true of 2"),
        (lambda: descriptors.roc([1.0, 2.0], [0, 0]), ValueError, "0 true of 2"),
        (lambda: descriptors.roc([], []), ValueError, "0 true of 0"),
        (lambda: descriptors.roc([1.0, 2.0], [True]), ValueError, r"\(2,\) and \(1,\)"),
        (lambda: descriptors.roc([1.0, np.nan], [True, False]), ValueError, "NaN"),
        (lambda: descriptors.roc([1.0, 2.0], [1, -1]), ValueError, "True and False"),
        (lambda: descriptors.auc([0.0], [0.0]), ValueError, "K >= 2"),
        (lambda: descriptors.auc([0, 0.5, 0.2, 1], [0, 0.5, 0.6, 1]), ValueError, "sorted"),
        (lambda: descriptors.auc([0, 1.32], [0, 1]), ValueError, r"\[0, 1\]"),
        (lambda: descriptors.auc([0, np.nan], [0, 1]), ValueError, r"\[0, 1\]"),
    ],
)
def test_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------------------------------
# Matching


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 2, 5), (7, 2, 3), (40, 61, 16), (300, 250, 128)])
def test_nearest_agrees_with_all_distances(shape, dtype):
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=(n, shape[2])).astype(dtype) for n in shape[:2])
    found = descriptors.nearest(a, b)
    distance = np.linalg.norm(a[:, None].astype(float) - b, axis=2)
    two = np.sort(distance, axis=1)[:, :2]
    assert found.distance.dtype == dtype
    np.testing.assert_array_equal(found.indices, distance.argmin(axis=1))
    np.testing.assert_allclose(found.distance, two[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.ratio, two[:, 0] / two[:, 1], rtol=1e-5)


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("ratio", [0.6, 0.8, 0.95, 1.0])
def test_match_agrees_with_scikit_image(ratio, mutual):
    rng = np.random.default_rng(4)
    b = rng.normal(size=(60, 8))
    a = b[rng.permutation(60)[:45]] + 0.4 * rng.normal(size=(45, 8))
    expected = feature.match_descriptors(a, b, max_ratio=ratio, cross_check=mutual)
    result = descriptors.match(a, b, ratio, mutual)
    assert result.shape == (len(result), 2) and np.issubdtype(result.dtype, np.integer)
    np.testing.assert_array_equal(result, expected[np.argsort(expected[:, 0])])


def test_the_ratio_is_one_of_distances():
    a, b = np.array([[0.0, 0.0]]), np.array([[0.75, 0.0], [0.0, 1.0]])
    assert descriptors.nearest(a, b).ratio[0] == 0.75  # of squares it would be 0.5625
    assert len(descriptors.match(a, b, 0.75)) == 0 and len(descriptors.match(a, b, 0.76)) == 1


def test_one_candidate_two_equal_ones_and_none():
    a, b = np.array([[1.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 0.0]])
    for candidates in (b, np.tile(b, (2, 1))):
        np.testing.assert_array_equal(descriptors.nearest(a, candidates).ratio, [1, 1])
        assert descriptors.match(a, candidates).shape == (0, 2)
        np.testing.assert_array_equal(descriptors.match(a, candidates, 1.0), [[0, 0], [1, 0]])
        np.testing.assert_array_equal(descriptors.match(a, candidates, 1.0, mutual=True), [[0, 0]])
    for one, other in [(a, np.empty((0, 2))), (np.empty((0, 2)), b), (np.empty((0, 2)), np.empty((0, 2)))]:
        for mutual in (False, True):
            assert descriptors.match(one, other, 1.0, mutual).shape == (0, 2)
    assert descriptors.nearest(np.empty((0, 2)), b).indices.shape == (0,)


def test_a_mutual_match_is_symmetric():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(50, 6)), rng.normal(size=(70, 6))
    forth, back = descriptors.match(a, b, 1.0, mutual=True), descriptors.match(b, a, 1.0, mutual=True)
    assert {tuple(pair) for pair in forth} == {tuple(pair[::-1]) for pair in back}


def test_sift_matches_two_views_of_a_wall():
    """graf1 and graf3 and their true homography: OpenCV 5 matches them with 54.7 % right at ratio 0.8."""
    first, second = (descriptors.sift(images.as_gray(images.load(name)).astype(np.float32)) for name in GRAF)
    pairs = descriptors.match(first.descriptors, second.descriptors, 0.8)
    H = images.load("matching/H1to3")
    landed = homogeneous.transform_points(H, first.keypoints[pairs[:, 0]])
    right = np.linalg.norm(landed - second.keypoints[pairs[:, 1]], axis=1) < 3
    assert right.sum() > 350
    assert 0.497 < right.mean() < 0.65


# ---------------------------------------------------------------------------------------------
# ROC


def roc_slowly(scores, labels):
    """Every threshold, every count anew."""
    rows = []
    for threshold in [np.inf, *sorted(set(scores), reverse=True)]:
        said = scores >= threshold
        rows.append([np.sum(said & ~labels) / np.sum(~labels), np.sum(said & labels) / np.sum(labels), threshold])
    return np.array(rows).T


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_roc_counts_every_threshold(levels):
    rng = np.random.default_rng(levels)
    labels = rng.random(60) < 0.4
    scores = np.round((rng.normal(size=60) + labels) * levels / 4)  # few levels: many ties
    np.testing.assert_allclose(descriptors.roc(scores, labels), roc_slowly(scores, labels), rtol=1e-12)


@settings(max_examples=50, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(-4, 4), st.booleans()), min_size=2, max_size=30).filter(
        lambda pairs: len({label for _, label in pairs}) == 2
    )
)
def test_the_area_is_the_chance_of_the_right_order(pairs):
    scores, labels = np.array([s for s, _ in pairs], float), np.array([label for _, label in pairs])
    area = descriptors.auc(*descriptors.roc(scores, labels)[:2])
    true, false = scores[labels], scores[~labels]
    chance = np.mean([0.5 * (t == f) + (t > f) for t, f in itertools.product(true, false)])
    assert area == pytest.approx(chance)
    assert area == pytest.approx(mannwhitneyu(true, false).statistic / (len(true) * len(false)))
    assert area == pytest.approx(descriptors.auc(*descriptors.roc(np.exp(scores), labels)[:2]))  # ranks only
    assert area == pytest.approx(1 - descriptors.auc(*descriptors.roc(-scores, labels)[:2]))


def test_perfect_useless_and_wrong_scores():
    labels = np.array([True, True, False, False, False])
    for scores, area in [([5, 4, 3, 2, 1], 1.0), ([1, 1, 1, 1, 1], 0.5), ([1, 2, 3, 4, 5], 0.0)]:
        fpr, tpr, thresholds = descriptors.roc(scores, labels)
        assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
        assert thresholds[0] == np.inf
        assert descriptors.auc(fpr, tpr) == area
