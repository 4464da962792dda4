"""The lens that calibrate finds: from straight things, from ground points, and what it refuses to tell."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
from roadcam import HEIGHT_PX, WIDTH_PX, pinhole, seen
from scenes import Run, runner

from vision.calibrate.plumb import Sights, bow_px, find_lens, rms
from vision.calibrate.report import lens_doubts, lens_said
from vision.errors import SiteError
from vision.ground import LensError, distorted, make_lens, undistorted
from vision.scene import Scene, site_scene
from vision.site import parse_site

SIZE_PX = WIDTH_PX, HEIGHT_PX
NONE = np.zeros((0, 2))
BARREL = {"k1": -0.25, "focal_px": 1600.0}
STRONG = {"k1": -0.33, "k2": 0.11, "focal_px": 1200.0}
HEAD = 'name = "elm"\ntimezone = "UTC"\n[camera.n]\nurl = "n.mp4"\nmodel = "m"\n'
GROUND_M = np.array([(x, y) for y in (13.0, 18.0, 28.0, 44.0) for x in (-5.0, 0.0, 5.0)])


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capfd)


def kerbs(numbers: dict[str, float], n: int, noise_px: float, seed: int = 1, points: int = 9) -> tuple[np.ndarray, ...]:
    """Points clicked on straight things that cross the picture anyhow, seen through a lens."""
    rng, lens, found = np.random.default_rng(seed), make_lens(*SIZE_PX, **numbers), []
    while len(found) < n:
        ends = undistorted(lens, rng.uniform((0, 0), SIZE_PX, (2, 2)))
        line = distorted(lens, np.linspace(*ends, points)) + rng.normal(0.0, noise_px, (points, 2))
        if np.hypot(*(line[-1] - line[0])) > 700.0 and np.all((line > 0) & (line < SIZE_PX)):
            found.append(line)
    return tuple(found)


def ground_px(numbers: dict[str, float], noise_px: float, points: np.ndarray = GROUND_M) -> np.ndarray:
    rng, plumb = np.random.default_rng(2), seen(pinhole(8.0, 1600.0, 22.0), np.column_stack([points, 0 * points[:, 0]]))
    return distorted(make_lens(*SIZE_PX, **numbers), plumb) + rng.normal(0.0, noise_px, plumb.shape)


def sights(numbers: dict[str, float], lines: tuple[np.ndarray, ...], image=NONE, plane=NONE) -> Sights:
    return Sights(SIZE_PX, {"focal_px": numbers.get("focal_px")}, lines, image, plane)


def site_text(lens: str, lines: tuple[np.ndarray, ...] = (), image: np.ndarray = NONE, plane: np.ndarray = NONE) -> str:
    told = f"lines_px = {[line.round(2).tolist() for line in lines]}\n" if lines else ""
    ground = (
        f"[camera.n.ground]\nimage_px = {image.round(3).tolist()}\nplane_m = {plane.tolist()}\n" if len(image) else ""
    )
    return f"{HEAD}[camera.n.lens]\n{lens}{told}{ground}"


def scene_of(text: str) -> Scene:
    return site_scene(parse_site(text, "elm.toml", {}), "n", *SIZE_PX)


# -- finding --------------------------------------------------------------------------------------------------------


def test_what_is_straight_in_the_world_has_no_bow_through_its_own_lens():
    for numbers in (BARREL, STRONG, {"k1": 0.1, "p1": 0.002}):
        lens, lines = make_lens(*SIZE_PX, **numbers), kerbs(numbers, 5, 0.0)
        assert max(np.abs(bow_px(lens, line)).max() for line in lines) < 1e-6
        assert max(np.abs(bow_px(make_lens(*SIZE_PX), line)).max() for line in lines) > 1.0


def test_a_bow_is_told_in_pixels_of_the_picture():
    """A point is moved by 3 px across a line that the lens bends: it is found 3 px off, less what the fit takes up."""
    lens, line = make_lens(*SIZE_PX, **BARREL), kerbs(BARREL, 1, 0.0, points=41)[0]
    across = np.array([[0.0, 1.0], [-1.0, 0.0]]) @ (line[21] - line[19])
    line[20] += 3.0 * across / np.linalg.norm(across)
    assert abs(bow_px(lens, line)[20]) == pytest.approx(3.0, rel=0.06)


@pytest.mark.parametrize("numbers", [BARREL, {"k1": 0.12}, {"k1": -0.05}])
def test_one_coefficient_is_found_from_lines_as_surely_as_it_says(numbers):
    found = find_lens(sights(numbers, kerbs(numbers, 7, 0.7)))
    assert len(found.values) == 1
    assert abs(found.values[0] - numbers["k1"]) < 3.0 * found.sds[0] < 0.06
    assert rms([found.left_out_px]) < 1.0
    assert found.corner_sd_px < 6.0


def test_two_coefficients_are_found_where_the_lines_tell_them():
    found = find_lens(sights(STRONG, kerbs(STRONG, 10, 0.4)))
    assert len(found.values) == 2
    assert np.all(np.abs(found.values - [STRONG["k1"], STRONG["k2"]]) < 4.0 * found.sds)
    assert (
        np.abs(
            undistorted(found.lens, ground_px(STRONG, 0.0))
            - undistorted(make_lens(*SIZE_PX, **STRONG), ground_px(STRONG, 0.0))
        ).max()
        < 2.0
    )


def test_ground_points_alone_tell_a_lens_and_with_lines_tell_it_better():
    points = np.array([(x, y) for y in (11.0, 15.0, 24.0, 44.0) for x in (-5.0, 0.0, 5.0)])
    image = ground_px(BARREL, 0.5, points)
    alone = find_lens(sights(BARREL, (), image, points))
    both = find_lens(sights(BARREL, kerbs(BARREL, 4, 0.5), image, points))
    assert abs(alone.values[0] + 0.25) < 3.0 * alone.sds[0]
    assert abs(both.values[0] + 0.25) < 3.0 * both.sds[0]
    assert both.sds[0] < alone.sds[0]
    assert len(alone.left_out_m) == len(both.left_out_m) == 12
    assert rms([both.left_out_m]) < 0.3


# -- refusing -------------------------------------------------------------------------------------------------------


def test_too_little_tells_no_lens():
    with pytest.raises(LensError, match="lines_px leave 1 points to spare, and there are 0 ground points; allowed: 3"):
        find_lens(sights(BARREL, (kerbs(BARREL, 1, 0.0)[0][:3],)))
    with pytest.raises(LensError, match="and there are 7 ground points"):
        find_lens(sights(BARREL, (), ground_px(BARREL, 0.0)[:7], GROUND_M[:7]))


def through_the_middle() -> tuple[np.ndarray, ...]:
    x, rng = np.linspace(300.0, 1700.0, 9), np.random.default_rng(3)
    return tuple(np.column_stack([x, 540.0 + s * (x - 960.0)]) + rng.normal(0, 1, (9, 2)) for s in (-0.3, 0.0, 0.3))


def curved() -> tuple[np.ndarray, ...]:
    x, bow = np.linspace(200.0, 1700.0, 9), np.sin(np.linspace(0.0, 3.0, 9))
    return tuple(np.column_stack([x, y + s * bow]) for y, s in ((200, 40), (500, -35), (700, 30), (900, -45)))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (kerbs({}, 6, 0.5), "leave the lens out"),
        (through_the_middle(), "a corner is known to"),
        (curved(), "straight in the world?"),
    ],
    ids=["straight", "through the middle", "curved anyhow"],
)
def test_nonsense_is_not_told_as_a_lens(lines, said):
    scene = scene_of(site_text("", lines))
    told = lens_said(scene)
    assert any(said in line for line in told), told
    assert not any(line.startswith("k1 =") for line in told)


def test_a_sound_lens_is_not_doubted():
    lines = kerbs(BARREL, 6, 0.5)
    scene = scene_of(site_text("focal_px = 1600.0\n", lines))
    assert lens_doubts(scene, sights(BARREL, lines), find_lens(sights(BARREL, lines))) == []


# -- the verb and the site file -------------------------------------------------------------------------------------


def test_the_lines_that_the_verb_prints_make_bow_and_hold_out_small(tmp_path: Path, run: Run):
    site, lines = tmp_path / "elm.toml", kerbs(BARREL, 5, 0.4)
    image = ground_px(BARREL, 0.4)
    site.write_text(site_text("focal_px = 1600.0\n", lines, image, GROUND_M))
    code, told, _ = run("calibrate", site, "--size", "1920x1080", "--out", tmp_path / "map.png")
    assert code == 0
    for part in (
        "lens in the site file: none",
        "ground points left out, RMS:",
        "found from 5 lines and 12 ground points",
    ):
        assert part in told
    start = told.index("[camera.n.lens]")
    pasted = told[start : told.index("wrote")]
    lens = tomllib.loads(pasted)["camera"]["n"]["lens"]
    assert lens["k1"] == pytest.approx(-0.25, abs=0.02)
    scene = scene_of(site_text(pasted.split("\n", 1)[1], lines, image, GROUND_M))
    assert rms([bow_px(scene.lens, line) for line in lines]) < 0.8
    assert scene.ground is not None
    plain = scene_of(site_text("", lines, image, GROUND_M)).ground
    assert plain is not None
    assert scene.ground.holdout_rms_m < 0.5 * plain.holdout_rms_m


def test_lines_without_a_ground_will_do(tmp_path: Path, run: Run):
    site = tmp_path / "elm.toml"
    site.write_text(site_text("", kerbs({"k1": -0.2}, 5, 0.4)))
    code, told, _ = run("calibrate", site, "--size", "1920x1080")
    assert code == 0
    assert "RMS px, by lens:" in told
    assert "focal_px = 1920" in told


@pytest.mark.parametrize(
    ("lens", "wrong"),
    [
        ("k1 = -0.9", "camera.n.lens folds the picture over at ["),
        ("k1 = 'a'", "camera.n.lens.k1 = 'a'"),
        ("k4 = 0.1", "camera.n.lens.k4 is not known; allowed here: centre_px, focal_px, k1, k2, k3, lines_px, p1, p2"),
        ("focal_px = 2", "camera.n.lens.focal_px = 2"),
        ("centre_px = [5000, 10]", "lens.centre_px = [5000, 10] lies outside the picture"),
        ("lines_px = [[[1, 1], [900, 9]]]", "camera.n.lens.lines_px#1 has 2 entries; allowed: 3 to 100"),
        ("lines_px = [[[1, 1], [9, 9], [1, 1]]]", "has the same point twice, 1 and 3"),
        ("lines_px = [[[1, 1], [5, 5], [9, 9]]]", "is 11 px long from end to end; allowed: 20 px or more"),
        ("lines_px = [[[1, 1], [500, 700], [900, 9]]]", "is not straight: point 2 is"),
        ("lines_px = [[[1, 1], [500, 7], [2900, 9]]]", "lens.lines_px#1 = [2900, 9] lies outside the picture"),
    ],
)
def test_a_wrong_lens_is_refused_with_what_is_allowed(lens: str, wrong: str):
    with pytest.raises(SiteError) as caught:
        scene_of(f"{HEAD}[camera.n.lens]\n{lens}\n")
    assert any(wrong in mistake for mistake in caught.value.mistakes), caught.value.mistakes


def test_ground_points_in_another_order_are_refused_through_a_lens_too():
    swapped = GROUND_M[[1, 0, *range(2, 12)]]
    with pytest.raises(SiteError, match=r"ground.plane_m does not go with image_px"):
        scene_of(site_text("k1 = -0.25\nfocal_px = 1600.0\n", (), ground_px(BARREL, 0.0), swapped))
    with pytest.raises(SiteError, match=r"ground.plane_m = .* does not go with image_px"):
        scene_of(site_text("", (), ground_px({}, 0.0), swapped))
