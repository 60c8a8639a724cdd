"""Settings, command line and wiring: the only package that knows all the others."""
