// The last good configuration of a data plane, on its disk, to start from when no control plane
// answers. One line about the content, then a line of JSON for each resource. It takes its name only
// when it is whole, and the checksum tells what a disk has lost of it since.

import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Resource, Revision } from '../model/resource.ts';
import type { StoreContent } from '../model/store.ts';

const FORMAT = 'sluice-snapshot-1';

interface Heading {
  readonly format: string;
  readonly revision: number;
  readonly resources: number;
  /** Of the revision, a line end and everything after the heading's line, as hex. */
  readonly sha256: string;
}

export class SnapshotFile {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  /** What was written last, or undefined. @throws Error when the file is damaged or can't be read */
  async read(): Promise<StoreContent | undefined> {
    const bytes = await readFile(this.file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    return bytes && parse(bytes, this.file);
  }

  /** Replaces the file, durably, or leaves it as it is. Secrets must be sealed. One call at a time. */
  async write({ revision, resources }: StoreContent): Promise<void> {
    const folder = path.dirname(this.file);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const body = Buffer.from(resources.map((resource) => `${JSON.stringify(resource)}\n`).join(''));
    const heading: Heading = {
      format: FORMAT,
      revision,
      resources: resources.length,
      sha256: checksum(revision, body),
    };
    // Always the same name, so that a killed process leaves one behind at most.
    const temporary = `${this.file}.new`;
    try {
      await rm(temporary, { force: true });
      const handle = await open(temporary, 'wx', 0o600);
      try {
        await handle.writeFile(`${JSON.stringify(heading)}\n`);
        await handle.writeFile(body);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, this.file);
      await syncFolder(folder);
    } finally {
      await rm(temporary, { force: true });
    }
  }
}

function parse(bytes: Buffer, file: string): StoreContent {
  const damaged = (what: string) => new Error(`${file} is damaged: ${what}`);
  const end = bytes.indexOf(10);
  if (end === -1) throw damaged('it has no heading');
  let heading: Heading;
  try {
    heading = JSON.parse(bytes.toString('utf8', 0, end));
  } catch {
    throw damaged('its heading is no JSON');
  }
  if (heading.format !== FORMAT)
    throw new Error(`${file} has the format ${heading.format}, which this version doesn't know`);
  const body = bytes.subarray(end + 1);
  if (checksum(heading.revision, body) !== heading.sha256)
    throw damaged('its checksum is not that of its content');
  const resources = body
    .toString('utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Resource);
  if (resources.length !== heading.resources) throw damaged('resources are missing');
  return { revision: heading.revision, resources };
}

function checksum(revision: Revision, body: Buffer): string {
  return createHash('sha256').update(`${revision}\n`).update(body).digest('hex');
}

/** Without this, a power loss may bring the older file back. */
async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
