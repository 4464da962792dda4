"""How good a result is, held against truth: events, detections and tracks, each figure with its sample size."""
