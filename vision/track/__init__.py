"""From detections to confirmed tracks, and the state of signals."""
