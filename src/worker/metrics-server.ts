/** `pg-maint worker --metrics-port`: /metrics for Prometheus, /healthz and /readyz for whoever restarts processes. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import type pg from 'pg';
import type { Gauge as GaugeType, Registry as RegistryType } from 'prom-client';
import { queryRow } from './connection.ts';
import { messageOf } from './errors.ts';
import { connectAsOwner } from './session.ts';

// Loaded with this file, which a worker without --metrics-port does not load: it takes 10 MB.
const { collectDefaultMetrics, Gauge, Registry } = await import('prom-client');

/** A scrape gives up before Prometheus does, whose own patience is ten seconds. */
const patienceMs = 8000;

/** A row of maint.metrics. */
interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
  help: string;
}

/** Who a sample is of: two servers may each have a database of one name. */
type Place = Record<'database' | 'server', string>;

interface Answer {
  place: Place;
  samples: Sample[];
  /** Whether this process has reported to the database as a worker within 90 seconds. */
  reporting: boolean;
}

/** One database, on a connection that is kept from one look to the next. */
class Probe {
  readonly #target: string | undefined;
  #client: Promise<pg.Client> | null = null;
  #last: Promise<unknown> = Promise.resolve();
  /** As it was when it could last be reached. */
  place: Place | null = null;

  constructor(target: string | undefined) {
    this.#target = target;
  }

  /** One after another: a connection does one thing at a time. */
  async ask(): Promise<Answer> {
    const answer = this.#last.then(() => this.#ask());
    this.#last = answer.catch(() => undefined);
    return await answer;
  }

  async #ask(): Promise<Answer> {
    this.#client ??= this.#connect();
    try {
      const { place, samples, reporting } = await queryRow<Answer & pg.QueryResultRow>(
        await this.#client,
        `select pg_catalog.jsonb_build_object('database', pg_catalog.current_database(),
             'server', coalesce(pg_catalog.host(pg_catalog.inet_server_addr()) || ':', 'socket:')
               || pg_catalog.current_setting('port')) as place,
           (select coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(m)), '[]') from maint.metrics as m) as samples,
           exists (
             select from maint.worker as w where w.pid = $1 and w.host = $2
               and w.last_seen > pg_catalog.clock_timestamp() - interval '90 seconds') as reporting`,
        [process.pid, hostname()],
      );
      this.place = place;
      return { place, samples, reporting };
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = await connectAsOwner(this.#target);
    await client.query(`set statement_timeout = ${patienceMs}`);
    return client;
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.then((connected) => connected.end()).catch(() => undefined);
  }
}

/** A probe for each database that is worked for. */
class Probes {
  readonly #targets: ReadonlySet<string | undefined>;
  readonly #probes = new Map<string | undefined, Probe>();

  constructor(targets: ReadonlySet<string | undefined>) {
    this.#targets = targets;
  }

  now(): Probe[] {
    for (const [target, probe] of this.#probes) {
      if (this.#targets.has(target)) continue;
      this.#probes.delete(target);
      void probe.close();
    }
    for (const target of this.#targets)
      if (!this.#probes.has(target)) this.#probes.set(target, new Probe(target));
    return [...this.#probes.values()];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#probes.values()].map((probe) => probe.close()));
  }
}

async function metricsText(probes: readonly Probe[], ofProcess: RegistryType): Promise<string> {
  const registry = new Registry();
  const up = new Gauge({
    name: 'pg_maint_up',
    help: 'Whether the database could be asked.',
    labelNames: ['database', 'server'],
    registers: [registry],
  });
  const gauges = new Map<string, GaugeType>();
  const answers = await Promise.allSettled(probes.map((probe) => probe.ask()));
  for (const [index, answer] of answers.entries()) {
    if (answer.status === 'rejected') {
      up.set(probes[index]?.place ?? { database: '', server: '' }, 0);
      continue;
    }
    const { place, samples } = answer.value;
    up.set(place, 1);
    for (const { name, labels, value, help } of samples) {
      const gauge =
        gauges.get(name) ??
        new Gauge({
          name,
          help,
          labelNames: ['database', 'server', ...Object.keys(labels)],
          registers: [registry],
        });
      gauges.set(name, gauge);
      gauge.set({ ...labels, ...place }, value);
    }
  }
  return await Registry.merge([registry, ofProcess]).metrics();
}

/** Which databases this process does not work for, and why; empty when it is ready. */
async function notReady(probes: readonly Probe[]): Promise<string[]> {
  if (probes.length === 0) return ['no database with pg-maint was found yet'];
  const answers = await Promise.allSettled(probes.map((probe) => probe.ask()));
  return answers.flatMap((answer, index) => {
    if (answer.status === 'rejected')
      return [`${probes[index]?.place?.database ?? 'a database'}: ${messageOf(answer.reason)}`];
    const { place, reporting } = answer.value;
    return reporting ? [] : [`${place.database}: no word of this worker within 90 seconds`];
  });
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
  response.end(text);
}

const plain = 'text/plain; charset=utf-8';

export interface MetricsServerOptions {
  /** Looked at anew by each request: what the worker takes up is told of, what it lets go is not any more. */
  targets: ReadonlySet<string | undefined>;
  /** 0 for any that is free. */
  port: number;
  host: string;
  log(line: string): void;
}

export interface MetricsServer {
  port: number;
  close(): Promise<void>;
}

/** Listens, or throws where the port is taken. */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const probes = new Probes(options.targets);
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  const routes: Record<string, (response: ServerResponse) => Promise<void>> = {
    '/metrics': async (response) => {
      send(response, 200, ofProcess.contentType, await metricsText(probes.now(), ofProcess));
    },
    '/healthz': (response) => {
      send(response, 200, plain, 'ok\n');
      return Promise.resolve();
    },
    '/readyz': async (response) => {
      const reasons = await notReady(probes.now());
      if (reasons.length === 0) send(response, 200, plain, 'ready\n');
      else send(response, 503, plain, `${reasons.join('\n')}\n`);
    },
  };
  const server: Server = createServer((request, response) => {
    const route = routes[(request.url ?? '').split('?')[0] ?? ''];
    if (route === undefined) {
      send(response, 404, plain, 'there are /metrics, /healthz and /readyz\n');
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(response, 405, plain, 'GET\n');
    } else {
      route(response).catch((error: unknown) => {
        options.log(`metrics: ${messageOf(error)}`);
        send(response, 500, plain, 'failed; the log of the worker says why\n');
      });
    }
  });
  server.listen(options.port, options.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((settle) => server.close(settle));
      await probes.close();
    },
  };
}
