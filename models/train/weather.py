"""What a traffic camera does to a picture, on I420 planes: night, noise, rain, fog, glare, blur, few pixels, codecs.

Every change takes the planes (Y u1[h, w], U and V at half size), a random generator and where boxes lie, and returns
planes. Plain models: they need not be true, they must keep the network from resting on what a camera may not show.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

from models.train.dataset import Planes

try:
    import av
except ModuleNotFoundError:  # a borrowed GPU machine may lack it: JPEG alone then
    av = None

#: Samples of noise made once: each use cuts a random piece.
_BANK_PX = 1024


@functools.cache
def noise_bank() -> np.ndarray:
    """Return normal noise of standard deviation 1 as f4[1024, 1024], a mix of fine and coarse grain."""
    rng = np.random.default_rng(7)
    fine = rng.normal(size=(_BANK_PX, _BANK_PX)).astype(np.float32)
    coarse = cv2.GaussianBlur(fine[::-1].copy(), (0, 0), 0.8)
    mixed = fine + coarse / coarse.std()
    return mixed / mixed.std()


def cut_noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a piece of the noise bank."""
    top, left = rng.integers(0, _BANK_PX - shape[0] + 1), rng.integers(0, _BANK_PX - shape[1] + 1)
    return noise_bank()[top : top + shape[0], left : left + shape[1]]


