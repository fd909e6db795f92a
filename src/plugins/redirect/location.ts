// Makes the Location of a redirect from a template and values that the client can influence.
//
// Whoever writes `/$1`, `$uri/` or `https://example.com$1` means a path on a host they know. A value
// such as `/evil.example` or `.evil.example` must not make that another host: an open redirect. So
// what the template itself says decides where the authority (RFC 3986 3.2) begins and ends, and a
// value can't move that border.

import { encodeUri } from '../../lib/percent-encoding.ts';

/** Text of the template, or where a value comes from. */
export type Piece<C> = string | ((context: C) => string | undefined);

/** Makes a Location; undefined when a value can't stand where the template puts it. */
export type Location<C> = (context: C) => string | undefined;

/** A literal or dynamic scheme and two slashes; the NUL stands for a value. */
const ABSOLUTE = /^(?:(?:[A-Za-z][A-Za-z0-9+.-]*|\0):)?\/\//;
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*$/;
/** Browsers skip an empty host and take the path's first segment for it. */
const HAS_HOST = /^(?:[A-Za-z][A-Za-z0-9+.-]*:)?\/\/[^/?#:]/;
const HOST_PART = /^[A-Za-z0-9._:[\]-]*$/;
/** A head that no value after it can turn into an authority. */
const FIXED_PATH = /^(?:\/[^/\\\0]|[?#])/;

export function compileLocation<C>(pieces: readonly Piece<C>[]): Location<C> {
  const shape = pieces.map((piece) => (typeof piece === 'string' ? piece : '\0')).join('');
  if (pieces.every((piece) => typeof piece === 'string')) {
    const text = encodeUri(shape);
    return () => text;
  }
  const start = ABSOLUTE.exec(shape)?.[0];
  if (start !== undefined) return compileAbsolute(pieces, shape, start);
  const fixed = FIXED_PATH.test(shape);
  return (context) => {
    const text = encodeUri(join(pieces, context));
    return fixed ? text : onSameHost(text, shape.startsWith('\0'));
  };
}

function join<C>(pieces: readonly Piece<C>[], context: C): string {
  let text = '';
  for (const piece of pieces) text += typeof piece === 'string' ? piece : (piece(context) ?? '');
  return text;
}

/** Browsers take everything after two leading slashes for a host, and `a:b` for another scheme. */
function onSameHost(text: string, startsWithValue: boolean): string {
  if (text.startsWith('//')) return text.replace(/^\/+/, '/');
  return startsWithValue && !/^[/?#]/.test(text) ? `/${text}` : text;
}

/** The number of pieces, from the first, that reach into the authority, which begins after `start`. */
function authorityLength<C>(pieces: readonly Piece<C>[], start: string): number {
  let skip = start.length;
  for (const [index, piece] of pieces.entries()) {
    if (typeof piece === 'string' && /[/?#\\]/.test(piece.slice(skip))) return index + 1;
    skip = Math.max(0, skip - (typeof piece === 'string' ? piece.length : 1));
  }
  return pieces.length;
}

function compileAbsolute<C>(pieces: readonly Piece<C>[], shape: string, start: string): Location<C> {
  const count = authorityLength(pieces, start);
  const dynamicScheme = shape.startsWith('\0');
  const parts = pieces.slice(0, count).map((piece, index) => ({
    piece,
    isPath: typeof piece !== 'string' && beginsPath(pieces, index),
  }));
  const rest = pieces.slice(count);
  return (context) => {
    let text = '';
    let inAuthority = true;
    for (const [index, { piece, isPath }] of parts.entries()) {
      const value = typeof piece === 'string' ? piece : (piece(context) ?? '');
      if (typeof piece !== 'string' && inAuthority) {
        if (isPath) {
          inAuthority = false;
          if (value !== '' && !/^[/?#]/.test(value)) text += '/';
        } else if (!(dynamicScheme && index === 0 ? SCHEME : HOST_PART).test(value)) {
          return undefined;
        }
      }
      text += value;
    }
    return HAS_HOST.test(text) ? encodeUri(text + join(rest, context)) : undefined;
  };
}

/**
 * Whether a value in the authority is the path that follows it: it comes after a host that is already
 * whole (`https://example.com$uri`, `https://$host$uri`), and no more of a host comes after it.
 */
function beginsPath<C>(pieces: readonly Piece<C>[], index: number): boolean {
  const before = pieces[index - 1];
  const after = pieces[index + 1];
  const hostIsWhole = typeof before === 'string' ? /[A-Za-z0-9\]]$/.test(before) : index > 0;
  const hostGoesOn = typeof after === 'string' && /^[A-Za-z0-9.:-]/.test(after);
  return hostIsWhole && !hostGoesOn;
}
