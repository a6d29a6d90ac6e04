"""Declarations of personal data: what tables hold about people, and what a withdrawal does with it.

A model declares it in an inner class `Personal` (see `declaration`). The withdrawal (`erasure`), the data map in the
docs (`data_map`) and the errors about missing or wrong declarations (`guard`) follow from the declarations alone. The
models come from Django's app registry, including those of higher apps, so nothing here imports them.
"""
