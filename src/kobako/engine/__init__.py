"""The use cases. The only room that knows all the rooms below and introduces them to each other."""
