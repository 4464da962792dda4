"""How far a camera's ground and lens can be believed, and what lens the picture tells."""
