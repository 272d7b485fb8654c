"""The hardware of a lookup network."""
