import itertools
import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.data import stereo_motorcycle

from cvcourse import images, stereo
from cvcourse.cameras import intrinsic_matrix, project, projection_matrix, rotation_from_vector
from cvcourse.homogeneous import transform_points
from cvcourse.stereo import (
    END,
    FLAT,
    FOUND,
    HIDDEN,
    OUTSIDE,
    CostVolume,
    bad_share,
    best_path,
    block_match,
    census,
    cost_volume,
    depth,
    fill,
    is_flat,
    left_right_check,
    match,
    point_cloud,
    rectify,
    require_rectified,
    search_range,
    seen_from_right,
    semi_global,
    vertical_offsets,
    winner,
)
from cvcourse.warping import warp

RANDOM = np.random.default_rng(15)
RIGHT = RANDOM.random((17, 41))  # not square, no symmetry
LEFT = RANDOM.random((17, 41))
MOTORCYCLE = 4, 66

dtypes = st.sampled_from([np.float32, np.float64])
searches = st.tuples(st.integers(-50, 45), st.integers(1, 20)).map(lambda s: (s[0], s[0] + s[1]))
searches = searches.filter(lambda s: s[0] < 41 and s[1] > -41)


def textured(shape, rng=0, sigma=0.8):
    noise = ndimage.gaussian_filter(np.random.default_rng(rng).random(shape), sigma)
    return (noise - noise.min()) / np.ptp(noise)


def pair_from_disparity(disparity, texture):
    """A pair with known truth: `disparity` belongs to the left picture, the right one supplies the brightness."""
    row, col = np.indices(disparity.shape)
    return ndimage.map_coordinates(texture, [row, col - disparity + 40], order=3), texture[:, 40 : 40 + row.shape[1]]


@pytest.fixture(scope="module")
def box_scene():
    """A near box before a far wall; both pictures rendered from the same two textures."""
    wall, box = textured((60, 200), 1), textured((60, 200), 2)
    shape, d_wall, d_box = (60, 110), 6, 15
    truth = np.full(shape, float(d_wall))
    truth[18:44, 50:80] = d_box
    col = np.indices(shape)[1]
    left = np.where(truth == d_box, box[:, 40:150], wall[:, 40:150])
    right = wall[:, 40 + d_wall : 150 + d_wall].copy()
    moved = np.zeros(shape, bool)
    moved[18:44, 50 - d_box : 80 - d_box] = True
    right[moved] = box[:, 40 + d_box : 150 + d_box][moved]
    hidden = (truth == d_wall) & (col - d_wall >= 50 - d_box) & (col - d_wall < 80 - d_box)
    hidden &= (np.indices(shape)[0] >= 18) & (np.indices(shape)[0] < 44)
    return left, right, truth, hidden | (col < d_wall)


@pytest.fixture(scope="module")
def motorcycle():
    left, right, truth = stereo_motorcycle()
    left, right = (images.as_gray(images.as_float(image)).astype(np.float32) for image in (left, right))
    return left, right, truth.astype(np.float64)


# --- costs


