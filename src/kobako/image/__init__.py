"""Images: pure functions from image to image, archives, and images of this machine's programs."""
