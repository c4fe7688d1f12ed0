"""Checks of exercise 18_photometric_stereo, the mistakes they know, and second solutions.

Oracles: truth by construction, ``scipy.linalg`` (least squares, singular values), ``scipy.sparse`` for the
heights, all sets of three by singular values, the rates that the chi-square distribution promises.
"""

import itertools

import numpy as np
import pytest
from scipy import linalg, sparse, stats

from cvcourse.checks import StudentError, expect, right, wrong

FORBIDDEN = {
    question: (
        *("scipy", "skimage", "sklearn", "cv2", "PIL", "torch"),
        *(f"cvcourse.{name}" for name in ("photometric_stereo", "alignment", "calibration", "homogeneous", "cameras")),
    )
    for question in ("q1", "q2", "q3", "q4", "q5")
}
CHANGED = "an argument is overwritten: its owner needs it again; work on copies, or in new arrays"


# ---------------------------------------------------------------------------------------------
# Reading the answers


def kind(answer):
    if isinstance(answer, np.ndarray):
        return f"one array of shape {answer.shape}"
    if isinstance(answer, tuple | list):
        return f"{len(answer)} values"
    return "None: does the function end with a return?" if answer is None else type(answer).__name__


def judge(student, atlas, name, cases, truth, what, read=None, atol=1e-9):
    """Compare the answers to one or several calls with the truth, and name the mistake that fits all of them."""
    __tracebackhide__ = True
    read = read or (lambda answer: answer)
    answers, looks = [], {}
    for case in cases:
        answers.append(read(getattr(student, name)(*case)))
        for says, result in atlas(name, *case).items():
            try:
                looks.setdefault(says, []).append(read(result))
            except AssertionError:
                continue
    looks = {
        says: np.concatenate([np.ravel(one) for one in given])
        for says, given in looks.items()
        if len(given) == len(cases)
    }
    flat = [np.concatenate([np.ravel(one) for one in given]) for given in (answers, truth)]
    if [np.shape(one) for one in answers] != [np.shape(one) for one in truth]:
        expect(answers[0], truth[0], {}, atol=atol, what=what)
    expect(flat[0], flat[1], looks, atol=atol, what=what)


def reader(names, *shapes):
    """Make a reader of a tuple of arrays of given shapes: they come out as one row of numbers."""

    def read(answer):
        if not isinstance(answer, tuple | list) or len(answer) != len(shapes):
            raise AssertionError(f"a tuple ({names}) is expected, got {kind(answer)}")
        found = []
        for part, name, shape in zip(answer, names.split(", "), shapes, strict=True):
            try:
                part = np.asarray(part, dtype=np.float64)
            except (TypeError, ValueError):
                raise AssertionError(f"{name} should be an array of numbers") from None
            assert part.shape == shape, f"{name} should be an array of shape {shape}, got {part.shape}"
            found.append(part.ravel())
        return np.concatenate(found)

    return read


def refused(call, *case):
    """Call the student's function; True if it raised a ValueError."""
    try:
        call(*case)
    except StudentError as problem:
        if "raised ValueError" in str(problem):
            return True
        raise
    return False


# ---------------------------------------------------------------------------------------------
# Scenes

SHAPE = (4, 5)  # not square


def around(rng, K, low=0.5, high=2.0):
    """Lamps all round, between 40 and 63 degrees high, of different strengths."""
    azimuth = 2 * np.pi * (np.arange(K) + rng.uniform(0.1, 0.4, K)) / K
    elevation = rng.uniform(0.7, 1.1, K)
    unit = np.stack([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], 1)
    return unit * rng.uniform(low, high, (K, 1))


def surface(rng, shape=SHAPE):
    """Unit normals within some 25 degrees of the camera's direction, so that every lamp reaches; and albedo."""
    n = np.dstack([*rng.uniform(-0.3, 0.3, (2, *shape)), np.ones(shape)])
    return n / np.sqrt(np.sum(n**2, axis=-1, keepdims=True)), rng.uniform(0.2, 0.9, shape)


def photograph(normals, albedo, lamps):
    """Take pictures one by one, by Eq. (1)."""
    return np.stack([albedo * (normals[..., 0] * x + normals[..., 1] * y + normals[..., 2] * z) for x, y, z in lamps])


# ---------------------------------------------------------------------------------------------
# Question 1: normals and albedo

BLACK = "0 / 0 is NaN: where all pictures are black the normal and the albedo are 0"
FIT = reader("normals, albedo", (*SHAPE, 3), SHAPE)


@pytest.mark.q("q1", 2)
def test_three_lamps(student, atlas, rng):
    """Three lamps of different strengths, exact pictures: the normals and the albedo that made them."""
    cases, truth = [], []
    for _ in range(2):
        (normals, albedo), lamps = surface(rng), around(rng, 3)
        cases.append((photograph(normals, albedo, lamps), lamps))
        truth.append(FIT((normals, albedo)))
    judge(student, atlas, "fit", cases, truth, "(normals, albedo)", FIT)


@pytest.mark.q("q1", 3)
def test_seven_lamps_with_noise(student, atlas, rng):
    """Seven lamps and noise: the least squares of Eq. (2); the arguments stay as they are."""
    (normals, albedo), lamps = surface(rng), around(rng, 7)
    pictures = photograph(normals, albedo, lamps) + rng.normal(0, 0.03, (7, *SHAPE))
    g = np.array([[linalg.lstsq(lamps, pictures[:, i, j])[0] for j in range(SHAPE[1])] for i in range(SHAPE[0])])
    length = np.sqrt(np.sum(g**2, axis=-1))
    truth = FIT((g / length[..., None], length))
    judge(student, atlas, "fit", [(pictures, lamps)], [truth], "(normals, albedo)", FIT)
    assert not student.changed, CHANGED


@pytest.mark.q("q1", 1)
def test_black_pixels(student, atlas, rng):
    """Where all pictures are 0, normal and albedo are 0."""
    (normals, albedo), lamps = surface(rng), around(rng, 4)
    albedo[1, 3] = albedo[3, 0] = 0
    truth = FIT((normals * (albedo > 0)[..., None], albedo))
    judge(student, atlas, "fit", [(photograph(normals, albedo, lamps), lamps)], [truth], "(normals, albedo)", FIT)


