"""What is measured, and against what.

``python -m bench`` measures, ``python -m bench.draw`` draws the pictures, ``python -m bench.render`` writes the tables.
Learners that are measured have their specs in ``specs/``, and every result names the commands that give it again.
"""