def naive_volume(left, right, search, cost, size):
    """The definitions, window by window."""
    first, last = search
    pad = size // 2
    out = np.full((*left.shape, last - first + 1), np.inf)
    padded = [np.pad(image.astype(float), pad, mode="symmetric") for image in (left, right)]
    for (y, x), d in itertools.product(np.ndindex(*left.shape), range(first, last + 1)):
        if not 0 <= x - d < left.shape[1]:
            continue
        a = padded[0][y : y + size, x : x + size]
        b = padded[1][y : y + size, x - d : x - d + size]
        if cost == "sad":
            out[y, x, d - first] = np.abs(a - b).mean()
        elif cost == "ssd":
            out[y, x, d - first] = ((a - b) ** 2).mean()
        elif cost == "ncc":
            a, b = a - a.mean(), b - b.mean()
            out[y, x, d - first] = 1 - (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
        else:
            out[y, x, d - first] = np.sum((a < a[pad, pad]) != (b < b[pad, pad]))
    return out


@pytest.mark.parametrize("cost", stereo.COSTS)
@pytest.mark.parametrize("search", [(0, 6), (-5, 3), (3, 60), (-60, -38)])
def test_costs_are_their_definitions(cost, search):
    left, right = LEFT[:9, :30].copy(), RIGHT[:9, :30].copy()
    if search[0] >= 30 or search[1] <= -30:
        search = (-45, -20)
    volume = cost_volume(left, right, search, cost, 5)
    np.testing.assert_allclose(volume.cost, naive_volume(left, right, search, cost, 5), atol=1e-12)
    assert volume.first == search[0]


@given(dtypes, searches, st.sampled_from(stereo.COSTS), st.sampled_from([3, 5, 7]))
@settings(max_examples=30, deadline=None)
def test_costs_keep_the_precision_and_mark_what_is_outside(dtype, search, cost, size):
    cost = cost_volume(LEFT.astype(dtype), RIGHT.astype(dtype), search, cost, size).cost
    assert cost.dtype == dtype and cost.shape == (17, 41, search[1] - search[0] + 1)
    x, d = np.arange(41)[:, None], np.arange(search[0], search[1] + 1)
    np.testing.assert_array_equal(np.isfinite(cost), np.broadcast_to((x - d >= 0) & (x - d < 41), cost.shape))
    assert not np.isnan(cost).any() and cost.min() > -1e-4


def test_single_precision_is_as_good_as_its_digits():
    exact, single = (cost_volume(LEFT.astype(t), RIGHT.astype(t), (0, 9), "ncc", 5).cost for t in (float, np.float32))
    inside = np.isfinite(exact)
    np.testing.assert_allclose(single[inside], exact[inside], atol=1e-5)


def test_running_sums_do_not_drift_over_many_rows():
    left, right = (np.random.default_rng(k).random((300, 20)).astype(np.float32) for k in (1, 2))
    whole, tail = (cost_volume(a, b, (0, 3), "ssd", 5).cost for a, b in ((left, right), (left[200:], right[200:])))
    inside = np.isfinite(tail[3:])
    np.testing.assert_allclose(whole[203:][inside], tail[3:][inside], atol=1e-5)


@pytest.mark.parametrize("cost, invariant", [("ncc", True), ("census", True), ("ssd", False), ("sad", False)])
def test_gain_and_offset_leave_ncc_and_census_alone(cost, invariant):
    plain, brighter = (cost_volume(LEFT, right, (0, 8), cost, 7).cost for right in (RIGHT, 0.7 * RIGHT + 0.05))
    inside = np.isfinite(plain)
    assert np.allclose(plain[inside], brighter[inside], atol=1e-9) == invariant


def test_census_survives_gamma_and_is_what_it_says():
    np.testing.assert_array_equal(census(LEFT), census(LEFT**0.45))
    code = census(LEFT, 3)[5, 9]
    darker = [LEFT[5 + i, 9 + j] < LEFT[5, 9] for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    assert f"{int(code):08b}" == "".join(str(int(bit)) for bit in darker)


def test_scanning_by_hand_agrees_with_opencv_template_matching():
    patch = LEFT[3:10, 20:27].astype(np.float32)
    row = RIGHT[3:10].astype(np.float32)
    oracle = cv2.matchTemplate(row, patch, cv2.TM_CCOEFF_NORMED)[0]  # at the window's left end
    cost = cost_volume(LEFT, RIGHT, (0, 20), "ncc", 7).cost[6, 23]
    np.testing.assert_allclose(1 - cost, oracle[20 - np.arange(21)], atol=1e-5)


@given(dtypes, searches, st.sampled_from(stereo.COSTS[:3]), st.sampled_from([1, 3, 7]))
@settings(max_examples=30, deadline=None)
def test_block_matching_is_the_winner_of_the_volume(dtype, search, cost, size):
    left, right = LEFT.astype(dtype), RIGHT.astype(dtype)
    direct = block_match(left, right, search, cost, size)
    assert direct.dtype == dtype
    # the same costs, added up in another order of operations: the fraction differs in the last digits
    np.testing.assert_allclose(direct, winner(cost_volume(left, right, search, cost, size)), atol=1e-4)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(left=LEFT[:, :-1]), "one size and precision"),
        (dict(left=LEFT.astype(np.float32)), "one size and precision"),
        (dict(left=np.full((17, 41), 0.5)), "left picture is constant"),
        (dict(right=np.full((17, 41), 0.5)), "right picture is constant"),
        (dict(search=(3, 1)), "in order"),
        (dict(search=(0.0, 8.0)), "two whole numbers"),
        (dict(search=16), "two whole numbers"),
        (dict(search=(41, 60)), "leaves a picture that is 41 pixels wide"),
        (dict(search=(-60, -41)), "leaves a picture that is 41 pixels wide"),
        (dict(cost="mi"), "cost must be one of"),
        (dict(size=4), "must be odd"),
        (dict(size=99), "fit into the picture"),
        (dict(left=np.full((17, 41), np.nan)), "NaN"),
        (dict(cost="census", size=9), "3, 5 or 7"),
    ],
)
def test_says_why_it_does_not_compare(change, message):
    arguments = dict(left=LEFT, right=RIGHT, search=(0, 8), cost="ssd", size=3) | change
    with pytest.raises(ValueError, match=message):
        cost_volume(**arguments)


