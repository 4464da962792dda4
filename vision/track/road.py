"""What the kernels of a track must know of the ground: homography, lens, camera pose, how sure its scale is."""

from __future__ import annotations

import numpy as np

from kernels.contact import CAMERA
from vision.ground import camera_matrix


def set_road(
    settings: np.ndarray,
    width_px: int,
    height_px: int,
    to_road: np.ndarray | None,
    scale_sd: float,
    lens: np.void | None = None,
) -> None:
    """Fill SETTINGS[1] with the picture's size, the LENS and what is known of the ground.

    `to_road` f8[3, 3] turns plumb pixels into m.
    """
    settings["frame_width_px"], settings["frame_height_px"] = width_px, height_px
    settings["has_road"], settings["has_pose"], settings["camera"] = to_road is not None, 0, np.zeros((), CAMERA)
    settings["scale_sd"] = scale_sd
    if lens is not None:
        settings["camera"]["lens"] = lens
    if to_road is None:
        return
    from_road = np.linalg.inv(to_road)
    centre_px = None if lens is None else (float(lens["x_px"]), float(lens["y_px"]))
    matrix = camera_matrix(from_road, width_px, height_px, centre_px)
    settings["camera"]["matrix"][0, :, (0, 1, 3)] = from_road.T
    if matrix is not None:
        settings["camera"]["matrix"], settings["has_pose"] = matrix, 1
