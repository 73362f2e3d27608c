"""Settings that all tests share."""

from hypothesis import HealthCheck, settings

# No test depends on the machine's speed; what is fast enough is measured in benchmarks/.
settings.register_profile("wide", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Nor on luck: the same code meets the same examples. `--hypothesis-profile=wide` draws others each time.
settings.register_profile("steady", settings.get_profile("wide"), derandomize=True)
settings.load_profile("steady")