def test_integers_and_a_single_candidate_are_refused():
    with pytest.raises(TypeError, match="uint8"):
        cost_volume((255 * LEFT).astype(np.uint8), RIGHT, (0, 4))
    with pytest.raises(ValueError, match="two candidates"):
        block_match(LEFT, RIGHT, (3, 3))
    with pytest.raises(ValueError, match="cost must be"):
        block_match(LEFT, RIGHT, (0, 4), "census")


# --- winner, parabola, both sides


@pytest.mark.parametrize("shift", [-3, 0, 4])
@pytest.mark.parametrize("cost", stereo.COSTS[:3])
def test_a_shift_comes_back(shift, cost):
    right = textured((20, 60))
    found = block_match(np.roll(right, shift, axis=1), right, (-6, 6), cost, 5)
    np.testing.assert_array_equal(np.rint(found[5:-5, 12:-12]), shift)


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.4])
def test_the_parabola_finds_fractions_of_a_pixel(fraction):
    texture = textured((40, 180), sigma=3.0)
    left, right = pair_from_disparity(np.full((40, 80), 5 + fraction), texture)
    found = block_match(left, right, (0, 10), "ssd", 9)[8:-8, 20:-20]
    assert abs(np.median(found) - 5 - fraction) < 0.03  # smooth pictures: the curve is nearly a parabola
    whole = winner(cost_volume(left, right, (0, 10), "ssd", 9), subpixel=False)[8:-8, 20:-20]
    np.testing.assert_array_equal(whole, 5)


@given(st.floats(0.6, 5.4), st.floats(0.1, 9))
def test_a_true_parabola_gives_its_lowest_point(at, bend):
    curve = bend * (np.arange(7) - at) ** 2
    assert winner(CostVolume(curve[None, None], -2))[0, 0] == pytest.approx(at - 2, abs=1e-9)


def test_no_fraction_at_the_ends_nor_beside_what_is_outside():
    inf = np.inf
    cost = np.array([[[0.0, 1, 2, 3], [3, 2, 1, 0], [inf, 0, 1, 2], [2, 1, 0, inf], [inf] * 4, [1, 1, 1, 1]]])
    np.testing.assert_array_equal(winner(CostVolume(cost, 10))[0], [10, 13, 11, 12, np.nan, 10])


def test_costs_seen_from_the_right_are_those_of_exchanged_mirrored_pictures():
    moved = seen_from_right(cost_volume(LEFT, RIGHT, (-2, 9), "ssd", 5)).cost
    other = cost_volume(RIGHT[:, ::-1].copy(), LEFT[:, ::-1].copy(), (-2, 9), "ssd", 5).cost[:, ::-1]
    np.testing.assert_allclose(moved, other, atol=1e-12)


def test_left_right_check_removes_what_one_camera_sees(box_scene):
    left, right, truth, hidden = box_scene
    volume = cost_volume(left, right, (0, 20), "ssd", 5)
    found = winner(volume)
    kept = left_right_check(found, winner(seen_from_right(volume)))
    wrong = np.abs(found - truth) > 1
    assert wrong[hidden].mean() > 0.7
    assert kept[hidden].mean() < 0.25
    assert kept[~hidden].mean() > 0.95
    assert wrong[kept].mean() < 0.3 * wrong.mean()


