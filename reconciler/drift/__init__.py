"""What differs between specs and AWS, who did it, what was known before; specs that accept it."""
