# %% [markdown]
# # Exercise 13 — Single-view metrology
#
# You join and cut lines without fearing infinity, find the point at which noisy segments aim, put a metre rule on a
# tower that runs together towards the top, measure anything that stands on the floor by the horizon, and say how sure
# you are. It goes with [lecture 13](../13_single_view.ipynb).
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | points and lines: join, meet, infinity | 5 |
# | 2 | a vanishing point from noisy segments | 6 |
# | 3 | heights on one upright line, by the cross-ratio | 6 |
# | 4 | the horizon, and heights anywhere on the floor | 7 |
# | 5 | how sure: the band, and whether it keeps its promise | 6 |
# | 6 | in words (marked by hand) | 4 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as
# you like: it says what holds, what does not, and which common slip it looks like. The same checks give the points,
# on other random data.
#
# **Rules.** All of NumPy is allowed, `np.linalg` too. `cvcourse.homogeneous`, `cvcourse.transforms` and the modules of
# all later lectures, SciPy, scikit-image and OpenCV are not. A function leaves its arguments as they are. Later
# questions may use earlier ones. Until a function is written, the cells that draw with it stop with
# `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, scenes

check = checks.exercise("13_single_view")
blue, orange, green, red = (figures.COLORS[name] for name in ("blue", "orange", "green", "red"))

# %% [markdown]
# **Conventions.** Pixels are (x, y): x to the right, y **down**. A point is also a triple $(x, y, w)$ of any size and
# sign; with $w = 0$ it is the point at infinity in the direction $(x, y)$. A line is a triple $(a, b, c)$ and holds
# the points with $ax + by + cw = 0$; $(0, 0, 1)$ is the line at infinity.
#
# ## Question 1 — points and lines (5 points)
#
# $$\mathbf l = \mathbf p \times \mathbf q, \qquad \mathbf x = \mathbf l \times \mathbf m. \tag{1}$$
#
# The first is the line through two points, the second the point of two lines. Neither asks whether something is at
# infinity; only the **standard forms** do, in which results are to be given:
#
# $$(x, y, w) \to \begin{cases} (x/w,\ y/w,\ 1) & \text{if } |w| > 10^{-9}\sqrt{x^2 + y^2}, \\
#   (x, y, 0)/\sqrt{x^2 + y^2} & \text{else,} \end{cases} \qquad
#   (a, b, c) \to \begin{cases} (a, b, c)/\sqrt{a^2 + b^2} & \text{if } \sqrt{a^2 + b^2} > 10^{-9}\,|c|, \\
#   (0, 0, 1) & \text{else.} \end{cases} \tag{2}$$
#
# So what rounding makes of a 0 still counts as 0. Signs that (2) leaves open are free.


# %% tags=["stub"]
def join(p, q):
    """Give the lines through pairs of points, Eqs. (1) and (2).

    p, q : (N, 3) arrays of floats, homogeneous points, each row any multiple; w = 0 is at infinity.
    p[k] and q[k] are different points.
    Returns an (N, 3) array of lines in standard form; the sign of each row is free.
    """
    raise NotImplementedError


# %% tags=["solution"]
def join(p, q):
    """Give the lines through pairs of points, Eqs. (1) and (2).

    p, q : (N, 3) arrays of floats, homogeneous points, each row any multiple; w = 0 is at infinity.
    p[k] and q[k] are different points.
    Returns an (N, 3) array of lines in standard form; the sign of each row is free.
    """
    lines = np.cross(p, q)
    length = np.hypot(lines[:, 0], lines[:, 1])
    infinite = length <= 1e-9 * np.abs(lines[:, 2])
    lines[infinite] = 0, 0, 1
    return lines / np.where(infinite, 1, length)[:, None]


# %% [markdown]
# The second is the same formula; its exception is another one.


# %% tags=["stub"]
def meet(lines, others):
    """Give the points in which pairs of lines meet, Eqs. (1) and (2).

    lines, others : (N, 3) arrays of floats, (a, b, c), each row any multiple; lines[k] is not others[k].
    Returns an (N, 3) array of points in standard form; the sign of a point at infinity is free.
    """
    raise NotImplementedError


# %% tags=["solution"]
def meet(lines, others):
    """Give the points in which pairs of lines meet, Eqs. (1) and (2).

    lines, others : (N, 3) arrays of floats, (a, b, c), each row any multiple; lines[k] is not others[k].
    Returns an (N, 3) array of points in standard form; the sign of a point at infinity is free.
    """
    points = np.cross(lines, others)
    length, w = np.hypot(points[:, 0], points[:, 1]), points[:, 2]
    finite = np.abs(w) > 1e-9 * length
    points = points / np.where(finite, w, length)[:, None]
    points[:, 2] = finite
    return points


# %%
check("q1")

