/** What psql would connect to, given the same words, files and environment; as the driver wants it. */
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { parse as parseTls } from 'pg-connection-string';
import { CouldNotRun } from '../errors.ts';
import { parseTarget } from './keywords.ts';
import type { Keywords } from './keywords.ts';
import { readService } from './service-file.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const variables: Readonly<Record<string, string>> = {
  PGAPPNAME: 'application_name',
  PGCHANNELBINDING: 'channel_binding',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGDATABASE: 'dbname',
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGOPTIONS: 'options',
  PGPASSWORD: 'password',
  PGPORT: 'port',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLMODE: 'sslmode',
  PGSSLNEGOTIATION: 'sslnegotiation',
  PGSSLROOTCERT: 'sslrootcert',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGUSER: 'user',
};

function fromEnvironment(environment: Environment): Keywords {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([variable, keyword]) => {
      const value = environment[variable] ?? '';
      return value === '' ? [] : [[keyword, value]];
    }),
  );
}

/**
 * The connection string, else DATABASE_URL; where these leave something open, the service they or PGSERVICE name; then
 * the variables PGHOST, PGDATABASE and so on.
 */
export function resolveTarget(target: string | undefined, environment: Environment = process.env): Keywords {
  const named = target ?? environment['DATABASE_URL'] ?? '';
  const own = named === '' ? {} : parseTarget(named);
  const { service = environment['PGSERVICE'] ?? '', ...rest } = own;
  const ofService = service === '' ? {} : readService(service, environment);
  return { ...fromEnvironment(environment), ...ofService, ...rest };
}

/** The database that a target means, for people. */
export function databaseName(target: string | undefined): string {
  const { dbname, user } = resolveTarget(target);
  return dbname ?? user ?? userInfo().username;
}

/** Where a server of this machine listens, as packages build libpq. */
const socketFolders = ['/var/run/postgresql', '/tmp'];

function defaultHost(port: number): string {
  return socketFolders.find((folder) => existsSync(join(folder, `.s.PGSQL.${port}`))) ?? 'localhost';
}

function wholeNumber(keyword: string, value: string, most: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || number > most)
    throw new CouldNotRun(`${keyword} is "${value}"; expected a whole number up to ${most}`);
  return number;
}

function oneOf(keywords: Keywords, keyword: string, choices: readonly string[]): string {
  const value = keywords[keyword] ?? choices[0] ?? '';
  if (!choices.includes(value))
    throw new CouldNotRun(`${keyword} is "${value}"; expected ${choices.join(', ')}`);
  return value;
}

const tlsModes = ['prefer', 'disable', 'allow', 'require', 'verify-ca', 'verify-full'] as const;

function tls(keywords: Keywords): pg.ClientConfig['ssl'] {
  const query = new URLSearchParams();
  for (const keyword of ['sslmode', 'sslcert', 'sslkey', 'sslrootcert']) {
    const value = keywords[keyword];
    // `system` is the store of the platform, which is Node's default.
    if (value !== undefined && value !== 'system') query.set(keyword, value);
  }
  try {
    return parseTls(`postgresql:///?${query.toString()}`, { useLibpqCompat: true })
      .ssl as pg.ClientConfig['ssl'];
  } catch (error) {
    throw new CouldNotRun((error as Error).message, 'check sslmode, sslrootcert, sslcert and sslkey', {
      cause: error,
    });
  }
}

export interface Server {
  /** host:port */
  place: string;
  /** The ways to connect, in the order in which they are tried: with TLS and without, where both are allowed. */
  ways: pg.ClientConfig[];
}

export interface ClientTarget {
  servers: Server[];
  /** A standby of several hosts is passed over. */
  primaryOnly: boolean;
}

export function clientTarget(keywords: Keywords): ClientTarget {
  const mode = oneOf(keywords, 'sslmode', tlsModes);
  const binding = oneOf(keywords, 'channel_binding', ['prefer', 'disable', 'require']);
  const attributes = oneOf(keywords, 'target_session_attrs', ['any', 'primary', 'read-write']);
  oneOf(keywords, 'sslnegotiation', ['postgres', 'direct']);
  const user = keywords['user'] ?? userInfo().username;
  const hosts = (keywords['hostaddr'] ?? keywords['host'] ?? '').split(',');
  const ports = (keywords['port'] ?? '').split(',');
  if (ports.length > 1 && ports.length !== hosts.length)
    throw new CouldNotRun(`${ports.length} ports are given for ${hosts.length} hosts`);
  const timeout = wholeNumber('connect_timeout', keywords['connect_timeout'] ?? '15', 86_400);
  const servers = hosts.map((name, index): Server => {
    const portWord = (ports.length > 1 ? ports[index] : ports[0]) ?? '';
    const port = wholeNumber('port', portWord === '' ? '5432' : portWord, 65_535);
    const host = name === '' ? defaultHost(port) : name;
    const config: pg.ClientConfig = {
      host,
      port,
      user,
      database: keywords['dbname'] ?? user,
      ...(keywords['password'] !== undefined && { password: keywords['password'] }),
      ...(keywords['options'] !== undefined && { options: keywords['options'] }),
      ...(binding !== 'disable' && { enableChannelBinding: true }),
      application_name: keywords['application_name'] ?? keywords['fallback_application_name'] ?? 'pg-maint',
      connectionTimeoutMillis: timeout * 1000,
      keepAlive: true,
    };
    const place = `${host}:${port}`;
    const plain = { ...config, ssl: false };
    if (host.startsWith('/') || mode === 'disable') return { place, ways: [plain] };
    const ssl = tls({ ...keywords, sslmode: mode === 'allow' ? 'prefer' : mode });
    // The certificate is for the name, also where the address says whom to call.
    const certified = keywords['hostaddr'] === undefined ? undefined : keywords['host']?.split(',')[index];
    const named =
      typeof ssl === 'object' && certified !== undefined ? { ...ssl, servername: certified } : ssl;
    const direct = keywords['sslnegotiation'] === 'direct' && { sslnegotiation: 'direct' as const };
    const secured = { ...config, ...direct, ssl: named ?? true };
    if (mode === 'prefer') return { place, ways: [secured, plain] };
    return { place, ways: mode === 'allow' ? [plain, secured] : [secured] };
  });
  return { servers, primaryOnly: attributes !== 'any' && hosts.length > 1 };
}
