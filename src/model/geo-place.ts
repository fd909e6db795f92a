/**
 * What is known of the place of an address: `country_code`, `country_name`, `continent_code`,
 * `subdivision_code`, `subdivision_name`, `city_name`, `postal_code`, `latitude`, `longitude`,
 * `time_zone`, `asn`, `organization`. As variables their names begin with `geoip2_`.
 */
export type GeoPlace = Readonly<Record<string, string | undefined>>;

/** Where addresses are. */
export interface GeoSource {
  /** undefined for an address of which nothing is known. */
  lookup(address: string): GeoPlace | undefined;
}
