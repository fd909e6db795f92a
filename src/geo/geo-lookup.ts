import type { GeoPlace, GeoSource } from '../model/geo-place.ts';
import { GeoDatabase } from './geo-database.ts';

/** Places kept: the same clients ask again and again. */
const MAX_KEPT = 8192;

/** Looks addresses up in several databases; of what two know, the first is believed. */
export class GeoLookup implements GeoSource {
  readonly #databases: readonly GeoDatabase[];
  readonly #kept = new Map<string, GeoPlace | undefined>();

  /** Throws an Error for bytes that are no database. */
  constructor(files: readonly Buffer[]) {
    this.#databases = files.map((bytes) => new GeoDatabase(bytes));
  }

  lookup(address: string): GeoPlace | undefined {
    const kept = this.#kept.get(address);
    if (kept !== undefined || this.#kept.has(address)) return kept;
    // Those that came first go first; no need to know who is asked for most.
    if (this.#kept.size >= MAX_KEPT) this.#kept.clear();
    const place = this.#find(address);
    this.#kept.set(address, place);
    return place;
  }

  #find(address: string): GeoPlace | undefined {
    const place: Record<string, string | undefined> = Object.create(null);
    let known = false;
    for (const database of this.#databases) {
      let data: unknown;
      try {
        data = database.find(address);
      } catch {
        // A place that can't be read is one that isn't known.
        continue;
      }
      if (data === undefined) continue;
      for (const [name, path] of PATHS) {
        const value = valueAt(data, path);
        if (value === undefined || place[name] !== undefined) continue;
        place[name] = value;
        known = true;
      }
    }
    return known ? Object.freeze(place) : undefined;
  }
}

/** Where MaxMind's databases of countries, cities and networks keep what we know. */
const PATHS: readonly (readonly [name: string, path: readonly (string | number)[]])[] = [
  ['continent_code', ['continent', 'code']],
  ['country_code', ['country', 'iso_code']],
  ['country_name', ['country', 'names', 'en']],
  ['subdivision_code', ['subdivisions', 0, 'iso_code']],
  ['subdivision_name', ['subdivisions', 0, 'names', 'en']],
  ['city_name', ['city', 'names', 'en']],
  ['postal_code', ['postal', 'code']],
  ['latitude', ['location', 'latitude']],
  ['longitude', ['location', 'longitude']],
  ['time_zone', ['location', 'time_zone']],
  ['asn', ['autonomous_system_number']],
  ['organization', ['autonomous_system_organization']],
];

function valueAt(data: unknown, path: readonly (string | number)[]): string | undefined {
  let value = data;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}
