/**
 * A schema in the style of real applications, of as many tables as wanted: tenants with composite keys, soft deletes with partial
 * indexes, polymorphic pairs, join tables, partitions; and the mistakes that grow in such schemas over the years. The same seed gives the
 * same schema.
 */
import type { Random } from '../property/random.ts';

interface Table {
  name: string;
  /** Type of its column `id`. */
  idType: 'int' | 'bigint' | 'uuid';
}

const nouns = [
  'order',
  'invoice',
  'item',
  'user',
  'account',
  'project',
  'comment',
  'issue',
  'event',
  'build',
  'job',
  'tag',
];

class Schema {
  readonly statements: string[] = ['create schema app;'];
  readonly #random: Random;
  readonly #tables: Table[] = [];
  /** Names of tables that a key of tenant and id can refer to. */
  readonly #tenantOwners: string[] = [];
  #indexes = 0;

  constructor(random: Random) {
    this.#random = random;
    this.statements.push('create table app.tenant (id int primary key, name text not null);');
    this.#tables.push({ name: 'tenant', idType: 'int' });
  }

  add(place: number): void {
    const name = `${this.#random.pick(nouns)}_${place}`;
    switch (this.#random.below(8)) {
      case 0:
        this.#joinTable(name);
        break;
      case 1:
        this.#partitioned(name);
        break;
      case 2:
        this.#polymorphic(name);
        break;
      case 3:
        this.#tenantOwned(name);
        break;
      default:
        this.#entity(name);
    }
  }

