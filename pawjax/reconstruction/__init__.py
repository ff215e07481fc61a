"""Points in space from files: pictures of a board become cameras, and tracks and cameras become points. No network."""