def look_up(plane: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Return a plane with each value replaced by that of a curve f[256]."""
    return cv2.LUT(plane, np.clip(np.rint(curve), 0, 255).astype(np.uint8))


def expose(planes: Planes, rng: np.random.Generator) -> Planes:
    """Vary contrast, brightness, gamma, saturation and hue a little."""
    y = np.arange(256.0)
    y = 16 + 219 * np.clip((y - 16) / 219, 0, 1) ** np.exp(rng.uniform(-0.35, 0.35))
    y = (y - 110) * rng.uniform(0.7, 1.25) + 110 + rng.uniform(-24, 24)
    gain, turn = rng.uniform(0.2, 1.4), rng.normal(0, 0.12)
    c, s = gain * np.cos(turn), gain * np.sin(turn)
    tint = rng.normal(0, 4, 2)
    u, v = planes.u, planes.v
    return Planes(look_up(planes.y, y), _mix(u, v, c, -s, tint[0]), _mix(v, u, c, s, tint[1]))


def _mix(a: np.ndarray, b: np.ndarray, of_a: float, of_b: float, tint: float) -> np.ndarray:
    return cv2.addWeighted(a, of_a, b, of_b, 128 * (1 - of_a - of_b) + tint)


def night(planes: Planes, rng: np.random.Generator, boxes: np.ndarray) -> Planes:
    """Darken, wash the colour out, light lamps at the lower corners of vehicles, and add the sensor's noise."""
    dim = rng.uniform(0.06, 0.45)
    curve = 16 + (np.arange(256.0) - 16) * dim + 40 * ((np.arange(256.0) - 16).clip(0) / 219) ** 6
    y = look_up(planes.y, curve).astype(np.float32)
    if rng.random() < 0.7:
        for x1, y1, x2, y2 in boxes[:, :4]:
            if y2 - y1 >= 8 and rng.random() < 0.7:
                _light_lamps(y, (x1, y1, x2, y2), rng)
    if rng.random() < 0.5:
        _pool(y, rng.uniform(0, y.shape[1]), rng.uniform(0, y.shape[0]), rng.uniform(40, 200), rng.uniform(20, 90))
    # Shot noise grows with the root of the light, read noise does not.
    sigma = rng.uniform(1.0, 7.0)
    y += cut_noise(y.shape, rng) * (sigma * (0.5 + 0.08 * np.sqrt(np.maximum(y - 16, 0))))
    fade = rng.uniform(0.15, 0.8)
    u, v = (_mix(plane, plane, fade, 0.0, rng.normal(0, 5)) for plane in (planes.u, planes.v))
    if rng.random() < 0.4:
        u, v = (_noisy(plane, rng.uniform(1, 5), rng) for plane in (u, v))
    return Planes(_bytes(y), u, v)


def _light_lamps(y: np.ndarray, box: tuple[float, ...], rng: np.random.Generator) -> None:
    x1, y1, x2, y2 = box
    power, radius = rng.uniform(40, 260), max(1.5, (x2 - x1) * rng.uniform(0.04, 0.14))
    height = y2 - (y2 - y1) * rng.uniform(0.2, 0.4)
    for across in (0.15, 0.85):
        _pool(y, x1 + (x2 - x1) * across, height, radius, power)


def _pool(y: np.ndarray, cx: float, cy: float, radius_px: float, power: float) -> None:
    """Add a round pool of light in place, fading as a bell."""
    reach = int(3 * radius_px) + 1
    left, right = max(0, int(cx) - reach), min(y.shape[1], int(cx) + reach + 1)
    top, bottom = max(0, int(cy) - reach), min(y.shape[0], int(cy) + reach + 1)
    if left >= right or top >= bottom:
        return
    across = np.exp(-(((np.arange(left, right) - cx) / radius_px) ** 2) / 2)
    down = np.exp(-(((np.arange(top, bottom) - cy) / radius_px) ** 2) / 2)
    y[top:bottom, left:right] += power * np.outer(down, across).astype(np.float32)


def _noisy(plane: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    return _bytes(plane + cut_noise(plane.shape, rng) * sigma)


def _bytes(plane: np.ndarray) -> np.ndarray:
    return np.clip(plane, 0, 255).astype(np.uint8)


def grain(planes: Planes, rng: np.random.Generator) -> Planes:
    """Add noise by daylight."""
    return planes._replace(y=_noisy(planes.y, rng.uniform(1, 9), rng))


def fog(planes: Planes, rng: np.random.Generator) -> Planes:
    """Lay a veil over the picture, thicker towards its top."""
    low, high = sorted(rng.uniform(0.25, 0.95, 2))
    through = np.linspace(low, high, planes.y.shape[0], dtype=np.float32)[:, None]
    veil = rng.uniform(120, 210)
    y = planes.y * through + veil * (1 - through)
    half = through[::2]
    return Planes(_bytes(y), *(_bytes(plane * half + 128 * (1 - half)) for plane in (planes.u, planes.v)))


def rain(planes: Planes, rng: np.random.Generator) -> Planes:
    """Draw streaks, perhaps drops on the glass, and take some contrast."""
    height, width = planes.y.shape
    streaks = np.zeros_like(planes.y)
    slope, length = rng.normal(0, 0.25), rng.uniform(6, 26)
    for x, top in zip(rng.uniform(0, width, 120), rng.uniform(-10, height, 120), strict=True):
        end = (int(x + slope * length), int(top + length))
        cv2.line(streaks, (int(x), int(top)), end, int(rng.integers(20, 90)), 1)
    y = cv2.add(cv2.convertScaleAbs(planes.y, alpha=0.85, beta=12), cv2.blur(streaks, (2, 2)))
    if rng.random() < 0.5:
        soft = cv2.GaussianBlur(y, (0, 0), 3.5)
        drops = np.zeros_like(y)
        for _ in range(int(rng.integers(2, 14))):
            centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
            cv2.circle(drops, centre, int(rng.uniform(3, 16)), 255, -1)
        cover = cv2.blur(drops, (3, 3))[..., None].astype(np.float32) / 255
        y = _bytes(y * (1 - cover[..., 0]) + cv2.add(soft, 12) * cover[..., 0])
    return planes._replace(y=y)


def glare(planes: Planes, rng: np.random.Generator) -> Planes:
    """Let the low sun shine into the lens: a large bright pool that bleaches."""
    y = planes.y.astype(np.float32)
    _pool(y, rng.uniform(0, y.shape[1]), rng.uniform(-20, y.shape[0] * 0.7), rng.uniform(30, 140), rng.uniform(60, 220))
    return planes._replace(y=_bytes(y + rng.uniform(0, 25)))


def blur(planes: Planes, rng: np.random.Generator) -> Planes:
    """Blur along a line, as motion does, or all round, as a soft lens does."""
    if rng.random() < 0.5:
        sigma = rng.uniform(0.5, 1.6)
        return planes._replace(y=cv2.GaussianBlur(planes.y, (0, 0), sigma))
    size = int(rng.integers(3, 8)) | 1
    kernel = np.zeros((size, size), np.float32)
    turn, middle = rng.uniform(0, np.pi), (size - 1) / 2
    step = (np.cos(turn) * middle, np.sin(turn) * middle)
    cv2.line(
        kernel,
        (round(middle - step[0]), round(middle - step[1])),
        (round(middle + step[0]), round(middle + step[1])),
        1.0,
        1,
    )
    return planes._replace(y=cv2.filter2D(planes.y, -1, kernel / kernel.sum()))


def coarse(planes: Planes, rng: np.random.Generator) -> Planes:
    """Give the picture the detail of a small one, such as CIF, scaled up again; perhaps sharpened too much."""
    ratio = rng.uniform(0.3, 0.85)
    way = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.5, 0.4, 0.1]))
    small = [
        cv2.resize(
            p, (max(2, round(p.shape[1] * ratio)), max(2, round(p.shape[0] * ratio))), interpolation=cv2.INTER_AREA
        )
        for p in planes
    ]
    y, u, v = (cv2.resize(s, (p.shape[1], p.shape[0]), interpolation=way) for s, p in zip(small, planes, strict=True))
    if rng.random() < 0.4:
        y = cv2.addWeighted(y, 1.6, cv2.GaussianBlur(y, (0, 0), 1.2), -0.6, 0)
    return Planes(y, u, v)


