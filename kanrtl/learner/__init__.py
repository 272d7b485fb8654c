"""The learner: what a spec says, what follows from it, and its integer model.

::

    fields --> arithmetic (formats, tables, widths) --+
       |                                              +--> spec, validation --> model_batch  the contract, in integers
       +-----> schedule, folded_schedule (cycles) ----+          |
                                                                 +--> rtl/       the same, as Amaranth components
                                                                 +--> estimate/  what it takes of a device
"""
