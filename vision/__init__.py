"""Gantry: traffic-camera video in, compact event records out."""

__version__ = "0.1.0"
