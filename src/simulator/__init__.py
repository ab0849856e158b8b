"""A simulated fleet with weather, seasons, operating modes and faults."""
