"""Scripts for maintainers; run them as `python -m tools.NAME`. Readers need none of them."""
