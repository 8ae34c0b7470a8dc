"""What a plan takes from roles in use: from changes to the roles that come to be allowed less, from
their policy documents to what is asked of AWS, and from the answers to what is used and lost. Pure:
reports of use and simulations are asked for by ``commands/impact.py``. What changes reach is
``planner/blast_radius.py``, what they allow besides ``planner/widening.py``."""
