"""Values to text, for every reader: pure, a document in, text out. Nothing here writes to a stream
or a file."""
