"""Superior platforms (上级平台) over JT/T 809."""
