/** Why an operation is refused: the Admin API's answer, and the way to the offending value for a file's line. */
export interface Failure {
  readonly ok: false;
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly message: string;
  readonly path: readonly (string | number)[];
  /** What would be right, where a person reads it: a file's errors have it, the Admin API's don't. */
  readonly hint?: string | undefined;
}

/** A refusal with APISIX's usual body. `message` must hold no secret. */
export function refuse(message: string, path: readonly (string | number)[] = [], status = 400): Failure {
  return { ok: false, status, body: { error_msg: message }, message, path };
}

export const KEY_NOT_FOUND: Failure = {
  ok: false,
  status: 404,
  body: { message: 'Key not found' },
  message: 'Key not found',
  path: [],
};
