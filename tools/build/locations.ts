import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { OnLoadResult, Plugin } from 'esbuild';

const LOCATION = /new URL\(\s*(['"`])(\.[^'"`$]*)\1\s*,\s*import\.meta\.url\s*\)/g;
// Packages are found from anywhere in the package alike.
const PACKAGE_LOOKUP = /createRequire\(import\.meta\.url\)/g;
const UNKNOWN_LOCATION = /import\.meta\.(?:url|dirname|filename)/;

/**
 * Keeps `new URL('./worker.ts', import.meta.url)` true after bundling.
 *
 * A module's own location changes when it becomes part of another file. This rewrites each such
 * expression for dist/, where all files lie in one folder: a TypeScript file becomes an entry of the
 * next build, another file inside of src/ is copied, and one outside (package.json) is named from
 * dist/. Any other use of the location can't be kept true and stops the build.
 */
export class Locations {
  /** Paths of source files by their name in dist/, without extension. */
  readonly entries = new Map<string, string>();
  readonly #assets = new Map<string, string>();
  readonly #source: string;

  /** @param source - absolute path of src/ */
  constructor(source: string) {
    this.#source = source;
  }

  plugin(): Plugin {
    return {
      name: 'locations',
      setup: (build) => {
        build.onLoad({ filter: /\.ts$/ }, ({ path: file }) => this.#load(file));
      },
    };
  }

  copyAssets(dist: string): void {
    for (const [name, file] of this.#assets) copyFileSync(file, path.join(dist, name));
  }

  #load(file: string): OnLoadResult | undefined {
    const text = readFileSync(file, 'utf8');
    if (!text.includes('import.meta.')) return undefined;
    const contents = text.replaceAll(LOCATION, (_, _quote, reference: string) => {
      const place = this.#place(path.resolve(path.dirname(file), reference));
      return `new URL(${JSON.stringify(place)}, import.meta.url)`;
    });
    const rest = contents
      .replaceAll(LOCATION, '')
      .replaceAll(PACKAGE_LOOKUP, '')
      .replaceAll(/\/\/.*$/gm, '');
    const unknown = UNKNOWN_LOCATION.exec(rest)?.[0];
    if (unknown !== undefined) {
      const reason = `${unknown} is another place in the package. Write new URL('./literal', import.meta.url).`;
      return { errors: [{ text: reason, location: { file } }] };
    }
    return { contents, loader: 'ts' };
  }

  /** Where a file lies as seen from dist/. */
  #place(target: string): string {
    const inside = path.relative(this.#source, target).split(path.sep).join('/');
    if (inside.startsWith('..')) return inside;
    // Flat, and therefore with the folder in the name: two rooms may both have a worker.ts.
    const name = inside.replaceAll('/', '-');
    if (!target.endsWith('.ts')) {
      this.#assets.set(name, target);
      return `./${name}`;
    }
    const entry = name.slice(0, -'.ts'.length);
    this.entries.set(entry, target);
    return `./${entry}.js`;
  }
}
