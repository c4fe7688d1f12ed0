# %% [markdown]
# # Exercise 09 — Alignment by least squares
#
# You fit an affine transform and a homography to pairs of points, find out when normalisation matters, minimise
# the error that you really mean, and calculate how many pairs an accuracy needs. It goes with
# [lecture 9](../09_alignment.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | an affine transform by least squares | 5 |
# | 2 | the equations of the DLT, and their solution | 6 |
# | 3 | normalisation | 6 |
# | 4 | the geometric error: residuals, Jacobian, Gauss–Newton | 6 |
# | 5 | how large is the noise, how many pairs are needed? | 5 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random points.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too. The geometry of `cvcourse` (`homogeneous`, `transforms`,
# `warping`, `alignment`, `ransac`), SciPy, scikit-image, OpenCV and PyTorch are not. A function leaves its arguments
# as they are. The later questions may use the earlier ones. Until a function is written, the cells that draw with it
# stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, homogeneous, images, sampling

check = checks.exercise("09_alignment")

# %% [markdown]
# **Conventions.** Pairs of points are two arrays `src` and `dst` of shape (N, 2): row $k$ of `src` is
# $\mathbf p_k = (x_k, y_k)$, row $k$ of `dst` its partner $\mathbf p'_k = (x'_k, y'_k)$. A transform is a 3 × 3 matrix
# $T$ that acts on **columns**, from source to destination: $(u, v, w)^{\mathsf T} = T\,(x, y, 1)^{\mathsf T}$ is the
# point $(u/w,\ v/w)$.
#
# ## Question 1 — an affine transform by least squares (5 points)
#
# An affine transform has six unknowns,
#
# $$x' = a x + b y + c,\qquad y' = d x + e y + f,\qquad
#   T = \begin{bmatrix} a & b & c \\ d & e & f \\ 0 & 0 & 1 \end{bmatrix}. \tag{1}$$
#
# Three pairs determine it exactly. More pairs, measured with errors, contradict each other; then it shall make the sum
# of all squared distances as small as possible,
#
# $$\sum_k \lVert T\mathbf p_k - \mathbf p'_k \rVert^2 \to \min. \tag{2}$$
#
# Write it as a linear system (or as two of them: do the rows of $T$ know of each other?). Two warnings.
#
# - The source points may lie far from the origin: in metres of a map near $(4\cdot10^5,\ 5\cdot10^6)$, and only some
#   metres apart, while `dst` is in pixels, 50 a metre. The normal equations
#   $A^{\mathsf T} A\,\mathbf t = A^{\mathsf T}\mathbf b$ of such numbers are wrong by tenths of a pixel, because they
#   square the condition number of $A$.
# - Source points on one line, or fewer than three, leave many answers; then raise a `ValueError`.


# %% tags=["stub"]
def fit_affine(src, dst):
    """Find the affine transform that carries src onto dst with the least squared error, Eq. (2).

    src, dst: (N, 2) floats, N >= 3, any unit. Returns T, an array of shape (3, 3) as in Eq. (1).
    Raises a ValueError if N < 3 or if the source points lie on one line.
    """
    raise NotImplementedError


# %% tags=["solution"]
def fit_affine(src, dst):
    """Find the affine transform that carries src onto dst with the least squared error, Eq. (2).

    src, dst: (N, 2) floats, N >= 3, any unit. Returns T, an array of shape (3, 3) as in Eq. (1).
    Raises a ValueError if N < 3 or if the source points lie on one line.
    """
    p, q = src.mean(axis=0), dst.mean(axis=0)  # an affine transform carries the mean onto the mean
    if np.linalg.matrix_rank(src - p) < 2:
        raise ValueError("three source points that are not on a line are needed")
    T = np.eye(3)
    T[:2, :2] = np.linalg.lstsq(src - p, dst - q)[0].T
    T[:2, 2] = q - T[:2, :2] @ p
    return T


# %%
check("q1")

# %% [markdown]
# The source is the unit square, and its corners shall be carried to A, B, C and D. Drag them, or move them with the
# arrow keys. The blue grid is where your transform carries the square; the arrows are the residuals.


