"""Time the kernels beside other libraries, in one process and in turn.

    python tests/benchmarks/kernels.py [NAME …] [--threads 1] [--rounds 15]

Contestants are called A B C A B C …, so that a slow spell of the machine hits all of them; the table shows the least
time of each and its ratio to the fastest peer.  OpenCV takes part where it is installed
(``pip install opencv-python-headless``).  Every answer is compared with the first peer's before the clock starts.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("names", nargs="*", help="parts of the names of tasks; all if none is given")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=15)
ARGUMENTS = parser.parse_args()
for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(ARGUMENTS.threads)

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from scipy import fft, ndimage, spatial  # noqa: E402
from skimage import feature, restoration, transform  # noqa: E402

from cvcourse import (  # noqa: E402
    alignment,
    blobs,
    classification,
    corners,
    descriptors,
    edges,
    filtering,
    photometric_stereo,
    ransac,
    sampling,
    stereo,
    two_view,
    warping,
)
from cvcourse.homogeneous import transform_points  # noqa: E402

try:
    import cv2
except ImportError:
    cv2 = None
else:
    cv2.setNumThreads(ARGUMENTS.threads if ARGUMENTS.threads > 1 else 0)


class Task(NamedTuple):
    """One kernel at one size: ours, the peers, and how far answers may differ inside the border."""

    name: str
    ours: Callable[[], Any]
    peers: dict[str, Callable[[], Any]]
    tolerance: float
    border: int = 40
    measure: Callable[[np.ndarray], Any] = np.max


def scene(height: int, width: int) -> np.ndarray:
    """A float32 picture with edges and texture, the same each time."""
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.random((height // 32 + 1, width // 32 + 1)), np.ones((32, 32)))[:height, :width]
    return np.clip(ndimage.gaussian_filter(blocks, 1) + 0.05 * rng.standard_normal((height, width)), 0, 1).astype("f4")


def opencv(call: Callable[[], Any]) -> dict[str, Callable[[], Any]]:
    """Let OpenCV take part if it is there."""
    return {"OpenCV": call} if cv2 else {}


def tasks(f: np.ndarray, label: str) -> Iterator[Task]:
    """List the tasks on one image."""
    small, large = np.random.default_rng(1).standard_normal((2, 15, 15)).astype("f4")
    for k in (small[:3, :3].copy(), large):
        peers = {"SciPy": lambda k=k: ndimage.correlate(f, k, mode="reflect")}
        peers |= opencv(lambda k=k: cv2.filter2D(f, -1, k, borderType=cv2.BORDER_REFLECT))
        yield Task(f"correlate {len(k)}x{len(k)} {label}", lambda k=k: filtering.correlate(f, k), peers, 1e-4)
    for sigma in (2.0, 8.0):
        n = 2 * int(4 * sigma + 0.5) + 1
        peers = {"SciPy": lambda s=sigma: ndimage.gaussian_filter(f, s)}
        peers |= opencv(lambda s=sigma, n=n: cv2.GaussianBlur(f, (n, n), s, borderType=cv2.BORDER_REFLECT))
        yield Task(f"gaussian {sigma:g} {label}", lambda s=sigma: filtering.gaussian(f, s), peers, 1e-5)
    for size in (3, 5):
        peers = {"SciPy": lambda n=size: ndimage.median_filter(f, n)} | opencv(lambda n=size: cv2.medianBlur(f, n))
        yield Task(f"median {size}x{size} {label}", lambda n=size: filtering.median(f, n), peers, 0)
    if f.size < 1e6:
        skimage = {"scikit-image": lambda: restoration.denoise_bilateral(f, 11, 0.1, 3.0, mode="symmetric")}
        # windows differ at their corners (ours is round, as OpenCV's), and scikit-image rounds weights to a table
        peers = opencv(lambda: cv2.bilateralFilter(f, 11, 0.1, 3.0, borderType=cv2.BORDER_REFLECT)) | skimage
        yield Task(f"bilateral r5 {label}", lambda: filtering.bilateral(f, 3.0, 0.1, 5), peers, 0.05)

    def scipy_polar() -> Any:
        Ix, Iy = ndimage.sobel(f, 1) / 8, ndimage.sobel(f, 0) / 8
        return np.hypot(Ix, Iy)

    def opencv_polar() -> Any:
        Ix = cv2.Sobel(f, cv2.CV_32F, 1, 0, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        Iy = cv2.Sobel(f, cv2.CV_32F, 0, 1, scale=1 / 8, borderType=cv2.BORDER_REFLECT)
        return cv2.cartToPolar(Ix, Iy)[0]

    peers = {"SciPy": scipy_polar} | opencv(opencv_polar)
    yield Task(f"gradient {label}", lambda: edges.polar_gradient(f).magnitude, peers, 1e-5)
    # scikit-image smooths a second time, by its Sobel kernels: a few pixels in a hundred differ
    peers = {"scikit-image": lambda: feature.canny(f, 1.4, 0.1, 0.3)}
    yield Task(f"canny {label}", lambda: edges.canny(f, 1.4, 0.0125, 0.0375), peers, 0.05, measure=np.mean)
    peers = {"SciPy": lambda: scipy_pyramid(f)[1]} | opencv(lambda: opencv_pyramid(f)[1])
    yield Task(f"gaussian pyramid {label}", lambda: sampling.gaussian_pyramid(f, 5)[1], peers, 1e-5)
    height, width = f.shape[0] // 3, f.shape[1] // 3
    picture = Image.fromarray(f)
    peers = {"Pillow": lambda: np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))}
    yield Task(f"resize to a third {label}", lambda: sampling.resize(f, (height, width)), peers, 1e-4)
    # scikit-image differentiates without smoothing first
    peers = {"SciPy": lambda: scipy_harris(f), "scikit-image": lambda: feature.corner_harris(f, k=0.05, sigma=1.5)}
    yield Task(f"harris {label}", lambda: corners.harris_response(f, 1.5, 0.05), peers, 1e-5)
    sigmas = 1.6 * 2 ** (np.arange(9) / 4)
    peers = {"SciPy": lambda: scipy_dog(f, sigmas)[4]}
    yield Task(f"dog of 8 scales {label}", lambda: blobs.dog_stack(f, sigmas, normalised=False)[4], peers, 1e-4)
    height, width = f.shape
    T = np.array([[0.9, -0.3, 0.2 * width], [0.25, 0.95, -0.05 * height], [1e-5, -2e-5, 1.0]])
    peers = {"SciPy": lambda: scipy_warp(f, T), "scikit-image": lambda: transform.warp(f, np.linalg.inv(T), order=1)}
    peers |= opencv(lambda: cv2.warpPerspective(f, T, (width, height), flags=cv2.INTER_LINEAR))
    # at the rim of the picture some mix with the black outside, ours does not
    yield Task(f"warp {label}", lambda: warping.warp(f, T).image, peers, 1e-3, measure=np.median)
    peers = {"NumPy": lambda: numpy_splat(f, T)}
    yield Task(f"splat {label}", lambda: warping.splat(f, T).image, peers, 1e-3, measure=np.median)


def point_tasks(f: np.ndarray) -> Iterator[Task]:
    """List the tasks on keypoints, descriptors and pairs of points."""
    rng = np.random.default_rng(2)
    places = rng.integers(40, 470, (500, 2)).astype(float)
    level = np.zeros(len(places))
    peers = {"SciPy": lambda: scipy_mops(f, places)}
    yield Task("mops of 500 points", lambda: descriptors.mops(f, places, level), peers, 1e-3, border=0)
    if cv2:
        image = (255 * f).astype(np.uint8)
        peers = {"OpenCV": lambda: np.array([len(cv2.SIFT_create().detectAndCompute(image, None)[0])]) / 4000}
        ours = lambda: np.array([len(descriptors.sift(f).keypoints)]) / 4000  # noqa: E731
        yield Task("sift 512", ours, peers, 0.1, border=0)  # as many keypoints, to a tenth
    a, b = (d / np.linalg.norm(d, axis=1, keepdims=True) for d in rng.random((2, 2000, 128)).astype("f4"))
    peers = {"SciPy": lambda: spatial.distance.cdist(a, b).argmin(axis=1)}
    if cv2:
        matcher = cv2.BFMatcher()
        peers["OpenCV"] = lambda: np.array([pair[0].trainIdx for pair in matcher.knnMatch(a, b, k=2)])
    yield Task("match 2000 x 2000 x 128", lambda: descriptors.nearest(a, b).indices, peers, 0, border=0)
    H = np.array([[1.1, 0.2, 30.0], [-0.1, 0.9, 12.0], [4e-4, -2e-4, 1.0]])
    for n in (4, 1000):
        src = rng.uniform(0, 640, (n, 2))
        dst = transform_points(H, src)
        peers = {"scikit-image": lambda p=src, q=dst: transform.ProjectiveTransform.from_estimate(p, q).params}
        peers |= opencv(lambda p=src, q=dst: cv2.findHomography(p, q, 0)[0])
        ours = lambda p=src, q=dst: alignment.fit_homography(p, q)  # noqa: E731
        yield Task(f"dlt of {n} pairs", ours, peers, 1e-4, border=0)


def geometry_tasks(f: np.ndarray) -> Iterator[Task]:
    """List the tasks on pairs of points with outliers, on two views, and on a stereo pair."""
    rng = np.random.default_rng(3)
    H = np.array([[1.1, 0.2, 30.0], [-0.1, 0.9, 12.0], [4e-4, -2e-4, 1.0]])
    src = rng.uniform(0, 640, (1000, 2))
    dst = transform_points(H, src) + rng.normal(size=src.shape)
    dst[rng.permutation(1000)[:500]] = rng.uniform(0, 640, (500, 2))
    mapped = lambda T: transform_points(T / T[2, 2], src[:50])  # noqa: E731
    peers = opencv(lambda: mapped(cv2.findHomography(src, dst, cv2.RANSAC, 3.0)[0]))
    if peers:  # compared by where they carry points, in pixels
        ours = lambda: mapped(ransac.ransac_homography(src, dst, 3.0, rng=0).model)  # noqa: E731
        yield Task("ransac homography 50 %", ours, peers, 1.0, border=0)
    X = rng.uniform([-2, -2, 4], [2, 2, 8], (1000, 3))
    K, P = np.diag([500.0, 500.0, 1.0]), np.eye(3, 4)
    other = np.column_stack([np.eye(3), [-1.0, 0.1, 0.2]])
    x1, x2 = ((X @ (K @ Q)[:, :3].T + (K @ Q)[:, 3]) for Q in (P, other))
    x1, x2 = x1[:, :2] / x1[:, 2:], x2[:, :2] / x2[:, 2:]
    unit = lambda F: np.abs(F / np.linalg.norm(F))  # noqa: E731
    peers = opencv(lambda: unit(cv2.findFundamentalMat(x1, x2, cv2.FM_8POINT)[0]))
    if peers:
        yield Task("8-point of 1000 pairs", lambda: unit(two_view.fit_fundamental(x1, x2)), peers, 1e-6, border=0)
        peers = {"OpenCV": lambda: (lambda h: h[:3] / h[3])(cv2.triangulatePoints(K @ P, K @ other, x1.T, x2.T)).T}
        ours = lambda: two_view.triangulate(K @ P, K @ other, x1, x2)  # noqa: E731
        yield Task("triangulate 1000 points", ours, peers, 1e-6, border=0)
    left = f[:375, :450]
    right = np.ascontiguousarray(np.roll(left, -20, axis=1))
    peers = {"NumPy": lambda: numpy_ssd(left, right)}
    ours = lambda: stereo.winner(stereo.cost_volume(left, right, (0, 63), "ssd", 9), subpixel=False)  # noqa: E731
    yield Task("ssd 450x375 of 64", ours, peers, 0, border=90, measure=np.median)


def learning_tasks() -> Iterator[Task]:
    """List the tasks of classification: 5000 training and 1000 test rows of 3072 numbers."""
    rng = np.random.default_rng(4)
    train, test = rng.random((5000, 3072)).astype("f4"), rng.random((1000, 3072)).astype("f4")
    labels = rng.integers(0, 10, 5000)
    peers = {"NumPy": lambda: np.sort(numpy_nearest(train, test), axis=1)}
    ours = lambda: np.sort(classification.nearest_neighbors(train, test, 5).indices, axis=1)  # noqa: E731
    yield Task("5 nearest", ours, peers, 0.01, border=0, measure=np.median)
    once = classification.Training("plain", 1e-4, 1, 200)
    peers = {"NumPy": lambda: numpy_sgd(train, labels)}
    # ours also trains the constants and shuffles: the weights are small and agree nearly
    ours = lambda: classification.fit_linear(train, labels, training=once).W  # noqa: E731
    yield Task("softmax SGD", ours, peers, 1e-4, border=0)
    peers = {"SciPy": lambda: spatial.distance.cdist(test[:300, :784], train[:2000, :784], "cityblock")}
    ours = lambda: classification.distances(test[:300, :784], train[:2000, :784], "l1")  # noqa: E731
    yield Task("l1 300x2000x784", ours, peers, 1e-2, border=0)


def numpy_ssd(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Winners of the sums of squared differences, by a box filter for each disparity."""
    cost = np.full((64, *left.shape), np.inf, left.dtype)
    for d in range(64):
        cost[d, :, d:] = ndimage.uniform_filter((left[:, d:] - right[:, : left.shape[1] - d]) ** 2, 9)
    return cost.argmin(axis=0)