@pytest.mark.parametrize(
    "left, right, tolerance, message",
    [
        (np.zeros((3, 4)), np.zeros((3, 5)), 1, "left has shape"),
        (np.zeros((3, 4)), np.zeros((3, 4)), -1, ">= 0"),
        (np.zeros((3, 4)), np.zeros((3, 4)), np.nan, ">= 0"),
        (np.zeros(4), np.zeros(4), 1, r"\(H, W\)"),
    ],
)
def test_the_check_refuses(left, right, tolerance, message):
    with pytest.raises(ValueError, match=message):
        left_right_check(left, right, tolerance)


@pytest.mark.parametrize(
    "cost, error, message",
    [
        (np.zeros((2, 3)), ValueError, r"\(H, W, D\)"),
        (np.zeros((2, 3, 1)), ValueError, "D >= 2"),
        (np.full((2, 3, 4), np.nan), ValueError, "NaN"),
        (np.zeros((2, 3, 4), int), TypeError, "float32 or float64"),
    ],
)
def test_volumes_are_checked(cost, error, message):
    for read in (winner, seen_from_right, is_flat, lambda v: semi_global(v, 1, 2)):
        with pytest.raises(error, match=message):
            read(CostVolume(cost, 0))


# --- paths


def cheapest_by_trying_all(cost, p1, p2):
    def price(labels):
        jumps = np.abs(np.diff(labels))
        return cost[np.arange(len(cost)), labels].sum() + p1 * np.sum(jumps == 1) + p2 * np.sum(jumps > 1)

    return min(price(np.array(labels)) for labels in itertools.product(range(cost.shape[1]), repeat=len(cost)))


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_no_sequence_is_cheaper_than_the_best_path(seed, p1, extra):
    cost = np.random.default_rng(seed).random((5, 4))
    path = best_path(cost, p1, p1 + extra)
    assert path.cost == pytest.approx(cheapest_by_trying_all(cost, p1, p1 + extra))
    jumps = np.abs(np.diff(path.chosen))
    price = cost[np.arange(5), path.chosen].sum() + p1 * np.sum(jumps == 1) + (p1 + extra) * np.sum(jumps > 1)
    assert price == pytest.approx(path.cost)


def test_the_best_path_without_penalties_is_the_winner_and_with_huge_ones_is_straight():
    cost = RANDOM.random((30, 9))
    np.testing.assert_array_equal(best_path(cost, 0, 0).chosen, cost.argmin(axis=1))
    assert set(best_path(cost, 1e6, 1e6).chosen) == {cost.sum(axis=0).argmin()}


@pytest.mark.parametrize(
    "cost, p1, p2, message",
    [
        (np.zeros((3, 4)), 2, 1, "p1 <= p2"),
        (np.zeros((3, 4)), -1, 1, "p1 <= p2"),
        (np.zeros((3, 4)), 1, np.inf, "finite"),
        (np.full((3, 4), np.nan), 1, 1, "NaN"),
        (np.full((3, 4), np.inf), 1, 1, "pixel 0 has no candidate"),
        (np.zeros(4), 1, 1, r"\(W, D\)"),
    ],
)
def test_the_best_path_refuses(cost, p1, p2, message):
    with pytest.raises(ValueError, match=message):
        best_path(cost, p1, p2)


