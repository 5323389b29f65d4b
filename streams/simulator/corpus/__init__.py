"""Real texts and real arrival patterns that the simulator builds its traffic from.

`build` makes the selection from the public data sets; `NOTICE.md` names each source and its licence.
"""
