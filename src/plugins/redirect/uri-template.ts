import { type TemplatePart, templateParts } from '../../plugin/variable.ts';

/**
 * Cuts the `uri` of a redirect at its variables. Unlike in other texts a backslash before a dollar sign
 * says that no variable follows, and is gone then; alone it has no place in a URI and is dropped too.
 */
export function uriPieces(uri: string): TemplatePart[] {
  return templateParts(uri)
    .map((part) => (typeof part === 'string' ? part.replaceAll('\\', '') : part))
    .filter((part) => part !== '');
}
