"""Having running instances served the credentials of a profile's new role, as a value.

``decide`` says from what is observed now what comes next; the executor loops *observe, decide,
act*, and going on after a crash is the same function on what is then observed.
"""
