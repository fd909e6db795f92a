// Secrets at rest. A sealed text is `sealed:1:` and base64url of nonce, tag and ciphertext of
// AES-256-GCM (NIST SP 800-38D); what it is associated with is the field it belongs to, so that it
// can't be opened in another.

import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';

const PREFIX = 'sealed:1:';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Whether a text claims to be sealed. */
export function isSealed(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** Whether a text is a reference to a secret kept elsewhere, which is no secret itself. */
export function isSecretReference(text: string): boolean {
  return /^\$(?:secret|env):\/\//i.test(text);
}

/** Seals and opens secrets with one key. */
export class Sealing {
  readonly #cipherKey: Buffer;
  readonly #nonceKey: Buffer;

  /** `key` is 32 bytes or more of good randomness. */
  constructor(key: Uint8Array) {
    if (key.byteLength < 32) throw new RangeError('the encryption key must have at least 32 bytes');
    const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', key, '', `sluice ${purpose}`, 32));
    this.#cipherKey = derive('sealing');
    this.#nonceKey = derive('sealing nonce');
  }

  /** With a key that nobody keeps: for a configuration that is never stored. */
  static ephemeral(): Sealing {
    return new Sealing(randomBytes(32));
  }

  /**
   * Seals a text for a field. The nonce comes from the text, its field and its owner: the same
   * secret is sealed to the same text each time it is shown, while two owners with the same secret
   * can't be told from their sealed texts.
   */
  seal(text: string, field: string, owner: string): string {
    const nonce = createHmac('sha256', this.#nonceKey)
      .update(JSON.stringify([owner, field, text]))
      .digest()
      .subarray(0, NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#cipherKey, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(field));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return PREFIX + Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** The secret, or undefined when it was sealed for another field, with another key, or was changed. */
  open(sealed: string, field: string): string | undefined {
    if (!isSealed(sealed)) return undefined;
    const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64url');
    if (bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', this.#cipherKey, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(field));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    try {
      const text = decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    } catch {
      return undefined;
    }
  }
}
