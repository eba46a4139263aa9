"""Builds: what stands behind `kobako.build`, where its results go, and what it keeps."""
