"""The relational side: owners, users, sites, device types, devices, tokens, alerts, outbox."""