def numpy_nearest(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Find the five nearest rows by one matrix product."""
    return np.argpartition((train * train).sum(1) - 2 * test @ train.T, 5, axis=1)[:, :5]


def numpy_sgd(x: np.ndarray, y: np.ndarray, rate: float = 1e-4, batch: int = 200) -> np.ndarray:
    """Go once through the rows, downhill on the cross-entropy."""
    w = np.zeros((x.shape[1], 10), x.dtype)
    for i in range(0, len(x), batch):
        a, b = x[i : i + batch], y[i : i + batch]
        p = a @ w
        p -= p.max(1, keepdims=True)
        np.exp(p, out=p)
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(b)), b] -= 1
        w -= np.float32(rate / len(b)) * (a.T @ p)
    return w


def shading_tasks() -> Iterator[Task]:
    """List the tasks of photometric stereo: 12 lights on a smooth surface, and depth from its slopes."""
    for height, width in ((512, 512), (1500, 2000)):
        y, x = np.mgrid[:height, :width].astype("f4")
        z = 30 * np.exp(-((x - width / 2) ** 2 + (y - height / 2) ** 2) / (2 * (width / 6) ** 2)) + 4 * np.sin(
            x / 23
        ) * np.cos(y / 31)
        q, p = np.gradient(z)
        if height == 512:
            lights = np.array([photometric_stereo.light_direction(a, 1.2) for a in 2 * np.pi * np.arange(12) / 12])
            images = photometric_stereo.shade(
                photometric_stereo.surface_normals(z), np.full(z.shape, 0.7, "f4"), lights
            )
            peers = {"NumPy": lambda i=images, toward=lights: numpy_normals(i, toward.astype("f4"))}
            ours = lambda i=images, toward=lights: photometric_stereo.fit_normals(i, toward).normals  # noqa: E731
            yield Task("normals of 12 lights 512", ours, peers, 1e-4, border=0)
        peers = {"SciPy": lambda p=p, q=q: scipy_depth(p, q)}
        # heights of some 35 pixels, summed in float32 over up to 2000 of them
        yield Task(f"depth {height}", lambda p=p, q=q: photometric_stereo.integrate(p, q), peers, 0.1, border=0)


def numpy_normals(images: np.ndarray, lights: np.ndarray) -> np.ndarray:
    """Multiply all pixels by the pseudoinverse."""
    g = np.linalg.pinv(lights) @ images.reshape(len(images), -1)
    return (g / np.linalg.norm(g, axis=0)).T.reshape(*images.shape[1:], 3)


def scipy_depth(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Solve Poisson's equation by cosine transforms."""
    dp, dq = (p[:, :-1] + p[:, 1:]) / 2, (q[:-1] + q[1:]) / 2
    f = np.zeros_like(p)
    f[:, :-1] -= dp
    f[:, 1:] += dp
    f[:-1] -= dq
    f[1:] += dq
    f = fft.dctn(f, type=2)
    v, u = (2 - 2 * np.cos(np.pi * np.arange(k, dtype=p.dtype) / k) for k in p.shape)
    size = v[:, None] + u
    size[0, 0] = 1
    f /= size
    f[0, 0] = 0
    return fft.idctn(f, type=2)


def scipy_harris(f: np.ndarray) -> np.ndarray:
    """Harris' response by SciPy."""
    Ix, Iy = (ndimage.gaussian_filter(f, 1.0, order=order) for order in ((0, 1), (1, 0)))
    Sxx, Sxy, Syy = (ndimage.gaussian_filter(product, 1.5) for product in (Ix * Ix, Ix * Iy, Iy * Iy))
    return Sxx * Syy - Sxy**2 - 0.05 * (Sxx + Syy) ** 2


def scipy_dog(f: np.ndarray, sigmas: np.ndarray) -> list[np.ndarray]:
    """Differences of neighbouring Gaussians by SciPy."""
    levels = [ndimage.gaussian_filter(f, sigma) for sigma in sigmas]
    return [wide - narrow for narrow, wide in itertools.pairwise(levels)]


def scipy_warp(f: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Inverse bilinear warp by SciPy."""
    y, x = np.indices(f.shape)
    u, v, w = np.linalg.inv(T) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return ndimage.map_coordinates(f, [v / w, u / w], order=1).reshape(f.shape)


def numpy_splat(f: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Forward warp to four neighbours by numpy.bincount."""
    y, x = np.indices(f.shape)
    u, v, w = T @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    u, v = u / w, v / w
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    total, weight = np.zeros(f.size), np.zeros(f.size)
    for j in (0, 1):
        for i in (0, 1):
            share = np.abs(1 - j - (v - top)) * np.abs(1 - i - (u - left))
            row, col = top + j, left + i
            hit = (row >= 0) & (row < f.shape[0]) & (col >= 0) & (col < f.shape[1])
            place = (row * f.shape[1] + col)[hit]
            total += np.bincount(place, (share * f.ravel())[hit], f.size)
            weight += np.bincount(place, share[hit], f.size)
    return np.divide(total, weight, out=np.zeros(f.size), where=weight > 1e-6).reshape(f.shape)


def scipy_mops(f: np.ndarray, places: np.ndarray) -> np.ndarray:
    """MOPS without rotation by SciPy."""
    soft = ndimage.gaussian_filter(f, 2.5)
    row, col = (5 * (part.ravel() - 3.5) for part in np.indices((8, 8)))
    patches = ndimage.map_coordinates(soft, [places[:, 1:] + row, places[:, :1] + col], order=1)
    return (patches - patches.mean(axis=1, keepdims=True)) / patches.std(axis=1, keepdims=True)


def scipy_pyramid(f: np.ndarray) -> list[np.ndarray]:
    """Five levels by SciPy."""
    levels = [f]
    for _ in range(4):
        rows = ndimage.correlate1d(levels[-1], sampling.BINOMIAL, 0)
        levels.append(ndimage.correlate1d(rows, sampling.BINOMIAL, 1)[::2, ::2])
    return levels


def opencv_pyramid(f: np.ndarray) -> list[np.ndarray]:
    """Five levels by OpenCV."""
    levels = [f]
    for _ in range(4):
        levels.append(cv2.pyrDown(levels[-1]))
    return levels


def least_times(contestants: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Call all in turn; give each one's least time in milliseconds."""
    least = dict.fromkeys(contestants, np.inf)
    for _ in range(ARGUMENTS.rounds):
        for name, call in contestants.items():
            start = time.perf_counter()
            call()
            least[name] = min(least[name], 1e3 * (time.perf_counter() - start))
    return least


def main() -> int:
    """Print a line a task; 1 if an answer disagrees."""
    wrong = 0
    small, big = scene(512, 512), scene(1500, 2000)
    listings = tasks(small, "512"), point_tasks(small), geometry_tasks(small), shading_tasks(), learning_tasks()
    for listing in (*listings, tasks(big, "big")):
        for task in listing:
            if ARGUMENTS.names and not any(name in task.name for name in ARGUMENTS.names):
                continue
            inner = (np.s_[task.border : -task.border],) * 2 if task.border else ()
            answer = np.asarray(task.ours(), float)[inner]
            gaps = [task.measure(np.abs(answer - np.asarray(call(), float)[inner])) for call in task.peers.values()]
            agree = min(gaps) <= task.tolerance
            wrong += not agree
            times = least_times({"ours": task.ours, **task.peers})
            best = min(times[peer] for peer in task.peers)
            others = ", ".join(f"{peer} {times[peer]:.2f}" for peer in task.peers)
            verdict = "" if agree else "  DISAGREES"
            print(f"{task.name:<26} {times['ours']:8.2f} ms  ratio {times['ours'] / best:5.2f}  ({others}){verdict}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