DIRECTIONS = [(0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]


def naive_semi_global(cost, p1, p2, directions):
    """Eqs. (15.15)-(15.16) as they stand, pixel by pixel."""
    h, w, n = cost.shape
    total = np.zeros_like(cost)
    for dy, dx in directions:
        L = np.zeros_like(cost)
        for y in range(h) if dy >= 0 else range(h - 1, -1, -1):
            for x in range(w) if dx >= 0 else range(w - 1, -1, -1):
                L[y, x] = cost[y, x]
                if 0 <= y - dy < h and 0 <= x - dx < w:
                    before = L[y - dy, x - dx]
                    for d in range(n):
                        near = [before[e] + p1 for e in (d - 1, d + 1) if 0 <= e < n]
                        L[y, x, d] += min([before[d], before.min() + p2, *near]) - before.min()
        total += L
    return total


@pytest.mark.parametrize("paths", [2, 4, 8])
def test_semi_global_matching_is_its_recursion(paths):
    cost = RANDOM.random((7, 11, 6))
    ours = semi_global(CostVolume(cost, 0), 0.1, 0.35, paths=paths).cost
    np.testing.assert_allclose(ours, naive_semi_global(cost, 0.1, 0.35, DIRECTIONS[:paths]), atol=1e-12)
    single = semi_global(CostVolume(cost.astype(np.float32), 0), 0.1, 0.35, paths=paths).cost
    np.testing.assert_allclose(single, ours, atol=1e-5)


def test_a_row_with_two_paths_has_the_minima_of_dynamic_programming():
    """Forward plus backward minus the cost is the cheapest way through each candidate: its least is the path's."""
    cost = RANDOM.random((1, 25, 7))
    total = semi_global(CostVolume(cost, 0), 0.2, 0.5, paths=2).cost - cost
    path = best_path(cost[0], 0.2, 0.5)
    np.testing.assert_array_equal(total[0].argmin(axis=1), path.chosen)


def test_a_guide_cheapens_jumps_where_brightness_steps():
    cost = RANDOM.random((6, 9, 5))
    plain = semi_global(CostVolume(cost, 0), 0.1, 0.6).cost
    np.testing.assert_array_equal(semi_global(CostVolume(cost, 0), 0.1, 0.6, guide=np.full((6, 9), 0.3)).cost, plain)
    everywhere = np.indices((6, 9)).sum(axis=0) * 1e9
    cheap = semi_global(CostVolume(cost, 0), 0.1, 0.6, guide=everywhere + 1e9 * RANDOM.random((6, 9))).cost
    floor = semi_global(CostVolume(cost, 0), 0.1, 0.1).cost
    np.testing.assert_allclose(cheap, floor, atol=1e-6)


def test_paths_begin_anew_behind_pixels_without_candidates():
    cost = RANDOM.random((3, 8, 4))
    cost[:, 3] = np.inf
    cost[:, 5, :2] = np.inf
    total = semi_global(CostVolume(cost, 0), 0.1, 0.3, paths=2).cost
    assert not np.isnan(total).any()
    np.testing.assert_array_equal(np.isinf(total), np.isinf(cost))
    alone = semi_global(CostVolume(cost[:, 4:].copy(), 0), 0.1, 0.3, paths=2).cost
    np.testing.assert_allclose(total[:, 4:], alone, atol=1e-12)


def test_semi_global_matching_refuses():
    volume = CostVolume(RANDOM.random((4, 5, 3)), 0)
    with pytest.raises(ValueError, match="p1 <= p2"):
        semi_global(volume, 2, 1)
    with pytest.raises(ValueError, match="8, 4 or 2"):
        semi_global(volume, 1, 2, paths=5)
    with pytest.raises(ValueError, match="guide has shape"):
        semi_global(volume, 1, 2, guide=np.zeros((5, 4)))


# --- bad input that gets a mask, or an error that names its cause


def test_constant_rows_are_flat_and_only_they():
    left = textured((20, 60))
    left[8:12] = np.linspace(0.2, 0.8, 4)[:, None]  # the rows differ, no row changes along itself
    right = np.roll(left, -3, axis=1)
    for cost, size in (("ssd", 1), ("ncc", 3), ("census", 3)):
        flat = is_flat(cost_volume(left, right, (0, 6), cost, size))
        inner = slice(9, 11) if size == 3 else slice(8, 12)
        assert flat[inner, 6:].all()
        assert not flat[:7, 6:].any()


def test_a_pair_whose_rows_are_all_constant_is_refused_and_the_error_says_why():
    stripes = np.repeat(RANDOM.random((40, 1)), 90, axis=1)
    with pytest.raises(ValueError, match="brightness does not change along the rows"):
        match(stripes, stripes, (0, 10))


def test_reasons_name_why_nothing_was_measured(box_scene):
    left, right, truth, hidden = box_scene
    left, right = left.copy(), right.copy()
    left[50:], right[50:] = 0.4, 0.4
    found = match(left, right, (2, 18), filled=False, check=False)
    assert (found.reason[54:58, 25:] == FLAT).all()
    assert (found.reason[:, :2] == OUTSIDE).all()
    inner = hidden & (np.indices(truth.shape)[0] < 44) & (np.indices(truth.shape)[1] > 20)
    assert (found.reason[inner] == HIDDEN).mean() > 0.6
    np.testing.assert_array_equal(np.isnan(found.disparity), found.reason != FOUND)
    good = np.isfinite(found.disparity[:44])
    assert np.mean(np.abs(found.disparity - truth)[:44][good] < 1) > 0.97


def test_a_range_that_misses_the_truth_shows_at_its_end():
    right = textured((40, 120))
    left = np.roll(right, 12, axis=1)
    good, short = (match(left, right, (0, last), filled=False, check=False).reason[:, 20:] for last in (20, 8))
    assert np.mean(good == FOUND) > 0.95
    assert np.mean(short == FOUND) < 0.6
    assert np.mean(short == END) > 0.05 > 5 * np.mean(good == END)


@pytest.mark.parametrize("dy", [2, -5])
def test_an_unrectified_pair_is_refused_and_the_error_names_the_cause(dy, motorcycle):
    left, right, _ = motorcycle
    a, b = (left[max(0, -dy) :][:260, :400], right[max(0, dy) :][:260, :400])
    with pytest.raises(ValueError, match="not rectified") as caught:
        match(a, b, MOTORCYCLE)
    said = float(re.search(r"average ([+-][\d.]+) px", str(caught.value))[1])
    assert said == pytest.approx(-dy, abs=0.3)


def test_too_few_features_say_nothing_and_pass():
    blank = np.zeros((40, 50))
    blank[20, 20] = 1
    assert len(vertical_offsets(blank, blank)) < 12
    require_rectified(blank, blank)


def test_pictures_of_two_sizes_and_hopeless_pairs_are_refused():
    with pytest.raises(ValueError, match="one size"):
        match(LEFT, RIGHT[:-1], (0, 5))
    with pytest.raises(ValueError, match="two whole numbers"):
        match(LEFT, RIGHT, (0, 5.5))
    with pytest.raises(ValueError, match="no pixel agrees from both sides"):
        match(LEFT, RIGHT, (39, 40))  # two candidates: each winner is an end of the range


# --- filling


def test_fill_takes_the_farther_neighbour_of_the_row():
    nan = np.nan
    given_ = [[nan, 9, nan, nan, 4, nan], [nan] * 6, [nan, nan, 7, 8, nan, 5]]
    expected = [[9, 9, 4, 4, 4, 4], [9, 9, 4, 4, 4, 4], [7, 7, 7, 8, 5, 5]]
    np.testing.assert_array_equal(fill(given_), expected)


def test_fill_changes_nothing_that_is_known_and_refuses_nothing_at_all():
    np.testing.assert_array_equal(fill(LEFT), LEFT)
    with pytest.raises(ValueError, match="no disparity is known"):
        fill(np.full((2, 3), np.inf))


def test_bad_share_counts_missing_answers_and_only_known_truth():
    truth = np.array([[10, 20, np.inf, np.nan, 30.0]])
    assert bad_share([[12, 22.1, 0, 0, np.nan]], truth) == pytest.approx(2 / 3)
    assert bad_share([[12, 22.1, 0, 0, np.nan]], truth, threshold=3) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="has shape"):
        bad_share(np.zeros((2, 3)), truth)
    with pytest.raises(ValueError, match="no pixel of the truth"):
        bad_share(np.zeros((2, 3)), np.full((2, 3), np.nan))


