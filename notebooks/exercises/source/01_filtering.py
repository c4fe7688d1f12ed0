# %% [markdown]
# # Exercise 01 — Images and filtering
#
# You write the filters of [lecture 1](../01_filtering.ipynb) yourself, in plain NumPy, and then turn round and
# find out what a filter is that somebody else has written.
#
# | question | what it examines | points |
# |---|---|---|
# | 1 | convolution: the flip, the anchor, the four borders | 6 |
# | 2 | the Gaussian: its weights, and blurring in two passes | 4 |
# | 3 | sharpening, and how far it overshoots | 4 |
# | 4 | median and bilateral filter | 5 |
# | 5 | black boxes: linear? shift-invariant? | 5 |
# | 6 | in words (marked by hand) | 2 |
#
# **How it works.** Replace `raise NotImplementedError` in each function and run `check("q1")` below it, as often as you
# like: it says what holds, what does not, and which common slip it looks like. The same checks give the points, on other
# random images.
#
# **Rules.** All of NumPy is allowed (`np.pad` knows every border rule that you need). `cvcourse.filtering` (and `edges`,
# `sampling`), SciPy, scikit-image, OpenCV and Pillow are not. A function leaves its arguments as they are. The later
# questions may use the earlier ones. Until a function is written, the cells that draw with it stop with
# `NotImplementedError`; that is meant.

# %%
import matplotlib.pyplot as plt
import numpy as np

from cvcourse import checks, controls, figures, images, scenes

check = checks.exercise("01_filtering")
photo = images.load("camera")[64:192, 160:320]
print(f"photo: {photo.shape[0]} rows, {photo.shape[1]} columns, values {photo.min():.2f} to {photo.max():.2f}")

# %% [markdown]
# The picture is small on purpose, so that even a loop over all pixels follows a slider.
#
# ## Question 1 — convolution (6 points)
#
# The convolution of an image $F$ with a kernel $K$ of $h \times w$ weights is
#
# $$G[y, x] = \sum_{i=0}^{h-1} \sum_{j=0}^{w-1} K[i, j]\; F[\,y - i + a,\; x - j + b\,],
# \qquad a = \lfloor h/2 \rfloor,\quad b = \lfloor w/2 \rfloor. \tag{1}$$
#
# The **anchor** $[a, b]$ is the middle of an odd kernel; in an even one it is the entry right of and below the middle.
# Where Eq. (1) asks for pixels outside the image, the image goes on by one of four rules. A row `abcd` becomes
#
# | `border` | left | row | right |
# |---|---|---|---|
# | `"mirror"` | `dcba` | `abcd` | `dcba` |
# | `"clamp"` | `aaaa` | `abcd` | `dddd` |
# | `"wrap"` | `abcd` | `abcd` | `abcd` |
# | `"zero"` | `0000` | `abcd` | `0000` |
#
# Begin with `"mirror"` and odd kernels, and run the check; then go on to the rest. Two loops over the kernel's entries are
# enough, and much faster than four loops over everything.


# %% tags=["stub"]
def conv2d(image, kernel, border="mirror"):
    """Convolve an image with a kernel by Eq. (1).

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Floating point or integers; integers are converted to float64 before anything is computed.
    kernel : ndarray of shape (h, w)
        Weights; h and w may be even or odd, and differ.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on outside.

    Returns
    -------
    ndarray of shape (H, W), float64
        Not rounded, not clipped, not divided by anything.
    """
    raise NotImplementedError


