"""What AWS does on an account of one's own, beside what the sandbox does. What is asked, what may be
touched and how it is put back is here; how the sandbox answers is not."""
