"""From a curve against lag to what a person wants to know: rate, half-life, horizon, verdict."""

from gradflow.diagnosis.diagnose import diagnose, leaves
from gradflow.diagnosis.rate import Rate, rate_of

__all__ = ["Rate", "diagnose", "leaves", "rate_of"]
