"""For programs: the documents, and the types that their schemas are made from."""