# %% tags=["solution"]
def conv2d(image, kernel, border="mirror"):
    """Convolve an image with a kernel by Eq. (1).

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Floating point or integers; integers are converted to float64 before anything is computed.
    kernel : ndarray of shape (h, w)
        Weights; h and w may be even or odd, and differ.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on outside.

    Returns
    -------
    ndarray of shape (H, W), float64
        Not rounded, not clipped, not divided by anything.
    """
    image = np.asarray(image, dtype=np.float64)
    (H, W), (h, w) = image.shape, kernel.shape
    mode = {"mirror": "symmetric", "clamp": "edge", "wrap": "wrap", "zero": "constant"}[border]
    top, left = h - 1 - h // 2, w - 1 - w // 2  # rows above that Eq. (1) reaches: i - a for the last i
    padded = np.pad(image, ((top, h // 2), (left, w // 2)), mode)
    result = np.zeros((H, W))
    for i in range(h):
        for j in range(w):
            y, x = h - 1 - i, w - 1 - j  # where F[0 - i + a, 0 - j + b] lies in the padded image
            result += kernel[i, j] * padded[y : y + H, x : x + W]
    return result


# %%
check("q1")

# %% [markdown]
# Now your function at work. The kernel `"ghost"` is a row of 41 zeros, but for two weights of ½: one in the middle and one at the
# *right* end. What will the picture show, and on which side?

# %%
KERNELS = {
    "ghost": np.eye(41)[[20]] / 2 + np.eye(41)[[40]] / 2,
    "diagonal motion": np.eye(15) / 15,
    "emboss": np.array([[-1.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]),
}


def show_convolution(kernel="ghost", border="mirror"):
    """The photo and its convolution."""
    result = conv2d(photo, KERNELS[kernel], border)
    return figures.row([photo, result], ["$F$", f"$F$ * {kernel}, {border}"])


# %% [markdown]
# Commit to an answer before you run the control.

# %%
controls.explore(
    show_convolution,
    kernel=controls.Dropdown(options=list(KERNELS), value="ghost"),
    border=controls.ToggleButtons(options=["mirror", "clamp", "wrap", "zero"], value="mirror"),
)

# %% [markdown]
# **Look for** the ghost 20 pixels to the *right* of the photographer: an impulse becomes the kernel, so a weight at the right end
# moves light to the right. Without the flip it would appear on the left. Then watch the left margin of the ghost picture, 20
# columns wide, under the four rules: folded, smeared, taken from the right side, or dark.
#
# ## Question 2 — a Gaussian in two passes (4 points)
#
# Sample the Gaussian at whole numbers up to the radius $r$ and divide by the sum, so that no brightness is gained or lost:
#
# $$g[k] = \frac{e^{-k^2 / 2\sigma^2}}{\sum_{m=-r}^{r} e^{-m^2 / 2\sigma^2}},
# \qquad k = -r, \dots, r, \qquad r = \lfloor 4\sigma + \tfrac12 \rfloor. \tag{2}$$
#
# The 2-D Gaussian is the product $g[i]\,g[j]$. It is **separable**: convolve the columns with $g$, then the rows of the result, and
# a pixel costs $2(2r+1)$ products instead of $(2r+1)^2$. Write both functions; `blur` in two passes.


# %% tags=["stub"]
def gaussian_weights(sigma):
    """Weights of a Gaussian by Eq. (2).

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, > 0.

    Returns
    -------
    ndarray of shape (2 r + 1,), r = floor(4 sigma + 1/2)
        Symmetric; the sum is 1.
    """
    raise NotImplementedError


def blur(image, sigma):
    """Blur an image (H, W) with a Gaussian of `sigma` pixels, in two 1-D passes.

    Outside, the image goes on by the rule "mirror".  Returns a new (H, W) array, float64.
    """
    raise NotImplementedError


# %% tags=["solution"]
def gaussian_weights(sigma):
    """Weights of a Gaussian by Eq. (2).

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, > 0.

    Returns
    -------
    ndarray of shape (2 r + 1,), r = floor(4 sigma + 1/2)
        Symmetric; the sum is 1.
    """
    r = int(4 * sigma + 0.5)
    k = np.arange(-r, r + 1)
    weights = np.exp(-(k**2) / (2 * sigma**2))
    return weights / weights.sum()


def blur(image, sigma):
    """Blur an image (H, W) with a Gaussian of `sigma` pixels, in two 1-D passes.

    Outside, the image goes on by the rule "mirror".  Returns a new (H, W) array, float64.
    """
    g = gaussian_weights(sigma)
    columns = conv2d(image, g[:, np.newaxis], "mirror")
    return conv2d(columns, g[np.newaxis, :], "mirror")


# %%
check("q2")

# %% [markdown]
# The figure shows your weights as dots on the continuous curve $\frac{1}{\sqrt{2\pi}\,\sigma} e^{-x^2/2\sigma^2}$, and what they do to the
# photo. Below which $\sigma$, do you think, do the dots leave the curve?


# %%
def show_blur(sigma=2.0):
    """The weights on the continuous Gaussian, and the blurred photo."""
    g = gaussian_weights(sigma)
    k, x = np.arange(len(g)) - len(g) // 2, np.linspace(-12, 12, 481)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    curve = np.exp(-(x**2) / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)
    left.plot(x, curve, label="continuous Gaussian")
    left.plot(k, g, "o", ms=4, color=figures.COLORS["red"], label="your weights")
    left.set(
        title=f"{len(g)} weights, sum {np.sum(g):.6f}", xlabel="k (pixels)", xlim=(-12, 12), ylim=(0, 1.3 * curve.max())
    )
    left.legend(loc="upper center", ncols=2)
    figures.show_image(right, blur(photo, sigma), rf"blurred, $\sigma$ = {sigma:g} px")
    return fig


# %% [markdown]
# Move $\sigma$ down to its lower end.

# %%
controls.explore(show_blur, sigma=controls.FloatSlider(2.0, min=0.25, max=6, step=0.25))

# %% [markdown]
# **Look for** the dots near $\sigma = 0.25$: the curve there is 1.60 high in its middle, more than any share of 1 can be. Its samples no
# longer sum to 1, and only the division in Eq. (2) keeps the brightness. From $\sigma \approx 0.75$ on, dots and curve agree to the eye.
# The frame of the blurred photo must show no dark margin.
#
# ## Question 3 — sharpening (4 points)
#
# What a blur takes away is the detail; unsharp masking adds $\alpha$ times the detail to the image:
#
# $$S = F + \alpha\,(F - G_\sigma * F). \tag{3}$$
#
# At a step from 0 to 1 the sharpened image goes beyond the values of the image. **Derive** by how much: for the brightest pixel $p$ of
# $S$, write $(G_\sigma * F)[p]$ as a sum of weights $g[k]$, and use that they are symmetric and sum to 1. What remains has only $\alpha$ and
# the middle weight $g[0]$ in it. Write both functions.


# %% tags=["stub"]
def unsharp(image, sigma, amount):
    """Sharpen an image (H, W) by Eq. (3); `amount` is alpha.

    The border rule is "mirror"; the result is a new (H, W) array and may leave [0, 1].
    """
    raise NotImplementedError


def overshoot(sigma, amount):
    """Predict how far above 1 the brightest pixel of a sharpened step from 0 to 1 lies.

    A formula of `amount` and of your `gaussian_weights(sigma)`; no image is filtered.  Returns a number.
    """
    raise NotImplementedError


# %% tags=["solution"]
def unsharp(image, sigma, amount):
    """Sharpen an image (H, W) by Eq. (3); `amount` is alpha.

    The border rule is "mirror"; the result is a new (H, W) array and may leave [0, 1].
    """
    return image + amount * (image - blur(image, sigma))


def overshoot(sigma, amount):
    """Predict how far above 1 the brightest pixel of a sharpened step from 0 to 1 lies.

    A formula of `amount` and of your `gaussian_weights(sigma)`; no image is filtered.  Returns a number.
    """
    g = gaussian_weights(sigma)
    return amount * (1 - g[len(g) // 2]) / 2  # the first bright pixel loses the weights on its dark side


# %%
check("q3")

# %% [markdown]
# The dashed lines are your prediction, the dots the sharpened step. Which of the two sliders changes the height of the overshoot,
# and which one its width?


# %%
def show_sharpened(sigma=2.0, amount=1.0):
    """A sharpened step with the predicted overshoot, and the sharpened photo."""
    step = np.zeros((1, 40))
    step[:, 20:] = 1
    above = overshoot(sigma, amount)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
    left.plot(step[0], drawstyle="steps-mid", color="0.6", label="step")
    left.plot(unsharp(step, sigma, amount)[0], "o-", ms=3, label="sharpened")
    left.hlines([-above, 1 + above], 0, 39, colors=figures.COLORS["red"], linestyles="--", label="predicted")
    left.set(title=f"predicted overshoot {above:.3f}", xlabel="x (pixels)", ylim=(-1.6, 2.6))
    left.legend(loc="upper left")
    title = rf"$\sigma$ = {sigma:g} px, $\alpha$ = {amount:g}"
    figures.show_image(right, unsharp(photo, sigma, amount), title)
    return fig


# %% [markdown]
# Try a wide $\sigma$ with a small $\alpha$, too: photographers call that local contrast.

# %%
controls.explore(
    show_sharpened,
    sigma=controls.FloatSlider(2.0, min=0.5, max=5, step=0.25),
    amount=controls.FloatSlider(1.0, min=0, max=3, step=0.25),
)

# %% [markdown]
# **Look for** the dots that touch the dashed lines exactly. The height is proportional to $\alpha$; with $\sigma$ it grows from
# $0.11\,\alpha$ at 0.5 pixels to $0.46\,\alpha$ at 5 and never up to $\alpha/2$, since $g[0]$ gets small but not 0. The width follows
# $\sigma$ without a limit. In the photo the overshoot is the bright seam around the dark hair.
#
# ## Question 4 — two filters without a kernel (5 points)
#
# The **median filter** puts the median of the `size` × `size` window around a pixel in its place.
# The **bilateral filter** averages, with weights that fall with the distance *and* with the difference in brightness:
#
# $$G[y, x] = \frac{\sum_{i,j} w_{ij}\, F[y+i, x+j]}{\sum_{i,j} w_{ij}}, \qquad
# w_{ij} = \exp\Bigl(-\frac{i^2 + j^2}{2\sigma_s^2}\Bigr)\, \exp\Bigl(-\frac{(F[y+i, x+j] - F[y, x])^2}{2\sigma_r^2}\Bigr), \tag{4}$$
#
# summed over the square $|i|, |j| \le r = \lceil 2\sigma_s \rceil$. Both go on outside by the rule `"mirror"`.


# %% tags=["stub"]
def median_filter(image, size):
    """Median of the size x size window around each pixel of an image (H, W); `size` is odd.

    The border rule is "mirror"; returns a new (H, W) array.
    """
    raise NotImplementedError


def bilateral_filter(image, sigma_space, sigma_range):
    """Bilateral filter of an image (H, W) by Eq. (4).

    `sigma_space` is in pixels, `sigma_range` in brightness.  The border rule is "mirror"; returns a new (H, W) array.
    """
    raise NotImplementedError


# %% tags=["solution"]
def median_filter(image, size):
    """Median of the size x size window around each pixel of an image (H, W); `size` is odd.

    The border rule is "mirror"; returns a new (H, W) array.
    """
    padded = np.pad(image, size // 2, "symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    return np.median(windows, axis=(2, 3))


def bilateral_filter(image, sigma_space, sigma_range):
    """Bilateral filter of an image (H, W) by Eq. (4).

    `sigma_space` is in pixels, `sigma_range` in brightness.  The border rule is "mirror"; returns a new (H, W) array.
    """
    (H, W), r = image.shape, int(np.ceil(2 * sigma_space))
    padded = np.pad(image, r, "symmetric")
    total, norm = np.zeros((H, W)), np.zeros((H, W))
    for i in range(-r, r + 1):
        for j in range(-r, r + 1):
            values = padded[r + i : r + i + H, r + j : r + j + W]
            distance2, difference2 = i**2 + j**2, (values - image) ** 2
            weight = np.exp(-distance2 / (2 * sigma_space**2) - difference2 / (2 * sigma_range**2))
            total += weight * values
            norm += weight
    return total / norm


# %%
check("q4")

# %% [markdown]
# Two kinds of noise, two filters. The numbers are the PSNR against the clean photo in decibels: more is better. Which filter will win
# against which noise?

# %%
NOISY = {
    "salt and pepper": scenes.add_salt_and_pepper(photo, 0.1, rng=1),
    "Gaussian": scenes.add_gaussian_noise(photo, 0.1, rng=1),
}


def show_denoised(noise="salt and pepper", size=3, sigma_range=0.25):
    """A noisy photo, its median and its bilateral filter, each with its PSNR."""
    shown = [NOISY[noise], median_filter(NOISY[noise], size), bilateral_filter(NOISY[noise], 1.5, sigma_range)]
    names = [f"{noise} noise", f"median {size} × {size}", rf"bilateral, $\sigma_r$ = {sigma_range:g}"]
    return figures.row(shown, [f"{name}\n{images.psnr(p, photo):.1f} dB" for name, p in zip(names, shown)])


# %% [markdown]
# Find the best `sigma_range` for each noise, too.

# %%
controls.explore(
    show_denoised,
    noise=controls.ToggleButtons(options=list(NOISY), value="salt and pepper"),
    size=controls.SelectionSlider(options=[1, 3, 5, 7], value=3),
    sigma_range=controls.FloatSlider(0.25, min=0.05, max=1.5, step=0.05),
)

# %% [markdown]
# **Look for** the impulses that the bilateral filter leaves untouched: a white pixel differs from *all* its neighbours, so it is
# averaged with hardly anybody but itself. The median of 3 × 3 wins here with 28.8 dB against at most 23.5 dB, which the bilateral
# filter reaches at $\sigma_r = 0.8$, where it is not far from a plain Gaussian. Against Gaussian noise it is the other way round: 27.5 dB
# at $\sigma_r = 0.3$ against 25.4 dB.
#
# ## Question 5 — black boxes (5 points)
#
# Somebody hands you filters that you can use but not open: `box(number, image)` sends an image through box `number`, and there are
# as many boxes as numbers. In all of them the image goes on by the rule `"wrap"`, so `np.roll` shifts an image without any trouble
# at the border. Do not change this cell, and do not use what is in it: your functions may only *call* `box`.


# %%
def box(number, image):
    """Send an image (H, W) through black box `number`; returns an image (H, W)."""
    secret = np.random.default_rng(number)
    kind, kernel, level = secret.integers(12), secret.normal(size=(3, 3)), secret.uniform(0.3, 0.7)
    F = np.asarray(image, dtype=np.float64)
    y, x = np.indices(F.shape)
    around = np.stack([np.roll(F, (i, j), axis=(0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    filtered = np.tensordot(kernel.ravel(), around, axes=1)
    return [
        filtered,
        np.roll(F, (2, -1), axis=(0, 1)),
        np.median(around, axis=0),
        np.abs(filtered),
        filtered + level,
        np.where(level < F, 1.0, 0.0),
        F / (np.abs(F).max() + 1e-9),
        F * (1 + np.cos(2 * np.pi * x / F.shape[1])),
        filtered * (1 + y / F.shape[0]),
        F[:, ::-1],
        F[y - y % 2, x - x % 2],
        F**2 * (1 + y / F.shape[0]),
    ][kind]


# %% [markdown]
# A box $f$ is **linear** if $f(s\,A + t\,B) = s\,f(A) + t\,f(B)$ for all images $A$, $B$ and numbers $s$, $t$, and **shift-invariant** if
# shifting the image shifts the result by as much and changes nothing else.
#
# 1. `classify` probes a box and tells which of the two it is. A failed probe proves that a property is missing; no number of
#    passed ones proves that it is there, so choose probes that leave a box no place to hide.
# 2. `steal_kernel` gets a box that is linear and shift-invariant, with a 3 × 3 kernel. Take the kernel with a single call.


# %% tags=["stub"]
def classify(number):
    """Probe box `number`: return the pair (linear, shift_invariant) of bools."""
    raise NotImplementedError


def steal_kernel(number):
    """Find the (3, 3) kernel with which ``conv2d(image, kernel, "wrap")`` does what box `number` does."""
    raise NotImplementedError


# %% tags=["solution"]
def classify(number):
    """Probe box `number`: return the pair (linear, shift_invariant) of bools."""
    A, B = np.random.default_rng(0).normal(size=(2, 11, 14))
    linear = np.allclose(box(number, 2 * A - 3 * B), 2 * box(number, A) - 3 * box(number, B))
    shifted = np.roll(A, (1, 1), axis=(0, 1))  # one pixel in both directions
    invariant = np.allclose(box(number, shifted), np.roll(box(number, A), (1, 1), axis=(0, 1)))
    return linear, invariant


def steal_kernel(number):
    """Find the (3, 3) kernel with which ``conv2d(image, kernel, "wrap")`` does what box `number` does."""
    return box(number, scenes.impulse((5, 5)))[1:4, 1:4]


# %%
check("q5")

# %% [markdown]
# Now the loot is tried out: your `conv2d` with the stolen kernel against the box itself, on the photo. For some boxes you own
# everything after one picture; for which does the theft fail?


# %%
SUSPECTS = [23, 38, 4, 21, 0, 30, 12, 34, 24, 3, 16, 1, 7]


def show_theft(number=23):
    """What a box makes of the darkened photo, what the stolen kernel makes of it, and the difference."""
    dark = 0.8 * photo
    real, copy = box(number, dark), conv2d(dark, steal_kernel(number), "wrap")
    limits = (float(real.min()), float(real.max()))
    fig, axes = plt.subplots(1, 3, figsize=(8, 2.6))
    figures.show_image(axes[0], real, f"box {number}", limits)
    figures.show_image(axes[1], copy, "stolen kernel", limits)
    worst = np.abs(copy - real).max()
    figures.show_field(axes[2], copy - real, f"difference, at most {worst:.2f}", limit=float(np.abs(real).max()))
    linear, invariant = classify(number)
    fig.suptitle(f"classified as {'' if linear else 'not '}linear, {'' if invariant else 'not '}shift-invariant")
    return fig


# %% [markdown]
# Go through the boxes one by one, and say what each does before you read the title.

# %%
controls.explore(show_theft, number=controls.SelectionSlider(options=SUSPECTS, value=23))

# %% [markdown]
# **Look for** the two boxes without any difference, 23 and 34. Box 38 gives the thief nothing at all: its response to an impulse is
# black. Box 30 is linear and shift-invariant, and the theft fails all the same. Why?
# <details><summary>Answer</summary>
#
# It shifts the image by two rows: the one weight of its kernel lies outside the 3 × 3 pixels that you cut out. The response to the
# impulse tells everything about this box, but you have to look at all of it.
# </details>
#
# ## Question 6 — in words (2 points, marked by hand)
#
# A colleague sends a single picture, the response of his secret denoiser to one white pixel on black: it is all black.
# He claims that the denoiser is linear and shift-invariant. (a) If he is right, what does it do to your holiday photos? (b) What is it
# more likely to be, which one further probe would show that, and why is no picture of this kind enough to predict what it does
# to a photo?

# %% [markdown] tags=["stub", "text:q6"]
# **Answer q6:** (write here)

# %% [markdown] tags=["solution", "text:q6"]
# **Answer q6:** (a) Every image is a sum of shifted, weighted white pixels. If the box is linear and shift-invariant, its response to
# the image is the same sum of shifted, weighted copies of the response to one pixel, which is black: all photos come out black.
# (b) More likely it is a median (or another filter that drops outliers): one white pixel is never the median of its window.
# A probe with structure shows it: a white area, larger than the window, comes out white although every one of its pixels alone comes out
# black, so superposition fails. For a filter that is not linear the responses to parts do not add up to the response to the
# whole, so no set of single pixels predicts what happens to a photo.
