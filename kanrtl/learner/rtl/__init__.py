"""The hardware of the learner, as Amaranth components; :mod:`kanrtl.learner.rtl.learner` holds them together."""
