/** Connection strings as psql takes them: a URL, keyword = value pairs, or the name of a database. */
import { CouldNotRun } from '../errors.ts';

/** Keyword of libpq -> value. */
export type Keywords = Readonly<Record<string, string>>;

/** What the driver can do. */
const supported = new Set([
  'application_name',
  'channel_binding',
  'connect_timeout',
  'dbname',
  'fallback_application_name',
  'host',
  'hostaddr',
  'options',
  'password',
  'port',
  'service',
  'sslcert',
  'sslkey',
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'target_session_attrs',
  'user',
]);

/** Without them the connection is the same, only tuned differently. */
const withoutEffect = new Set([
  'client_encoding',
  'gssdelegation',
  'gsslib',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'krbsrvname',
  'load_balance_hosts',
  'max_protocol_version',
  'min_protocol_version',
  'replication',
  'sslcompression',
  'sslsni',
  'tcp_user_timeout',
]);

/** What libpq takes and the driver can't do; ignoring them would connect less safely than was asked for. */
const beyondTheDriver: Readonly<Record<string, string>> = {
  gssencmode: 'leave it out, or say gssencmode=disable',
  passfile: 'name the file in PGPASSFILE',
  require_auth: 'leave it out, and let pg_hba.conf say which method is taken',
  requirepeer: 'connect over TCP with sslmode=verify-full',
  scram_client_key: 'give the password',
  scram_server_key: 'give the password',
  service_file: 'name the file in PGSERVICEFILE',
  servicefile: 'name the file in PGSERVICEFILE',
  sslcertmode: 'leave it out',
  sslcrl: 'leave it out',
  sslcrldir: 'leave it out',
  sslpassword: 'use a key without a password',
  ssl_max_protocol_version: 'leave it out',
  ssl_min_protocol_version: 'leave it out',
};

/** Throws CouldNotRun where a keyword is none, or one that can't be honoured. `place` says where it was read. */
export function checkKeywords(keywords: Keywords, place: string): Keywords {
  const kept: Record<string, string> = {};
  for (const [keyword, value] of Object.entries(keywords)) {
    if (supported.has(keyword)) kept[keyword] = value;
    else if (keyword === 'gssencmode' && value !== 'require') continue;
    else if (keyword in beyondTheDriver)
      throw new CouldNotRun(`${place}: this program can't do ${keyword}`, beyondTheDriver[keyword] ?? null);
    else if (!withoutEffect.has(keyword))
      throw new CouldNotRun(
        `${place}: there is no connection option "${keyword}"`,
        `known are ${[...supported].join(', ')}`,
      );
  }
  return kept;
}

export function isUrl(text: string): boolean {
  return /^postgres(?:ql)?:\/\//.test(text);
}

const example = 'give one such as postgresql://user@host:5432/database, "host=localhost dbname=shop" or shop';

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new CouldNotRun(`not a database URL: a % without two hexadecimal digits`, 'write % as %25', {
      cause: error,
    });
  }
}

/** host, [address], with a port each, with commas between several: [hosts, ports]. */
function splitHosts(text: string): [string, string] {
  const parts = text.split(',').map((each) => {
    const [, host, port = ''] = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/.exec(each) ?? [];
    if (host === undefined)
      throw new CouldNotRun(`not a database URL: "${each}" is no host with a port`, example);
    return [decoded(host.replace(/^\[(.*)\]$/, '$1')), port] as const;
  });
  const hosts = parts.map(([host]) => host).join(',');
  const ports = parts.map(([, port]) => port).join(',');
  return [/^,*$/.test(hosts) ? '' : hosts, /^,*$/.test(ports) ? '' : ports];
}

function ofUrl(url: string): Keywords {
  const [, user, hosts = '', database = '', query = ''] =
    /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(url) ?? [];
  const [name = '', ...password] = (user ?? '').split(':');
  const [host, port] = splitHosts(hosts);
  const keywords: Record<string, string> = {
    ...(name !== '' && { user: decoded(name) }),
    ...(password.length > 0 && { password: decoded(password.join(':')) }),
    ...(host !== '' && { host }),
    ...(port !== '' && { port }),
    ...(database !== '' && { dbname: decoded(database) }),
  };
  for (const pair of query.split('&').filter(Boolean)) {
    const [keyword = '', value, ...more] = pair.split('=');
    if (value === undefined || more.length > 0)
      throw new CouldNotRun(`not a database URL: "${keyword}" has no value`, example);
    if (keyword === 'ssl' && value === 'true') keywords['sslmode'] = 'require';
    else keywords[decoded(keyword)] = decoded(value);
  }
  return keywords;
}

function ofPairs(text: string): Keywords {
  const keywords: Record<string, string> = {};
  const pair = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?)(?=\s|$)/sy;
  const end = text.trimEnd().length;
  while (pair.lastIndex < end) {
    const [, keyword, quoted, plain] = pair.exec(text) ?? [];
    if (keyword === undefined)
      throw new CouldNotRun(
        'the connection string is no list of keyword=value pairs',
        `quote values with spaces: password='two words'`,
      );
    keywords[keyword] = (quoted ?? plain ?? '').replace(/\\(.)/gs, '$1');
  }
  return keywords;
}

/** Throws CouldNotRun where it is none of the three. */
export function parseTarget(text: string): Keywords {
  if (isUrl(text)) return checkKeywords(ofUrl(text), 'the database URL');
  if (text.includes('=')) return checkKeywords(ofPairs(text), 'the connection string');
  if (text.includes('://')) throw new CouldNotRun('not a database URL', example);
  return { dbname: text };
}

/** The keywords as one string, which parseTarget reads. */
export function writeTarget(keywords: Keywords): string {
  return Object.entries(keywords)
    .map(([keyword, value]) => `${keyword}='${value.replace(/[\\']/g, '\\$&')}'`)
    .join(' ');
}
