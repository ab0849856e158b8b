"""The anomaly detector: what is normal for a device, and how unlike normal a reading is."""
