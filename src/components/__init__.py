"""The steps of the ML pipeline, each with `run(config, inputs) -> artifact`."""
