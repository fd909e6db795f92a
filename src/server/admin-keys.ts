import type { Settings } from '../model/settings.ts';
import type { Environment } from './data-directory.ts';

/** Who may use the Admin API of a file: the keys written there, else the one in SLUICE_ADMIN_KEY; an empty variable counts as unset. */
export function adminKeys(
  { admin }: Settings,
  { SLUICE_ADMIN_KEY: key = '' }: Environment = process.env,
): Settings['admin']['keys'] {
  return admin.keys.length > 0 || key === '' ? admin.keys : [{ name: 'admin', key, role: 'admin' }];
}
