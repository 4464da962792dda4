"""How right are the rules, against simulated traffic whose truth is known?"""

from __future__ import annotations

from benchmarks.accuracy.run import run as run