  #index(table: string, keys: string, more = '', unique = ''): void {
    this.#indexes += 1;
    this.statements.push(
      `create ${unique} index ${table}_i${this.#indexes} on app.${table} ${keys} ${more};`,
    );
  }

  #someTable(): Table {
    return this.#random.pick(this.#tables);
  }

  /** Mostly of the referenced column's type; now and then of one that is wider or narrower. */
  #reference({ idType }: Table): string {
    if (idType === 'uuid' || !this.#random.chance(0.08)) return idType;
    return idType === 'int' ? 'bigint' : 'int';
  }

  #entity(name: string): void {
    const idType = this.#random.pick(['int', 'bigint', 'bigint', 'uuid'] as const);
    const parents = Array.from({ length: this.#random.below(3) }, () => this.#someTable());
    const keys = parents.map(
      (parent, place) => `parent${place}_id ${this.#reference(parent)} references app.${parent.name} (id)`,
    );
    this.statements.push(
      `create table app.${name} (id ${idType} primary key, name text not null, state varchar(20), kind smallint not null,
        created_at timestamptz not null default now(), deleted_at timestamptz${keys.map((key) => `, ${key}`).join('')});`,
    );
    for (const place of parents.keys()) {
      const column = `parent${place}_id`;
      if (this.#random.chance(0.8)) this.#index(name, `(${column})`);
      if (this.#random.chance(0.2)) this.#index(name, `(${column}, created_at)`);
      if (this.#random.chance(0.15)) this.#index(name, `(${column})`, 'where deleted_at is null');
      if (this.#random.chance(0.05)) this.#index(name, `using hash (${column})`);
    }
    if (this.#random.chance(0.3)) this.#index(name, '(name)', 'where deleted_at is null', 'unique');
    if (this.#random.chance(0.15)) this.#index(name, '(name)');
    if (this.#random.chance(0.2)) this.#index(name, '(id)', `where state = 'v7'`);
    if (this.#random.chance(0.2)) this.#index(name, '(state, kind)');
    if (this.#random.chance(0.1)) this.#index(name, '(state)');
    if (this.#random.chance(0.1)) this.#index(name, '(kind)', 'where name is not null');
    if (this.#random.chance(0.1)) this.#index(name, '(lower(name))');
    if (this.#random.chance(0.1)) this.#index(name, '(created_at desc)');
    if (this.#random.chance(0.05))
      this.statements.push(`create view app.${name}_v as select * from app.${name};`);
    this.#tables.push({ name, idType });
  }

  /** `id` is unique by itself, and with the tenant it is what others refer to. */
  #tenantOwned(name: string): void {
    const owners = this.#tenantOwners;
    const parent = owners.length > 0 && this.#random.chance(0.7) ? this.#random.pick(owners) : null;
    const alone = this.#random.chance(0.5);
    this.statements.push(
      `create table app.${name} (id bigint not null${alone ? ' unique' : ''}, tenant_id int not null references app.tenant, amount numeric(12, 2),
        created_at timestamptz not null default now(), primary key (tenant_id, id)${
          parent === null
            ? ''
            : `, parent_id ${this.#random.chance(0.3) ? 'bigint unique' : 'bigint'}, foreign key (tenant_id, parent_id) references app.${parent} (tenant_id, id)`
        });`,
    );
    if (parent !== null) {
      const keys = this.#random.pick([
        '(tenant_id, parent_id)',
        '(tenant_id, parent_id)',
        '(parent_id)',
        null,
      ]);
      if (keys !== null) this.#index(name, keys);
    }
    if (this.#random.chance(0.3)) this.#index(name, '(tenant_id)');
    if (this.#random.chance(0.3)) this.#index(name, '(tenant_id, created_at)');
    this.#tenantOwners.push(name);
    // Where it is not unique alone, only keys with the tenant can refer to it.
    if (alone) this.#tables.push({ name, idType: 'bigint' });
  }

  #joinTable(name: string): void {
    const [one, other] = [this.#someTable(), this.#someTable()];
    const key = this.#random.chance(0.5) ? 'primary key (left_id, right_id)' : 'unique (right_id, left_id)';
    this.statements.push(
      `create table app.${name} (left_id ${one.idType} not null references app.${one.name} (id), right_id ${other.idType} not null references app.${other.name} (id), position int, ${key});`,
    );
    if (this.#random.chance(0.5)) this.#index(name, '(right_id)');
    if (this.#random.chance(0.5)) this.#index(name, '(left_id)');
    if (this.#random.chance(0.2))
      this.#index(name, '(left_id, right_id)', '', this.#random.pick(['', 'unique']));
  }

  #polymorphic(name: string): void {
    this.statements.push(
      `create table app.${name} (id bigint primary key, subject_type varchar(60) not null, subject_id bigint not null, body jsonb, labels text[], author_id int references app.tenant);`,
    );
    if (this.#random.chance(0.7)) this.#index(name, '(subject_type, subject_id)');
    if (this.#random.chance(0.3)) this.#index(name, '(subject_id)');
    if (this.#random.chance(0.3)) this.#index(name, '(subject_type)');
    if (this.#random.chance(0.3)) this.#index(name, '(subject_id, subject_type)', '', 'unique');
    if (this.#random.chance(0.3)) this.#index(name, 'using gin (labels)');
    if (this.#random.chance(0.4)) this.#index(name, '(author_id)', 'where author_id is not null');
    this.#tables.push({ name, idType: 'bigint' });
  }

  #partitioned(name: string): void {
    const parent = this.#someTable();
    this.statements.push(
      `create table app.${name} (id bigint not null, at date not null, parent_id ${parent.idType} references app.${parent.name} (id), amount int, primary key (id, at)) partition by range (at);`,
      ...[1, 2, 3].map(
        (month) =>
          `create table app.${name}_p${month} partition of app.${name} for values from ('2024-0${month}-01') to ('2024-0${month + 1}-01');`,
      ),
    );
    if (this.#random.chance(0.6)) this.#index(name, '(parent_id)');
    else if (this.#random.chance(0.4)) this.#index(`${name}_p1`, '(parent_id)');
    if (this.#random.chance(0.3)) this.#index(name, '(parent_id, at)');
    if (this.#random.chance(0.2)) this.#index(`${name}_p2`, '(amount)');
  }
}

/** SQL that makes it in schema `app`. */
export function applicationSchema(random: Random, tables: number): string {
  const schema = new Schema(random);
  for (let place = 1; place < tables; place += 1) schema.add(place);
  return schema.statements.join('\n');
}