# %%
def show_affine(corners=((1, 1), (8, 2), (9, 7), (4, 8))):
    """The square's image under your transform, and the residuals at its corners."""
    square, target = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]), np.array(corners, dtype=float)
    T = fit_affine(square, target)
    found = homogeneous.transform_points(T, square)
    fig, ax = plt.subplots(figsize=(6, 4.4))
    for s in np.linspace(0, 1, 5):
        for line in ([[s, 0], [s, 1]], [[0, s], [1, s]]):
            ax.plot(*homogeneous.transform_points(T, line).T, color=figures.COLORS["sky"], lw=1)
    arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "color": figures.COLORS["red"], "width": 0.006}
    ax.quiver(*target.T, *(found - target).T, **arrows)
    ax.plot(*target.T, "o", color=figures.COLORS["black"])
    lengths = np.linalg.norm(found - target, axis=1)
    ax.set_title("residuals at A, B, C, D: " + ", ".join(f"{length:.2f}" for length in lengths))
    ax.set(xlim=(0, 12), ylim=(9, 0), aspect="equal", xlabel="x", ylabel="y (down)")
    return fig


# %% [markdown]
# Drag one corner only, far away. At which of the four corners will the residual be the longest?

# %%
controls.explore(
    show_affine,
    corners=controls.Points(((1, 1), (8, 2), (9, 7), (4, 8)), bounds=(0, 0, 12, 9), step=0.25),
)

# %% [markdown]
# **Look for** the lengths in the title: all four are equal, whichever corner you drag, and however far. Eight equations
# and six unknowns leave two numbers over, one for x and one for y, and a square shares each of them out as
# $(+, -, +, -)$. So the residuals cannot tell which pair is wrong; four pairs are too few to accuse one. They vanish
# where A + C = B + D, a parallelogram.
#
# ## Question 2 — the DLT (6 points)
#
# A homography has nine entries, $H = (h_{ij})$ with $i, j = 0, 1, 2$:
#
# $$x' = \frac{h_{00} x + h_{01} y + h_{02}}{h_{20} x + h_{21} y + h_{22}},\qquad
#   y' = \frac{h_{10} x + h_{11} y + h_{12}}{h_{20} x + h_{21} y + h_{22}}. \tag{3}$$
#
# Multiply by the denominator and bring everything to the side of the numerator: two equations that are *linear* in
# $\mathbf h = (h_{00}, h_{01}, h_{02}, h_{10}, \dots, h_{22})$. Rows $2k$ and $2k + 1$ of the matrix $A$ are the equations
# of pair $k$, first that of $x'$. The one begins with $x, y, 1$, the other with three zeros.


# %% tags=["stub"]
def dlt_matrix(src, dst):
    """Give the matrix A of the linear equations A h = 0.

    src, dst: (N, 2) floats. Returns an array of shape (2N, 9): rows 2k and 2k + 1 for pair k, columns in the
    order of h.
    """
    raise NotImplementedError


# %% tags=["solution"]
def dlt_matrix(src, dst):
    """Give the matrix A of the linear equations A h = 0.

    src, dst: (N, 2) floats. Returns an array of shape (2N, 9): rows 2k and 2k + 1 for pair k, columns in the
    order of h.
    """
    p = np.column_stack([src, np.ones(len(src))])
    A = np.zeros((2 * len(src), 9))
    A[0::2, 0:3] = A[1::2, 3:6] = p
    A[:, 6:9] = -dst.reshape(-1, 1) * np.repeat(p, 2, axis=0)
    return A


# %% [markdown]
# $H$ and $2H$ are the same homography, so one condition is free. Take $\lVert\mathbf h\rVert = 1$, which is always
# possible ($h_{22} = 1$ is not: $h_{22}$ may be 0), and among all such vectors the one with the smallest
# $\lVert A\mathbf h\rVert$:
#
# $$\mathbf h = \arg\min_{\lVert\mathbf h\rVert = 1} \lVert A \mathbf h \rVert^2. \tag{4}$$
#
# With four pairs $A$ has 8 rows, and $A\mathbf h = 0$ has an exact solution. In this question the coordinates are small
# numbers, about 1; what happens to pixels is question 3.


# %% tags=["stub"]
def plain_dlt(src, dst):
    """Find the homography that carries src onto dst by Eq. (4), without normalisation.

    src, dst: (N, 2) floats, N >= 4. Returns H, an array of shape (3, 3); its nine squares sum to 1. Either sign.
    """
    raise NotImplementedError


