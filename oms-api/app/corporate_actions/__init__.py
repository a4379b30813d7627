"""Corporate actions: record, preview, book and reverse splits, symbol changes and cash dividends."""