# %% [markdown]
# A tile of a floor, of which you see the four corners A, B, C, D. Where is its *middle*? Not at the mean of the
# corners; but the diagonals meet there. And the line from the middle to a vanishing point of the sides halves the
# other two sides. So a tile can be cut into four by joins and meets alone, without any number:


# %%
def cut_in_four(a, b, c, d):
    """Cut N tiles, given by their corners in turn, (N, 3) each, into 4 N."""
    u, v = meet(join(a, b), join(d, c)), meet(join(a, d), join(b, c))  # where opposite sides meet
    middle = meet(join(a, c), join(b, d))
    across, along = join(middle, v), join(middle, u)
    ab, dc = meet(join(a, b), across), meet(join(d, c), across)
    ad, bc = meet(join(a, d), along), meet(join(b, c), along)
    tiles = (a, ab, middle, ad), (ab, b, bc, middle), (middle, bc, c, dc), (ad, middle, dc, d)
    return [np.vstack(corners) for corners in zip(*tiles)]


def in_words(point):
    """Name a point in standard form."""
    x, y, w = np.round(point, 2) + 0.0
    return f"({x:.0f}, {y:.0f})" if w else f"at infinity ({x:.2f}, {y:.2f})"


# %% [markdown]
# The corners can be dragged; the crosses are the two vanishing points, and the red line joins them: the horizon of
# this floor.


# %%
def show_tile(corners=((150, 110), (290, 120), (390, 250), (20, 230)), halvings=2):
    """A tile cut in four again and again, with its vanishing points and horizon."""
    fig, ax = plt.subplots(figsize=(7, 4))
    ax.set(xlim=(-150, 550), ylim=(330, -90), aspect="equal")
    A, B, C, D = (np.array([[x, y, 1.0]]) for x, y in corners)
    triples = [(A, B, C), (A, B, D), (A, C, D), (B, C, D)]
    if min(abs(np.linalg.det(np.vstack(triple))) for triple in triples) < 1:
        ax.set_title("three corners on one line: no tile")
        return fig
    tiles = [A, B, C, D]
    for _ in range(halvings):
        tiles = cut_in_four(*tiles)
    for tile in zip(*tiles):
        if all(corner[2] for corner in tile):
            ax.fill(*np.array(tile)[:, :2].T, fc="none", ec=blue, lw=1)
    aims = np.vstack([meet(join(A, B), join(D, C)), meet(join(A, D), join(B, C))])
    ax.plot(*aims[aims[:, 2] == 1, :2].T, "x", color=green, ms=9, mew=2.5)
    a, b, c = join(aims[:1], aims[1:])[0]
    if np.hypot(a, b) > 0.5:
        ax.plot(*np.transpose([(-a * c - s * b, -b * c + s * a) for s in (-9999, 9999)]), color=red)
    ax.set_title(f"AB, DC: {in_words(aims[0])};  AD, BC: {in_words(aims[1])}")
    return fig


# %% [markdown]
# Make ABCD a parallelogram, say with C at (430, 250) and D at (290, 240): where are the vanishing points, and the
# horizon?

# %%
controls.explore(
    show_tile,
    corners=controls.Points([(150, 110), (290, 120), (390, 250), (20, 230)], bounds=(-150, -90, 550, 330), step=10),
    halvings=controls.IntSlider(2, min=0, max=4, description="times cut in four"),
)

# %% [markdown]
# **Look for** the middle of the tile: at first its row is 149, that of the mean of the corners 178; the far half of
# the tile takes fewer rows. With the parallelogram both vanishing points are at infinity and so is the horizon,
# nothing is drawn in red, and all the small tiles are of one size. Nothing in `cut_in_four` had to know.
#
# ## Question 2 — a vanishing point from noisy segments (6 points)
#
# Segments whose lines are parallel in the world aim at one point of the picture. Measured ones do so only nearly. Do
# as follows; what you get then is a definite number, and the check expects it.
#
# 1. **Normalise** all $2N$ ends together, by one shift and one scale, to mean $(0, 0)$ and mean distance $\sqrt 2$
#    from it. This is $T$.
# 2. In these coordinates each segment with the ends $\mathbf e_i, \mathbf f_i$ (third coordinate 1) has the line
#    $\mathbf l_i = \mathbf e_i \times \mathbf f_i$. It is **not** scaled: its length grows with that of the segment,
#    and a long segment knows its direction better.
# 3. The best point is
#    $$\mathbf v' = \arg\min_{\lVert \mathbf v \rVert = 1} \sum_i (\mathbf l_i^{\mathsf T} \mathbf v)^2, \tag{3}$$
#    a singular vector of the matrix of all lines.
# 4. Bring it back to pixels, $\mathbf v = T^{-1} \mathbf v'$, and to the standard form (2).


