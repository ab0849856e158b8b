"""The fault classifier: learnt from labelled faults, it says how likely a device is faulty now, and of what kind."""
