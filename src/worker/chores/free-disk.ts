/** Notes what this worker can tell of the server's disks, for step 15 and maint.status(). */
import type { Chore } from './chore.ts';
import { freeDisk } from '../free-disk.ts';

export default {
  name: 'free disk',
  for: 'worker',
  connection: 'shared',
  everySeconds: () => 60,
  async run(client, { workerId, config }) {
    const found = await freeDisk(client, 0, Number(config['operational.safeguards.disk_total_gb']));
    await client.query('update maint.worker set free_disk = $2::jsonb where worker_id = $1', [
      workerId,
      JSON.stringify(found),
    ]);
    return undefined;
  },
} satisfies Chore;
