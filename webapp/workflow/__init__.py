"""The pure core of Countersign: values in, an Outcome or a WorkflowError out.

Nothing in this package knows Flask, a database, a clock or a queue; the standard library is all it uses.
"""
