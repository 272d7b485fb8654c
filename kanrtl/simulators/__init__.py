"""Simulators of components and their waveforms. They know ports, and nothing of learners."""
