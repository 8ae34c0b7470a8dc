"""What stands between the caller and a run: one check each, from this machine to the account. Every
check ends, whatever is broken, and says what to do. How they are printed is in ``render``; what is
asked of AWS is in ``aws/examiner.py``."""
