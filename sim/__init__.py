"""The simulator: a street, its passers and its lamps, under the very same control code that runs on the node."""
