"""Settings that all tests share."""

from hypothesis import HealthCheck, settings

# No test depends on the machine's speed; what is fast enough is measured in benchmarks/.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
