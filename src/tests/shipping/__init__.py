"""How faultwatch is shipped: container, chart, continuous integration and delivery, development container."""
