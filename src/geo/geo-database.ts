import { Reader, type Response } from 'mmdb-lib';

/** How far back the metadata may begin, by the format's definition. */
const METADATA_REACH = 128 * 1024;
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
const SEPARATOR_BYTES = 16;
/** Looked up once, so that what can't be read shows when the file is loaded. */
const PROBES = ['1.1.1.1', '8.8.8.8', '81.2.69.142', '203.0.113.7', '2001:4860:4860::8888', '2a02::1'];

type Data = Readonly<Record<string, unknown>>;

/** One file in MaxMind's DB format, version 2. */
export class GeoDatabase {
  readonly #reader: Reader<Response>;
  readonly #version: number;

  /** Throws an Error that says what is wrong with the bytes. */
  constructor(bytes: Buffer) {
    const marker = bytes.lastIndexOf(MARKER);
    if (marker < 0 || bytes.length - marker > METADATA_REACH)
      throw new Error('it is not a MaxMind DB file, or its end is missing');
    try {
      this.#reader = new Reader(bytes);
    } catch (error) {
      throw new Error(`its metadata can't be read: ${(error as Error).message}`, { cause: error });
    }
    const { binaryFormatMajorVersion: version, nodeCount, searchTreeSize, ipVersion } = this.#reader.metadata;
    if (version !== 2) throw new Error(`its format is version ${version}, not 2`);
    if (!Number.isSafeInteger(nodeCount) || searchTreeSize + SEPARATOR_BYTES > marker)
      throw new Error('its search tree is larger than the file');
    const separator = bytes.subarray(searchTreeSize, searchTreeSize + SEPARATOR_BYTES);
    if (separator.some((byte) => byte !== 0))
      throw new Error('its search tree has no end; the file is damaged');
    this.#version = ipVersion;
    try {
      for (const address of PROBES) this.find(address);
    } catch (error) {
      throw new Error(`its data can't be read: ${(error as Error).message}`, { cause: error });
    }
  }

  /** The data of an address; undefined when there is none. Throws for damaged data. */
  find(address: string): Data | undefined {
    if (this.#version === 4 && address.includes(':')) return undefined;
    return (this.#reader.get(address) as Data | null) ?? undefined;
  }
}
