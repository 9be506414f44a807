/** Some seconds of the shop's daily work, so that the steps that watch the database have something to watch. */
import pg from 'pg';

const customers = 2000;
const orders = 20_000;

/** One round of what a client of the shop does. The seed of the numbers is the round. */
async function work(client: pg.Client, round: number): Promise<void> {
  const customer = 1 + ((round * 7919) % customers);
  const order = 1 + ((round * 104_729) % orders);
  await client.query('select email, city from shop.customer where customer_id = $1', [customer]);
  await client.query('insert into shop."Order" (customer_id, status) values ($1, \'open\')', [customer]);
  await client.query('update shop."Order" set status = \'paid\' where order_id = $1', [order]);
  // Goes through the whole table: the foreign key has no index.
  if (round % 5 === 0)
    await client.query('select count(*) from shop."Order" where customer_id = $1', [customer]);
  if (round % 40 === 0)
    await client.query(
      'select product_id, sum(quantity) from shop.order_item group by product_id order by 2 desc limit 5',
    );
}

/** Works with some clients at once for so many seconds. Returns how many rounds were done. */
export async function loadSample(url: string, seconds: number, clients = 3): Promise<number> {
  const until = performance.now() + seconds * 1000;
  let rounds = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, place) => {
      const client = new pg.Client({ connectionString: url, application_name: 'shop' });
      // When the server is stopped under it; the query under way, or the next one, fails with it.
      client.on('error', () => undefined);
      await client.connect();
      try {
        for (let round = place; performance.now() < until; round += clients) {
          await work(client, round);
          rounds += 1;
        }
      } finally {
        await client.end();
      }
    }),
  );
  return rounds;
}
