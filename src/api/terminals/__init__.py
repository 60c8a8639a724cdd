"""Terminals (终端): approval, binding to vehicles, blocking."""
