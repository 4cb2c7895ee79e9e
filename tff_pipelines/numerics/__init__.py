"""Pure mathematics that aggregators are made of."""
