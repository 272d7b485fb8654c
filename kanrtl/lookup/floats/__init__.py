"""KANs in real numbers: training, search, importers, and what makes integers of them."""
