"""The rendered junction of `gantry demo`: a clip with exact truth, and the check of a run against it."""

from __future__ import annotations

from vision.demo.check import Report, compare
from vision.demo.clip import Demo, render_demo
from vision.demo.summary import draw_summary

__all__ = ["Demo", "Report", "compare", "draw_summary", "render_demo"]
