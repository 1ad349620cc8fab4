"""The verbs of the `reverbere` command, one module a verb."""
