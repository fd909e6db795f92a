import { expressionError } from '../../lib/expression-check.ts';
import { type Static, Type } from '../../lib/schema.ts';
import { shareByKey } from '../../lib/share-by-key.ts';
import { referenceTo } from '../../model/identifier.ts';
import { checkUpstream, type Upstream, upstream } from '../../model/upstream.ts';
import { definePlugin } from '../../plugin/define-plugin.ts';
import type { UpstreamHandle } from '../../plugin/exchange.ts';
import type { Kit } from '../../plugin/kit.ts';
import { compileStickyKey } from '../../plugin/limit-key.ts';
import type { VariableSource } from '../../plugin/variable.ts';
import { type Weighted, weightedChoice } from './weighted-choice.ts';

const weightedUpstream = Type.Object({
  upstream_id: Type.Optional<string | number>({
    ...referenceTo('upstreams'),
    description: 'The id of an Upstream.',
  }),
  upstream: Type.Optional<Upstream>({
    ...upstream,
    description:
      "An Upstream written in place. Without this and `upstream_id` the share goes to the Route's own Upstream.",
  }),
  weight: Type.Integer({
    default: 1,
    minimum: 0,
    description: 'The share of requests, relative to the sum of all weights of the rule. 0 for none.',
  }),
});

const config = Type.Object(
  {
    rules: Type.Optional(
      Type.Array(
        Type.Object(
          {
            match: Type.Optional(
              Type.Array(
                Type.Object({
                  vars: Type.Optional(
                    Type.Array(Type.Unknown(), {
                      description:
                        'An expression that the request must fulfil, for example `[["http_release", "==", "new"]]`.',
                    }),
                  ),
                }),
                { description: 'When the rule applies: when one of these matches. Always, when absent.' },
              ),
            ),
            weighted_upstreams: Type.Array(weightedUpstream, {
              default: [{ weight: 1 }],
              minItems: 1,
              maxItems: 20,
              description: 'Where the requests of this rule go, by share.',
            }),
            sticky_by: Type.Optional(
              Type.String({
                minLength: 1,
                description:
                  'A variable, or a text with variables, whose value always goes the same way, for example `cookie_user`; requests without a value go by share. Not in APISIX.',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        { description: 'The first rule that applies to a request decides.' },
      ),
    ),
  },
  { additionalProperties: false },
);

type Rule = NonNullable<Static<typeof config>['rules']>[number];
type Predicate = (source: VariableSource) => boolean;

/** A rule, compiled. `choose` gives undefined for the Route's own Upstream. */
interface CompiledRule {
  readonly predicates: readonly Predicate[] | undefined;
  readonly choose: ((source: VariableSource) => UpstreamHandle | undefined) | undefined;
}

function compileRule(rule: Rule, kit: Kit): CompiledRule {
  const predicates = rule.match?.map(({ vars }): Predicate => (vars ? kit.expression(vars) : () => true));
  return {
    predicates: predicates === undefined || predicates.length === 0 ? undefined : predicates,
    choose: chooser(
      rule.weighted_upstreams.map(({ upstream_id: id, upstream, weight }) => {
        const reference = id === undefined ? upstream : String(id);
        return { value: reference === undefined ? undefined : kit.upstream(reference), weight };
      }),
      rule.sticky_by,
      kit,
    ),
  };
}

/** By turns, or by what `sticky_by` says; the place makes the choice of one Route say nothing about another's. */
function chooser(
  candidates: readonly Weighted<UpstreamHandle | undefined>[],
  stickyBy: string | undefined,
  { place }: Kit,
): CompiledRule['choose'] {
  const byTurns = weightedChoice(candidates);
  if (stickyBy === undefined || byTurns === undefined) return byTurns;
  const keyOf = compileStickyKey(stickyBy);
  const weights = candidates.map(({ weight }) => weight);
  return (source) => {
    const key = keyOf(source);
    if (key === undefined || key === '') return byTurns();
    return candidates[shareByKey(`${place.kind}/${place.id}|${key}`, weights)].value;
  };
}

function applies(predicates: readonly Predicate[], source: VariableSource): boolean {
  for (const predicate of predicates) if (predicate(source)) return true;
  return false;
}

export const trafficSplit = definePlugin({
  name: 'traffic-split',
  summary: 'Sends shares of the traffic, or requests that match, to other Upstreams.',
  priority: 966,
  config,
  check(config) {
    for (const { match, weighted_upstreams: upstreams } of config.rules ?? []) {
      for (const { vars } of match ?? []) {
        const error = vars && expressionError(vars);
        if (error) return `failed to validate the 'vars' expression: ${error}`;
      }
      for (const { upstream } of upstreams) {
        const error = upstream && checkUpstream(upstream);
        if (error) return error;
      }
    }
  },
  create(config, kit) {
    const rules = (config.rules ?? []).map((rule) => compileRule(rule, kit));
    if (rules.length === 0) return {};
    return {
      access(exchange) {
        for (const { predicates, choose } of rules) {
          if (predicates !== undefined && !applies(predicates, exchange)) continue;
          const upstream = choose?.(exchange);
          if (upstream !== undefined) exchange.useUpstream(upstream);
          return;
        }
      },
    };
  },
});