# %% tags=["solution"]
def plain_dlt(src, dst):
    """Find the homography that carries src onto dst by Eq. (4), without normalisation.

    src, dst: (N, 2) floats, N >= 4. Returns H, an array of shape (3, 3); its nine squares sum to 1. Either sign.
    """
    _, _, Vt = np.linalg.svd(dlt_matrix(src, dst))  # not the thin one: at N = 4 it has no ninth vector
    return Vt[-1].reshape(3, 3)


# %%
check("q2")

# %% [markdown]
# A photographed page, seen from above: your homography carries a square onto the four corners that you drag, and the
# picture on the right reads the photograph there. Inverse warping needs just this direction, from the new picture to
# the old.

# %%
page = images.load("sudoku")


def show_rectified(corners=((73, 83), (490, 74), (524, 519), (35, 514))):
    """The photograph with four corners, and what a homography makes of the area between them."""
    square, size = np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]), 500
    H = plain_dlt(square, np.array(corners) / size)  # in units of 500 pixels
    y, x = np.indices((240, 240)) / 239
    u, v, w = np.einsum("ij,jrc->irc", H, np.stack([x, y, np.ones_like(x)]))
    with np.errstate(all="ignore"):
        u, v = (np.nan_to_num(size * a / w, nan=-1e4, posinf=-1e4, neginf=-1e4) for a in (u, v))
    inside = (u >= 0) & (u <= page.shape[1] - 1) & (v >= 0) & (v <= page.shape[0] - 1)
    seen = np.where(inside, sampling.sample(page, u * inside, v * inside), 1.0)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
    figures.show_image(left, page, "photograph")
    left.plot(*np.array([*corners, corners[0]]).T, color=figures.COLORS["orange"], lw=1.5)
    figures.show_image(right, seen, "h₂₀ = {:.3f}, h₂₁ = {:.3f}, h₂₂ = {:.3f}".format(*H[2] / np.linalg.norm(H)))
    return fig


controls.explore(
    show_rectified,
    corners=controls.Points(((73, 83), (490, 74), (524, 519), (35, 514)), bounds=(0, 0, 557, 562)),
)

# %% [markdown]
# **Look for** the straight lines that stay straight whatever you do. Then drag a corner across the line between its two
# neighbours, so that the quadrangle has a dent: now the line $w = 0$ runs through the square, the right picture tears
# along it, and what lies beyond comes from the other side of the photograph.
#
# ## Question 3 — normalisation (6 points)
#
# In pixels the entries of $\mathbf h$ have different units: $h_{02}$ counts pixels, $h_{00}$ is a pure number,
# $h_{20}$ counts $1/\text{pixel}$. The condition $\lVert\mathbf h\rVert = 1$ adds up their squares all the same, and so the
# answer depends on the unit and on the origin. Hartley's remedy: move each of the two sets of points to where numbers
# are kind, fit there, and go back. His transform moves the *mean* of the points to the origin and scales them so that
# their *mean distance* from it is $\sqrt 2$,
#
# $$N = \begin{bmatrix} s & 0 & t_x \\ 0 & s & t_y \\ 0 & 0 & 1 \end{bmatrix}. \tag{5}$$
#
# Find $s$, $t_x$ and $t_y$. Each set has an $N$ of its own: $N$ for the source and $N'$ for the destination. How is $H$
# got from the homography $\tilde H$ between the normalised points? Draw the four sets of points and the arrows between
# them.


# %% tags=["stub"]
def normalisation(points):
    """Give the transform N that moves points to mean 0 and mean distance sqrt(2), Eq. (5).

    points: (N, 2) floats that do not all coincide. Returns an array of shape (3, 3).
    """
    raise NotImplementedError


def normalised_dlt(src, dst):
    """Find the homography that carries src onto dst by Eq. (4), on normalised points.

    src, dst: (N, 2) floats, N >= 4, in pixels. Returns H, an array of shape (3, 3) for the points as they came, in
    pixels; its nine squares sum to 1. Either sign.
    """
    raise NotImplementedError