def jpeg(planes: Planes, rng: np.random.Generator) -> Planes:
    """Pack and unpack each plane as JPEG of low quality."""
    quality = int(rng.integers(18, 70))
    packed = [cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for plane in planes]
    return Planes(*(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) for data in packed))


def h264(planes: Planes, rng: np.random.Generator) -> Planes:
    """Encode the picture twice, the first time a little shifted, at a high QP, and return the second, a P frame."""
    if av is None:
        return jpeg(planes, rng)
    height, width = planes.y.shape
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.framerate = width, height, "yuv420p", 25
    codec.thread_count = 1
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "qp": str(rng.integers(30, 44))}
    move = 2 * int(rng.integers(-2, 3))
    shifted = Planes(*(np.roll(p, move // part, 1) for p, part in zip(planes, (1, 2, 2), strict=True)))
    packets = []
    for number, one in enumerate((shifted, planes)):
        flat = np.concatenate([one.y, one.u.reshape(-1, width), one.v.reshape(-1, width)])
        frame = av.VideoFrame.from_ndarray(flat, format="yuv420p")
        frame.pts = number
        packets += codec.encode(frame)
    packets += codec.encode(None)
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    flat = frames[-1].to_ndarray()
    half = flat[height:].reshape(2, height // 2, width // 2)
    return Planes(flat[:height], half[0], half[1])


def weather(planes: Planes, rng: np.random.Generator, boxes: np.ndarray, mild: bool) -> Planes:
    """Return the planes as some camera on some day would give them; `mild` where the training comes to rest."""
    scale = 0.5 if mild else 1.0
    if rng.random() < 0.8:
        planes = expose(planes, rng)
    if rng.random() < 0.06 * scale:
        planes = fog(planes, rng)
    if rng.random() < 0.07 * scale:
        planes = glare(planes, rng)
    if rng.random() < 0.18 * scale:
        planes = night(planes, rng, boxes)
    if rng.random() < 0.06 * scale:
        planes = rain(planes, rng)
    if rng.random() < 0.15 * scale:
        planes = blur(planes, rng)
    if rng.random() < 0.3 * scale:
        planes = coarse(planes, rng)
    if rng.random() < 0.15 * scale:
        planes = grain(planes, rng)
    pick = rng.random()
    if pick < 0.2 * scale:
        planes = h264(planes, rng)
    elif pick < 0.45 * scale:
        planes = jpeg(planes, rng)
    return planes
