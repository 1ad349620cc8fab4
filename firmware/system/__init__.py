"""The node's own affairs: clock sources, atomic store, journal, supervisor, updater, keys."""
