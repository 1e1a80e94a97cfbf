"""Train a network: one visible loop (`loop`), and the pieces that it calls by name.

This is the only package that imports Lightning Fabric.
"""
