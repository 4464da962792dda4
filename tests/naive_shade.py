"""Slow, obvious twins of `kernels/shade.py`: a list of stretches, and 128 points that are asked one by one."""

from __future__ import annotations


def shade_clear():
    """Nobody is there."""
    return []


def shade_fill(stretches, low, high, what):
    """A stretch between two shares of the lane's length."""
    stretches.append((low, high, what))


def shade_add(stretches, s, track, rectangle):
    """The stretch under a road user, and that up to where the sight over half its box meets the road."""
    ux, uy = float(s["zone"]["flow_x_m"]), float(s["zone"]["flow_y_m"])

    def share(x_m, y_m):
        return (x_m * ux + y_m * uy - float(s["from_m"])) / float(s["length_m"])

    at, half = share(rectangle["x_m"], rectangle["y_m"]), rectangle["half_length_m"] / float(s["length_m"])
    shade_fill(stretches, at - half, at + half, "covered")
    middle = [sum(float(track[f"{axis}{k}_px"]) for k in (1, 2)) / 2 for axis in "xy"]
    x, y, depth = s["to_road"] @ [*middle, 1.0]
    if depth > 0:
        shade_fill(stretches, *sorted((at, share(x / depth, y / depth))), "hidden")


def shade_hidden(stretches):
    """How many of 128 points are in a hidden stretch and in none that is covered."""
    hidden = 0
    for k in range(128):
        found = {what for low, high, what in stretches if low <= (k + 0.5) / 128 <= high}
        hidden += found == {"hidden"}
    return hidden / 128
