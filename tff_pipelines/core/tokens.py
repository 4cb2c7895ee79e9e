"""The ids that every vocabulary begins with."""

# Nothing is here, or nothing is to be predicted.
PADDING = 0
# A word that the vocabulary does not have.
UNKNOWN = 1
# A sentence has ended.
END = 2
# A sentence begins: what came before it in a row is another one.
START = 3
# Words, or characters, have the ids from here on.
FIRST_WORD = 4
