"""The hardware of the learner, as Amaranth components; :mod:`kanrtl.rtl.learner` holds them together."""
