"""Boards that need not be here: work, time, memory and energy, modelled."""
