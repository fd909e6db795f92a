// Obtains certificates from a certificate authority (RFC 8555).

import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Challenge } from '../model/tls-material.ts';
import { certificateRequest, challengeCertificate } from './certificate-request.ts';
import { AcmeError, base64url, type CaAnswer, call, retryAfter, SignedRequests } from './signed-request.ts';

export type ChallengeType = Challenge['type'];

export interface AcmeClientOptions {
  /** The authority's directory, a URL. */
  readonly directory: string;
  /** PEM of whom to trust for it; undefined for the system's. */
  readonly ca: string | undefined;
  readonly email: string;
  readonly challenge: ChallengeType;
  /** The account's key, PEM. */
  readonly accountKey: string;
  /** Answers to a challenge until the returned function is called. Resolves when everybody does. */
  present(challenge: Challenge): Promise<() => Promise<void>>;
}

/** A certificate with its chain, and its key; PEM. */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
}

interface Directory {
  readonly newNonce: string;
  readonly newAccount: string;
  readonly newOrder: string;
}
interface Order {
  readonly status: string;
  readonly authorizations: readonly string[];
  readonly finalize: string;
  readonly certificate?: string;
  readonly error?: { readonly detail?: string };
}
interface Authorization {
  readonly status: string;
  readonly identifier: { readonly value: string };
  readonly challenges: readonly {
    readonly type: string;
    readonly url: string;
    readonly token: string;
    readonly error?: { readonly detail?: string };
  }[];
}

/** Between two questions: short at first, as many an authority decides at once, then ever longer. */
const FIRST_POLL_MS = 250;
const LONGEST_POLL_MS = 10_000;
/** An authority that hasn't decided by then is taken for stuck. */
const PATIENCE_MS = 120_000;

export class AcmeClient {
  readonly #options: AcmeClientOptions;
  #connected: { readonly directory: Directory; readonly requests: SignedRequests } | undefined;

  constructor(options: AcmeClientOptions) {
    this.#options = options;
  }

  /** Obtains a certificate for a name, with a key of its own. Rejects with why not. */
  async obtain(name: string): Promise<IssuedCertificate> {
    try {
      return await this.#obtain(name);
    } catch (error) {
      // Directory and account may be others by the next time.
      this.#connected = undefined;
      throw error;
    }
  }

  async #obtain(name: string): Promise<IssuedCertificate> {
    const { directory, requests } = await this.#connect();
    const created = await requests.post(directory.newOrder, { identifiers: [{ type: 'dns', value: name }] });
    const orderUrl = location(created);
    for (const url of (JSON.parse(created.text) as Order).authorizations)
      await this.#authorize(requests, url);
    const key = newKey();
    const ready = await this.#poll<Order>(requests, orderUrl, ['pending']);
    if (ready.status === 'ready') {
      await requests.post(ready.finalize, {
        csr: base64url(certificateRequest(createPrivateKey(key), [name])),
      });
    }
    const order = await this.#poll<Order>(requests, orderUrl, ['pending', 'ready', 'processing']);
    if (order.status !== 'valid' || order.certificate === undefined) {
      throw new Error(`the order is ${order.status}${detail(order.error)}`);
    }
    return { cert: (await requests.post(order.certificate)).text, key };
  }

  async #connect() {
    if (this.#connected !== undefined) return this.#connected;
    const { directory: url, ca, email, accountKey } = this.#options;
    const answer = await call('GET', url, ca);
    if (answer.status !== 200) throw new AcmeError(answer);
    const directory = JSON.parse(answer.text) as Directory;
    const requests = new SignedRequests(createPrivateKey(accountKey), directory.newNonce, ca);
    // Whoever has this key already gets the account that there is (RFC 8555 7.3).
    const account = await requests.post(directory.newAccount, {
      termsOfServiceAgreed: true,
      ...(email !== '' && { contact: [`mailto:${email}`] }),
    });
    requests.account = location(account);
    this.#connected = { directory, requests };
    return this.#connected;
  }

  /** Proves that a name is ours. */
  async #authorize(requests: SignedRequests, url: string): Promise<void> {
    const { challenge: wanted, present } = this.#options;
    const authorization = JSON.parse((await requests.post(url)).text) as Authorization;
    if (authorization.status === 'valid') return;
    const name = authorization.identifier.value;
    const challenge = authorization.challenges.find(({ type }) => type === wanted);
    if (challenge === undefined) throw new Error(`the authority offers no ${wanted} for ${name}`);
    const answer = `${challenge.token}.${requests.thumbprint}`;
    const withdraw = await present(proof(wanted, name, challenge.token, answer));
    try {
      await requests.post(challenge.url, {});
      const decided = await this.#poll<Authorization>(requests, url, ['pending']);
      if (decided.status === 'valid') return;
      const error = decided.challenges.find(({ type }) => type === wanted)?.error;
      throw new Error(`${name} was not proved to be ours${detail(error)}`);
    } finally {
      await withdraw();
    }
  }

  /** Asks until it is in none of these states. */
  async #poll<T extends { readonly status: string }>(
    requests: SignedRequests,
    url: string,
    states: readonly string[],
  ): Promise<T> {
    const end = performance.now() + PATIENCE_MS;
    for (let pauseMs = FIRST_POLL_MS; ; pauseMs *= 1.5) {
      const answer = await requests.post(url);
      const state = JSON.parse(answer.text) as T;
      if (!states.includes(state.status)) return state;
      if (performance.now() > end) throw new Error(`the authority left it ${state.status} for too long`);
      const wanted = retryAfter(answer.headers['retry-after']);
      await sleep(Math.min(Math.max(wanted, pauseMs), LONGEST_POLL_MS));
    }
  }
}

/** A new P-256 key, PEM. */
export function newKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function proof(type: ChallengeType, name: string, token: string, answer: string): Challenge {
  if (type === 'http-01') return { type, token, answer };
  const key = newKey();
  const digest = createHash('sha256').update(answer).digest();
  return { type, name, key, cert: challengeCertificate(createPrivateKey(key), name, digest) };
}

function location({ headers }: CaAnswer): string {
  const { location: url } = headers;
  if (typeof url !== 'string') throw new Error('the authority gives no location');
  return url;
}

function detail(error: { readonly detail?: string } | undefined): string {
  return error?.detail === undefined ? '' : `: ${error.detail}`;
}
