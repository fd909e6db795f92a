import { Agent, request as httpsRequest } from 'node:https';
import { ConfigError } from '../model/errors.ts';
import { type CertificateFiles, readCertificates } from './certificate-files.ts';
import { SYNC_PATH, type SyncAnswer, type SyncRequest } from './sync-messages.ts';

/** Beyond the time that the request itself allows for the answer. */
const PATIENCE_MS = 10_000;

/** Asks control planes over mutual TLS: one as long as it answers, then the next. */
export class ControlPlaneClient {
  readonly #urls: readonly URL[];
  readonly #certificates: CertificateFiles;
  #agent: Agent | undefined;
  #turn = 0;

  /** @throws ConfigError for a URL that is none, or for certificates that can't be read */
  constructor(urls: readonly string[], certificates: CertificateFiles) {
    this.#urls = urls.map(parseUrl);
    this.#certificates = certificates;
    readCertificates(certificates);
  }

  /** The control plane that is asked. */
  get at(): string {
    return this.#urls[this.#turn].origin;
  }

  /** Resolves with news, or with undefined when there are none. Rejects when there was no answer; the next call asks the next one. */
  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer | undefined> {
    try {
      const { status, body } = await this.#post(
        JSON.stringify(request),
        request.wait_ms + PATIENCE_MS,
        signal,
      );
      if (status === 204) return undefined;
      if (status !== 200) throw new Error(`answer ${status}: ${body.trim().slice(0, 200)}`);
      return JSON.parse(body) as SyncAnswer;
    } catch (error) {
      this.close();
      this.#turn = (this.#turn + 1) % this.#urls.length;
      throw error;
    }
  }

  close(): void {
    this.#agent?.destroy();
    this.#agent = undefined;
  }

  #post(body: string, timeout: number, signal: AbortSignal): Promise<{ status: number; body: string }> {
    this.#agent ??= new Agent({ keepAlive: true, minVersion: 'TLSv1.3' });
    // Read each time, since they are replaced while this runs; the Agent connects anew when they were.
    const certificates = readCertificates(this.#certificates);
    return new Promise((resolve, reject) => {
      const url = new URL(SYNC_PATH, this.#urls[this.#turn]);
      const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
      const request = httpsRequest(
        url,
        { ...certificates, method: 'POST', agent: this.#agent, headers, timeout, signal },
        (response) => {
          const parts: Buffer[] = [];
          response.on('data', (part: Buffer) => parts.push(part));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
          );
        },
      );
      request.on('timeout', () => request.destroy(new Error('no answer in time')));
      request.on('error', reject);
      request.end(body);
    });
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.pathname !== '/' || url.username !== '' || url.search !== '') {
    throw new ConfigError(`--control-plane must be like https://host:9190; got ${text}`);
  }
  return url;
}