# %% tags=["solution"]
def normalisation(points):
    """Give the transform N that moves points to mean 0 and mean distance sqrt(2), Eq. (5).

    points: (N, 2) floats that do not all coincide. Returns an array of shape (3, 3).
    """
    mean = points.mean(axis=0)
    s = np.sqrt(2) / np.linalg.norm(points - mean, axis=1).mean()
    return np.array([[s, 0, -s * mean[0]], [0, s, -s * mean[1]], [0, 0, 1]])


def normalised_dlt(src, dst):
    """Find the homography that carries src onto dst by Eq. (4), on normalised points.

    src, dst: (N, 2) floats, N >= 4, in pixels. Returns H, an array of shape (3, 3) for the points as they came, in
    pixels; its nine squares sum to 1. Either sign.
    """
    N1, N2 = normalisation(src), normalisation(dst)
    H = plain_dlt(src * N1[0, 0] + N1[:2, 2], dst * N2[0, 0] + N2[:2, 2])
    H = np.linalg.inv(N2) @ H @ N1
    return H / np.linalg.norm(H)


# %%
check("q3")

# %% [markdown]
# Every book says that one must normalise. When does it matter? Random points of a 640 × 480 image get partners in a
# second view, whose coordinates have errors of $\sigma$. The error of a fit is the RMS distance between where your $H$
# carries the points and where they truly belong.

# %%
VIEW = np.array([[0.9, 0.15, 40.0], [-0.1, 1.05, 25.0], [3e-4, -1.5e-4, 1.0]])


def rms(differences):
    """The root of the mean squared length of (N, 2) differences."""
    return np.sqrt(np.mean(np.sum(differences**2, axis=1)))


def noisy_pairs(H, n, sigma, seed):
    """Points of a 640 x 480 image, their true partners under H, and the partners with noise."""
    rng = np.random.default_rng(seed)
    src = rng.uniform((0, 0), (640, 480), (n, 2))
    true = homogeneous.transform_points(H, src)
    return src, true, true + sigma * rng.normal(size=src.shape)


def fit_error(fit, H, sigma, offset, unit, seed):
    """RMS error of a fit to 20 pairs that were moved by (offset, offset) and divided by the unit; in pixels."""
    src, true, dst = noisy_pairs(H, 20, sigma, seed)
    moved = (src + offset) / unit
    found = homogeneous.transform_points(fit(moved, (dst + offset) / unit), moved)
    return rms(unit * found - offset - true)


# %% [markdown]
# The slider `view` goes from 0, two identical pictures, to 1, a camera that has moved a lot. `offset` moves the origin
# away, as if both images were cut out of larger ones, and `unit` is the length that counts as 1. Decide before you try:
# at which noise will plain DLT fail first, and for a small or a large change of view?


# %%
def show_normalisation(view=0.1, offset=0, unit=1):
    """Error of both fits against the noise: medians of nine sets of points."""
    H = np.eye(3) + view * (VIEW - np.eye(3))
    sigmas = np.array([0.03, 0.1, 0.3, 1.0, 3.0])
    fig, ax = plt.subplots(figsize=(7, 3.6))
    at_1 = []
    for name, fit in [("plain", plain_dlt), ("normalised", normalised_dlt)]:
        errors = [np.median([fit_error(fit, H, sigma, offset, unit, k) for k in range(9)]) for sigma in sigmas]
        ax.plot(sigmas, errors, "o-", label=name)
        at_1.append(errors[3])
    ax.plot(sigmas, sigmas * np.sqrt(8 / 20), "k--", lw=1, label=r"$\sigma\,\sqrt{8/20}$")
    ax.set(xscale="log", yscale="log", ylim=(0.01, 100), xlabel="noise σ (pixels)", ylabel="RMS error (pixels)")
    ax.set_title("at σ = 1 px: plain {:.2f} px, normalised {:.2f} px".format(*at_1))
    ax.legend(loc="upper left")
    return fig


controls.explore(
    show_normalisation,
    view=controls.FloatSlider(0.1, min=0, max=1, step=0.1),
    offset=controls.SelectionSlider(options=[0, 300, 1000, 3000, 10000], description="offset (pixels)"),
    unit=controls.SelectionSlider(options=[1, 10, 100, 640], description="unit (pixels)"),
)