# --- depth


K = intrinsic_matrix(500.0, cx=70.0, cy=45.0)


def test_depth_inverts_the_projection_with_unequal_principal_points():
    X = RANDOM.uniform([-1, -1, 2], [1, 1, 9], (30, 3))
    other = K + np.array([[0, 0, 13.0], [0, 0, 0], [0, 0, 0]])
    x1, x2 = (project(projection_matrix(k, np.eye(3), c), X).x for k, c in ((K, (0, 0, 0)), (other, (0.3, 0, 0))))
    np.testing.assert_allclose(x1[:, 1], x2[:, 1], atol=1e-9)
    np.testing.assert_allclose(depth(x1[:, 0] - x2[:, 0], 500, 0.3, 13.0), X[:, 2], rtol=1e-9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([5.0, -1.0], 500, 0.3), "d \\+ offset is not above 0 at 1 pixels"),
        (([5.0], 0, 0.3), "focal must be a positive"),
        (([5.0], 500, -1), "baseline must be a positive"),
        (([5.0], 500, 0.3, np.nan), "offset must be a finite"),
    ],
)
def test_depth_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        depth(*arguments)


def test_unknown_disparities_stay_unknown():
    np.testing.assert_array_equal(np.isnan(depth([[np.nan, 10]], 100, 1)), [[True, False]])