# %% tags=["stub"]
def vanishing_point(segments):
    """Find the point at which segments aim, by normalised least squares, Eq. (3).

    segments : (N, 2, 2) array of floats: segment, end, (x, y); N >= 2; not all on one line.
    Returns an array of 3 numbers in the standard form (2): it ends in 1, or in 0 at infinity (sign free then).
    """
    raise NotImplementedError


# %% tags=["solution"]
def vanishing_point(segments):
    """Find the point at which segments aim, by normalised least squares, Eq. (3).

    segments : (N, 2, 2) array of floats: segment, end, (x, y); N >= 2; not all on one line.
    Returns an array of 3 numbers in the standard form (2): it ends in 1, or in 0 at infinity (sign free then).
    """
    mean = segments.mean(axis=(0, 1))
    scale = np.sqrt(2) / np.linalg.norm(segments - mean, axis=2).mean()
    ends = np.concatenate([scale * (segments - mean), np.ones((len(segments), 2, 1))], axis=2)
    x, y, w = np.linalg.svd(np.cross(ends[:, 0], ends[:, 1]))[2][2]
    x, y = x / scale + mean[0] * w, y / scale + mean[1] * w
    length = np.hypot(x, y)
    return np.array([x / w, y / w, 1]) if abs(w) > 1e-9 * length else np.array([x, y, 0]) / length


# %%
check("q2")

# %% [markdown]
# On the left are segments in a picture of 640 × 480 pixels; they aim at a point of which you choose the distance from
# the middle. On the right, the measurement is repeated 100 times with new noise in all ends: each dot is your
# vanishing point, seen from the true one, in per cent of the distance.


# %%
def show_cloud(distance=1500, noise=0.5, count=6):
    """Noisy segments that aim at a point, and 100 estimates of it; distance and noise in pixels."""
    rng, toward = np.random.default_rng(4), np.array([np.cos(0.3), -np.sin(0.3)])
    v = np.array([320, 240]) + distance * toward
    start = rng.uniform([40, 40], [400, 440], (12, 2))[:count]
    aim = v - start
    clean = np.stack([start, start + 140 * aim / np.linalg.norm(aim, axis=1)[:, None]], axis=1)
    found = np.array([vanishing_point(clean + noise * rng.normal(size=clean.shape)) for _ in range(100)])
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    for segment in clean:
        left.plot(*segment.T, color=blue, lw=2)
        left.plot(*np.transpose([segment[1], v]), color="0.7", lw=0.6)
    left.set(xlim=(0, 900), ylim=(480, -120), aspect="equal", title=f"{count} segments of 140 pixels")
    error = found[found[:, 2] == 1, :2] - v
    along, across = error @ toward, error @ [-toward[1], toward[0]]
    right.plot(100 * along / distance, 100 * across / distance, ".", color=blue)
    right.plot(0, 0, "+", color=red, ms=12)
    right.set(xlim=(-50, 50), ylim=(-12.5, 12.5), xlabel="error along the view to it (%)", ylabel="error across (%)")
    middle = [f"{np.median(np.abs(e)):.3g}" for e in (along, across)]
    right.set_title(f"median error: {middle[0]} along, {middle[1]} px across")
    return fig


# %% [markdown]
# What does ten times the distance do to the error along, and what to the error across? Guess before you move the
# slider.

# %%
controls.explore(
    show_cloud,
    distance=controls.SelectionSlider(
        options=[500, 1500, 5000, 15000, 50000], value=1500, description="distance (pixels)"
    ),
    noise=controls.FloatSlider(0.5, min=0, max=2, step=0.1, description="noise (pixels)"),
    count=controls.IntSlider(6, min=2, max=12, description="segments"),
)

# %% [markdown]
# **Look for** the long thin cloud. From 500 to 5000 pixels the error across grows about 12 times, it is an angle. The
# error along grows 150 times: the segments become parallel, and their *direction* is nearly all that they know. At
# 50,000 pixels the distance is anything, and 23 of the 100 estimates lie on the other side of the picture. That is no
# misfortune: what is computed from such a point later on hardly depends on its distance.
#
# ## Question 3 — heights on one upright line (6 points)
#
# On an upright line of the world are a foot $\mathbf b$ (height 0), a mark $\mathbf r$ (height 1, in some unit), and a
# top $\mathbf t$ whose height $Z$ is wanted. In the picture the line runs towards the vertical vanishing point
# $\mathbf v = (v_x, v_y, w)$. Let $\mathbf u$ be the unit vector from $\mathbf b$ towards $\mathbf v$, and measure
# places along it: $\tau(\mathbf x) = (\mathbf x - \mathbf b) \cdot \mathbf u$, with a sign. The cross-ratio of the
# four points is the height:
#
# $$Z = \frac{\tau(\mathbf t)\,\bigl(\tau(\mathbf v) - \tau(\mathbf r)\bigr)}
#   {\tau(\mathbf r)\,\bigl(\tau(\mathbf v) - \tau(\mathbf t)\bigr)}. \tag{4}$$
#
# $\mathbf v$ is any multiple of a triple, and may be at infinity; then so is $\tau(\mathbf v)$. Bring (4) to a form in
# which $w = 0$ is allowed: multiply the two brackets by $w$. Clicked points lie a little *beside* the line; $\tau$
# does not mind, and $\mathbf u$ never depends on $\mathbf r$ or $\mathbf t$. Also write the inverse: solve (4) for
# $\tau(\mathbf t)$, and give the place of a given height.


