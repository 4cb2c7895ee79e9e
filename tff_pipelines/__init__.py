"""Federated learning tasks on TensorFlow Federated."""

import os

from tff_pipelines import _requirements

_requirements.check()

# Read by TensorFlow and wrapt when they are first imported; a value that the
# user has set stays. The first keeps TensorFlow's start-up chatter off the
# terminal. Without the second, saving a model that holds a tuple fails: the C
# extension of TensorFlow's wrapt and a current typing_extensions do not agree
# (BUILD_NOTES.md).
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ.setdefault('WRAPT_DISABLE_EXTENSIONS', '1')
