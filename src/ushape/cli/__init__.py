"""The command line: each command parses, calls one function, and prints.

Nothing heavy is imported at the top of these modules: `ushape --help` must not load torch.
"""
