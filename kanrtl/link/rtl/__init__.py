"""The device's side of a link in hardware."""
