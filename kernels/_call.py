"""Call a compiled step by its address, so that one call runs the steps of all the rules of a camera.

Each call from the interpreter costs 0.3 us and 0.1 us an array; a record costs it 1 to 3 us more. What numba compiles a
step to does not depend on the dtype of its rows, only on the number of their axes: steps of different rules can
be called from one place, as numba itself calls functions that are passed as values.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, int64, typeof, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from kernels.records import CLOCK, SIGNAL, TRACK

#: A row of the table of calls: the step's address, then of settings, state and out the address of their first row, two
#: lengths (the second is 0 where there is one axis) and the bytes of a row.
ADDRESS, SETTINGS, STATE, OUT, WIDTH = 0, 1, 5, 9, 13
#: How many axes a state may have.
AXES = (1, 2)


def call_row(step: Any, settings: np.ndarray, state: np.ndarray, out: np.ndarray) -> list[int] | None:
    """Return a row of the table of calls for a step, None where it is not compiled (numba is switched off).

    The arrays must outlive the row. A TypeError says that a step cannot be called so.
    """
    if not hasattr(step, "compile"):
        return None
    given = (np.zeros(1, TRACK), np.zeros(1, CLOCK)[0], np.zeros(1, SIGNAL), settings, state, out)
    kinds = tuple(typeof(one) for one in given)
    step.compile(kinds)
    made = step.overloads[kinds]
    if made.signature.return_type != int64 or settings.ndim != 1 or out.ndim != 1 or state.ndim not in AXES:
        raise TypeError(f"{step.__module__}.step is {made.signature}; allowed is one that returns an int64, with a "
                        "state of one axis or two, settings and out of one")  # fmt: skip
    row = [made.library.get_pointer_to_function(made.fndesc.llvm_func_name)]
    for rows in (settings, state, out):
        if not rows.flags.c_contiguous:
            raise TypeError(f"{step.__module__}.step is given rows that do not lie one after the other")
        row += [rows.ctypes.data, rows.shape[0], rows.shape[1] if rows.ndim > 1 else 0, rows.itemsize]
    return row


def _caller(axes: int) -> Any:
    """Return what calls the step of one row of the table, whose state has so many axes."""
    ours = (types.Array(types.uint8, 1, "C"), types.Array(types.uint8, axes, "C"), types.Array(types.uint8, 1, "C"))

    @intrinsic
    def call(typing: Any, table: Any, at: Any, tracks: Any, clock: Any, signals: Any) -> Any:
        """Return what the step of row `at` of the table (i8[n, WIDTH]) returns."""
        for rows, dtype in ((tracks, TRACK), (signals, SIGNAL)):
            if rows.dtype != from_dtype(dtype) or rows.layout != "C":
                raise TypeError(f"rows are {rows}; allowed are those of tracks and signals, one after the other")
        if clock != from_dtype(CLOCK):
            raise TypeError(f"the clock is {clock}; allowed is a row of CLOCK")

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            word = context.get_value_type(types.intp)
            numbers = context.make_array(signature.args[0])(context, builder, args[0]).data
            row = builder.gep(numbers, [builder.mul(args[1], word(WIDTH))])

            def read(k: int) -> Any:
                return builder.load(builder.gep(row, [word(k)]))

            def rows_at(k: int, kind: Any) -> Any:
                rows = context.make_array(kind)(context, builder)
                shape, size = [read(k + 1 + axis) for axis in range(kind.ndim)], read(k + 3)
                strides = [builder.mul(shape[1], size), size] if kind.ndim > 1 else [size]
                data = builder.inttoptr(read(k), rows.data.type)
                populate_array(rows, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
                return rows._getvalue()

            kinds = (*signature.args[2:], *ours)
            given = [*args[2:], *(rows_at(k, kind) for k, kind in zip((SETTINGS, STATE, OUT), ours, strict=True))]
            convention = context.call_conv
            pointer = convention.get_function_type(types.int64, kinds).as_pointer()
            step = builder.inttoptr(read(ADDRESS), pointer)
            status, n = convention.call_function(builder, step, types.int64, kinds, given)
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return n

        return types.int64(table, types.intp, tracks, clock, signals), code

    return call


call_flat, call_square = _caller(1), _caller(2)
