// Names under which callers send what nobody else may read: in logs and explanations their values
// are left out.

/** Fields and query parameters that are known to carry secrets. Case, `-` and `_` make no difference. */
export const SECRET_NAMES: readonly string[] = [
  'access_token',
  'api_key',
  'api_token',
  'apikey',
  'app_key',
  'app_secret',
  'assertion',
  'auth',
  'auth_token',
  'authorization',
  'bearer',
  'client_assertion',
  'client_secret',
  'code',
  'credential',
  'csrf_token',
  'id_token',
  'jwt',
  'key',
  'passphrase',
  'passwd',
  'password',
  'private_key',
  'pwd',
  'refresh_token',
  'secret',
  'session',
  'session_id',
  'session_token',
  'sig',
  'signature',
  'subscription_key',
  'ticket',
  'token',
  'x_amz_credential',
  'x_amz_security_token',
  'x_amz_signature',
  'x_api_key',
];

const KNOWN = new Set(SECRET_NAMES.map(plain));
/** Header fields are named more freely than parameters: `X-Acme-Token`, `Set-Cookie`. */
const TELLING = /authorization|cookie|apikey|token|secret|passw(?:or)?d|signature|assertion/;

/** Whether a header field or query parameter of this name is likely to hold a secret. */
export function isSecretName(name: string): boolean {
  const bare = plain(name);
  return KNOWN.has(bare) || TELLING.test(bare);
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '');
}
