-- What each worker can tell of the free space on the server's disks.

alter table maint.worker add column free_disk jsonb;
comment on column maint.worker.free_disk is
  'What the worker knew when it looked last: {"known", "places": [{"what", "place", "free_bytes", "total_bytes", "method"}], "reason"}.';
