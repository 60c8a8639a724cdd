"""Simulated terminals and a simulated superior platform: the other two ends of the line, with their own accounts."""