# %% tags=["stub"]
def heights_on_line(foot, mark, tops, vertical):
    """Measure heights above a foot in units of the height of a mark, Eq. (4).

    foot, mark : (2,) arrays of floats, pixels.  tops : (N, 2) array of floats, pixels.
    vertical : (3,) array of floats, the vertical vanishing point, any multiple; it may end in 0.
    Returns an array of N numbers; negative below the foot.
    """
    raise NotImplementedError


def place_on_line(foot, mark, heights, vertical):
    """Find the pixels of points of given height on the line from a foot to the vertical vanishing point.

    foot, mark, vertical : as above; the mark is at the height 1.  heights : (N,) array of floats or integers.
    Returns an (N, 2) array of floats; heights_on_line gives the heights back.
    """
    raise NotImplementedError


# %% tags=["solution"]
def heights_on_line(foot, mark, tops, vertical):
    """Measure heights above a foot in units of the height of a mark, Eq. (4).

    foot, mark : (2,) arrays of floats, pixels.  tops : (N, 2) array of floats, pixels.
    vertical : (3,) array of floats, the vertical vanishing point, any multiple; it may end in 0.
    Returns an array of N numbers; negative below the foot.
    """
    toward, w = vertical[:2] - vertical[2] * foot, vertical[2]
    n = np.linalg.norm(toward)  # w times the place of the vanishing point
    r, t = (mark - foot) @ toward / n, (tops - foot) @ toward / n
    return t * (n - w * r) / (r * (n - w * t))


def place_on_line(foot, mark, heights, vertical):
    """Find the pixels of points of given height on the line from a foot to the vertical vanishing point.

    foot, mark, vertical : as above; the mark is at the height 1.  heights : (N,) array of floats or integers.
    Returns an (N, 2) array of floats; heights_on_line gives the heights back.
    """
    toward, w = vertical[:2] - vertical[2] * foot, vertical[2]
    n = np.linalg.norm(toward)
    r = (mark - foot) @ toward / n
    t = heights * r * n / (n - w * r + heights * w * r)
    return foot + t[:, None] * toward / n


# %%
check("q3")

# %% [markdown]
# A tower of ten equal floors of 3 m, and a camera 1.6 m above the ground that may look up. The tower in gray is
# truth. Known are its foot and the ceiling of the ground floor, on the left edge: orange. Your `place_on_line` makes
# the ruler of whole floors from them, your `heights_on_line` measures the top. The dots on the right are the same
# ruler with equal steps in pixels.


# %%
def look_up(pitch, height, focal=300.0):
    """A camera at (0, 0, height) that looks along +y and up by an angle; the world's z points up."""
    sin, cos = np.sin(pitch), np.cos(pitch)
    R = np.array([[1, 0, 0], [0, sin, -cos], [0, cos, sin]])
    K = np.array([[focal, 0, 150], [0, focal, 200], [0, 0, 1]])
    return K @ R @ np.column_stack([np.eye(3), [0, 0, -height]])


def seen(P, X):
    """Pixels of world points (N, 3)."""
    uvw = np.column_stack([X, np.ones(len(X))]) @ P.T
    return uvw[:, :2] / uvw[:, 2:]


# %% [markdown]
# The vertical vanishing point is the image of the direction $(0, 0, 1)$: the third column of the camera's matrix.