# %% [markdown]
# **Look for** the noise at which the curves part, at the start between 0.3 and 1 pixel. With less they agree: so this is no
# rounding error, which would not wait for noise. Take the matrix that carries every point onto the middle of the other
# picture. Its $h_{02}$ and $h_{12}$ count hundreds of pixels, so a few per cent of it, added to $H$ or taken away, make
# $\mathbf h$ many times as long; $\lVert A\mathbf h\rVert$ grows less, and at $\lVert\mathbf h\rVert = 1$ the sum looks
# better than the truth. The fitted picture is too large or too small. A gentle change of view suffers most, as two
# neighbours in a panorama have it: 5.06 px at `view` 0, 0.73 px at 1, and 0.6 px normalised. With the unit 640 plain DLT is
# as good as the normalised one, until you move the origin by 3000 pixels or more. Normalisation makes unit and origin irrelevant.
#
# ## Question 4 — the error that you mean (6 points)
#
# The DLT minimises $\lVert A\mathbf h\rVert$, which is no distance in the image. What you mean is the sum of squared
# distances in pixels,
#
# $$E(H) = \sum_k \lVert \mathbf r_k \rVert^2,\qquad \mathbf r_k = H(\mathbf p_k) - \mathbf p'_k, \tag{6}$$
#
# where $H(\mathbf p)$ is the point of Eq. (3), divided by $w$. It is not linear in $\mathbf h$; near a good start
# Gauss and Newton make it so: $H(\mathbf p)$ changes by $J\,\boldsymbol\delta$ if $\mathbf h$ changes by a small
# $\boldsymbol\delta$. So you need the **Jacobian** $J$ of the $2N$ coordinates $(u/w, v/w)$ with respect to the nine
# entries of $H$. Derive it by the quotient rule. (Compare it with the rows of question 2: what is the same?)


# %% tags=["stub"]
def residuals(H, src, dst):
    """Give the residuals of Eq. (6), in pixels.

    H: (3, 3), any scale; src, dst: (N, 2). Returns an array of shape (N, 2): carried point minus partner.
    """
    raise NotImplementedError


def jacobian(H, src):
    """Give the derivatives of the carried points with respect to the nine entries of H.

    H: (3, 3), any scale; src: (N, 2). Returns an array of shape (2N, 9): rows 2k and 2k + 1 for u/w and v/w of
    point k, columns h00, h01, h02, h10, ..., h22.
    """
    raise NotImplementedError


# %% tags=["solution"]
def residuals(H, src, dst):
    """Give the residuals of Eq. (6), in pixels.

    H: (3, 3), any scale; src, dst: (N, 2). Returns an array of shape (N, 2): carried point minus partner.
    """
    carried = np.column_stack([src, np.ones(len(src))]) @ H.T
    return carried[:, :2] / carried[:, 2:] - dst


def jacobian(H, src):
    """Give the derivatives of the carried points with respect to the nine entries of H.

    H: (3, 3), any scale; src: (N, 2). Returns an array of shape (2N, 9): rows 2k and 2k + 1 for u/w and v/w of
    point k, columns h00, h01, h02, h10, ..., h22.
    """
    w = src @ H[2, :2] + H[2, 2]
    return dlt_matrix(src, residuals(H, src, np.zeros_like(src))) / np.repeat(w, 2)[:, None]


# %% [markdown]
# A **Gauss–Newton step** takes the $\boldsymbol\delta$ with the smallest
# $\lVert J\boldsymbol\delta + \mathbf r\rVert$, with $\mathbf r$ the $2N$ residuals in the order of the rows of $J$, and
# adds it to $\mathbf h$; then come new residuals, a new $J$, and the next step. Careful, twice:
#
# - Along $\mathbf h$ itself nothing changes ($H$ and $2H$ are the same), so $J$ has rank 8 and $J^{\mathsf T}J$ has no
#   inverse. Of all $\boldsymbol\delta$ that are equally good take the shortest; there is a function in NumPy that does.
# - "The shortest" adds up entries of different units: $h_{02}$ counts pixels, $h_{20}$ counts $1/\text{pixel}$. In
#   pixels the steps often go astray. So take them on the normalised points of question 3, from the start that belongs
#   to these, and go back at the end. Why is the minimum of $E$ the same there?


# %% tags=["stub"]
def refine(H, src, dst, steps=10):
    """Lower the error E of Eq. (6) by Gauss-Newton steps, taken on normalised points.

    H: (3, 3), the start, any scale; src, dst: (N, 2) floats in pixels, N >= 4; steps: how many, 0 or more.
    Returns an array of shape (3, 3), for pixels; its nine squares sum to 1. Either sign.
    """
    raise NotImplementedError


