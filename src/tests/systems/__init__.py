"""The real systems tests run against: PostgreSQL, Chromium, an S3 server, the prepared data."""
