-- A fast pattern is nothing to be done about: it is in maint.query_patterns, and no finding any more.

update maint.finding as f set resolved_at = pg_catalog.now() where f.kind = 'query.fast_pattern' and f.resolved_at is null;
