"""Personal data declares itself: what tables hold of people, and what a withdrawal does with it.

A model declares it in an inner class `Personal` (see `declaration`). From the declarations alone follow the withdrawal
(`erasure`), the data map in the docs (`data_map`), and the sentences that a table gets which should have a
declaration, or has a wrong one (`guard`). Django's registry of apps gives the models, those of the apps above too, so
nothing here imports them.
"""
