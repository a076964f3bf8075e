"""Hypothesis without time limits: on a shared machine a slow example says nothing about us."""

from hypothesis import HealthCheck, settings

settings.register_profile("fembed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fembed")
