# %% [markdown]
# # Exercise 15 — Stereo
#
# You compare windows along a row, pick the winners with fractions of a pixel, ask the other picture for a second
# opinion, measure in metres, and let a row decide together. It goes with [lecture 15](../15_stereo.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | the cost volume, and a cost that ignores exposure | 7 |
# | 2 | the winner, with the fraction of a parabola | 6 |
# | 3 | the left–right check, and an honest score | 6 |
# | 4 | depth in metres, and where to search | 5 |
# | 5 | the cheapest row, by dynamic programming | 6 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random numbers.
#
# **Rules.** All of NumPy is allowed. `cvcourse.stereo`, SciPy, scikit-image, OpenCV and PyTorch are not. A function
# leaves its arguments as they are. The later figures use the earlier functions. Until a function is written, the
# cells that draw with it stop with `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np
from skimage.data import stereo_motorcycle

from cvcourse import checks, controls, figures, images, sampling

check = checks.exercise("15_stereo")
big_left, big_right, big_truth = stereo_motorcycle()
left, right = (
    sampling.resize(images.as_gray(images.as_float(picture)), (125, 185)) for picture in (big_left, big_right)
)
truth = big_truth[2::4, 2::4][:, :185].astype(float) / 4
truth[~np.isfinite(truth)] = np.nan
print(f"{left.shape[1]} x {left.shape[0]} pixels, disparities {np.nanmin(truth):.1f} to {np.nanmax(truth):.1f}")

# %% [markdown]
# The motorcycle of the lecture, made four times smaller; so are its disparities, its focal length and its offset. The
# ground truth belongs to the left picture; NaN marks what is unknown.
#
# **Conventions.** Pictures are arrays of floats, indexed [row, column]. The pair is rectified: left pixel $(x, y)$ with
# the disparity $d$ shows what right pixel $(x - d, y)$ shows. A candidate whose partner is not in the right picture does
# not exist; its cost is infinite. Candidates go from `first` to `last`, both included, $0 \le$ first $\le$ last.
#
# ## Question 1 — comparing windows (7 points)
#
# Let $e_d(x, y) = \bigl(L(x, y) - R(x - d, y)\bigr)^2$ where $x - d \ge 0$. The cost of a candidate is the mean of $e_d$
# over the square window $W$ of `size` × `size` pixels around $(x, y)$ (`size` is odd), as far as $e_d$ exists there:
#
# $$C(x, y, d) = \frac{1}{n} \sum_{(u, v) \in W,\; u \ge d} e_d(u, v), \qquad n = \text{the number of terms}. \tag{1}$$
#
# At the borders $n$ is smaller than in the middle. Loops over the pixels would be slow; go over the candidates $d$, and
# over the window.


# %% tags=["stub"]
def cost_volume(left, right, first, last, size):
    """Give the costs of Eq. (1).

    left, right: (H, W) floats; first, last: ints, 0 <= first <= last < W; size: odd.
    Returns (H, W, last - first + 1) floats: [y, x, k] is the cost of d = first + k; inf where x - d < 0.
    """
    raise NotImplementedError