@given(st.floats(0.5, 5), st.floats(5.1, 100), st.floats(-20, 40))
def test_the_search_range_holds_all_depths_and_hardly_more(near, far, offset):
    first, last = search_range(near, far, 500, 0.2, offset)
    low, high = 100 / far - offset, 100 / near - offset
    assert first <= low + 1e-6 < first + 1 + 2e-6
    assert last - 1 - 2e-6 < high - 1e-6 <= last


def test_the_search_range_refuses_depths_out_of_order():
    with pytest.raises(ValueError, match="0 < nearest < farthest"):
        search_range(3, 2, 500, 0.2)


def test_a_point_cloud_projects_back_onto_its_pixels():
    disparity = RANDOM.uniform(5, 30, (9, 14))
    disparity[2, 3] = np.nan
    cloud = point_cloud(disparity, K, 0.2, offset=7.0)
    assert cloud.X.shape == (9 * 14 - 1, 3)
    np.testing.assert_allclose(project(projection_matrix(K, np.eye(3), (0, 0, 0)), cloud.X).x, cloud.x, atol=1e-9)
    right = K + np.array([[0, 0, 7.0], [0, 0, 0], [0, 0, 0]])
    there = project(projection_matrix(right, np.eye(3), (0.2, 0, 0)), cloud.X).x
    np.testing.assert_allclose(cloud.x[:, 0] - there[:, 0], disparity[cloud.x[:, 1], cloud.x[:, 0]], atol=1e-9)
    with pytest.raises(ValueError, match="no disparity"):
        point_cloud(np.full((2, 2), np.nan), K, 0.2)


# --- rectification


def cameras_of(turn1, turn2, c2):
    other = intrinsic_matrix(480.0, 490.0, cx=65.0, cy=50.0)
    return (
        projection_matrix(K, rotation_from_vector(turn1), (0.1, -0.2, 0.3)),
        projection_matrix(other, rotation_from_vector(turn2), np.add((0.1, -0.2, 0.3), c2)),
    )


small_turns = st.tuples(*[st.floats(-0.2, 0.2)] * 3)


@given(small_turns, small_turns, st.tuples(st.floats(0.3, 0.6), st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)))
@settings(max_examples=30, deadline=None)
def test_after_rectification_rows_agree_and_disparity_gives_depth(turn1, turn2, c2):
    P1, P2 = cameras_of(turn1, turn2, c2)
    rect = rectify(P1, P2, (100, 140))
    X = np.random.default_rng(1).uniform([-1, -1, 4], [1, 1, 9], (40, 3))
    left = transform_points(rect.H_left, project(P1, X).x)
    right = transform_points(rect.H_right, project(P2, X).x)
    np.testing.assert_allclose(left[:, 1], right[:, 1], atol=1e-6)
    Z = ((X - (0.1, -0.2, 0.3)) @ rect.R.T)[:, 2]
    f = rect.K_left[0, 0]
    np.testing.assert_allclose(depth(left[:, 0] - right[:, 0], f, rect.baseline, rect.offset), Z, rtol=1e-6)
    np.testing.assert_allclose(rect.R @ rect.R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rect.R) == pytest.approx(1)
    assert rect.baseline == pytest.approx(np.linalg.norm(c2))
    for H, x in ((rect.H_left, 0), (rect.H_right, 0)):
        assert transform_points(H, [[69.5, 49.5]])[0, x] == pytest.approx(69.5)


def test_a_rectified_pair_stays_as_it_is():
    P1, P2 = projection_matrix(K, np.eye(3), (0, 0, 0)), projection_matrix(K, np.eye(3), (0.2, 0, 0))
    rect = rectify(P1, P2, (91, 141))
    for H in (rect.H_left, rect.H_right):
        np.testing.assert_allclose(H, np.eye(3), atol=1e-9)
    assert rect.offset == pytest.approx(0)