def _g(pictures, lamps):
    return np.moveaxis(np.tensordot(np.linalg.pinv(lamps), pictures, axes=1), 0, -1)


def _split(g):
    albedo = np.sqrt(np.sum(g**2, axis=-1))
    return g / np.where(albedo > 0, albedo, 1)[..., None], albedo


@wrong(
    "q1",
    says="the albedo is taken after g was normalised, and is 1 everywhere: it is the length that the division removes",
)
def fit(pictures, lamps):
    normals = _split(_g(pictures, lamps))[0]
    return normals, np.sqrt(np.sum(normals**2, axis=-1))


@wrong("q1", says="the brightnesses are normalised first: the normals survive that, the albedo does not")
def fit(pictures, lamps):
    length = np.sqrt(np.sum(pictures**2, axis=0))
    return _split(_g(pictures / np.where(length > 0, length, 1), lamps))


@wrong("q1", says="the lamps are made unit vectors: their lengths are their strengths, and belong into the equations")
def fit(pictures, lamps):
    return _split(_g(pictures, lamps / np.sqrt(np.sum(lamps**2, axis=1, keepdims=True))))


@wrong("q1", says="the matrix is transposed: lamps are its rows, one equation for each")
def fit(pictures, lamps):
    if len(lamps) == 3:
        return _split(_g(pictures, lamps.T))
    return _split(_g(pictures, lamps))


@wrong("q1", says="Lᵀ I is not yet the solution: multiply by the inverse of Lᵀ L")
def fit(pictures, lamps):
    return _split(np.moveaxis(np.tensordot(lamps.T, pictures, axes=1), 0, -1))


@wrong("q1", says="y is turned up here: lamps and normals are in the same axes, and nothing is to be flipped")
def fit(pictures, lamps):
    return _split(_g(pictures, lamps * np.array([1, -1, 1])))


@wrong("q1", says="this is g, albedo times normal: divide it by its length")
def fit(pictures, lamps):
    g = _g(pictures, lamps)
    return g, _split(g)[1]


@wrong("q1", says="this is the square of the albedo: the length of g is the root of the sum of squares")
def fit(pictures, lamps):
    normals, albedo = _split(_g(pictures, lamps))
    return normals, albedo**2


@wrong("q1", says="the albedo is not the mean brightness: that depends on the lamps and on the normal")
def fit(pictures, lamps):
    return _split(_g(pictures, lamps))[0], np.mean(pictures, axis=0)


@wrong("q1", says="only the first three pictures are used: the others make the noise smaller")
def fit(pictures, lamps):
    return _split(_g(pictures[:3], lamps[:3]))


@wrong("q1", says=BLACK)
def fit(pictures, lamps):
    g = _g(pictures, lamps)
    albedo = np.sqrt(np.sum(g**2, axis=-1))
    with np.errstate(all="ignore"):
        return g / albedo[..., None], albedo


@wrong("q1", says="the normals stand in rows (3, H, W): the three components of a pixel come last, (H, W, 3)")
def fit(pictures, lamps):
    normals, albedo = _split(_g(pictures, lamps))
    return np.reshape(np.moveaxis(normals, -1, 0), normals.shape), albedo


@wrong("q1", says=CHANGED)
def fit(pictures, lamps):
    strength = np.sqrt(np.sum(lamps**2, axis=1))
    weighted = np.moveaxis(np.tensordot(np.linalg.pinv(lamps), pictures, axes=1), 0, -1)
    lamps /= strength[:, None]
    return _split(weighted)


@right("q1")
def fit(pictures, lamps):
    """Solve the normal equations, pixel by pixel."""
    normals, albedo = np.zeros((*pictures.shape[1:], 3)), np.zeros(pictures.shape[1:])
    for i, j in np.ndindex(*albedo.shape):
        g = np.linalg.solve(lamps.T @ lamps, lamps.T @ pictures[:, i, j])
        albedo[i, j] = (g @ g) ** 0.5
        if albedo[i, j] > 0:
            normals[i, j] = g / albedo[i, j]
    return normals, albedo


# ---------------------------------------------------------------------------------------------
# Question 2: shadows and colours

LIT = reader("normals, albedo, solved", (*SHAPE, 3), SHAPE, SHAPE)
UNSOLVED = "where a pixel is not solved, its normal and albedo are 0, not NaN or what the division left"


def shadowed(rng, K=6, lost=2):
    """Pictures with shadows that hold anything: lamps, masks of the lit, normals and albedo."""
    (normals, albedo), lamps = surface(rng), around(rng, K)
    lit = np.ones((K, *SHAPE), dtype=bool)
    for i, j in np.ndindex(*SHAPE):
        lit[rng.choice(K, rng.integers(0, lost + 1), replace=False), i, j] = False
    pictures = np.where(lit, photograph(normals, albedo, lamps), rng.uniform(0, 0.1, lit.shape))
    return pictures, lamps, lit, normals, albedo


@pytest.mark.q("q2", 2)
def test_shadows_left_out(student, atlas, rng):
    """Up to two of six values lie in shadow; what is lit determines everything."""
    pictures, lamps, lit, normals, albedo = shadowed(rng)
    truth = LIT((normals, albedo, np.ones(SHAPE)))
    judge(student, atlas, "fit_lit", [(pictures, lamps, lit)], [truth], "(normals, albedo, solved)", LIT)


