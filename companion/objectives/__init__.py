"""Pretraining objectives. Each is a collator (rows of ids -> inputs and labels) and a loss."""
