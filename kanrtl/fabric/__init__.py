"""What chips hold: multipliers, memories and LUTs, by family and part."""
