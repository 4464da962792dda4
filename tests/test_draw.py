"""Pictures of scenes: what is drawn is where it belongs, in its colour, at every size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vision import draw, ink
from vision.draw import canvas_size, draw_scene, draw_site
from vision.errors import SiteError, StoreError
from vision.scene import site_scene
from vision.site import Site, parse_site

TEXT = """
name = "elm"
timezone = "UTC"
[camera.north]
url = "a.mp4"
model = "m"
ground.image_px = [[75, 100], [270, 102], [340, 255], [16, 250]]
ground.plane_m = [[0.0, 42.0], [14.0, 42.0], [14.0, 0.0], [0.0, 0.0]]
approach.in = {flow_px = [[140, 110], [130, 245]], lanes.l1 = [[110, 105], [150, 105], [140, 245], [60, 245]]}
line.stop = {ends_px = [[40, 225], [330, 225]], approach = "in"}
line.side = {ends_px = [[300, 40], [300, 90]]}
zone.box = {points_px = [[200, 150], [260, 150], [260, 200], [200, 200]]}
signal.lamp = {source = "vision", lamp_px = {red = [20, 20, 28, 28], green = [20, 40, 28, 48]}}
"""
SIZES = [(352, 288), (1280, 720), (1920, 1080)]


@pytest.fixture
def site() -> Site:
    return parse_site(TEXT, "elm.toml", {})


def near(picture: np.ndarray, x: float, y: float, colour: ink.Colour, reach: int = 2) -> bool:
    part = picture[int(y) - reach : int(y) + reach + 1, int(x) - reach : int(x) + reach + 1].astype(int)
    return bool((np.abs(part - colour).max(axis=2) < 40).any())


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_everything_is_drawn_where_it_belongs(site, width, height, shade):
    scene = site_scene(site, "north", width, height)
    background = np.full((height, width, 3), shade, np.uint8)
    picture = draw_scene(background, scene, labels=False)
    assert picture.shape == background.shape
    assert (background == shade).all(), "the given picture is left as it was"
    assert near(picture, 320, 225, draw.LINE_COLOUR)
    assert near(picture, 300, 44, draw.LINE_COLOUR)
    assert near(picture, 260, 165, draw.ZONE_COLOUR)
    assert near(picture, 85, 175, draw.LANE_COLOUR, 6)
    assert near(picture, 20, 24, draw.LAMP_COLOURS[0])
    assert near(picture, 20, 44, draw.LAMP_COLOURS[2])
    assert near(picture, 16, 250, draw.GRID_COLOUR)


def test_the_grid_of_a_bent_picture_is_bent_and_meets_the_points_that_were_clicked():
    """A corner of the grid is where a ground point was clicked; the middle of a line lies beside the chord."""
    bent = parse_site(TEXT.replace("ground.image_px", "lens.k1 = -0.3\nground.image_px"), "elm.toml", {})
    scene = site_scene(bent, "north", 352, 288)
    assert scene.ground is not None
    assert np.abs(scene.ground.picture_px(scene.ground.plane_m) - scene.ground.image_px).max() < 1e-6
    left, right, middle = scene.ground.picture_px(np.array([[0.0, 0.0], [14.0, 0.0], [7.0, 0.0]]))
    way, aside = right - left, middle - left
    assert abs(way[0] * aside[1] - way[1] * aside[0]) / np.linalg.norm(way) > 2.0
    drawn = draw_scene(np.full((288, 352, 3), 155, np.uint8), scene, tint=False, labels=False)
    assert near(drawn, middle[0], middle[1], draw.GRID_COLOUR, 1)
    assert not near(drawn, *((left + right) / 2.0), draw.GRID_COLOUR, 1)


def test_the_arrow_of_a_line_points_along_its_flow(site):
    scene = site_scene(site, "north", 352, 288)
    picture = draw_scene(np.zeros((288, 352, 3), np.uint8), scene, grid=False, tint=False, labels=False)
    yellow = np.abs(picture.astype(int) - draw.LINE_COLOUR).max(axis=2) < 40
    below, above = yellow[230:250, 150:220].sum(), yellow[200:220, 150:220].sum()
    assert below > 20
    assert above == 0


def test_a_video_needs_no_tint(site):
    scene = site_scene(site, "north", 352, 288)
    black = np.zeros((288, 352, 3), np.uint8)
    outlined = draw_scene(black, scene, grid=False, tint=False, labels=False)
    assert (outlined[165:185, 220:240] == 0).all()
    assert (draw_scene(black, scene)[165:185, 220:240] > 0).any()


def test_the_picture_of_a_site_has_a_legend_and_is_written_whole(site, tmp_path):
    path = tmp_path / "scene.png"
    scene = draw_site(site, "north", np.full((288, 352, 3), 90, np.uint8), path)
    picture = cv2.imread(str(path))
    assert scene.line_names == ("stop", "side")
    assert picture.shape[1] == 352
    assert 320 < picture.shape[0] < 400
    footer = picture[288:]
    for colour in (draw.LINE_COLOUR, draw.ZONE_COLOUR, draw.FLOW_COLOUR, draw.LANE_COLOUR, draw.GRID_COLOUR):
        assert (footer == colour).all(axis=2).sum() > 10
    assert [file.name for file in tmp_path.iterdir()] == ["scene.png"]
    other = tmp_path / "again.png"
    draw_site(site, "north", np.full((288, 352, 3), 90, np.uint8), other)
    assert path.read_bytes() == other.read_bytes()


def test_without_a_frame_the_canvas_holds_everything(site, tmp_path):
    assert canvas_size(site, "north") == (352, 288)
    large = parse_site(TEXT.replace("[330, 225]", "[9000, 225]"), "elm.toml", {})
    assert canvas_size(large, "north") == (9182, 262)
    draw_site(site, "north", None, tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).shape[1] == 352


def test_a_scene_that_does_not_fit_the_frame_is_refused(site, tmp_path):
    with pytest.raises(SiteError, match=r"elm\.toml: camera\.north\.line\.stop\.ends_px = \[330, 225\] lies outside"):
        draw_site(site, "north", np.zeros((288, 300, 3), np.uint8), tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told(site, tmp_path):
    for path in (tmp_path / "none" / "a.png", tmp_path):
        with pytest.raises(StoreError, match=r"cannot be written: .*; give a file"):
            draw_site(site, "north", None, path)
    assert not list(tmp_path.iterdir())


def test_labels_keep_out_of_each_others_way_and_inside():
    picture = np.zeros((200, 300, 3), np.uint8)
    labels = ink.Labels(picture, 12)
    for number in range(6):
        labels.put(f"label {number}", (150.0, 100.0), ink.WHITE)
    labels.put("corner", (299.0, 0.0), ink.WHITE)
    taken = labels.taken
    assert len(taken) == 7
    assert all(a >= 0 and b >= 0 and c <= 300 and d <= 200 for a, b, c, d in taken)
    shared = [ink._shared(one, other) for n, one in enumerate(taken) for other in taken[:n]]
    assert sum(shared) == 0
    labels.put_right("0 m", (150.0, 100.0), ink.WHITE)
    labels.put_right("0 m", (290.0, 150.0), ink.WHITE)
    assert len(labels.taken) == 7
    labels.put_right("0 m", (20.0, 180.0), ink.WHITE)
    assert len(labels.taken) == 8


def test_a_road_user_at_the_edge_keeps_its_label_in_the_picture():
    picture = np.full((288, 352, 3), 200, np.uint8)
    ink.draw_track(
        picture, (330.0, -5.0, 400.0, 60.0), "truck 4711", ink.ORANGE, np.array([[340.0, 60.0], [np.nan, 5.0]])
    )
    bar = np.abs(picture.astype(int) - ink.ORANGE).max(axis=2) < 10
    assert bar[0:40, 240:330].any()


def test_the_panel_goes_to_its_corner():
    for right in (False, True):
        for bottom in (False, True):
            picture = np.full((288, 352, 3), 255, np.uint8)
            ink.draw_panel(picture, "12.4 s", [("stop car", "12", ink.SKY)], right=right, bottom=bottom)
            dark = np.argwhere(picture.max(axis=2) < 120)
            y, x = dark.mean(axis=0)
            assert (x > 176, y > 144) == (right, bottom)


def test_strokes_leave_out_points_that_are_nowhere():
    picture = np.zeros((50, 50, 3), np.uint8)
    ink.stroke(picture, [(5, 5), (np.nan, 9), (1e12, 3), (40, 40), (45, 45)], ink.WHITE, 1)
    assert not picture[:30].any()
    assert picture[42, 42].any()


def test_sizes_follow_the_picture():
    small, large = (ink.Pen.of(np.zeros((h, 10, 3), np.uint8)) for h in (288, 1080))
    assert (small.stroke, small.text) == (1, 11)
    assert large.stroke > small.stroke
    assert large.text > small.text
