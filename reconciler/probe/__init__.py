"""Probes: experiments on an instance of an account that may be broken, beside the same ones on a
sandbox. What is asked, what may be touched and how it is put back is here; how a sandbox answers is
not."""
