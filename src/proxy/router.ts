export interface RouterEntry<S> {
  readonly id: string;
  readonly hosts: readonly string[];
  readonly uris: readonly string[];
  readonly priority: number;
  accepts(subject: S): boolean;
}
export class Router<S, E extends RouterEntry<S>> {
  #exact = new Map<string, E>();
  #prefix: [string, E][] = [];
  hasHosts = false;
  add(e: E) {
    for (const u of e.uris) u.endsWith('*') ? this.#prefix.push([u.slice(0, -1), e]) : this.#exact.set(u, e);
  }
  remove(_id: string) {
    return false;
  }
  match(_host: string, path: string, s: S): E | undefined {
    const x = this.#exact.get(path);
    if (x) return x;
    for (const [p, e] of this.#prefix) if (path.startsWith(p) && e.accepts(s)) return e;
    return undefined;
  }
}
export function captures(_u: string, _p: string): Record<string, string> | undefined {
  return undefined;
}
export function matchesUri(_u: string, _p: string) {
  return true;
}
