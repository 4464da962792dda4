"""The verb calibrate: what it says of a camera that is known, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from roadcam import HEIGHT_PX, WIDTH_PX, pinhole, seen
from scenes import Run, runner

from vision.calibrate.report import BARRED_M_PX, doubts, pose_of, scale_map, speed_sd_kmh, stretches
from vision.ground import GroundError, fit_ground, transform
from vision.scene import Scene, site_scene
from vision.site import parse_site

POINTS = [(x, y) for x in (-6.0, 0.0, 7.0) for y in (14.0, 22.0, 38.0)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def site_text(
    camera: np.ndarray | None = None,
    noise_px: float = 0.0,
    points: list[tuple[float, float]] = POINTS,
    scale: float = 1.0,
) -> str:
    """A site file whose ground points were clicked in the picture of this camera."""
    rng = np.random.default_rng(1)
    camera = pinhole() if camera is None else camera
    image = seen(camera, np.array([(x, y, 0.0) for x, y in points])) + noise_px * rng.normal(0, 1, (len(points), 2))
    ground = f"image_px = {image.round(3).tolist()}\nplane_m = {[[scale * x, scale * y] for x, y in points]}"
    return f'name = "elm"\ntimezone = "UTC"\n[camera.n]\nurl = "n.mp4"\nmodel = "m"\n[camera.n.ground]\n{ground}\n'


def scene_of(text: str) -> Scene:
    return site_scene(parse_site(text, "elm.toml", {}), "n", WIDTH_PX, HEIGHT_PX)


def test_the_camera_of_exact_points_is_found():
    scene = scene_of(site_text(pinhole(7.5, 1300.0, 28.0, 0.1)))
    pose = pose_of(scene)
    assert pose is not None
    assert pose.focal_px == pytest.approx(1300.0, rel=1e-3)
    assert pose.height_m == pytest.approx(7.5, rel=1e-3)
    assert pose.down_degrees == pytest.approx(np.degrees(np.arctan2(7.5, 28.0)), abs=0.05)
    assert pose.foot_m == pytest.approx((0.0, 0.0), abs=0.05)
    assert doubts(pose) == []


def test_road_points_are_exact_to_a_tenth_of_a_millimetre():
    """Points of an exact pinhole camera, away from those that were fitted: at most 1e-4 m off."""
    camera, rng = pinhole(), np.random.default_rng(2)
    image = seen(camera, np.array([(x, y, 0.0) for x, y in POINTS]))
    fit = fit_ground(image, np.array(POINTS))
    road = rng.uniform((-8, 12), (8, 60), (200, 2))
    found = transform(fit.to_road, seen(camera, np.column_stack([road, np.zeros(200)])))
    assert np.abs(found - road).max() < 1e-4


def test_an_odd_camera_is_doubted():
    low = pose_of(scene_of(site_text(scale=0.1)))
    assert low is not None
    assert doubts(low) == ["the camera is 0.8 m above the road; usual: 2.5 to 60; check the points"]


def test_what_is_far_is_less_sure_and_barred():
    scene = scene_of(site_text(noise_px=1.0))
    found = stretches(scene)
    assert len(found) >= 6
    away, sds = [one.away_m for one in found], [one.speed_sd_kmh for one in found]
    assert away == sorted(away)
    assert sds == sorted(sds)
    assert found[0].metres_per_px < 0.05
    assert found[-1].metres_per_px > BARRED_M_PX
    scales = scale_map(scene)
    assert np.isnan(scales[0]).all()  # the sky
    assert np.nanmax(scales) > BARRED_M_PX > np.nanmin(scales)


def test_a_poor_ground_makes_speeds_less_sure():
    sure, poor = scene_of(site_text()), scene_of(site_text(noise_px=6.0))
    assert speed_sd_kmh(poor, 960.0, 700.0) > speed_sd_kmh(sure, 960.0, 700.0) > 0.0
    assert poor.scale_sd > 0.003 > sure.scale_sd


def test_the_verb_says_all_of_it_and_writes_the_map(tmp_path: Path, run: Run):
    site, picture = tmp_path / "elm.toml", tmp_path / "map.png"
    site.write_text(site_text(noise_px=0.5))
    code, told, _ = run("calibrate", site, "--size", "1920x1080", "--out", picture)
    assert code == 0
    for part in ("left out m", "RMS 0.0", "condition", "focal length 1", "m above the road", "m a pixel", "barred"):
        assert part in told
    assert sum(line.strip().startswith(f"{k} ") for k in range(1, 10) for line in told.splitlines()) >= 9
    drawn = cv2.imread(str(picture))
    assert drawn.shape == (1080, 1920, 3)
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 20


def test_four_points_and_a_view_from_above_are_told_as_such(tmp_path: Path, run: Run):
    site = tmp_path / "elm.toml"
    corners = (
        "image_px = [[100, 100], [900, 100], [900, 700], [100, 700]]\nplane_m = [[0, 24], [32, 24], [32, 0], [0, 0]]"
    )
    site.write_text(f'name="a"\ntimezone="UTC"\n[camera.n]\nurl="n.mp4"\nmodel="m"\n[camera.n.ground]\n{corners}\n')
    code, told, _ = run("calibrate", site)
    assert code == 0
    assert "unknown (give 5 points or more)" in told
    assert "looks straight down" in told


@pytest.mark.parametrize(
    ("ground", "wrong"),
    [
        ("", "camera.n has no ground; give [camera.n.ground] with image_px and plane_m"),
        (
            "image_px = [[0, 0], [9, 0], [9, 9], [0, 9]]\nplane_m = [[0, 0], [9, 0], [9, 9], [0, 9]]",
            "is a mirror image",
        ),
        ("image_px = [[1, 1], [5, 5], [9, 9], [20, 20]]\nplane_m = [[0, 9], [9, 9], [9, 0], [0, 0]]", "collinear"),
        (
            "image_px = [[100, 100], [900, 100], [900, 700], [100, 700]]\n"
            "plane_m = [[0, 0.024], [0.032, 0.024], [0.032, 0], [0, 0]]",
            "allowed: from 0.0005 m (is plane_m in metres?)",
        ),
        (
            "image_px = [[100, 100], [900, 100], [900, 700], [100, 700]]\n"
            "plane_m = [[0, 24000], [32000, 24000], [32000, 0], [0, 0]]",
            "allowed: 5 m (is plane_m in metres?)",
        ),
    ],
)
def test_nonsense_is_refused_with_what_is_allowed(tmp_path: Path, run: Run, ground: str, wrong: str):
    site = tmp_path / "elm.toml"
    table = f"[camera.n.ground]\n{ground}\n" if ground else ""
    site.write_text(f'name="a"\ntimezone="UTC"\n[camera.n]\nurl="n.mp4"\nmodel="m"\n{table}')
    picture = tmp_path / "map.png"
    code, _, lines = run("calibrate", site, "--out", picture)
    assert code == 1
    assert any(wrong in line for line in lines)
    assert not picture.exists()


def test_a_pixel_of_half_a_millimetre_is_no_road():
    image = np.array([(100.0, 100.0), (900.0, 100.0), (900.0, 700.0), (100.0, 700.0)])
    with pytest.raises(GroundError, match="makes a pixel 4e-05 m wide"):
        fit_ground(image, image * [4e-5, -4e-5])
