/** IPv4 addresses as such, also on a socket that speaks both. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
