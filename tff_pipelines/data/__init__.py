"""Client populations and the data sets they are made from."""
