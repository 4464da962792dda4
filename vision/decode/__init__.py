"""Decoding: video files into fitted frames, one process a camera."""
