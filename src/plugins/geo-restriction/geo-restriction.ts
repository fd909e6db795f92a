import { type Static, Type } from '../../lib/schema.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import { type Reply, reply } from '../../plugin/reply.ts';
import type { VariableSource } from '../../plugin/variable.ts';

function places(what: string) {
  return Type.Object(
    {
      countries: Type.Optional(
        Type.Array(Type.String({ pattern: '^[A-Za-z]{2}$' }), {
          minItems: 1,
          description: 'Two letters each (ISO 3166-1), for example `DE`.',
        }),
      ),
      continents: Type.Optional(
        Type.Array(Type.Enum(['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA']), {
          minItems: 1,
          description: 'Two letters each.',
        }),
      ),
      asns: Type.Optional(
        Type.Array(Type.Integer({ minimum: 0, maximum: 4_294_967_295 }), {
          minItems: 1,
          description: 'Numbers of autonomous systems, for example those of hosting companies.',
        }),
      ),
    },
    { additionalProperties: false, minProperties: 1, description: what },
  );
}

const config = Type.Object(
  {
    allow: Type.Optional(places('From where requests are let through; from anywhere else they are not.')),
    deny: Type.Optional(places('From where requests are refused, also when `allow` names it.')),
    unknown: Type.Optional(
      Type.Enum(['allow', 'deny'], {
        description:
          'What becomes of requests from addresses of which the databases know nothing that the lists ask for. Refused where there is an `allow`, else let through, when absent.',
      }),
    ),
    rejected_code: Type.Integer({
      minimum: 400,
      maximum: 599,
      default: 403,
      description: 'The status of the refusal.',
    }),
    message: Type.String({
      minLength: 1,
      maxLength: 1024,
      default: 'Your location is not allowed',
      description: 'What the refusal says.',
    }),
  },
  { additionalProperties: false },
);

type Places = NonNullable<Static<typeof config>['allow']>;
/** Whether a request comes from one of the places; undefined when too little is known to say. */
type Judge = (source: VariableSource) => boolean | undefined;

function judgeOf({ countries, continents, asns }: Places): Judge {
  const lists = Object.entries({
    geoip2_country_code: countries?.map((code) => code.toUpperCase()),
    geoip2_continent_code: continents,
    geoip2_asn: asns?.map(String),
  }).flatMap(([variable, values]) =>
    values === undefined ? [] : [{ variable, values: new Set<string>(values) }],
  );
  return (source) => {
    let known = true;
    for (const { variable, values } of lists) {
      const value = source.variable(variable);
      if (value === undefined) known = false;
      else if (values.has(value)) return true;
    }
    return known ? false : undefined;
  };
}

export const geoRestriction = definePlugin({
  name: 'geo-restriction',
  summary:
    "Lets requests through or refuses them by the country, continent or network of the client's address.",
  priority: 2995,
  streams: true,
  config,
  check({ allow, deny }) {
    if (allow === undefined && deny === undefined) return 'one of "allow" and "deny" is required';
  },
  create(config) {
    const allowed = config.allow && judgeOf(config.allow);
    const denied = config.deny && judgeOf(config.deny);
    const unknown = config.unknown ?? (allowed === undefined ? 'allow' : 'deny');
    const refusal = reply(config.rejected_code, { message: config.message }, { reason: 'geo_denied' });
    const decide = (source: VariableSource): Reply | undefined => {
      const isDenied = denied === undefined ? false : denied(source);
      if (isDenied === true) return refusal;
      const isAllowed = allowed === undefined ? true : allowed(source);
      if (isAllowed === false) return refusal;
      const known = isDenied !== undefined && isAllowed !== undefined;
      return known || unknown === 'allow' ? undefined : refusal;
    };
    return { access: decide, connect: decide };
  },
});
