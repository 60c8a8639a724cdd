"""Firmware packages for upgrades."""