# %% tags=["solution"]
def refine(H, src, dst, steps=10):
    """Lower the error E of Eq. (6) by Gauss-Newton steps, taken on normalised points.

    H: (3, 3), the start, any scale; src, dst: (N, 2) floats in pixels, N >= 4; steps: how many, 0 or more.
    Returns an array of shape (3, 3), for pixels; its nine squares sum to 1. Either sign.
    """
    N1, N2 = normalisation(src), normalisation(dst)
    p, q = src * N1[0, 0] + N1[:2, 2], dst * N2[0, 0] + N2[:2, 2]
    H = N2 @ H @ np.linalg.inv(N1)
    for _ in range(steps):
        r = residuals(H, p, q).ravel()
        H = H + np.linalg.lstsq(jacobian(H, p), -r)[0].reshape(3, 3)
    H = np.linalg.inv(N2) @ H @ N1
    return H / np.linalg.norm(H)


# %%
check("q4")

# %% [markdown]
# A strongly tilted plane: over the image $w$ grows from 1 to 3. Three starts for your `refine`: the two DLTs, and the
# homography through the first four pairs only.

# %%
TILTED = np.array([[2.3, 0.2, 20.0], [0.3, 2.2, 10.0], [2.6e-3, 7e-4, 1.0]])
STARTS = {
    "normalised": normalised_dlt,
    "plain": plain_dlt,
    "four pairs": lambda src, dst: normalised_dlt(src[:4], dst[:4]),
}

# %% [markdown]
# The least $E$, which the picture on the right needs, is that after twenty steps from the normalised DLT.


# %%
def show_steps(start="normalised", sigma=2.0, steps=3):
    """Residuals before and after your steps, and the error after each."""
    src, _, dst = noisy_pairs(TILTED, 16, sigma, 5)
    H = [refine(STARTS[start](src, dst), src, dst, k) for k in range(9)]
    H.append(refine(normalised_dlt(src, dst), src, dst, 20))
    *E, least = (np.sum(residuals(h, src, dst) ** 2) for h in H)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5), width_ratios=[1.3, 1])
    left.plot(*dst.T, "o", ms=3, color="black")
    for k, colour in [(0, "orange"), (steps, "blue")]:
        style = {"angles": "xy", "scale_units": "xy", "scale": 0.1, "width": 0.006, "color": figures.COLORS[colour]}
        left.quiver(*dst.T, *residuals(H[k], src, dst).T, label=f"{k} steps", **style)
    left.set(xlim=(0, 700), ylim=(620, 0), aspect="equal", title="residuals, 10 times as long")
    left.legend(loc="upper left")
    right.semilogy(range(9), np.maximum(np.array(E) - least, 1e-10), "o-")
    right.axvline(steps, color="black", lw=0.8)
    right.set(xlabel="steps", ylabel=r"$E$ above its minimum (px²)", ylim=(1e-11, 1e9))
    right.set_title(f"E: {E[0]:.4g} px² at first, then {E[steps]:.4g}")
    return fig


# %% [markdown]
# Before you move anything: how many steps will be enough from the DLT, and how many from four pairs? And by how much will the
# residuals fall?

# %%
controls.explore(
    show_steps,
    start=controls.ToggleButtons(options=list(STARTS)),
    sigma=controls.FloatSlider(2.0, min=0.5, max=6, step=0.5, description="noise (pixels)"),
    steps=controls.IntSlider(3, min=0, max=8),
)

