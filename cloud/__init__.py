"""What is made for one cloud: the same pipeline, compiled for it and run by it. Shipped as `faultwatch.cloud`."""
