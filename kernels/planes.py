"""A fitted frame's bytes into the numbers that a network reads.

Both kernels leave a row as it is where it is padding now and was at the last call: `blank` u1[3, h] says of which rows
of `out` that is so; zeros say that nothing is known. A 16:9 picture in a square is nearly half padding, and writing
numbers to memory is what the work consists of.
"""

from __future__ import annotations

import numpy as np

from kernels._jit import kernel


@kernel
def row_is(row, value):
    """Say whether all of a row u1[w] has one value."""
    last = row.shape[0] - 1
    if row[0] != value or row[last] != value or row[last >> 1] != value:
        return False
    # In the row's own type: a count would be of 64 bits, eight times the work.
    others = row[0] ^ row[0]
    wanted = row[0]
    for x in range(row.shape[0]):
        others |= row[x] ^ wanted
    return others == 0


@kernel
def normalise(planes, gain, bias, pad, blank, out):
    """Write planes * gain + bias, per plane, in one pass: u1[3, h, w] with gain and bias f4[3] into out f4[3, h, w]."""
    for c in range(planes.shape[0]):
        a, b = gain[c], bias[c]
        for y in range(planes.shape[1]):
            source, row = planes[c, y], out[c, y]
            padding = row_is(source, pad)
            if padding and blank[c, y] != 0:
                continue
            blank[c, y] = np.uint8(padding)
            for x in range(source.shape[0]):
                row[x] = source[x] * a + b


@kernel
def look_up(planes, table, pad, blank, out):
    """Write each byte's entry in its plane's table, of any type: u1[3, h, w] and table[3, 256] into out[3, h, w]."""
    for c in range(planes.shape[0]):
        entries = table[c]
        for y in range(planes.shape[1]):
            source, row = planes[c, y], out[c, y]
            padding = row_is(source, pad)
            if padding and blank[c, y] != 0:
                continue
            blank[c, y] = np.uint8(padding)
            for x in range(source.shape[0]):
                row[x] = entries[source[x]]
