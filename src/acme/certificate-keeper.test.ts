import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { type IssuedCertificate, newKey } from './acme-client.ts';
import { CertificateKeeper } from './certificate-keeper.ts';
import { challengeCertificate } from './certificate-request.ts';
import { AcmeError } from './signed-request.ts';

const DAY = 86_400_000;

/** Two days around this moment, as challengeCertificate has them. */
function certificate(): IssuedCertificate {
  const key = newKey();
  return { key, cert: challengeCertificate(createPrivateKey(key), 'a.example', new Uint8Array(32)) };
}

function keep(answers: (() => Promise<IssuedCertificate>)[], kept?: IssuedCertificate) {
  const state = {
    now: Date.now(),
    asked: 0,
    served: [] as string[][],
    saved: [] as string[],
    errors: [] as unknown[],
  };
  const ignore = () => {};
  const keeper = new CertificateKeeper({
    names: ['a.example'],
    log: {
      error: (message, fields) => state.errors.push([message, fields]),
      warn: ignore,
      info: ignore,
      debug: ignore,
    },
    load: () => kept,
    save: (name) => state.saved.push(name),
    obtain: () => answers[Math.min(state.asked++, answers.length - 1)](),
    use: async (certificates) => void state.served.push(certificates.map(({ id }) => id)),
    now: () => state.now,
    random: () => 0.5,
  });
  return { state, keeper };
}

test('makes certificates that others can read', () => {
  const { cert, key } = certificate();
  const parsed = new X509Certificate(cert);
  assert.equal(parsed.subjectAltName, 'DNS:a.example');
  assert.ok(parsed.checkPrivateKey(createPrivateKey(key)));
  assert.ok(parsed.verify(parsed.publicKey));
});

test('obtains what is missing, and again when two thirds of its life are over', async () => {
  const { state, keeper } = keep([async () => certificate()]);
  assert.deepEqual(keeper.certificates, []);
  await keeper.renew();
  assert.deepEqual([state.asked, state.saved, state.served], [1, ['a.example'], [['acme/a.example']]]);
  // It began a day ago and ends in one: due a third of a day from now.
  state.now += 0.3 * DAY;
  await keeper.renew();
  assert.equal(state.asked, 1);
  state.now += 0.05 * DAY;
  await keeper.renew();
  assert.equal(state.asked, 2);
});

test('goes on with what was kept, and doesn’t ask before it is due', async () => {
  const { state, keeper } = keep([async () => certificate()], certificate());
  assert.deepEqual(
    keeper.certificates.map(({ snis }) => snis),
    [['a.example']],
  );
  await keeper.renew();
  assert.equal(state.asked, 0);
});

test('tries again ever later, and no sooner than the authority says', async () => {
  const failing = () => Promise.reject(new Error('out of order'));
  const busy = () =>
    Promise.reject(new AcmeError({ status: 429, headers: { 'retry-after': '7200' }, text: '{}' }));
  const { state, keeper } = keep([failing, failing, failing, busy, async () => certificate()]);
  const waits: number[] = [];
  for (let attempt = 1; attempt <= 4; attempt++) {
    await keeper.renew();
    await keeper.renew(); // not due yet
    assert.equal(state.asked, attempt);
    const [, { retry_in_seconds: wait }] = state.errors.at(-1) as [string, { retry_in_seconds: number }];
    waits.push(wait);
    state.now += wait * 1000 + 1000;
  }
  assert.deepEqual(waits, [60, 120, 240, 7200]);
  await keeper.renew();
  assert.equal(keeper.certificates.length, 1);
});
