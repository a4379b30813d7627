"""Market data: quotes, bars and price sources."""