# %%
def show_tower(pitch_deg=35, distance=18):
    """The tower, the ruler of equal floors, and one of equal pixels."""
    P, floors = look_up(np.radians(pitch_deg), 1.6), np.arange(11)
    edge = [seen(P, np.array([(x, distance, 3 * k) for k in floors])) for x in (-5, 5)]
    fig, ax = plt.subplots(figsize=(5, 4.6))
    for left, right in zip(*edge):
        ax.plot(*np.transpose([left, right]), color="0.6", lw=1)
    for side in edge:
        ax.plot(*side.T, color="0.6", lw=1)
    foot, mark = edge[0][:2]
    ruler = place_on_line(foot, mark, floors, P[:, 2])
    ax.plot(*ruler.T, "_", color=blue, ms=14, mew=2, label="your ruler")
    ax.plot(*np.array([foot, mark]).T, "o", color=orange, ms=6, label="foot and mark")
    equal = edge[1][0] + floors[:, None] * (edge[1][1] - edge[1][0])
    ax.plot(*equal.T, ".", color=green, ms=6, label="equal steps")
    top = heights_on_line(foot, mark, edge[0][-1:], P[:, 2])[0]
    pixels = np.linalg.norm(edge[0][-1] - foot) / np.linalg.norm(mark - foot)
    ax.set(xlim=(-60, 460), ylim=(480, -20), aspect="equal")
    ax.set_title(f"the top: {top:.2f} floors; in pixels {pixels:.2f} times the mark")
    ax.legend(loc="upper right", fontsize=8)
    return fig


# %% [markdown]
# At which pitch are both rulers the same, and why there? What happens to a tower of infinite height?

# %%
controls.explore(
    show_tower,
    pitch_deg=controls.IntSlider(35, min=-10, max=60, step=5, description="looking up by (°)"),
    distance=controls.FloatSlider(18, min=10, max=60, step=1, description="distance (m)"),
)

# %% [markdown]
# **Look for** the title: at 35° the ten floors are only 5.01 times as high as the mark in pixels, and by your function
# 10.00 times, at every pitch. At 0° the sensor is upright like the tower, the vertical vanishing point is at
# infinity, and equal steps are right: this is the only case in which pixels measure heights. Looking down (−10°), the
# equal steps fall short instead. An infinite tower ends at the vanishing point.
#
# ## Question 4 — the horizon (7 points)
#
# Now the objects stand anywhere on the floor, and no mark is on their own line. But one mark is on every upright line
# in the world: **the height of the camera**. Level rays leave the camera and hit the line there, and the images of
# level directions are on the horizon. So with the vanishing points $\mathbf v_1, \mathbf v_2$ of two directions of
# the floor
#
# $$\mathbf h = \mathbf v_1 \times \mathbf v_2, \qquad \mathbf r = (\mathbf b \times \mathbf v) \times \mathbf h
#   \tag{5}$$
#
# is the mark on the line of the foot $\mathbf b$, with $\mathbf v$ the vertical vanishing point, and (4) gives the
# height in units of the camera's: in *eye heights*. Two objects give a ratio in which the eye height cancels:
#
# $$\frac{H}{R} = \frac{Z_{\text{object}}}{Z_{\text{reference}}}. \tag{6}$$
#
# The camera is held roughly upright: in the picture the horizon is neither vertical nor at infinity. Give it the sign
# with which the floor, **below** it in the picture, is positive.


# %% tags=["stub"]
def horizon(vanishing):
    """Find the horizon, Eq. (5), positive for pixels below it.

    vanishing : (3, 3) array of floats; its rows are vanishing points, any multiples, perhaps at infinity: of two
    directions of the floor, and of the vertical.
    Returns an array (a, b, c) with a^2 + b^2 = 1, such that a x + b y + c is how far below the horizon a pixel is.
    """
    raise NotImplementedError


# %% tags=["solution"]
def horizon(vanishing):
    """Find the horizon, Eq. (5), positive for pixels below it.

    vanishing : (3, 3) array of floats; its rows are vanishing points, any multiples, perhaps at infinity: of two
    directions of the floor, and of the vertical.
    Returns an array (a, b, c) with a^2 + b^2 = 1, such that a x + b y + c is how far below the horizon a pixel is.
    """
    line = np.cross(vanishing[0], vanishing[1])
    return line * np.sign(line[1]) / np.hypot(line[0], line[1])


# %% [markdown]
# The horizon is as long as the world, the mark (5) belongs to one foot.


# %% tags=["stub"]
def in_eye_heights(upright, vertical, line):
    """Measure what stands on the floor, in units of the camera's height above the floor, Eqs. (4) and (5).

    upright : (2, 2) array of floats: foot and top, pixels.  vertical : (3,) array, the vertical vanishing point.
    line : (3,) array, the horizon.  Both are any multiples; the foot is not on the horizon.
    Returns one number; 1 for a top on the horizon.
    """
    raise NotImplementedError


def height_by_reference(upright, reference, vertical, line):
    """Measure what stands on the floor, in units of the height of a reference on the same floor, Eq. (6).

    upright, reference : (2, 2) arrays of floats: foot and top, pixels.  vertical, line : as above.
    Returns one number.
    """
    raise NotImplementedError


# %% tags=["solution"]
def in_eye_heights(upright, vertical, line):
    """Measure what stands on the floor, in units of the camera's height above the floor, Eqs. (4) and (5).

    upright : (2, 2) array of floats: foot and top, pixels.  vertical : (3,) array, the vertical vanishing point.
    line : (3,) array, the horizon.  Both are any multiples; the foot is not on the horizon.
    Returns one number; 1 for a top on the horizon.
    """
    foot, top = upright
    x, y, w = np.cross(np.cross([*foot, 1], vertical), line)
    return heights_on_line(foot, np.array([x / w, y / w]), top[None], vertical)[0]


