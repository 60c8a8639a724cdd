"""From terminals to the store: gateway, journal, pipeline, and commands the other way."""
