"""Vehicles: the fleet, its bulk import and its tracks."""
