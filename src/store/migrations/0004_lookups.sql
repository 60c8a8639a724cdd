-- outside a transaction: these tables may be large, and their writer is at work (docs/decisions/0017)

-- Who is on-line, without reading everybody who ever was.
CREATE INDEX CONCURRENTLY IF NOT EXISTS terminal_presence_online ON terminal_presence (phone) WHERE online;

-- Browsing the quarantine by reason, and counting it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS quarantine_reason ON quarantine (reason, id);
