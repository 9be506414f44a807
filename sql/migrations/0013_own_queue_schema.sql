-- The queues are in schema maint_boss, which is ours alone, and not in pgboss, which may be an application's.
comment on column maint.installation.made_queues is
  'Whether an older version made the schema pgboss for its queues. It is not used any more.';