def test_agrees_with_opencv_up_to_the_choice_of_the_frame():
    """OpenCV turns each camera by half; the epipolar geometry that follows is the same one."""
    turn1, turn2, c2 = (0.05, -0.1, 0.02), (-0.03, 0.12, -0.05), (0.4, 0.03, -0.05)
    P1, P2 = cameras_of(turn1, turn2, c2)
    R1, R2 = rotation_from_vector(turn1), rotation_from_vector(turn2)
    other = intrinsic_matrix(480.0, 490.0, cx=65.0, cy=50.0)
    none = np.zeros((5, 1))
    found = cv2.stereoRectify(K, none, other, none, (140, 100), R2 @ R1.T, -R2 @ np.reshape(c2, (3, 1)))
    x_axis = found[0].T[:, 0]  # of the left camera's rectified frame, in the left camera
    np.testing.assert_allclose(rectify(P1, P2, (100, 140)).R[0], R1.T @ x_axis, atol=1e-6)


@pytest.mark.parametrize(
    "turn1, turn2, c2, message",
    [
        ((0, 0, 0), (0, 0.2, 0), (0, 0, 0), "in one place"),
        ((0, 0, 0), (0, 0, 0), (-0.3, 0, 0), "exchange the two"),
        ((0, 0, 0), (0, 0, 0), (0.02, 0, 1.0), "epipole is in the picture"),
        ((0, -1.4, 0), (0, 1.4, 0), (0.5, 0, 0), "80 degrees"),
        ((0, 0, 0), (0, np.pi, 0), (0.5, 0, 0), "opposite directions"),
    ],
)
def test_rectification_refuses(turn1, turn2, c2, message):
    with pytest.raises(ValueError, match=message):
        rectify(*cameras_of(turn1, turn2, c2), (100, 140))


# --- real pictures


def test_motorcycle_block_matching_and_semi_global_matching(motorcycle):
    left, right, truth = motorcycle
    assert bad_share(block_match(left, right, MOTORCYCLE, "ncc", 9), truth) <= 0.20
    assert bad_share(block_match(left, right, MOTORCYCLE, "ssd", 3), truth) >= 0.35
    found = match(left, right, MOTORCYCLE, check=False)
    assert bad_share(found.disparity, truth) <= 0.10
    measured = found.reason == FOUND
    assert bad_share(np.where(measured, found.disparity, np.nan), np.where(measured, truth, np.nan)) <= 0.05


def test_aloe_with_its_own_truth():
    left, right = (images.as_gray(images.load(f"stereo/aloe_{side}")) for side in ("left", "right"))
    truth = images.load("stereo/aloe_disparity") * 127.5
    truth[truth == 0] = np.nan
    found = match(left, right, (15, 110))
    assert bad_share(found.disparity, truth) <= 0.10


def test_room_is_rectified_from_its_cameras_and_its_depth_is_right():
    room = images.load("sfm/room_cameras")
    K_room, views = np.array(room["K"]), [room["images"][k] for k in (5, 6)]
    P = [projection_matrix(K_room, np.array(v["R"]), -np.array(v["R"]).T @ np.array(v["t"])) for v in views]
    photos = [images.as_gray(images.load(f"sfm/room_{k:02d}")) for k in (5, 6)]
    rect = rectify(*P, photos[0].shape)
    left, right = (warp(p, H, p.shape, "bicubic") for p, H in zip(photos, (rect.H_left, rect.H_right), strict=True))
    assert np.median(np.abs(vertical_offsets(*photos))) > 10
    assert np.median(np.abs(vertical_offsets(left.image, right.image))) < 0.3
    search = search_range(1.8, 5.2, rect.K_left[0, 0], rect.baseline, rect.offset)
    found = match(left.image, right.image, search, filled=False)
    cloud = point_cloud(np.where(left.mask, found.disparity, np.nan), rect.K_left, rect.baseline, rect.offset)
    X = cloud.X @ rect.R @ np.array(views[0]["R"]).T  # into camera 5
    x = np.rint(transform_points(K_room, X[:, :2] / X[:, 2:])).astype(int)
    inside = np.all((x >= 0) & (x < (480, 360)), axis=1)
    truth = images.load("sfm/room_depth_05")["depth"].astype(float)[x[inside, 1], x[inside, 0]]
    assert np.median(np.abs(X[inside, 2] / truth - 1)) < 0.01
