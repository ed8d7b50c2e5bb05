"""A libostree repository as its files say it: reading needs neither libostree nor its bindings.

A verb that only looks must be over before the bindings would be loaded (0.08 s). So nothing here
imports more than it must: no dataclasses, no typing, no regular expressions.
"""
