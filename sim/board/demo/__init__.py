"""A street of virtual boards through one night: `reverbere demo`. docs/demo.md says what in it is real."""