# %% tags=["solution"]
def cost_volume(left, right, first, last, size):
    """Give the costs of Eq. (1).

    left, right: (H, W) floats; first, last: ints, 0 <= first <= last < W; size: odd.
    Returns (H, W, last - first + 1) floats: [y, x, k] is the cost of d = first + k; inf where x - d < 0.
    """
    H, W = left.shape
    volume = np.full((H, W, last - first + 1), np.inf)
    for d in range(first, last + 1):
        square = np.pad((left[:, d:] - right[:, : W - d]) ** 2, size // 2)
        there = np.pad(np.ones((H, W - d)), size // 2)
        total, n = np.zeros((H, W - d)), np.zeros((H, W - d))
        for i, j in np.ndindex(size, size):
            total += square[i : i + H, j : j + W - d]
            n += there[i : i + H, j : j + W - d]
        volume[:, d:, d - first] = total / n
    return volume


# %% [markdown]
# If the right camera exposed differently, $R' = aR + b$ with $a > 0$, Eq. (1) is lost. The normalised
# cross-correlation is not. For two windows $A$ and $B$, all sums over their pixels,
#
# $$C_{NCC} = 1 - \frac{\sum (A - \bar A)(B - \bar B)}{\sqrt{\sum (A - \bar A)^2 \; \sum (B - \bar B)^2}}. \tag{2}$$
#
# A window without any contrast correlates with nothing: where the denominator is below $10^{-12}$, the cost is 1.


# %% tags=["stub"]
def ncc_cost(A, B):
    """Give the cost of Eq. (2).

    A, B: two (n, m) windows of floats. Returns a number from 0 (alike) to 2, or 1 if a window is flat.
    """
    raise NotImplementedError


# %% tags=["solution"]
def ncc_cost(A, B):
    """Give the cost of Eq. (2).

    A, B: two (n, m) windows of floats. Returns a number from 0 (alike) to 2, or 1 if a window is flat.
    """
    a, b = A - A.mean(), B - B.mean()
    below = np.sqrt(np.sum(a**2) * np.sum(b**2))
    return 1.0 if below < 1e-12 else 1 - np.sum(a * b) / below


# %%
check("q1")

# %% [markdown]
# Both costs at one pixel. Move it with the sliders, and change the exposure of the right picture. Which of the two
# curves keeps its lowest point? Where do both fail?


# %%
def show_curves(x=64, y=52, size=7, gain=1.0):
    """A pixel, and the two costs of its candidates; dashed: the truth."""
    other, r, d = np.clip(gain * right, 0, 1), size // 2, np.arange(1, 18)
    y0, y1 = max(0, y - r), min(125, y + r + 1)
    ssd = cost_volume(left[y0:y1], other[y0:y1], 1, 17, size)[y - y0, x]
    reach = min(r, x - 17, 184 - x)
    A = left[y0:y1, x - reach : x + reach + 1]
    ncc = [ncc_cost(A, other[y0:y1, x - k - reach : x - k + reach + 1]) for k in d]
    fig, (one, two, three) = plt.subplots(1, 3, figsize=(9, 2.7), width_ratios=[1.4, 1, 1])
    figures.show_image(one, left, f"x = {x}, y = {y}")
    one.plot(x, y, "+", color=figures.COLORS["red"], ms=12)
    for axes, curve, name in ((two, ssd, "squared difference"), (three, ncc, "1 − NCC")):
        axes.plot(d, curve, ".-")
        axes.axvline(d[np.argmin(curve)], color=figures.COLORS["red"])
        axes.axvline(truth[y, x], color=figures.COLORS["green"], ls="--")
        axes.set(title=f"{name}: winner {d[np.argmin(curve)]}", xlabel="d, px")
    return fig


controls.explore(
    show_curves,
    x=controls.IntSlider(64, min=22, max=180),
    y=controls.IntSlider(52, min=5, max=119),
    size=controls.SelectionSlider(options=[3, 5, 7, 9], value=7, description="size"),
    gain=controls.FloatSlider(1.0, min=0.5, max=1.5, step=0.1),
)

# %% [markdown]
# **Look for** what the gain does: at the start both curves have their lowest point at 12, the truth is 12.4. With the gain
# 0.6 the winner of the squared differences is 17, whatever has the right brightness; the other curve stays as it is. On
# the floor, at (60, 105), both are still right, but the NCC costs of the candidates 1 to 11 all lie below 0.05: there is
# little to compare. Both fail at (122, 70), where the winner is 12 and the truth 4.8: a bit of wall between parts of the
# motorcycle, which hide it from the right camera. No cost can find what is not there.
#
# ## Question 2 — the winner, and its fraction (6 points)
#
# At each pixel the candidate $k$ with the least cost wins (the first of them, if several are equal). Let $C_-$, $C_0$
# and $C_+$ be the costs of $k - 1$, $k$ and $k + 1$. If both neighbours exist, with finite costs, and
# $C_- - 2C_0 + C_+ > 0$, **derive** the lowest point of the parabola through the three, at $k + t$, and give
#
# $$d = \text{first} + k + t, \qquad -\tfrac12 \le t \le \tfrac12; \qquad t = 0 \text{ in all other cases.} \tag{3}$$
#
# Where no candidate exists (all costs are infinite), $d$ is NaN.


# %% tags=["stub"]
def winner(volume, first):
    """Give the disparity with the least cost, and its fraction, Eq. (3).

    volume: (H, W, D) costs, inf where a candidate does not exist; first: the disparity of volume[:, :, 0].
    Returns (H, W) floats; NaN where no candidate exists.
    """
    raise NotImplementedError


# %% tags=["solution"]
def winner(volume, first):
    """Give the disparity with the least cost, and its fraction, Eq. (3).

    volume: (H, W, D) costs, inf where a candidate does not exist; first: the disparity of volume[:, :, 0].
    Returns (H, W) floats; NaN where no candidate exists.
    """
    padded = np.pad(volume, ((0, 0), (0, 0), (1, 1)), constant_values=np.inf)
    k = volume.argmin(axis=2)
    before, least, after = (np.take_along_axis(padded, k[..., None] + s, axis=2)[..., 0] for s in (0, 1, 2))
    usable = np.isfinite(before) & np.isfinite(after)
    before, after, middle = (np.where(usable, part, 0) for part in (before, after, least))
    bend = before - 2 * middle + after
    usable &= bend > 0
    t = np.where(usable, (before - after) / (2 * np.where(usable, bend, 1)), 0)
    return np.where(np.isfinite(least), first + k + t, np.nan)


# %%
check("q2")

# %% [markdown]
# Your two functions on the whole pair. Which size is best, and what do the errors look like at the smallest and at the
# largest? How much do the fractions matter to the share of pixels within half a pixel?


# %%
VOLUMES = {}


def volume_of(size):
    """The cost volume of the pair, computed once for each size."""
    if size not in VOLUMES:
        VOLUMES[size] = cost_volume(left, right, 1, 17, size)
    return VOLUMES[size]


def show_winner(size=5, fraction=True):
    """The disparities, and how far they are from the truth."""
    found = winner(volume_of(size), 1)
    found = found if fraction else np.rint(found)
    off = np.abs(found - truth)
    fig, (one, two) = plt.subplots(1, 2, figsize=(8, 2.9))
    figures.show_image(one, found, f"{size} × {size}", limits=(1, 17))
    figures.show_image(two, np.nan_to_num(off), "error (white: 2 px and more)", limits=(0, 2))
    within = [100 * np.mean(off[np.isfinite(truth)] <= limit) for limit in (0.5, 2)]
    two.set_xlabel(f"within 0.5 px: {within[0]:.1f} %, within 2 px: {within[1]:.1f} %")
    return fig


controls.explore(
    show_winner,
    size=controls.SelectionSlider(options=[1, 3, 5, 7, 9], value=5, description="size", continuous_update=False),
    fraction=controls.Checkbox(True, description="fractions"),
)

# %% [markdown]
# **Look for** single wrong pixels everywhere at size 1, and swollen outlines at size 9. Within 2 pixels size 9 scores best,
# with 86.4 %, within half a pixel size 7, with 68.8 %. At size 5 the fractions bring
# 66.8 % of the known pixels within half a pixel instead of 60.0 %; within 2 pixels they change next to nothing.
#
# ## Question 3 — a second opinion (6 points)
#
# Let $d_l$ be the left picture's disparities, and $d_r$ the right one's: right pixel $(x, y)$ shows what left pixel
# $(x + d_r, y)$ shows. Follow a left pixel to the nearest right one, $x' = \operatorname{round}(x - d_l)$, and see
# whether it leads back:
#
# $$|d_r(x', y) - d_l(x, y)| \le \text{tolerance}. \tag{4}$$
#
# It does not if $x'$ is outside the picture, or one of the two is NaN.


# %% tags=["stub"]
def agree(d_left, d_right, tolerance):
    """Tell where both disparity maps agree, Eq. (4).

    d_left, d_right: (H, W) floats, NaN where unknown; tolerance: pixels.
    Returns (H, W) bools, for the pixels of the left picture.
    """
    raise NotImplementedError


# %% tags=["solution"]
def agree(d_left, d_right, tolerance):
    """Tell where both disparity maps agree, Eq. (4).

    d_left, d_right: (H, W) floats, NaN where unknown; tolerance: pixels.
    Returns (H, W) bools, for the pixels of the left picture.
    """
    row, col = np.indices(d_left.shape)
    there = np.rint(col - np.nan_to_num(d_left)).astype(int)
    inside = (there >= 0) & (there < d_left.shape[1])
    back = d_right[row, np.where(inside, there, 0)]
    return inside & (np.abs(back - d_left) <= tolerance)


# %% [markdown]
# Now the score. Of all pixels whose **truth** is known, which share is bad: more than `threshold` away from the truth, or
# without an answer (NaN)? (What does Python say to `abs(nan - 3) > 2`, and what to `abs(nan - 3) <= 2`?)


# %% tags=["stub"]
def bad_share(disparity, truth, threshold):
    """Give the share of known pixels that are off by more than the threshold, or have no answer.

    disparity, truth: (H, W) floats, NaN where unknown; threshold: pixels. Returns a number from 0 to 1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def bad_share(disparity, truth, threshold):
    """Give the share of known pixels that are off by more than the threshold, or have no answer.

    disparity, truth: (H, W) floats, NaN where unknown; threshold: pixels. Returns a number from 0 to 1.
    """
    known = np.isfinite(truth)
    return 1 - np.mean(np.abs(disparity - truth)[known] <= threshold)


# %%
check("q3")

# %% [markdown]
# The right picture's disparities come from the same function: exchange the pictures, and mirror both. Which parts of the
# left picture disappear? What does a stricter tolerance cost?


# %%
def show_agreement(tolerance=1.0, size=5):
    """What passes the check; the share of wrong pixels before and among what is kept."""
    d_left = winner(volume_of(size), 1)
    mirrored = cost_volume(right[:, ::-1].copy(), left[:, ::-1].copy(), 1, 17, size)
    kept = agree(d_left, winner(mirrored, 1)[:, ::-1].copy(), tolerance)
    fig, (one, two) = plt.subplots(1, 2, figsize=(8, 2.9))
    figures.show_image(one, d_left, f"all: bad {100 * bad_share(d_left, truth, 2):.1f} %", limits=(1, 17))
    only = np.where(kept, truth, np.nan)
    wrong = 100 * bad_share(d_left, only, 2) if np.isfinite(only).any() else 0
    figures.show_image(
        two, np.where(kept, d_left, 0), f"{100 * kept.mean():.0f} % agree, of them bad {wrong:.1f} %", (1, 17)
    )
    return fig


controls.explore(
    show_agreement,
    tolerance=controls.FloatSlider(1.0, min=0.1, max=4, step=0.1, continuous_update=False),
    size=controls.SelectionSlider(options=[3, 5, 7], value=5, description="size", continuous_update=False),
)

# %% [markdown]
# **Look for** the strip at the left and the shadows to the left of near things: what the right camera could not see. The
# check knows nothing of the truth, and yet the bad ones fall from 16.4 % to 9.7 % of the 85 % that agree. At a tolerance of 0.3
# only 70 % are left, and 8.1 % of them are still bad: errors on which both pictures agree.
#
# ## Question 4 — metres (5 points)
#
# The principal points of the two pictures differ by $\Delta$ pixels, right minus left. Then
#
# $$Z = \frac{f\,B}{d + \Delta}. \tag{5}$$
#
# The baseline comes in **millimetres**, the depth shall be in **metres**. Where $d$ is NaN, or $d + \Delta \le 0$, there
# is no depth: NaN.


# %% tags=["stub"]
def depth_map(disparity, f, baseline_mm, offset):
    """Give the depth in metres, Eq. (5).

    disparity: (H, W) floats, NaN where unknown; f, offset: pixels; baseline_mm: millimetres.
    Returns (H, W) floats: metres, NaN where there is no depth.
    """
    raise NotImplementedError


# %% tags=["solution"]
def depth_map(disparity, f, baseline_mm, offset):
    """Give the depth in metres, Eq. (5).

    disparity: (H, W) floats, NaN where unknown; f, offset: pixels; baseline_mm: millimetres.
    Returns (H, W) floats: metres, NaN where there is no depth.
    """
    below = disparity + offset
    valid = below > 0
    return np.where(valid, f * baseline_mm / 1000 / np.where(valid, below, 1), np.nan)


# %% [markdown]
# And the other way: all points lie between the depths `near` and `far` (metres). Which whole disparities `first` to `last`
# must be tried, so that none of them is missed and none is superfluous? The ends are rounded outwards.


# %% tags=["stub"]
def search_range(near, far, f, baseline_mm, offset):
    """Give the whole disparities that hold all depths from near to far.

    near < far: metres; f, offset: pixels; baseline_mm: millimetres. Returns (first, last), two ints.
    """
    raise NotImplementedError


# %% tags=["solution"]
def search_range(near, far, f, baseline_mm, offset):
    """Give the whole disparities that hold all depths from near to far.

    near < far: metres; f, offset: pixels; baseline_mm: millimetres. Returns (first, last), two ints.
    """
    product = f * baseline_mm / 1000
    return int(np.floor(product / far - offset)), int(np.ceil(product / near - offset))


# %%
check("q4")

# %% [markdown]
# The motorcycle in metres, from the ground truth: $f$ = 248.74 pixels, $B$ = 193.001 mm, $\Delta$ = 7.77 pixels. What
# happens to the wall and to the motorcycle if the offset is forgotten?


# %%
def show_depth(offset=7.77):
    """Depth by Eq. (5), and the depths of one row through the motorcycle and the wall."""
    Z = depth_map(truth, 248.74, 193.001, offset)
    fig, (one, two) = plt.subplots(1, 2, figsize=(8, 2.9))
    span = np.nanmin(Z), np.nanmax(Z)
    figures.show_image(one, np.nan_to_num(Z, nan=span[1]), f"dark {span[0]:.2f} to white {span[1]:.1f} m", limits=span)
    one.axhline(50, color=figures.COLORS["red"], lw=1)
    two.plot(depth_map(truth, 248.74, 193.001, 7.77)[50], color="0.7", label="with the offset")
    two.plot(Z[50], color=figures.COLORS["red"], label=f"Δ = {offset:g} px")
    first, last = search_range(2, 5.2, 248.74, 193.001, offset)
    two.set(ylim=(0, 28), xlabel=f"x; from 2 to 5.2 m: d = {first} to {last}", ylabel="Z, m")
    two.legend()
    return fig


controls.explore(show_depth, offset=controls.FloatSlider(7.77, min=0, max=12, step=0.01))

# %% [markdown]
# **Look for** the far end: without the offset the farthest point moves from 5.0 m to 26.3 m, the nearest from 2.11 m to
# 3.21 m only, and the range to search from 1 … 17 to 9 … 25. The map still shows a motorcycle before a wall; only the
# numbers tell.
#
# ## Question 5 — a row decides together (6 points)
#
# Along one row, $C(x, k)$ are the costs of its $W$ pixels. Choose the sequence $k_0, \dots, k_{W-1}$ for which
#
# $$\sum_x C(x, k_x) + \sum_{x \ge 1} V(k_{x-1}, k_x) \to \min, \qquad V = \begin{cases} 0 & k_{x-1} = k_x \\
#   p_1 & |k_{x-1} - k_x| = 1 \\ p_2 & \text{else.} \end{cases} \tag{6}$$
#
# Sum up the costs of the best way to each candidate, from the left to the right, remember where each came from, and walk
# back from the cheapest end. Some costs may be infinite; at each pixel at least one isn't.


# %% tags=["stub"]
def cheapest_row(cost, p1, p2):
    """Give the sequence that Eq. (6) asks for.

    cost: (W, D) floats, some of them inf; 0 <= p1 <= p2. Returns (W,) ints, the candidates' indices.
    """
    raise NotImplementedError


# %% tags=["solution"]
def cheapest_row(cost, p1, p2):
    """Give the sequence that Eq. (6) asks for.

    cost: (W, D) floats, some of them inf; 0 <= p1 <= p2. Returns (W,) ints, the candidates' indices.
    """
    W, D = cost.shape
    jump = np.abs(np.subtract.outer(np.arange(D), np.arange(D)))
    V = np.where(jump == 0, 0, np.where(jump == 1, p1, p2))
    total, origin = cost[0], np.zeros((W, D), int)
    for x in range(1, W):
        reached = total[:, None] + V  # from, to
        origin[x] = reached.argmin(axis=0)
        total = cost[x] + reached.min(axis=0)
    k = np.zeros(W, int)
    k[-1] = total.argmin()
    for x in range(W - 1, 0, -1):
        k[x - 1] = origin[x, k[x]]
    return k


# %%
check("q5")

# %% [markdown]
# All rows of the picture, each by itself, from costs of small windows. First set $p_1 = p_2 = 0$: that is block
# matching. What do the penalties mend, and what new kind of error do they bring?


# %%
def show_rows(p1=0.002, p2=0.01, size=3):
    """Block matching, and the cheapest rows."""
    volume = volume_of(size)[:, 17:]
    rows = np.array([cheapest_row(row, min(p1, p2), p2) for row in volume]) + 1.0
    alone = volume.argmin(axis=2) + 1.0
    fig, panels = plt.subplots(1, 2, figsize=(8, 3))
    for axes, found, name in zip(panels, (alone, rows), ("each pixel alone", "rows together"), strict=True):
        share = 100 * bad_share(found, truth[:, 17:], 2)
        figures.show_image(axes, found, f"{name}: bad {share:.1f} %", limits=(1, 17))
    return fig


controls.explore(
    show_rows,
    p1=controls.FloatSlider(0.002, min=0, max=0.01, step=0.001, readout_format=".3f", continuous_update=False),
    p2=controls.FloatSlider(0.01, min=0, max=0.1, step=0.005, readout_format=".3f", continuous_update=False),
    size=controls.SelectionSlider(options=[1, 3, 5], value=3, description="size", continuous_update=False),
)

# %% [markdown]
# **Look for** streaks. At the start the rows halve the bad pixels, from 20.3 % to 10.0 %, and with single pixels for
# windows they do even more, from 49.2 % to 11.7 %. Where they err they err along the row, since none knows of its
# neighbours. Semi-global matching sums such ways from eight directions; that is the lecture's section 9.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. Two rigs have the same cameras; one has twice the baseline. What becomes of the error of the depth, of the search
#    range, and of the share of pixels that only one camera sees? Which would you mount on a car, which on a robot's hand?
# 2. A matcher reports a disparity of 12.3 on a white wall, and the left–right check agrees. Why may it still be wrong? Name
#    a second sign by which it could be recognised.
# 3. The documentation of a data set says that the disparity map belongs to the right picture. You have the two pictures and
#    the map. How do you find out, and why is comparing brightness inside smooth surfaces a weak test?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. $\sigma_Z = Z^2 \sigma_d / (fB)$ halves. The search range $fB/Z_{near} - fB/Z_{far}$ doubles, and with it time and the
#    chances to err. The widths of the occluded strips, differences of disparity, double as well. On a car distances are
#    large, and the error would grow with their square: the wide one. A hand works at close range, where a wide baseline
#    would leave little that both see: the narrow one.
# 2. On a wall without texture the cost curve is flat, or its neighbours' smoothness decides; both pictures make the same
#    guess, so they agree. Repetition does the same. Signs: a flat curve (its least and largest cost nearly equal), a second
#    valley as deep as the first, or a window with hardly any variance along the row.
# 3. Compare $L(x)$ with $R(x - d)$, indexing the map by left pixels, and $R(x)$ with $L(x + d)$, indexing it by right
#    ones: the wrong reading has the larger differences. Inside smooth surfaces the disparity hardly changes from $x$ to
#    $x - d$, and so both readings find the right partner. The borders differ: the map's jumps lie on the edges of the
#    picture that it belongs to, and beside those of the other one.
