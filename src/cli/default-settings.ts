import { withDefaults } from '../lib/json-schema.ts';
import { type Settings, settings } from '../model/settings.ts';

/** The settings where nothing is configured. */
export function defaultSettings(): Settings {
  return withDefaults(settings, {}) as Settings;
}
