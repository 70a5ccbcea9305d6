"""Ids of the participants whose systems are laid out in their own way; all others are alike (``practice``)."""

from __future__ import annotations

MARKET = "market_regulation"
ECOLOGY = "ecology_environment"
EMERGENCY = "emergency_management"
PLATFORM = "provincial_platform"
