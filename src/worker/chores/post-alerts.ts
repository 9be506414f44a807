/** Posts alerts to the webhook, where one is configured. */
import { alertsAreWaiting, deliverAlerts } from '../webhook.ts';
import type { Chore, ChoreConfig } from './chore.ts';

function textOf(config: ChoreConfig, key: string): string {
  const value = config[`operational.alerts.${key}`];
  return typeof value === 'string' ? value : '';
}

export default {
  name: 'post alerts',
  for: 'database',
  connection: 'own',
  // Soon enough for a person, seldom enough for the server.
  everySeconds: (config) => (textOf(config, 'webhook_url') === '' ? null : 10),
  wanted: (client, config) => alertsAreWaiting(client, textOf(config, 'webhook_min_severity')),
  async run(client, { config, signal, log }) {
    const url = textOf(config, 'webhook_url');
    if (!/^https?:\/\//.test(url) || !URL.canParse(url))
      throw new Error(`operational.alerts.webhook_url is no http or https URL: ${url}`);
    const lost = await deliverAlerts(client, {
      url,
      minSeverity: textOf(config, 'webhook_min_severity'),
      repeatHours: Number(config['operational.alerts.webhook_repeat_hours']),
      attempts: Number(config['operational.alerts.webhook_attempts']),
      authorization: process.env['PG_MAINT_WEBHOOK_AUTHORIZATION'],
      signal,
    });
    for (const line of lost) log(line);
    return undefined;
  },
} satisfies Chore;
