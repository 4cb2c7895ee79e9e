"""A whole round as one XLA program, from an unmodified TFF computation.

splitting     a computation into its TensorFlow parts (TFF's MapReduceForm)
graphs        reading and importing those parts
lowering      what a part does with client data, without tf.data
cohorts       client data as blocks of fixed capacity
failures      which client, on which batch, made a block fail
rounds        the loops over clients and blocks, compiled
values        arguments and results, between TFF's types and flat tensors
context       the execution context that puts these together
"""
