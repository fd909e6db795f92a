// Requests to a certificate authority: JWS over HTTPS (RFC 8555 6, RFC 7515), with its replay nonces.

import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import https from 'node:https';

export interface CaAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/** Refused by the certificate authority: its problem document (RFC 7807), in short. */
export class AcmeError extends Error {
  readonly status: number;
  /** The last part of its type: `rateLimited`, `unauthorized`, `badNonce`. */
  readonly kind: string;
  /** Milliseconds that it wants us to wait; 0 when it doesn't say. */
  readonly retryAfterMs: number;

  constructor({ status, headers, text }: CaAnswer) {
    let problem: { type?: string; detail?: string } = {};
    try {
      problem = JSON.parse(text);
    } catch {
      // Not every machine on the way knows how to say it.
    }
    const kind = String(problem.type ?? '').replace(/^.*:/, '') || `status ${status}`;
    super(`${kind}${problem.detail === undefined ? '' : `: ${problem.detail}`}`);
    this.status = status;
    this.kind = kind;
    this.retryAfterMs = retryAfter(headers['retry-after']);
  }
}

const TIMEOUT_MS = 30_000;
const MAX_ANSWER = 1024 * 1024;
/** A nonce may have been used up or forgotten; the answer brings the next. */
const NONCE_ATTEMPTS = 4;

/** Seconds or a date, as milliseconds from now. */
export function retryAfter(value: unknown): number {
  const text = String(value ?? '');
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

export function base64url(value: string | Uint8Array | object): string {
  const bytes = typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value);
  return Buffer.from(bytes as string).toString('base64url');
}

/** Speaks to one certificate authority with one account's key (P-256). */
export class SignedRequests {
  readonly #key: KeyObject;
  readonly #jwk: { readonly crv?: string; readonly kty?: string; readonly x?: string; readonly y?: string };
  readonly #ca: string | undefined;
  readonly #newNonce: string;
  /** The account's URL, once there is one; until then the key itself says who asks. */
  account: string | undefined;
  #nonce: string | undefined;

  constructor(key: KeyObject, newNonce: string, ca: string | undefined) {
    const { crv, kty, x, y } = createPublicKey(key).export({ format: 'jwk' });
    this.#key = key;
    this.#jwk = { crv, kty, x, y };
    this.#newNonce = newNonce;
    this.#ca = ca;
  }

  /** RFC 7638: the members in this very order. */
  get thumbprint(): string {
    return createHash('sha256').update(JSON.stringify(this.#jwk)).digest('base64url');
  }

  /** Sends a payload, or asks with none (POST-as-GET). Rejects with an AcmeError when it is refused. */
  async post(url: string, payload?: object): Promise<CaAnswer> {
    for (let attempt = 1; ; attempt++) {
      const nonce = this.#nonce ?? (await this.#freshNonce());
      this.#nonce = undefined;
      const who = this.account === undefined ? { jwk: this.#jwk } : { kid: this.account };
      const head = base64url({ alg: 'ES256', nonce, url, ...who });
      const body = payload === undefined ? '' : base64url(payload);
      const input = Buffer.from(`${head}.${body}`);
      const signature = sign('sha256', input, { key: this.#key, dsaEncoding: 'ieee-p1363' });
      const text = JSON.stringify({ protected: head, payload: body, signature: base64url(signature) });
      const answer = await call('POST', url, this.#ca, text);
      this.#nonce = nonceOf(answer);
      if (answer.status < 400) return answer;
      const error = new AcmeError(answer);
      if (error.kind !== 'badNonce' || attempt === NONCE_ATTEMPTS) throw error;
    }
  }

  async #freshNonce(): Promise<string> {
    const answer = await call('HEAD', this.#newNonce, this.#ca);
    const nonce = nonceOf(answer);
    if (nonce === undefined) throw new Error('the certificate authority gives no nonce');
    return nonce;
  }
}

function nonceOf({ headers }: CaAnswer): string | undefined {
  const nonce = headers['replay-nonce'];
  return typeof nonce === 'string' ? nonce : undefined;
}

/** A call of HTTPS. `ca` is PEM, for an authority that the system doesn't know. */
export function call(method: string, url: string, ca: string | undefined, body?: string): Promise<CaAnswer> {
  return new Promise((resolve, reject) => {
    const request = https.request(url, {
      method,
      ca,
      agent: false,
      timeout: TIMEOUT_MS,
      headers: {
        'User-Agent': 'sluice',
        ...(body !== undefined && { 'Content-Type': 'application/jose+json' }),
      },
    });
    request.on('timeout', () => request.destroy(new Error(`no answer from ${new URL(url).host}`)));
    request.on('error', reject);
    request.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
        if (text.length > MAX_ANSWER)
          request.destroy(new Error(`too long an answer from ${new URL(url).host}`));
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    request.end(body);
  });
}
