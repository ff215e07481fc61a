"""Several cameras: calibration, triangulation and models of the 3D pose; works without any network."""
