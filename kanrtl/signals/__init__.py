"""Measured signals: columns of users' files, their past values, and their scales."""
