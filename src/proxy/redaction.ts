// What may be shown of a request to someone who asks why it was decided as it was.

import { isSecretName } from '../model/secret-names.ts';

const HIDDEN = '***';

/** The value of a header field, or stars. */
export function shownField(name: string, value: string): string {
  return isSecretName(name) ? HIDDEN : value;
}

/** A query without the values of parameters that are likely to be secret. */
export function shownQuery(query: string): string {
  return query.replace(/(^|&)([^=&]+)=[^&]*/g, (pair, separator: string, name: string) =>
    isSecretName(parameterName(name)) ? `${separator}${name}=${HIDDEN}` : pair,
  );
}

/** As shownQuery, for a path with its query. */
export function shownTarget(target: string): string {
  const query = target.indexOf('?');
  return query < 0 ? target : `${target.slice(0, query + 1)}${shownQuery(target.slice(query + 1))}`;
}

function parameterName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
