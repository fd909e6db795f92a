import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openDataDirectory } from './data-directory.ts';

const HEX = 'a1'.repeat(32);

function withFolder(name: string, run: (folder: string) => Promise<void>): void {
  test(name, async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'sluice-data-'));
    try {
      await run(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

const modeOf = (file: string) => statSync(file).mode & 0o777;

withFolder('makes the directory and two different keys that only their owner can read', async (parent) => {
  const folder = path.join(parent, 'new', 'data');
  const data = await openDataDirectory(folder, {});
  assert.equal(data.path, folder);
  assert.equal(modeOf(folder), 0o700);
  assert.equal(data.adminKey.fresh, true);
  assert.match(data.adminKey.key, /^[0-9a-f]{64}$/);
  assert.equal(data.encryptionKey.length, 32);
  assert.notEqual(data.encryptionKey.toString('hex'), data.adminKey.key);
  assert.deepEqual(readdirSync(folder).sort(), ['admin.key', 'encryption.key']);
  for (const file of readdirSync(folder)) assert.equal(modeOf(path.join(folder, file)), 0o600);
});

withFolder('finds the same keys again, which are not fresh then', async (folder) => {
  const first = await openDataDirectory(folder, {});
  const second = await openDataDirectory(folder, {});
  assert.deepEqual(second, { ...first, adminKey: { key: first.adminKey.key, fresh: false } });
});

withFolder('takes keys from the environment before files, and makes none then', async (folder) => {
  const environment = { SLUICE_ADMIN_KEY: 'from-environment', SLUICE_ENCRYPTION_KEY: HEX };
  const expected = {
    path: folder,
    adminKey: { key: 'from-environment', fresh: false },
    encryptionKey: Buffer.from(HEX, 'hex'),
  };
  assert.deepEqual(await openDataDirectory(folder, environment), expected);
  assert.deepEqual(readdirSync(folder), []);
  await openDataDirectory(folder, {});
  assert.deepEqual(await openDataDirectory(folder, environment), expected);
});

withFolder('takes an empty variable as unset', async (folder) => {
  const data = await openDataDirectory(folder, { SLUICE_ADMIN_KEY: '', SLUICE_ENCRYPTION_KEY: '' });
  assert.equal(data.adminKey.fresh, true);
  assert.equal(data.encryptionKey.length, 32);
});

withFolder('reads an encryption key as hex, base64 and URL-safe base64', async (folder) => {
  const key = Buffer.from('fb'.repeat(32), 'hex');
  for (const text of [
    key.toString('hex'),
    key.toString('hex').toUpperCase(),
    key.toString('base64'),
    key.toString('base64url'),
  ]) {
    assert.deepEqual((await openDataDirectory(folder, { SLUICE_ENCRYPTION_KEY: text })).encryptionKey, key);
    writeFileSync(path.join(folder, 'encryption.key'), `${text}\n`, { mode: 0o600 });
    assert.deepEqual((await openDataDirectory(folder, {})).encryptionKey, key);
  }
});

withFolder('refuses an encryption key that is not 32 bytes, without showing it', async (folder) => {
  const base64 = Buffer.from(HEX, 'hex').toString('base64');
  for (const text of [
    'short',
    HEX.slice(2),
    `${HEX}00`,
    `${base64.slice(0, 20)}!${base64.slice(20)}`,
    ' ',
    'ü'.repeat(32),
  ]) {
    await assert.rejects(openDataDirectory(folder, { SLUICE_ENCRYPTION_KEY: text }), (error: Error) => {
      assert.match(error.message, /^SLUICE_ENCRYPTION_KEY holds no encryption key: it must be 32 bytes/);
      assert.ok(text === ' ' || !error.message.includes(text));
      return true;
    });
  }
});

withFolder('refuses an admin key that no header can carry', async (folder) => {
  for (const text of ['two words', 'line\n', 'schlüssel', ' ']) {
    await assert.rejects(openDataDirectory(folder, { SLUICE_ADMIN_KEY: text }), {
      message: /^SLUICE_ADMIN_KEY holds no usable key/,
    });
  }
});

for (const name of ['admin.key', 'encryption.key']) {
  withFolder(`refuses an ${name} that others can read, until that is mended`, async (folder) => {
    const first = await openDataDirectory(folder, {});
    const file = path.join(folder, name);
    for (const mode of [0o644, 0o640, 0o604, 0o620]) {
      chmodSync(file, mode);
      await assert.rejects(openDataDirectory(folder, {}), (error: Error) =>
        error.message.endsWith(`chmod 600 ${file}`),
      );
    }
    chmodSync(file, 0o600);
    assert.equal((await openDataDirectory(folder, {})).adminKey.key, first.adminKey.key);
  });

  withFolder(`refuses an empty ${name} rather than replacing it`, async (folder) => {
    const file = path.join(folder, name);
    writeFileSync(file, '', { mode: 0o600 });
    await assert.rejects(openDataDirectory(folder, {}), (error: Error) => error.message.startsWith(file));
    assert.equal(readFileSync(file, 'utf8'), '');
  });
}

withFolder('refuses a directory that all users can write', async (folder) => {
  chmodSync(folder, 0o777);
  await assert.rejects(openDataDirectory(folder, {}), (error: Error) =>
    error.message.endsWith(`chmod 700 ${folder}`),
  );
  assert.deepEqual(readdirSync(folder), []);
});

withFolder('makes no new encryption key where a database needs the old one', async (folder) => {
  await openDataDirectory(folder, {});
  rmSync(path.join(folder, 'encryption.key'));
  writeFileSync(path.join(folder, 'sluice.db'), 'x');
  await assert.rejects(openDataDirectory(folder, {}), {
    message: /encryption\.key is missing.*restore the file or set SLUICE_ENCRYPTION_KEY/,
  });
  assert.ok((await openDataDirectory(folder, { SLUICE_ENCRYPTION_KEY: HEX })).encryptionKey);
});

withFolder('gives processes that start at once the same keys', async (folder) => {
  const program = `
    import { openDataDirectory } from ${JSON.stringify(new URL('./data-directory.ts', import.meta.url).href)};
    process.stdin.once('data', async () => {
      const { adminKey, encryptionKey } = await openDataDirectory(process.argv[1], {});
      console.log(JSON.stringify([adminKey.key, encryptionKey.toString('hex'), adminKey.fresh]));
      process.exit();
    });
    console.log('ready');
  `;
  const children = await Promise.all(
    [1, 2, 3].map(async () => {
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program, folder], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      return child;
    }),
  );
  const answers = children.map(async (child): Promise<unknown[]> => {
    const [answer] = await once(child.stdout, 'data');
    await once(child, 'close');
    return JSON.parse(String(answer));
  });
  for (const child of children) child.stdin.write('go\n');
  const found = await Promise.all(answers);
  assert.equal(new Set(found.map((one) => one.slice(0, 2).join())).size, 1);
  assert.equal(found.filter((one) => one[2]).length, 1, 'one of them made the admin key');
});
