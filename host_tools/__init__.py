"""What installers and operators run on their own machine: the `reverbere` command and what it is made of."""