# %% [markdown]
# **Look for** the number of correct digits of $E$: near the minimum each step adds four or five, until rounding stops it.
# From the normalised DLT one step does all that matters, and the gain is small: $E$ falls by 4 %, the residuals by 2 %.
# From plain DLT and from four pairs three steps lead to the same minimum. But set the start to "plain" and the noise to
# 6 pixels: there $E$ is $1.6 \cdot 10^8$, and eight steps lead nowhere. Gauss and Newton need a start near the minimum.
#
# ## Question 5 — how many pairs? (5 points)
#
# Let every coordinate of `dst` have an independent error of standard deviation $\sigma$, and let $p$ be the number of
# unknowns: 2 for a translation, 4 for a similarity, 6 for an affine transform, 8 for a homography. Least squares
# splits the $2n$ errors: $p$ directions of them are fitted, the other $2n - p$ remain as residuals, and each direction
# carries $\sigma^2$ on the average. With $T$ the true and $\hat T$ the fitted transform,
#
# $$\Bigl\langle \sum_k \lVert \hat T\mathbf p_k - T\mathbf p_k\rVert^2 \Bigr\rangle = p\,\sigma^2,\qquad
#   \Bigl\langle \sum_k \lVert \mathbf r_k\rVert^2 \Bigr\rangle = (2n - p)\,\sigma^2. \tag{7}$$
#
# From the second, derive an estimate of $\sigma$: the one whose *square* is right on the average. From the first, derive
# how many pairs are needed so that the **RMS error** of the fitted positions,
# $\sqrt{\langle \tfrac1n\sum_k \lVert \hat T\mathbf p_k - T\mathbf p_k\rVert^2\rangle}$, is at most a target. For fewer
# than $p/2$ pairs there is no fit at all.


# %% tags=["stub"]
def noise_level(r, unknowns):
    """Estimate the standard deviation of a coordinate's error from the residuals of a fit.

    r: (n, 2) residuals in pixels; unknowns: p. Returns a number, in pixels.
    Raises a ValueError if the fit is exact (2n <= p): then the residuals say nothing.
    """
    raise NotImplementedError


def pairs_needed(sigma, target, unknowns):
    """Give the smallest number of pairs for which the RMS error of the fitted positions is at most the target.

    sigma, target: pixels, above 0; unknowns: p, even. Returns an int, at least p / 2.
    """
    raise NotImplementedError


# %% tags=["solution"]
def noise_level(r, unknowns):
    """Estimate the standard deviation of a coordinate's error from the residuals of a fit.

    r: (n, 2) residuals in pixels; unknowns: p. Returns a number, in pixels.
    Raises a ValueError if the fit is exact (2n <= p): then the residuals say nothing.
    """
    if r.size <= unknowns:
        raise ValueError(f"{unknowns} unknowns need more than {r.size} residuals")
    return np.sqrt(np.sum(r**2) / (r.size - unknowns))


