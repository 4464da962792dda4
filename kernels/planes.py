"""A fitted frame's bytes into the numbers that a network reads."""

from __future__ import annotations

from kernels._jit import kernel


@kernel
def normalise(planes, gain, bias, out):
    """Write planes * gain + bias, per plane, in one pass: u1[3, h, w] with gain and bias f4[3] into out f4[3, h, w]."""
    for c in range(planes.shape[0]):
        a, b = gain[c], bias[c]
        for y in range(planes.shape[1]):
            for x in range(planes.shape[2]):
                out[c, y, x] = planes[c, y, x] * a + b


@kernel
def look_up(planes, table, out):
    """Write each byte's entry in its plane's table, of any type: u1[3, h, w] and table[3, 256] into out[3, h, w]."""
    for c in range(planes.shape[0]):
        for y in range(planes.shape[1]):
            for x in range(planes.shape[2]):
                out[c, y, x] = table[c, planes[c, y, x]]