def height_by_reference(upright, reference, vertical, line):
    """Measure what stands on the floor, in units of the height of a reference on the same floor, Eq. (6).

    upright, reference : (2, 2) arrays of floats: foot and top, pixels.  vertical, line : as above.
    Returns one number.
    """
    return in_eye_heights(upright, vertical, line) / in_eye_heights(reference, vertical, line)


# %%
check("q4")

# %% [markdown]
# A made room, in which every length is known, and three families of segments in its picture: two along the floor, one
# upright. Your `vanishing_point` and `horizon` do the rest.

# %%
K = np.array([[360, 0, 239.5], [0, 360, 159.5], [0, 0, 1]])
eye = np.array([-0.6, -0.7, 1.55])
forward = np.array([0.75, 3.7, -0.75]) / np.linalg.norm([0.75, 3.7, -0.75])
right = np.array([3.7, -0.75, 0]) / np.linalg.norm([3.7, -0.75])
R = np.array([right, np.cross(forward, right), forward])
room, P = scenes.room(K, R, eye, (320, 480)), K @ R @ np.column_stack([np.eye(3), -eye])
STARTS = np.array(
    [
        [(-1, 2, 0), (-2, 5, 1), (-2, 6, 2.8)],
        [(-2.5, 3, 0), (-0.5, 2, 0), (1, 3, 1.7)],
        [(1, 3, 0), (0.2, 6, 0), (-2.5, 6, 0.5)],
    ]
)
FAMILIES = [np.stack([seen(P, start), seen(P, start + step)], axis=1) for start, step in zip(STARTS, 1.4 * np.eye(3))]

# %% [markdown]
# Four objects, by the place of an upright edge on the floor and its height, in metres.

# %%
OBJECTS = {
    "door": (0.2, 6.0, 2.0),
    "post": (1.0, 3.0, 1.7),
    "chest": (-0.8, 4.2, 1.2),
    "stool": (-0.2, 2.6, 0.45),
}
UPRIGHT = {name: seen(P, np.array([(x, y, 0), (x, y, z)])) for name, (x, y, z) in OBJECTS.items()}

# %% [markdown]
# Drag A to the foot and B to the top of something. The reference is drawn in green, the horizon in red; the circle is
# your mark, as high above A as the camera.


# %%
def show_measuring(upright=((311, 224), (318, 74)), reference="door"):
    """Measure from A to B by a reference."""
    vanishing = np.array([vanishing_point(family) for family in FAMILIES])
    line, foot, other = horizon(vanishing), np.array(upright[0], float), UPRIGHT[reference]
    fig, ax = plt.subplots(figsize=(6.4, 4.4))
    figures.show_image(ax, room)
    ax.axline((0, -line[2] / line[1]), slope=-line[0] / line[1], color=red, lw=1.5)
    ax.plot(*other.T, "-", color=green, lw=3)
    ax.plot(*np.transpose(upright), "-", color=orange, lw=3)
    ax.set(xlim=(-0.5, 479.5), ylim=(319.5, -0.5))
    if line @ [*foot, 1] < 2:
        ax.set_title("A is not on the floor: it must be below the horizon")
        return fig
    mark = meet(join(np.array([[*foot, 1]]), vanishing[2:]), line[None])[0]
    ax.plot(*mark[:2], "o", color=red, mfc="none", ms=9, mew=2)
    pair = np.array(upright, float)
    eyes = in_eye_heights(pair, vanishing[2], line)
    ratio = height_by_reference(pair, other, vanishing[2], line)
    tall = OBJECTS[reference][2]
    ax.set_title(f"{eyes + 0.0:.3f} eye heights; × {tall:g} m ({reference}): {ratio * tall + 0.0:.3f} m")
    return fig


# %% [markdown]
# How high is the window's lower edge, and how high did the camera stand? (There is no need to read code for that.)

# %%
controls.explore(
    show_measuring,
    upright=controls.Points([(311, 224), (318, 74)], bounds=(0, 0, 479, 319), step=1, labels=("A", "B")),
    reference=controls.Dropdown(options=["door", "post", "chest", "stool"], value="door"),
)

