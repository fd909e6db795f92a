import type { Plugin } from '../plugin/define-plugin.ts';

/** Every Plugin that comes with the gateway, one a line, in order of priority. */
export const plugins: readonly Plugin[] = [];