def pairs_needed(sigma, target, unknowns):
    """Give the smallest number of pairs for which the RMS error of the fitted positions is at most the target.

    sigma, target: pixels, above 0; unknowns: p, even. Returns an int, at least p / 2.
    """
    n = unknowns * (sigma / target) ** 2  # from sigma sqrt(p / n) = target
    return max(int(np.ceil(n)), unknowns // 2)


# %%
check("q5")

# %% [markdown]
# Does it hold? Below, many fits by *your* functions of questions 1 and 3, with simulated noise; the dots are the RMS
# error that came out, the line is Eq. (7).


# %%
def mean_shift(src, dst):
    """The translation with the least squared error."""
    T = np.eye(3)
    T[:2, 2] = (dst - src).mean(axis=0)
    return T


MODELS = {"translation": (2, mean_shift), "affine": (6, fit_affine), "homography": (8, normalised_dlt)}


def simulate(model, n, sigma, trials=30):
    """RMS error of the fitted positions and the mean square of your noise_level, over many fits."""
    unknowns, fit = MODELS[model]
    rng, squares, levels = np.random.default_rng(n), [], []
    for _ in range(trials):
        src = rng.uniform((0, 0), (640, 480), (n, 2))
        noise = sigma * rng.normal(size=src.shape)
        carried = homogeneous.transform_points(fit(src, src + noise), src)
        squares.append(rms(carried - src) ** 2)
        if 2 * n > unknowns:
            levels.append(noise_level(carried - src - noise, unknowns) ** 2)
    return np.sqrt(np.mean(squares)), np.sqrt(np.mean(levels))


# %% [markdown]
# The truth in it is the identity: what the points do does not matter for the error, only how many there are. How much more
# work is half the error?


# %%
def show_needed(model="affine", sigma=1.0, target=0.2):
    """Simulated error against the number of pairs, the law, and your number for the target."""
    unknowns = MODELS[model][0]
    counts = np.array([5, 8, 16, 32])
    errors, levels = np.transpose([simulate(model, n, sigma) for n in counts])
    needed, n = pairs_needed(sigma, target, unknowns), np.array([1, 1e4])
    fig, ax = plt.subplots(figsize=(7, 3.6))
    ax.plot(n, sigma * np.sqrt(unknowns / n), color=figures.COLORS["sky"], label=r"$\sigma\,\sqrt{p/n}$")
    ax.plot(counts, errors, "o", color=figures.COLORS["blue"], label="simulated error")
    ax.plot(counts, levels, "x", color=figures.COLORS["green"], label="noise_level of the residuals")
    ax.axhline(target, color=figures.COLORS["red"], lw=1)
    ax.axvline(needed, color=figures.COLORS["red"], lw=1)
    ax.set(xscale="log", yscale="log", xlim=(3, 1e4), ylim=(0.02, 20), xlabel="pairs n", ylabel="pixels")
    ax.set_title(f"{model}, noise {sigma:g} px: {needed} pairs for {target:g} px")
    ax.legend(loc="upper right")
    return fig


controls.explore(
    show_needed,
    model=controls.ToggleButtons(options=list(MODELS), value="affine"),
    sigma=controls.FloatSlider(1.0, min=0.2, max=3, step=0.2, description="noise (pixels)"),
    target=controls.FloatSlider(0.2, min=0.1, max=1, step=0.1, description="target (pixels)"),
)

# %% [markdown]
# **Look for** the slope: a tenth of the error takes a hundred times the pairs, 200 for a homography to 0.2 px at 1 px
# noise, and 800 to 0.1 px. The crosses do *not* fall: what remains in the residuals is $\sigma$, however
# many pairs there are. With five pairs the residuals of an affine transform hold only $2n - p = 4$ of the 10 directions
# of the noise, and `noise_level` corrects just that.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. For a translation the unknowns are $\mathbf t = (t_x, t_y)$ and each pair gives two equations. Write down $A$ and
#    $\mathbf b$, and show that the normal equations give the mean of $\mathbf p'_k - \mathbf p_k$. Why is nothing lost by
#    using normal equations here?
# 2. Show that the two rows of $A$ for pair $k$, applied to $\mathbf h$, give $w_k\,\mathbf r_k$. Which pairs does the DLT
#    take more seriously than Eq. (6) does, and what would you do to get from the one to the other without any derivative?
# 3. A report: "A homography was fitted to 6 pairs. The RMS length of the residuals is 0.4 px, so our points are measured to
#    0.4 px, and the picture is aligned to 0.4 px everywhere." Correct the two numbers with Eq. (7), and say what is wrong
#    with "everywhere".

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. Pair $k$ gives $t_x = x'_k - x_k$ and $t_y = y'_k - y_k$, so $A$ is the 2 × 2 unit matrix $n$ times on top of itself
#    and $\mathbf b$ holds the differences. $A^{\mathsf T}A = n\,\mathrm{Id}$ and $A^{\mathsf T}\mathbf b = \sum_k(\mathbf p'_k
#    - \mathbf p_k)$, hence $\mathbf t = \frac1n\sum_k (\mathbf p'_k - \mathbf p_k)$. The columns of $A$ are orthogonal and
#    of one length: its condition number is 1, and so is its square.
# 2. The first row gives $u_k - x'_k w_k = w_k\,(u_k/w_k - x'_k)$, the second the same for y: $w_k$ times the residual.
#    So the DLT weighs each squared distance with $w_k^2$: pairs with large $w$ (the far part of a tilted plane, where
#    the picture is compressed) count too much. Divide both rows by the $w_k$ of the last solution, solve again, and
#    repeat (iteratively reweighted). What is left then is only that the weights depend on $\mathbf h$ as well.
# 3. $2n - p = 12 - 8 = 4$, and $\sum\lVert\mathbf r\rVert^2 = 6 \cdot 0.4^2 = 0.96 = 4\sigma^2$: $\sigma \approx 0.49$ px
#    per coordinate. The error of the alignment at the pairs is $\sigma\sqrt{8/6} \approx 0.57$ px, larger than
#    the residuals. And Eq. (7) speaks of the places of the pairs: outside the area that they span the error grows
#    quickly. (Moreover four degrees of freedom make $\sigma$ itself uncertain by a third, and one wrong pair can hide
#    among six.)