@pytest.mark.q("q2", 2)
def test_not_solved(student, atlas, rng):
    """Pixels that two lamps reach, or three in one plane, are not solved; the arguments stay as they are."""
    pictures, lamps, lit, normals, albedo = shadowed(rng, lost=1)
    azimuth = rng.uniform(0, 3)
    for k, elevation in enumerate((0.8, 1.2, 2.0)):  # lamps 0, 1, 2 in one plane
        unit = [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        lamps[k] = np.array(unit) * rng.uniform(0.5, 2)
    pictures = photograph(normals, albedo, lamps)
    lit[:, 0, 1] = [1, 1, 1, 0, 0, 0]  # one plane
    lit[:, 2, 4] = [1, 1, 0, 0, 0, 0]  # two lamps
    lit[:, 3, 2] = False  # none
    lit[:, 1, 1] = [1, 0, 1, 1, 0, 0]  # three that are enough
    pictures = np.where(lit, pictures, 0.02)
    solved = np.ones(SHAPE)
    solved[0, 1] = solved[2, 4] = solved[3, 2] = 0
    truth = LIT((normals * solved[..., None], albedo * solved, solved))
    judge(student, atlas, "fit_lit", [(pictures, lamps, lit)], [truth], "(normals, albedo, solved)", LIT)
    assert not student.changed, CHANGED


@pytest.mark.q("q2", 2)
def test_three_colours(student, atlas, rng):
    """The albedo of three channels: the minimum of Eq. (4), with noise and with lamps behind the surface."""
    normals, _ = surface(rng)
    lamps, lit = around(rng, 5), rng.random((5, *SHAPE)) < 0.7
    lamps[4] *= np.array([1, 1, -0.3])  # behind most of the surface
    lit[:3] = True
    colour = rng.uniform(0.1, 0.9, (*SHAPE, 3))
    pictures = np.stack([np.maximum(photograph(normals, colour[..., c], lamps), 0) for c in range(3)], -1)
    pictures = pictures + rng.normal(0, 0.02, pictures.shape)
    truth = np.zeros((*SHAPE, 3))
    for i, j in np.ndindex(*SHAPE):
        mine = lit[:, i, j]
        s = np.maximum(lamps @ normals[i, j], 0)[mine]
        truth[i, j] = linalg.lstsq(s[:, None], pictures[mine, i, j])[0][0]
    judge(student, atlas, "channel_albedo", [(pictures, lamps, normals, lit)], [truth], "the albedo")


@pytest.mark.q("q2", 1)
def test_colour_in_the_dark(student, atlas, rng):
    """Where no lamp reaches, the albedo is 0; the arguments stay as they are."""
    (normals, _), lamps = surface(rng), around(rng, 4)
    colour, lit = rng.uniform(0.1, 0.9, (*SHAPE, 3)), np.ones((4, *SHAPE), dtype=bool)
    pictures = np.stack([photograph(normals, colour[..., c], lamps) for c in range(3)], -1)
    lit[:, 2, 3] = False
    pictures[:, 2, 3] = 0.05
    colour[2, 3] = 0
    judge(student, atlas, "channel_albedo", [(pictures, lamps, normals, lit)], [colour], "the albedo")
    assert not student.changed, CHANGED


def _lit_loop(pictures, lamps, lit, enough, wipe=0.0):
    """Solve pixel by pixel where `enough(rows)` says so; else fill in."""
    g, solved = np.full((*lit.shape[1:], 3), wipe), np.zeros(lit.shape[1:], dtype=bool)
    for i, j in np.ndindex(*solved.shape):
        mine = lit[:, i, j]
        if enough(lamps[mine]):
            solved[i, j] = True
            g[i, j] = np.linalg.lstsq(lamps[mine], pictures[mine, i, j], rcond=None)[0]
    return (*_split(g), solved)


def _ranked(rows):
    return len(rows) >= 3 and np.linalg.matrix_rank(rows, tol=1e-6 * np.linalg.norm(rows, 2)) == 3


@wrong("q2", says="the mask is not used: a shadow's value is no measurement, and bends the normal")
def fit_lit(pictures, lamps, lit):
    return (*_split(_g(pictures, lamps)), right_lit(pictures, lamps, lit)[2])


@wrong("q2", says="shadows are set to 0 and kept as measurements: leave their equations out, on both sides")
def fit_lit(pictures, lamps, lit):
    return (*_split(_g(np.where(lit, pictures, 0), lamps)), right_lit(pictures, lamps, lit)[2])


@wrong("q2", says="a lamp that misses one pixel is left out everywhere: each pixel has its own set of lamps")
def fit_lit(pictures, lamps, lit):
    kept = lit.all(axis=(1, 2))
    if kept.sum() < 3:
        return np.zeros((*lit.shape[1:], 3)), np.zeros(lit.shape[1:]), np.zeros(lit.shape[1:], dtype=bool)
    return (*_split(_g(pictures[kept], lamps[kept])), right_lit(pictures, lamps, lit)[2])


@wrong("q2", says="a pixel is given up unless all lamps reach it: three that are not in one plane are enough")
def fit_lit(pictures, lamps, lit):
    return _lit_loop(pictures, lamps, lit, lambda rows: len(rows) == len(lamps))


@wrong("q2", says="three lamps are counted, but these three may lie in one plane: look at the singular values")
def fit_lit(pictures, lamps, lit):
    return _lit_loop(pictures, lamps, lit, lambda rows: len(rows) >= 3)


@wrong("q2", says="two lamps are not enough: lstsq returns the shortest of many solutions, without a warning")
def fit_lit(pictures, lamps, lit):
    return _lit_loop(pictures, lamps, lit, lambda rows: len(rows) == 2 or _ranked(rows))


@wrong("q2", says="three lamps that are not in one plane are enough: a fourth is not needed to solve")
def fit_lit(pictures, lamps, lit):
    return _lit_loop(pictures, lamps, lit, lambda rows: len(rows) >= 4 and _ranked(rows))


@wrong("q2", says=UNSOLVED)
def fit_lit(pictures, lamps, lit):
    return _lit_loop(pictures, lamps, lit, _ranked, wipe=np.nan)


@wrong("q2", says="the mask is read upside down: True is where the lamp reaches")
def fit_lit(pictures, lamps, lit):
    return _lit_loop(pictures, lamps, ~lit, _ranked)


@wrong("q2", says="solved is upside down: True is where there is an answer")
def fit_lit(pictures, lamps, lit):
    normals, albedo, solved = right_lit(pictures, lamps, lit)
    return normals, albedo, ~solved


@wrong("q2", says=CHANGED)
def fit_lit(pictures, lamps, lit):
    pictures[~lit] = 0
    return right_lit(pictures, lamps, lit)


@right("q2")
def fit_lit(pictures, lamps, lit):
    """Normal equations of all pixels at once; the plane is recognised by the rank."""
    w = lit.astype(float)
    A = np.einsum("khw,ki,kj->hwij", w, lamps, lamps)
    b = np.einsum("khw,khw,ki->hwi", w, pictures, lamps)
    eigenvalues = np.linalg.eigvalsh(A)
    solved = eigenvalues[..., 0] > 1e-12 * eigenvalues[..., 2]
    g = np.zeros(b.shape)
    g[solved] = np.linalg.solve(A[solved], b[solved][..., None])[..., 0]
    return (*_split(g), solved)


right_lit = fit_lit


def _shading(lamps, normals):
    return np.moveaxis(normals @ lamps.T, -1, 0)


def _ratio(pictures, s):
    total = np.sum(s**2, axis=0)[..., None]
    return np.sum(s[..., None] * pictures, axis=0) / np.where(total > 0, total, np.inf)


@wrong("q2", says="the mean of the ratios I / s is not the minimum: it trusts the darkest values most")
def channel_albedo(pictures, lamps, normals, lit):
    s = np.where(lit, np.maximum(_shading(lamps, normals), 0), 0)[..., None]
    ratios = np.where(s > 0, pictures / np.where(s > 0, s, 1), 0)
    return np.sum(ratios, axis=0) / np.maximum(np.sum(s > 0, axis=0), 1)


@wrong("q2", says="the sum of I over the sum of s is not the minimum of the squares: weigh both with s")
def channel_albedo(pictures, lamps, normals, lit):
    s = np.where(lit, np.maximum(_shading(lamps, normals), 0), 0)[..., None]
    total = np.sum(s, axis=0)
    return np.sum(np.where(s > 0, pictures, 0), axis=0) / np.where(total > 0, total, np.inf)


@wrong("q2", says="the numerator keeps to the mask, the denominator does not: both sums go over the lit values")
def channel_albedo(pictures, lamps, normals, lit):
    s = np.maximum(_shading(lamps, normals), 0)
    top = np.sum(np.where(lit, s, 0)[..., None] * pictures, axis=0)
    return top / np.sum(s**2, axis=0)[..., None]


@wrong("q2", says="values in shadow are used: of the sums, only those with m = 1 are wanted")
def channel_albedo(pictures, lamps, normals, lit):
    return _ratio(pictures, np.maximum(_shading(lamps, normals), 0))


@wrong("q2", says="negative shading is kept: a lamp behind the surface gives no light, max(0, l · n)")
def channel_albedo(pictures, lamps, normals, lit):
    return _ratio(pictures, np.where(lit, _shading(lamps, normals), 0))


@wrong("q2", says="the lamps' strengths are left out: their lengths belong to s")
def channel_albedo(pictures, lamps, normals, lit):
    unit = lamps / np.sqrt(np.sum(lamps**2, axis=1, keepdims=True))
    return _ratio(pictures, np.where(lit, np.maximum(_shading(unit, normals), 0), 0))


@wrong("q2", says="all channels get the mean of the three: each colour is fitted by itself")
def channel_albedo(pictures, lamps, normals, lit):
    albedo = right_channels(pictures, lamps, normals, lit)
    return np.repeat(albedo.mean(axis=-1, keepdims=True), 3, axis=-1)


@wrong("q2", says="where no lamp reaches, 0 / 0 is NaN: the albedo is 0 there")
def channel_albedo(pictures, lamps, normals, lit):
    s = np.where(lit, np.maximum(_shading(lamps, normals), 0), 0)
    with np.errstate(all="ignore"):
        return np.sum(s[..., None] * pictures, axis=0) / np.sum(s**2, axis=0)[..., None]


@right("q2")
def channel_albedo(pictures, lamps, normals, lit):
    """Pixel by pixel, by lstsq with one column."""
    albedo = np.zeros(pictures.shape[1:])
    for i, j in np.ndindex(*lit.shape[1:]):
        s = np.array([max(0.0, lamp @ normals[i, j]) for lamp in lamps])[lit[:, i, j]]
        if np.any(s > 0):
            albedo[i, j] = np.linalg.lstsq(s[:, None], pictures[lit[:, i, j], i, j], rcond=None)[0][0]
    return albedo


right_channels = channel_albedo


# ---------------------------------------------------------------------------------------------
# Question 3: slopes and depth

GRID = (6, 8)
PAIR = reader("p, q", GRID, GRID)
ACROSS = "an equation reaches across the mask's border: both pixels of a pair must lie in the mask"
FREE = "the mean is taken over the whole array: it is the mean in the mask that should be 0"


def quadratic(rng, shape=GRID):
    """A quadratic surface: height and slopes."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    a, b, c, d, e = rng.uniform(0.02, 0.1, 5) * rng.choice([-1, 1], 5) * [1, 1, 1, 8, 6]
    z = a * x**2 + b * x * y + c * y**2 + d * x + e * y
    return z, 2 * a * x + b * y + d, b * x + 2 * c * y + e


def patch(rng):
    """A connected mask that touches no border all along, with a hole and a notch."""
    mask = np.ones(GRID, dtype=bool)
    mask[rng.integers(2, 4), rng.integers(2, 5)] = False
    mask[0, : rng.integers(1, 3)] = mask[5, 5:] = False
    return mask


def centred(z, mask):
    """Mean 0 in the mask, 0 outside."""
    return np.where(mask, z - z[mask].mean(), 0)


@pytest.mark.q("q3", 2)
def test_slopes(student, atlas, rng):
    """Slopes of a surface whose normals are known, unit vectors or not."""
    _, p, q = quadratic(rng)
    n = np.dstack([-p, -q, np.ones(GRID)]) * rng.uniform(0.3, 2, (*GRID, 1))
    judge(student, atlas, "slopes", [(n,)], [PAIR((p, q))], "(p, q)", PAIR)
    assert not student.changed, CHANGED


@pytest.mark.q("q3", 2)
def test_quadratic(student, atlas, rng):
    """A quadratic on a full rectangle: exact, for the mean of two slopes is."""
    z, p, q = quadratic(rng)
    mask = np.ones(GRID, dtype=bool)
    judge(student, atlas, "heights", [(p, q, mask)], [centred(z, mask)], "z")


@pytest.mark.q("q3", 2)
def test_mask(student, atlas, rng):
    """The same in a mask with a hole, with NaN outside; the arguments stay as they are."""
    cases, truth = [], []
    for outside in (50.0, np.nan):
        (z, p, q), mask = quadratic(rng), patch(rng)
        p[~mask] = q[~mask] = outside
        cases.append((p, q, mask))
        truth.append(centred(z, mask))
    judge(student, atlas, "heights", cases, truth, "z")
    assert not student.changed, CHANGED


@pytest.mark.q("q3", 2)
def test_contradicting_slopes(student, atlas, rng):
    """Slopes with noise, which no surface has: the least squares over all equations."""
    (_, p, q), mask = quadratic(rng), patch(rng)
    p, q = p + rng.normal(0, 0.3, GRID), q + rng.normal(0, 0.3, GRID)
    steps = [sparse.diags_array([-np.ones(n - 1), np.ones(n - 1)], offsets=[0, 1], shape=(n - 1, n)) for n in GRID]
    right_ = [sparse.kron(sparse.eye_array(GRID[0]), steps[1]), sparse.kron(steps[0], sparse.eye_array(GRID[1]))]
    A = sparse.vstack(right_).toarray()
    b = np.concatenate([((p[:, 1:] + p[:, :-1]) / 2).ravel(), ((q[1:] + q[:-1]) / 2).ravel()])
    inside = (np.abs(A) @ mask.ravel()) == 2
    found = np.zeros(GRID)
    found[mask] = linalg.lstsq(A[inside][:, mask.ravel()], b[inside])[0]
    judge(student, atlas, "heights", [(p, q, mask)], [centred(found, mask)], "z")


@wrong("q3", says="the signs are wrong: a surface that rises to the right faces left, p = −n_x / n_z")
def slopes(normals):
    return normals[..., 0] / normals[..., 2], normals[..., 1] / normals[..., 2]


@wrong("q3", says="q has the sign of y up: here y points down, along the rows, as for the normals")
def slopes(normals):
    return -normals[..., 0] / normals[..., 2], normals[..., 1] / normals[..., 2]


@wrong("q3", says="n_z is left out: the slope is a ratio, whatever the length of the normal")
def slopes(normals):
    return -normals[..., 0], -normals[..., 1]


@wrong("q3", says="the ratio is upside down: steep surfaces have a small n_z")
def slopes(normals):
    return -normals[..., 2] / normals[..., 0], -normals[..., 2] / normals[..., 1]


@wrong("q3", says="p and q are exchanged: p is the slope along x, to the right")
def slopes(normals):
    return -normals[..., 1] / normals[..., 2], -normals[..., 0] / normals[..., 2]


@wrong("q3", says="these are angles: the slope is a tangent")
def slopes(normals):
    return np.arctan2(-normals[..., 0], normals[..., 2]), np.arctan2(-normals[..., 1], normals[..., 2])


@right("q3")
def slopes(normals):
    """From the vectors that are perpendicular: n · (1, 0, p) = 0."""
    p, q = np.zeros(normals.shape[:2]), np.zeros(normals.shape[:2])
    for i, j in np.ndindex(*p.shape):
        x, y, z = normals[i, j]
        p[i, j], q[i, j] = -x / z, -y / z
    return p, q


def _heights(p, q, mask, mean=True, inside=True, second=(1, 0), signs=(1, 1), center=True):
    """Solve for the heights rightly, or with one thing changed."""
    where = np.argwhere(mask)
    unknown = {tuple(pixel): k for k, pixel in enumerate(where)}
    extra = len(unknown)
    rows, b = [], []
    for i, j in where:
        for slope, (di, dj), sign in ((p, (0, 1), signs[0]), (q, second, signs[1])):
            other = (i + di, j + dj)
            if other[0] >= mask.shape[0] or other[1] >= mask.shape[1]:
                continue
            if other not in unknown:
                if inside:
                    continue
                unknown[other] = extra
                extra += 1
            rows.append({unknown[i, j]: -1.0, unknown[other]: 1.0})
            b.append(sign * ((slope[i, j] + slope[other]) / 2 if mean else slope[i, j]))
    A = np.zeros((len(rows), extra))
    for k, row in enumerate(rows):
        A[k, list(row)] = list(row.values())
    z = np.zeros(mask.shape)
    z[mask] = np.linalg.lstsq(A, np.array(b), rcond=None)[0][: len(where)]
    return np.where(mask, z - z[mask].mean(), 0) if center else z


@wrong("q3", says="the slope of one pixel is taken: the step to the next lies between the two, take the mean of both")
def heights(p, q, mask):
    return _heights(p, q, mask, mean=False)


@wrong("q3", says="the height is upside down: z grows in the direction in which the slope is positive")
def heights(p, q, mask):
    return _heights(p, q, mask, signs=(-1, -1))


@wrong("q3", says="the slopes down have the sign of y up: row y + 1 lies below row y, and q is the step to it")
def heights(p, q, mask):
    return _heights(p, q, mask, signs=(1, -1))


@wrong("q3", says="p and q are exchanged: p belongs to neighbours in a row")
def heights(p, q, mask):
    return _heights(q, p, mask)


@wrong("q3", says="rows are added up one by one: each row drifts away by itself; solve all equations together")
def heights(p, q, mask):
    p, q = np.where(mask, p, 0), np.where(mask, q, 0)
    down = np.concatenate([[0], np.cumsum((q[:-1, 0] + q[1:, 0]) / 2)])
    z = down[:, None] + np.pad(np.cumsum((p[:, :-1] + p[:, 1:]) / 2, axis=1), ((0, 0), (1, 0)))
    return np.where(mask, z - z[mask].mean(), 0)


@wrong("q3", says="the mask is not used: outside, p and q hold anything")
def heights(p, q, mask):
    z = _heights(np.nan_to_num(p), np.nan_to_num(q), np.ones(mask.shape, dtype=bool))
    return np.where(mask, z - z[mask].mean(), 0)


@wrong("q3", says="slopes outside the mask are set to 0 and used: leave out the equations that reach outside")
def heights(p, q, mask):
    z = _heights(np.where(mask, p, 0), np.where(mask, q, 0), np.ones(mask.shape, dtype=bool))
    return np.where(mask, z - z[mask].mean(), 0)


@wrong("q3", says=FREE)
def heights(p, q, mask):
    z = _heights(p, q, mask, center=False)
    z = np.where(mask, z - z[mask].min() + 1, 0)
    return np.where(mask, z - z.mean(), 0)


@wrong("q3", says="the constant is not removed: z should have mean 0 in the mask")
def heights(p, q, mask):
    z = _heights(p, q, mask)
    return np.where(mask, z - z[tuple(np.argwhere(mask)[0])], 0)


@wrong("q3", says="the picture is taken for periodic: the last column is no neighbour of the first")
def heights(p, q, mask):
    p, q = np.where(mask, p, 0), np.where(mask, q, 0)
    v, u = 2 * np.pi * np.fft.fftfreq(mask.shape[0])[:, None], 2 * np.pi * np.fft.fftfreq(mask.shape[1])[None]
    size = u**2 + v**2
    size[0, 0] = np.inf
    z = np.fft.ifft2(-1j * (u * np.fft.fft2(p) + v * np.fft.fft2(q)) / size).real
    return np.where(mask, z - z[mask].mean(), 0)


@wrong("q3", says=CHANGED)
def heights(p, q, mask):
    p[~mask] = 0
    q[~mask] = 0
    return _heights(p, q, mask)


@right("q3")
def heights(p, q, mask):
    """Normal equations, with one more equation for the constant."""
    where = np.argwhere(mask)
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(len(where))
    M, b = np.ones((len(where), len(where))), np.zeros(len(where))  # ones: the square of the sum of all heights
    for i, j in where:
        for slope, other in ((p, (i, j + 1)), (q, (i + 1, j))):
            if other[0] < mask.shape[0] and other[1] < mask.shape[1] and mask[other]:
                here, there, step = number[i, j], number[other], (slope[i, j] + slope[other]) / 2
                M[here, here] += 1
                M[there, there] += 1
                M[here, there] -= 1
                M[there, here] -= 1
                b[here] -= step
                b[there] += step
    z = np.zeros(mask.shape)
    z[mask] = np.linalg.solve(M, b)
    return z


# ---------------------------------------------------------------------------------------------
# Question 4: which three lamps

OPEN = "lamps that do not determine a normal (fewer than three, or in one plane) should raise a ValueError"


def gain_of(lamps):
    """The noise gain by singular values; infinite for lamps in one plane."""
    s = linalg.svdvals(lamps)
    return np.sum(s**-2.0) if s[2] > 1e-6 * s[0] else np.inf


def choice(lamps):
    """The set of three with the least noise gain, and all gains in rising order."""
    threes = list(itertools.combinations(range(len(lamps)), 3))
    gains = [gain_of(lamps[list(three)]) for three in threes]
    return threes[int(np.argmin(gains))], np.sort(gains)


def three_numbers(answer):
    """Read three numbers of lamps."""
    if not isinstance(answer, tuple | list) or len(answer) != 3:
        raise AssertionError(f"three numbers of lamps are expected, got {kind(answer)}")
    try:
        return np.array([float(one) for one in answer])
    except (TypeError, ValueError):
        raise AssertionError("three numbers of lamps are expected") from None


@pytest.mark.q("q4", 1)
def test_gain(student, atlas, rng):
    """The trace of the inverse, for four and for seven lamps of different strengths."""
    cases = [(around(rng, K),) for K in (4, 7)]
    judge(student, atlas, "noise_gain", cases, [gain_of(*case) for case in cases], "the noise gain")


@pytest.mark.q("q4", 1)
def test_refusals(student, rng):
    """Two lamps, and five lamps in one plane, raise a ValueError; three perpendicular ones have a gain of 3."""
    expect(student.noise_gain(linalg.qr(rng.normal(size=(3, 3)))[0]), 3.0, what="the noise gain of perpendicular lamps")
    flat = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 3))
    for lamps in (around(rng, 2), flat):
        assert refused(student.noise_gain, lamps), OPEN


@pytest.mark.q("q4", 2)
def test_best(student, atlas, rng):
    """Nine lamps: the three with the least gain, also where other rules would choose others."""
    cases, truth = [], []
    alike = set(atlas("best_three", around(rng, 9)))
    while alike:  # rules that have chosen the best three in all cases so far
        lamps = around(rng, 9)
        best, gains = choice(lamps)
        if gains[1] > 1.001 * gains[0]:
            alike &= {says for says, found in atlas("best_three", lamps).items() if tuple(found) == best}
            cases.append((lamps,))
            truth.append(np.array(best, dtype=float))
    judge(student, atlas, "best_three", cases, truth, "your choice", three_numbers)
    assert not student.changed, CHANGED


@pytest.mark.q("q4", 1)
def test_best_among_planes(student, atlas, rng):
    """Most lamps on one rail, so that many sets lie in one plane."""
    cases, truth = [], []
    for _ in range(2):
        elevation = np.sort(rng.uniform(0.4, 2.7, 5))
        rail = np.stack([np.cos(elevation), np.zeros(5), np.sin(elevation)], 1)
        lamps = np.concatenate([rail, [[0.1, 0.7, 0.7], [0.2, -0.6, 0.77]]])[rng.permutation(7)]
        cases.append((lamps,))
        truth.append(np.array(choice(lamps)[0], dtype=float))
    judge(student, atlas, "best_three", cases, truth, "your choice", three_numbers)


def _singular(lamps):
    s = np.linalg.svd(lamps, compute_uv=False)
    if len(s) < 3 or s[2] < 1e-6 * s[0]:
        raise ValueError("these lamps do not determine a normal")
    return s


@wrong("q4", says="this is the trace of Lᵀ L, not of its inverse: it only adds up the squared strengths")
def noise_gain(lamps):
    return np.sum(_singular(lamps) ** 2)


@wrong("q4", says="one over the trace is not the trace of the inverse")
def noise_gain(lamps):
    return 1 / np.sum(_singular(lamps) ** 2)


@wrong("q4", says="this is the determinant of Lᵀ L: large is good there, and it is not the variance of g")
def noise_gain(lamps):
    return np.prod(_singular(lamps) ** 2)


@wrong("q4", says="this is the trace of the inverse of L itself, or of its root: the variance has the squares")
def noise_gain(lamps):
    return np.sum(1 / _singular(lamps))


@wrong("q4", says="this is a standard deviation: the gain is the sum of the variances, without a root")
def noise_gain(lamps):
    return np.sqrt(np.sum(1 / _singular(lamps) ** 2))


@wrong("q4", says="the lamps are made unit vectors: a stronger lamp has less noise, so its strength counts")
def noise_gain(lamps):
    return np.sum(1 / _singular(lamps / np.sqrt(np.sum(lamps**2, axis=1, keepdims=True))) ** 2)


@wrong("q4", says=OPEN)
def noise_gain(lamps):
    return np.trace(np.linalg.pinv(lamps.T @ lamps))


@right("q4")
def noise_gain(lamps):
    """Adjugate over determinant; a plane is recognised by the smallest eigenvalue."""
    A = lamps.T @ lamps
    eigenvalues = np.linalg.eigvalsh(A)
    if len(lamps) < 3 or eigenvalues[0] < 1e-12 * eigenvalues[2]:
        raise ValueError("a normal is not determined")
    return np.trace(np.linalg.inv(A))


right_gain = noise_gain


def _choose(lamps, value):
    """The three with the least value; sets in one plane are passed over."""
    best, least = (), np.inf
    for three in itertools.combinations(range(len(lamps)), 3):
        try:
            found = value(lamps[list(three)])
        except ValueError:
            continue
        if found < least:
            best, least = three, found
    return best


@wrong("q4", says="the determinant is maximised: a good rule, but not the one asked for; take the least noise gain")
def best_three(lamps):
    return _choose(lamps, lambda rows: -abs(np.linalg.det(rows)))


@wrong("q4", says="the greatest noise gain is chosen: a small gain is good")
def best_three(lamps):
    return _choose(lamps, lambda rows: -right_gain(rows))


@wrong("q4", says="the three strongest lamps are chosen: their directions count as well")
def best_three(lamps):
    return tuple(sorted(int(k) for k in np.argsort(-np.sum(lamps**2, axis=1), kind="stable")[:3]))


@wrong("q4", says="only lamps next to each other in the list are tried: any three of all")
def best_three(lamps):
    best, least = (0, 1, 2), np.inf
    for k in range(len(lamps) - 2):
        try:
            found = right_gain(lamps[k : k + 3])
        except ValueError:
            continue
        if found < least:
            best, least = (k, k + 1, k + 2), found
    return best


@wrong("q4", says="the widest angles are not the least gain: lamps far apart may be weak, or nearly in one plane")
def best_three(lamps):
    return _choose(lamps, lambda rows: np.sum(np.triu(_unit(rows) @ _unit(rows).T, 1)))


@wrong("q4", says="only the worst direction is looked at: the trace adds up the variances of all three")
def best_three(lamps):
    return _choose(lamps, lambda rows: 1 / _singular(rows)[2])


def _unit(rows):
    return rows / np.sqrt(np.sum(rows**2, axis=1, keepdims=True))


@right("q4")
def best_three(lamps):
    """Three loops."""
    found = []
    for i in range(len(lamps)):
        for j in range(i):
            for k in range(j):
                rows = lamps[[k, j, i]]
                s = np.linalg.svd(rows, compute_uv=False)
                if s[2] > 1e-6 * s[0]:
                    found.append((np.sum(s**-2.0), (k, j, i)))
    return min(found)[1]


# ---------------------------------------------------------------------------------------------
# Question 5: where does the law fail

OBEY = (64, 125)  # 8000 pixels: 1 % are 80, with a standard deviation of 8.9; the limits are 5 of them away
USED_UP = "as if K residuals were free: three of them are used up by g, K − 3 remain"
RELATIVE = "the residuals are compared with the brightness: the noise is the same for dark paint and for bright"
RAW = "each residual is compared with 3 σ by itself: they are not independent, and with few lamps each is small"


def flags(student, pictures, lamps, sigma):
    """What the student reports, as bools of the right shape."""
    answer = student.suspicious(pictures, lamps, sigma)
    assert isinstance(answer, np.ndarray), f"an array of bools is expected, got {kind(answer)}"
    assert answer.shape == pictures.shape[1:], (
        f"the answer should have the shape {pictures.shape[1:]}, got {answer.shape}"
    )
    assert answer.dtype == np.bool_, f"the answer should hold bools, not {answer.dtype}"
    return answer


def named(atlas, answers, cases, reason):
    """The mistake that reports exactly what the student's detector does in all cases, or the reason."""
    looks = [atlas("suspicious", *case) for case in cases]
    for says in looks[0]:
        if all(says in look and np.array_equal(look[says], answer) for look, answer in zip(looks, answers)):
            return says
    return reason


def obeying(rng, K, dark=False, unit=1.0):
    """Noisy pictures of a surface that obeys the law, in any unit of brightness."""
    normals, albedo = surface(rng, OBEY)
    albedo = albedo * (0.1 if dark else 1)
    lamps, sigma = around(rng, K, 0.8, 1.2), rng.uniform(0.004, 0.006)
    pictures = photograph(normals, albedo, lamps) + rng.normal(0, sigma, (K, *OBEY))
    return unit * pictures, lamps, unit * sigma


@pytest.mark.q("q5", 2)
def test_false_alarms(student, atlas, rng):
    """Of pixels that obey the law, 1 % are reported, with 4, 6 and 12 lamps, in any unit of brightness."""
    cases = [obeying(rng, 4), obeying(rng, 6), obeying(rng, 12), obeying(rng, 6, unit=1000.0)]
    answers = [flags(student, *case) for case in cases]
    for answer, (_, lamps, _) in zip(answers, cases, strict=True):
        reason = f"with {len(lamps)} lamps {100 * answer.mean():.2f} % of the pixels that obey the law are reported"
        assert 0.004 <= answer.mean() <= 0.018, named(atlas, answers, cases, reason)


@pytest.mark.q("q5", 1)
def test_dark_paint(student, atlas, rng):
    """The same for paint that is ten times as dark as other paint."""
    cases = [obeying(rng, 6, dark=True), obeying(rng, 6)]
    answers = [flags(student, *case) for case in cases]
    reason = f"of dark paint {100 * answers[0].mean():.2f} % are reported, though it obeys the law"
    assert 0.004 <= answers[0].mean() <= 0.018, named(atlas, answers, cases, reason)


@pytest.mark.q("q5", 1)
def test_detection(student, atlas, rng):
    """A value that is off by 12 sigma is reported, in at least 95 % of the pixels."""
    normals, albedo = surface(rng, OBEY)
    azimuth = 2 * np.pi * np.arange(6) / 6
    lamps = np.stack([0.7 * np.cos(azimuth), 0.7 * np.sin(azimuth), np.full(6, 0.714)], 1)
    pictures, sigma = photograph(normals, albedo, lamps), 0.01
    pictures = pictures + rng.normal(0, sigma, pictures.shape)
    row, col = np.indices(OBEY)
    pictures[rng.integers(0, 6, OBEY), row, col] += 12 * sigma * rng.choice([-1, 1], OBEY)
    case = (pictures, lamps, sigma)
    answer = flags(student, *case)
    share = answer.mean()
    assert share >= 0.95, named(atlas, [answer], [case], f"{100 * share:.1f} % of the false values are found, not 95 %")
    assert not student.changed, CHANGED


@pytest.mark.q("q5", 1)
def test_three_lamps_detect_nothing(student, rng):
    """Three lamps raise a ValueError; one pixel with a clear highlight among four lamps is found."""
    (normals, albedo), lamps = surface(rng), around(rng, 4, 0.9, 1.1)
    pictures = photograph(normals, albedo, lamps)
    pictures[1, 2, 3] += 0.5
    answer = flags(student, pictures, lamps, 0.002)
    alone = "one pixel of exact pictures has a highlight; it alone should be reported"
    assert answer.sum() == 1, alone
    assert answer[2, 3], alone
    assert refused(student.suspicious, pictures[:3], lamps[:3], 0.01), (
        "with three lamps every residual is 0 and nothing can be detected: raise a ValueError"
    )


def _residuals(pictures, lamps):
    if len(lamps) < 4:
        raise ValueError("four lamps are needed")
    values = pictures.reshape(len(lamps), -1)
    return (values - lamps @ (np.linalg.pinv(lamps) @ values)).reshape(pictures.shape)


@wrong("q5", says=USED_UP)
def suspicious(pictures, lamps, sigma):
    r = _residuals(pictures, lamps)
    return np.sum(r**2, axis=0) > stats.chi2.ppf(0.99, len(lamps)) * sigma**2


@wrong("q5", says=RAW)
def suspicious(pictures, lamps, sigma):
    return np.max(np.abs(_residuals(pictures, lamps)), axis=0) > 3 * sigma


@wrong("q5", says=RELATIVE)
def suspicious(pictures, lamps, sigma):
    r = _residuals(pictures, lamps)
    return np.sqrt(np.mean(r**2, axis=0)) > 0.05 * np.mean(pictures, axis=0)


@wrong("q5", says="dark values are reported: dark paint is not shadow; only the residuals tell")
def suspicious(pictures, lamps, sigma):
    _residuals(pictures, lamps)
    return np.min(pictures, axis=0) < 0.1


@wrong("q5", says="the residuals are added up with their signs: they cancel; square them first")
def suspicious(pictures, lamps, sigma):
    r = _residuals(pictures, lamps)
    return np.abs(np.sum(r, axis=0)) > 2.576 * sigma * np.sqrt(len(lamps) - 3)


@wrong("q5", says="sigma is compared as if it were a variance: the sum of squares is to be divided by sigma squared")
def suspicious(pictures, lamps, sigma):
    r = _residuals(pictures, lamps)
    return np.sum(r**2, axis=0) > stats.chi2.ppf(0.99, len(lamps) - 3) * sigma


@wrong("q5", says="one per cent of the pixels is reported whatever they hold: a limit must come from sigma")
def suspicious(pictures, lamps, sigma):
    total = np.sum(_residuals(pictures, lamps) ** 2, axis=0)
    return total > np.quantile(total, 0.99)


@wrong("q5", says="this keeps the pixels that obey: True is where the law fails")
def suspicious(pictures, lamps, sigma):
    return ~right_suspicious(pictures, lamps, sigma)


@wrong("q5", says="with three lamps every residual is 0 and nothing can be detected: raise a ValueError")
def suspicious(pictures, lamps, sigma):
    if len(lamps) < 4:
        return np.zeros(pictures.shape[1:], dtype=bool)
    return right_suspicious(pictures, lamps, sigma)


@right("q5")
def suspicious(pictures, lamps, sigma):
    """Project onto the space that no surface reaches; the limit by Wilson and Hilferty's approximation."""
    n = len(lamps) - 3
    if n < 1:
        raise ValueError("nothing is left over to contradict")
    U = np.linalg.svd(lamps, full_matrices=True)[0][:, 3:]
    left = np.tensordot(U.T, pictures, axes=1)
    if n == 1:
        return np.abs(left[0]) > 2.5758 * sigma
    limit = n * (1 - 2 / (9 * n) + 2.3263 * np.sqrt(2 / (9 * n))) ** 3
    return np.einsum("nhw,nhw->hw", left, left) > limit * sigma**2


right_suspicious = suspicious
