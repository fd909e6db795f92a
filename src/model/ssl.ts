import { compilePattern } from '../lib/pattern.ts';
import { type Static, Type } from '../lib/schema.ts';
import { HOST_PATTERN } from './address.ts';
import { certificate, checkCertificate, checkRevocations, privateKey } from './certificate.ts';
import { defineResource } from './define-resource.ts';
import { description } from './description.ts';

const serverName = Type.String({ pattern: HOST_PATTERN });

export const ssl = Type.Object(
  {
    ...description,
    type: Type.Enum(['server', 'client'], {
      default: 'server',
      description: 'server: for clients that connect to the gateway; client: for upstreams it connects to',
    }),
    cert: Type.Optional(certificate),
    key: Type.Optional(privateKey),
    sni: Type.Optional(serverName),
    snis: Type.Optional(Type.Array(serverName, { minItems: 1 })),
    certs: Type.Optional(Type.Array(certificate)),
    keys: Type.Optional(Type.Array(privateKey)),
    client: Type.Optional(
      Type.Object({
        ca: certificate,
        depth: Type.Integer({ minimum: 0, default: 1 }),
        skip_mtls_uri_regex: Type.Optional(
          Type.Array(Type.String({ description: 'uri regular expression to skip mtls' }), {
            minItems: 1,
            uniqueItems: true,
          }),
        ),
        crl: Type.Optional(
          Type.String({
            description: 'Certificates that were revoked, in PEM form: one list of each CA in `ca`.',
            minLength: 64,
            maxLength: 1024 * 1024,
          }),
        ),
      }),
    ),
    status: Type.Enum([1, 0], { default: 1, description: 'ssl status, 1 to enable, 0 to disable' }),
    ssl_protocols: Type.Optional(
      Type.Unsafe<readonly ('TLSv1.1' | 'TLSv1.2' | 'TLSv1.3')[]>({
        description: 'set ssl protocols',
        type: 'array',
        maxItems: 3,
        uniqueItems: true,
        items: { enum: ['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] },
      }),
    ),
  },
  {
    if: { properties: { type: { enum: ['server'] } } },
    // biome-ignore lint/suspicious/noThenProperty: `then` is JSON Schema's keyword, and nobody awaits a schema.
    then: { oneOf: [{ required: ['sni', 'key', 'cert'] }, { required: ['snis', 'key', 'cert'] }] },
    else: { required: ['key', 'cert'] },
    additionalProperties: false,
  },
);
export type Ssl = Static<typeof ssl>;

/** Why client certificates can't be asked for in this way, or undefined. */
function checkClient({ ca, crl, skip_mtls_uri_regex: skip = [] }: NonNullable<Ssl['client']>) {
  const wrong = checkCertificate(ca);
  if (wrong !== undefined) return `failed to validate client_cert: ${wrong}`;
  for (const pattern of skip) {
    try {
      compilePattern(pattern);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      return `client.skip_mtls_uri_regex: ${why}`;
    }
  }
  const wrongList = crl === undefined ? undefined : checkRevocations(crl);
  return wrongList && `client.crl: ${wrongList}`;
}

export const ssls = defineResource({
  kind: 'ssls',
  noun: 'ssl',
  summary: 'Certificate and key for a set of server names. Keys are never returned.',
  schema: ssl,
  check(value) {
    const wrong = checkCertificate(value.cert ?? '', value.key);
    if (wrong !== undefined || value.type === 'client') return wrong;
    const { certs = [], keys = [], client, ssl_protocols: protocols } = value;
    if (certs.length !== keys.length) return 'mismatched number of certs and keys';
    for (const [index, cert] of certs.entries()) {
      const wrongPair = checkCertificate(cert, keys[index]);
      if (wrongPair !== undefined) return `failed to handle cert-key pair[${index + 1}]: ${wrongPair}`;
    }
    if (protocols?.every((protocol) => protocol === 'TLSv1.1')) {
      return 'ssl_protocols must name TLSv1.2 or TLSv1.3: nothing older is spoken';
    }
    return client && checkClient(client);
  },
});
