"""What a run spent of its clients' privacy: accounting, calibration, ledger.

Knows nothing of TensorFlow: mechanisms are data, an accountant interprets them.
"""
