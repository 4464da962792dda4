"""Take prepared pictures along to another machine: `python -m models.train.pack pack|unpack --help`.

A prepared cache is too large to carry (1.4 GB), so its pictures are packed as WebP, all at one quality, the best that
fits `--most-mib`. Unpacking gives caches of the same folder names, cut-outs and a teacher's boxes included. Packed
pictures have lost a little; judge the shipped model on the originals.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from models.train.dataset import LEVELS, Cache, Planes

QUALITIES = (80, 65, 50, 40, 32, 25, 18, 12)
TRIED = 120


def flat(planes: Planes) -> np.ndarray:
    """Return planes in one I420 array u1[h * 3 / 2, w]."""
    width = planes.y.shape[1]
    return np.concatenate([planes.y.reshape(-1), planes.u.reshape(-1), planes.v.reshape(-1)]).reshape(-1, width)


def encode(planes: Planes, quality: int) -> bytes:
    """Return a picture as WebP."""
    bgr = cv2.cvtColor(flat(planes), cv2.COLOR_YUV2BGR_I420)
    return cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, quality])[1].tobytes()


def decode(data: bytes, sizes: list[tuple[int, int]]) -> bytes:
    """Return the bytes of a packed picture's planes at all levels, of some sizes (width, height)."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    parts = []
    for size in sizes:
        small = bgr if (bgr.shape[1], bgr.shape[0]) == size else cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
        parts.append(cv2.cvtColor(small, cv2.COLOR_BGR2YUV_I420).tobytes())
    return b"".join(parts)


def best_quality(caches: list[Cache], most_bytes: int) -> int:
    """Return the best quality at which the pictures of all caches should fit, by a sample of each."""
    rng = np.random.default_rng(3)
    picked = [(cache, rng.choice(len(cache), min(TRIED, len(cache)), replace=False)) for cache in caches]
    for quality in QUALITIES:
        total = 0.0
        for cache, some in picked:
            sizes = [len(encode(cache.planes(int(index)), quality)) for index in some]
            total += float(np.mean(sizes)) * len(cache)
        if total * 1.04 < most_bytes:
            return quality
    raise SystemExit(f"the pictures do not fit into {most_bytes / 2**20:.0f} MiB; leave sources out")


def pack(folders: list[Path], into: Path, most_mib: float, teacher: Path | None) -> None:
    """Write the packed caches of some folders into a new folder."""
    if into.exists():
        shutil.rmtree(into)
    into.mkdir(parents=True)
    extra = [path for folder in folders for path in folder.glob("cutouts.*")] + ([teacher] if teacher else [])
    room = int(most_mib * 2**20) - sum(path.stat().st_size for path in extra)
    caches = [Cache(folder) for folder in folders]
    quality = best_quality(caches, room)
    for cache in caches:
        name = cache.folder.name if cache.folder.name != "cache" else cache.folder.parent.name
        own = into / name
        own.mkdir()
        lengths = []
        with (own / "pictures.webp").open("wb") as file:
            for index in range(len(cache)):
                data = encode(cache.planes(index), quality)
                lengths.append(len(data))
                file.write(data)
        np.savez_compressed(
            own / "table.npz", pictures=cache.pictures, boxes=cache.boxes, lengths=np.array(lengths, np.int64)
        )
        shutil.copy(cache.folder / "about.json", own)
        for path in cache.folder.glob("cutouts.*"):
            shutil.copy(path, own)
    if teacher:
        shutil.copy(teacher, into / "teacher.npy")
    total = sum(path.stat().st_size for path in into.rglob("*"))
    print(f"packed {sum(map(len, caches))} pictures at WebP quality {quality}: {total / 2**20:.1f} MiB in {into}")


def unpack(packed: Path, work: Path, processes: int) -> None:
    """Write caches from packed ones under `work`, each in a folder of its name."""
    for own in sorted(path for path in packed.iterdir() if path.is_dir()):
        table = np.load(own / "table.npz")
        rows, into = table["pictures"], work / own.name
        into.mkdir(parents=True, exist_ok=True)
        shapes = [[(int(r["width_px"][k]), int(r["height_px"][k])) for k in range(LEVELS)] for r in rows]
        at = 0
        with (into / "planes.bin").open("wb") as file, ProcessPoolExecutor(processes) as pool:
            for data in pool.map(decode, _parts(own / "pictures.webp", table["lengths"]), shapes, chunksize=32):
                at += file.write(data)
        if at != sum(width * height * 3 // 2 for shape in shapes for width, height in shape):
            raise SystemExit(f"{own}: holds other pictures than its table says")
        np.save(into / "pictures.npy", rows)
        np.save(into / "boxes.npy", table["boxes"])
        for path in [own / "about.json", *own.glob("cutouts.*")]:
            shutil.copy(path, into)
        print(f"unpacked {into}: {len(rows)} pictures, {json.loads((into / 'about.json').read_text())['sources']}")
    if (packed / "teacher.npy").exists():
        shutil.copy(packed / "teacher.npy", work)


def _parts(path: Path, lengths: np.ndarray) -> Iterator[bytes]:
    with path.open("rb") as file:
        for length in lengths:
            yield file.read(int(length))


def main() -> None:
    """Pack or unpack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("pack")
    one.add_argument("--cache", type=Path, nargs="+", required=True, help="prepared folders (.train/cache-...)")
    one.add_argument("--teacher", type=Path)
    one.add_argument("--most-mib", type=float, default=50.0)
    one.add_argument("--into", type=Path, default=Path(".train/packed"))
    one.set_defaults(run=lambda a: pack(a.cache, a.into, a.most_mib, a.teacher))
    other = verbs.add_parser("unpack")
    other.add_argument("packed", type=Path)
    other.add_argument("--work", type=Path, default=Path(".train"))
    other.add_argument("--processes", type=int, default=2)
    other.set_defaults(run=lambda a: unpack(a.packed, a.work, a.processes))
    args = parser.parse_args()
    cv2.setNumThreads(1)
    args.run(args)


if __name__ == "__main__":
    main()
