"""The version, apart from what it would cost to import the package."""

__version__ = "0.1.0"
