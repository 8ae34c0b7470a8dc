"""Policies compared with what AWS documents of its services: actions and condition keys that do not
exist, or do not go together. What AWS would refuse is in ``spec/check/``."""
