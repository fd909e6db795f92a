/** The file descriptor of a TCP server that listens; undefined where there is none, as on Windows. */
export function descriptorOf(server: object): number | undefined {
  // Node shows it nowhere else; `listen({ fd })` is its documented counterpart.
  const { _handle: handle } = server as { readonly _handle?: { readonly fd?: number } | null };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}

/** What `server.listen` is told: a socket that listens already, or an address. */
export function placeToListen(
  { host, port }: { readonly host: string; readonly port: number },
  fd: number | undefined,
): { readonly fd: number } | { readonly host: string; readonly port: number } {
  return fd === undefined ? { host, port } : { fd };
}