# %% [markdown]
# **Look for** the circle: put B on it, on any foot, and the height in metres is that of the camera, 1.55 m. The
# window's far lower corner is near (23, 137); A must go to the floor straight below it, where the line from B to the
# vertical vanishing point meets the foot of the wall, near (31, 201): 0.9 m. All references give the same metres,
# because they are drawn exactly. If they were clicked as well, they would not; that is Question 5.
#
# ## Question 5 — how sure? (6 points)
#
# All together: three families of segments and four clicks make a height $h$, in units of the reference. It depends on
# the coordinates $p_k$ of every click and every end. If they have independent errors of the standard deviations
# $\sigma_k$, then to first order
#
# $$\sigma_h^2 = \sum_k \left(\frac{\partial h}{\partial p_k}\right)^2 \sigma_k^2. \tag{7}$$
#
# The derivatives are found by moving one coordinate at a time a little, both ways. How little? Neither so much that
# $h$ bends on the way, nor so little that the difference drowns in rounding; σ_h to one part in a thousand will do.


# %% tags=["stub"]
def measure(clicks, families):
    """Measure a height in units of a reference, from clicks and segments.

    clicks : (2, 2, 2) array of floats: object and reference, foot and top, (x, y).
    families : list of three arrays (N, 2, 2) of segments: along two directions of the floor, and upright;
    N may differ.
    Returns one number.
    """
    raise NotImplementedError


# %% tags=["solution"]
def measure(clicks, families):
    """Measure a height in units of a reference, from clicks and segments.

    clicks : (2, 2, 2) array of floats: object and reference, foot and top, (x, y).
    families : list of three arrays (N, 2, 2) of segments: along two directions of the floor, and upright;
    N may differ.
    Returns one number.
    """
    vanishing = np.array([vanishing_point(family) for family in families])
    return height_by_reference(clicks[0], clicks[1], vanishing[2], horizon(vanishing))


# %% [markdown]
# The standard deviation needs nothing but this function, called again and again.


# %% tags=["stub"]
def height_and_std(clicks, families, sigma, sigma_lines):
    """Measure a height, and the standard deviation of its error, Eq. (7).

    clicks, families : as above.  sigma : standard deviation of each coordinate of the clicks, pixels.
    sigma_lines : the same for the ends of all segments; either may be 0.
    Returns two numbers: height and standard deviation, both in units of the reference.
    """
    raise NotImplementedError


# %% tags=["solution"]
def height_and_std(clicks, families, sigma, sigma_lines):
    """Measure a height, and the standard deviation of its error, Eq. (7).

    clicks, families : as above.  sigma : standard deviation of each coordinate of the clicks, pixels.
    sigma_lines : the same for the ends of all segments; either may be 0.
    Returns two numbers: height and standard deviation, both in units of the reference.
    """
    data, step, variance = [clicks, *families], 1e-3, 0.0
    for k, deviation in enumerate([sigma, sigma_lines, sigma_lines, sigma_lines]):
        for place in np.ndindex(data[k].shape if deviation > 0 else (0,)):
            moved = [part.copy() for part in data]
            moved[k][place] += step
            more = measure(moved[0], moved[1:])
            moved[k][place] -= 2 * step
            less = measure(moved[0], moved[1:])
            variance += ((more - less) / (2 * step) * deviation) ** 2
    return measure(clicks, families), np.sqrt(variance)


# %% [markdown]
# A band $h \pm 1.96\,\sigma_h$ promises to hold the truth in 95 of 100 cases, if the errors are Gaussian. A promise
# about frequencies can be tested: repeat the measurement, and count.


# %% tags=["stub"]
def coverage(heights, stds, truth):
    """Tell which share of the bands h ± 1.96 sigma_h holds the truth.

    heights, stds : (N,) arrays of floats, of N measurements.  truth : one number.
    Returns one number between 0 and 1.
    """
    raise NotImplementedError


# %% tags=["solution"]
def coverage(heights, stds, truth):
    """Tell which share of the bands h ± 1.96 sigma_h holds the truth.

    heights, stds : (N,) arrays of floats, of N measurements.  truth : one number.
    Returns one number between 0 and 1.
    """
    return np.mean(np.abs(heights - truth) <= 1.96 * stds)


# %%
check("q5")

# %% [markdown]
# The post of the room, measured 40 times by another object. The clicks have errors of the size `noise`; but the bands
# are computed for the size that you *claim*. Bands that miss the truth, 1.7 m, are orange.


# %%
def show_bands(reference="door", noise=1.0, claimed=1.0):
    """Forty measurements of the post with their bands; noise and claim in pixels."""
    rng, tall = np.random.default_rng(7), OBJECTS[reference][2]
    clicks = np.stack([UPRIGHT["post"], UPRIGHT[reference]])
    noisy = [clicks + noise * rng.normal(size=clicks.shape) for _ in range(40)]
    results = tall * np.array([height_and_std(some, FAMILIES, claimed, 0.0) for some in noisy])
    fig, ax = plt.subplots(figsize=(7.5, 3.4))
    ax.axhline(1.7, color=green, lw=1.5)
    for k, (height, std) in enumerate(results):
        colour = blue if abs(height - 1.7) <= 1.96 * std else orange
        ax.errorbar(k, height, 1.96 * std, fmt=".", color=colour, capsize=2)
    ax.set(xlim=(-1, 40), ylim=(1.35, 2.05), xlabel="measurement", ylabel="height (m)")
    held, spread, promised = coverage(*results.T, 1.7), results[:, 0].std(), results[:, 1].mean()
    ax.set_title(f"{100 * held:.0f} % of the bands hold; spread {spread:.3f} m, claimed σ {promised:.3f} m")
    return fig


