"""Where events go: the record store, its reader, exports, and the log of tracks."""
