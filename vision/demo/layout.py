"""The plan of the rendered junction in metres: where its roads, stop lines and lanes are.

A main road runs along y, a cross road along x; traffic keeps to the right. The box of the junction is where they meet.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """Measures of a junction of two roads, symmetric about x = 0 and y = `centre_y_m`."""

    centre_y_m: float = 25.0
    main_lanes: int = 2  # per direction
    cross_lanes: int = 1
    lane_m: float = 3.5
    cross_lane_m: float = 3.9
    corner_m: float = 4.0  # radius of the kerb at the corners
    pavement_m: float = 3.2
    zebra_m: float = 2.6  # width of a zebra crossing
    stop_gap_m: float = 0.9  # between zebra and stop line

    @property
    def half_main_m(self) -> float:
        """Half the width of the main road."""
        return self.main_lanes * self.lane_m

    @property
    def half_cross_m(self) -> float:
        """Half the width of the cross road."""
        return self.cross_lanes * self.cross_lane_m

    @property
    def main_stop_m(self) -> float:
        """Distance of the main road's stop lines from the middle of the junction."""
        return self.half_cross_m + 0.6 + self.zebra_m + self.stop_gap_m

    @property
    def cross_stop_m(self) -> float:
        """Distance of the cross road's stop lines from the middle of the junction."""
        return self.half_main_m + 0.6 + self.zebra_m + self.stop_gap_m

    def main_lane_m(self, lane: int) -> float:
        """Distance of a lane's middle from the main road's axis; lane 0 is the inner one."""
        return (lane + 0.5) * self.lane_m

    def cross_lane_middle_m(self, lane: int) -> float:
        """Distance of a lane's middle from the cross road's axis; lane 0 is the inner one."""
        return (lane + 0.5) * self.cross_lane_m