# %% [markdown]
# Claim half a pixel where the noise is one: which share of the bands will hold? And which reference makes the widest
# bands?

# %%
controls.explore(
    show_bands,
    reference=controls.Dropdown(options=["door", "chest", "stool"], value="door"),
    noise=controls.FloatSlider(1.0, min=0, max=3, step=0.25, description="noise (pixels)", continuous_update=False),
    claimed=controls.FloatSlider(1.0, min=0, max=3, step=0.25, description="claimed (pixels)", continuous_update=False),
)

# %% [markdown]
# **Look for** the share: about two thirds for half the noise claimed, since $\pm 0.98\,\sigma$ holds 67 % of a
# Gaussian; with 40 measurements it scatters by 7 %. Bands for twice the noise nearly always hold, and are worth less:
# a band is honest if it keeps its promise and does no more. The lower the reference, the wider the bands, for the
# same pixel is a larger share of it.
#
# ## Question 6 — in words (4 points, marked by hand)
#
# 1. What is the difference between a point at infinity and a vanishing point? Give a direction of the world and a
#    camera for which the vanishing point is itself at infinity, and say what the picture of such lines looks like.
# 2. Show that (4) is the height: let the line's picture be
#    $\tau(Z) = \dfrac{\alpha Z}{1 + \beta Z}$, which every picture of a line is, measured from the foot. Why is the
#    ratio of lengths $\tau(\mathbf t)/\tau(\mathbf r)$ not enough, and when is it?
# 3. You photograph a friend on a level beach; the sea's horizon passes through his chin. Your camera was 1.60 m above
#    the sand, and from chin to crown he has 0.22 m. How tall is he? Now he stands on a rock 0.5 m high, and you
#    measure from where his feet are in the picture as if they were on the sand. What goes wrong in (5), and does the
#    band of (7) tell?
# 4. In a test the 95 % bands hold in 70 of 100 cases. Name three possible causes, and say for each how you would find
#    it out.

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:**
#
# 1. The point at infinity $(\mathbf d, 0)$ is a direction of the *world*; no camera is in it. The vanishing point
#    $\mathbf v = K R\,\mathbf d$ is its *image*, moves when the camera turns, and is an ordinary pixel as a rule. It is
#    at infinity if the third coordinate of $K R\,\mathbf d$ is 0, that is, if $\mathbf d$ is parallel to the image
#    plane: the verticals for a camera that looks level. Such lines are parallel in the picture as well.
# 2. $\tau(\infty) = \alpha/\beta$, and $\alpha/\beta - \tau(Z) = \dfrac{\alpha}{\beta\,(1 + \beta Z)}$. So
#    $\dfrac{\tau(Z)}{\tau(\infty) - \tau(Z)} = \beta Z$, and for the mark $\beta \cdot 1$. Their quotient is (4), and
#    is $Z$. The ratio of lengths is $Z\,\dfrac{1 + \beta}{1 + \beta Z}$: it holds the unknown $\beta$ of the view, and
#    is $Z$ only for $\beta = 0$, when the vanishing point is at infinity, or for $Z = 1$ and $Z = 0$.
# 3. The horizon cuts everything that stands on the sand at 1.60 m: his chin is 1.60 m high, and he is 1.82 m tall. On
#    the rock, the point of the picture at his feet is taken for a point of the sand, but the sand seen there is farther
#    away than he is. The mark $\mathbf r$ is then in the wrong place: at his distance the horizon is 1.60 m above the
#    *sand*, 1.10 m above his feet, and (5) takes this stretch for 1.60 m. He comes out too tall by the
#    factor $1.60/1.10 = 1.45$. The band knows only errors of the clicks: it stays narrow, around a wrong number.
# 4. The noise is larger than claimed: compare the spread of repeated clicks with $\sigma$. The errors are not
#    independent, for instance one vanishing point used for all: repeat *everything*, the segments too, and see whether
#    the spread grows. The first order is not enough, the errors are large against a short reference: the distribution
#    of $h$ is skew, and the share comes right when the noise is made smaller. A systematic error, such as a foot that
#    is not on the floor or a lens that bends lines: the mean of many measurements is off the truth, and more of them
#    do not help. (Three of these.)
