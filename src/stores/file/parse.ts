// The declarative file: settings and resources, under the Admin API's names and shapes.

import { isObject, type JsonObject } from '../../lib/json.ts';
import { nearestWord } from '../../lib/nearest-word.ts';
import type { WrittenResource } from '../../model/configuration.ts';
import { KINDS, type Kind } from '../../model/resource.ts';
import { checkSettings, defaultSettings, type Settings, settings } from '../../model/settings.ts';
import type { LoadError } from '../../model/whole-check.ts';
import { type Environment, substituteText } from './environment.ts';
import { type FileError, formatPath, type Path, type Position } from './file-error.ts';
import { parseJson } from './json-text.ts';
import { plainValue } from './plain-value.ts';
import type { SourceText, TextError } from './source-text.ts';
import { parseYaml } from './yaml-text.ts';

/** A configuration file as read: not yet checked against the schemas of its resources. */
export interface ConfigFile {
  /** As it was named to us. */
  readonly file: string;
  /** With defaults filled in; only defaults when something is wrong with them. */
  readonly settings: Settings;
  /** In the file's order within each kind. Where there are errors, those that could be read. */
  readonly resources: readonly WrittenResource[];
  /** All that is wrong; when there is anything, nothing of the file may be used. */
  readonly errors: readonly FileError[];
  /** Where the value at a path from the root of the file is written, or the innermost that should hold it. */
  positionOf(path: Path): Position | undefined;
  /** An error at that path, with its position. */
  errorAt(path: Path, message: string): FileError;
  /** An error that the model found in one of `resources`, as an error of the file. */
  locate(error: Pick<LoadError, 'kind' | 'index' | 'path' | 'message'>): FileError;
}

export interface ParseOptions {
  /** Where `${{NAME}}` is looked up; the process's environment by default. */
  readonly environment?: Environment;
}

/** Parses a file's text: as JSON when its name ends so, else as YAML. Never throws. */
export function parseText(file: string, text: string, options: ParseOptions = {}): ConfigFile {
  const own = text.startsWith('\uFEFF') ? text.slice(1) : text;
  try {
    return read(file, /\.json$/i.test(file) ? parseJson(own) : parseYaml(own), options);
  } catch (error) {
    // The parsers go into values by calling themselves; no text may end the process with that.
    if (!(error instanceof RangeError)) throw error;
    return refusedFile(file, [
      { path: [], message: 'the values are nested too deeply', position: undefined },
    ]);
  }
}

/** Takes what a module exports. Its values have paths, but no lines. Never throws. */
export function parseValue(file: string, value: unknown, options: ParseOptions = {}): ConfigFile {
  return read(file, { value, errors: [], positionOf: () => undefined }, options);
}

/** A file that was not parsed, and why. */
export function refusedFile(file: string, errors: readonly TextError[]): ConfigFile {
  return read(file, { value: undefined, errors, positionOf: () => undefined }, {});
}

function read(file: string, source: SourceText, { environment = process.env }: ParseOptions): ConfigFile {
  const rename = (key: string) => substituteText(key, environment, () => {});
  const positionOf = (path: Path) => source.positionOf(path, rename);
  const errorAt = (path: Path, message: string, position = positionOf(path)): FileError => ({
    file,
    ...position,
    path: formatPath(path),
    message,
  });
  const errors = source.errors.map(({ path, message, position }) => errorAt(path, message, position));
  const content = new Content((path, message) => errors.push(errorAt(path, message)));
  // A value that was not parsed whole would bring errors that are none.
  if (errors.length === 0) {
    const value = plainValue(source.value, environment, ({ path, message }) => {
      errors.push(errorAt(path, message));
    });
    if (errors.length === 0) content.read(value);
  }
  return {
    file,
    settings: content.settings,
    resources: content.resources,
    errors,
    positionOf,
    errorAt: (path, message) => errorAt(path, message),
    locate: ({ kind, index, path, message }) =>
      errorAt([...(content.places.get(kind)?.[index] ?? [kind, index]), ...path], message),
  };
}

const SETTINGS = Object.keys(settings.properties as object);
const LISTS = KINDS.filter((kind) => kind !== 'credentials');
/** The field that holds the id of a resource. */
function idField(kind: Kind): string {
  return kind === 'consumers' ? 'username' : 'id';
}

/** What a file says, read from its value. */
class Content {
  settings: Settings = defaultSettings();
  readonly resources: WrittenResource[] = [];
  /** Where the resources of each kind stand, in their order. */
  readonly places = new Map<Kind, Path[]>();
  readonly #ids = new Map<string, Path>();
  readonly #report: (path: Path, message: string) => void;

  constructor(report: (path: Path, message: string) => void) {
    this.#report = report;
  }

  read(value: unknown): void {
    if (value === null || value === undefined) return this.#report([], 'the file is empty');
    if (!isObject(value))
      return this.#report([], `expected names and values at the top, got ${nameOf(value)}`);
    this.#refuseUnknown(value);
    this.#readSettings(value);
    for (const kind of LISTS) {
      // An empty list is often written as nothing at all.
      if (value[kind] !== undefined && value[kind] !== null) this.#readList(kind, value[kind], [kind]);
    }
  }

  #refuseUnknown(value: JsonObject): void {
    const known = [...SETTINGS, ...LISTS];
    for (const name of Object.keys(value)) {
      if (known.includes(name) || name === '$schema') continue;
      if (name === 'credentials') {
        this.#report([name], 'credentials belong inside their consumer: consumers[…].credentials');
        continue;
      }
      const meant = nearestWord(name, known);
      this.#report([name], `unknown name ${name}` + (meant === undefined ? '' : `; did you mean ${meant}?`));
    }
  }

  #readSettings(value: JsonObject): void {
    const written = Object.fromEntries(
      SETTINGS.filter((name) => value[name] !== undefined && value[name] !== null).map((name) => [
        name,
        value[name],
      ]),
    );
    const result = checkSettings(written);
    for (const { path, message } of result.errors) this.#report(path, message);
    if ('settings' in result) this.settings = result.settings;
  }

  #readList(kind: Kind, list: unknown, path: Path, owner?: string): void {
    if (!Array.isArray(list))
      return this.#report(path, `expected a list of objects with ${idField(kind)}, got ${nameOf(list)}`);
    list.forEach((item: unknown, index) => {
      this.#readResource(kind, item, [...path, index], owner);
    });
  }

  #readResource(kind: Kind, value: unknown, path: Path, owner: string | undefined): void {
    if (!isObject(value)) return this.#report(path, `expected an object, got ${nameOf(value)}`);
    const id = this.#readId(kind, value, path);
    if (id === undefined) return;
    if (kind !== 'consumers')
      return this.#add(kind, owner === undefined ? id : `${owner}/${id}`, value, path);
    const { credentials, ...rest } = value;
    this.#add(kind, id, rest, path);
    if (credentials !== undefined && credentials !== null)
      this.#readList('credentials', credentials, [...path, 'credentials'], id);
  }

  #readId(kind: Kind, value: JsonObject, path: Path): string | undefined {
    const field = idField(kind);
    const id = value[field];
    const wrong = wrongId(kind, field, id);
    if (wrong === undefined) return String(id);
    this.#report(id === undefined ? path : [...path, field], wrong);
    return undefined;
  }

  #add(kind: Kind, id: string, value: JsonObject, path: Path): void {
    const key = `${kind} ${id}`;
    const first = this.#ids.get(key);
    if (first !== undefined) {
      const field = idField(kind);
      return this.#report(
        [...path, field],
        `duplicate ${field} ${value[field]}; ${formatPath(first)} has it too`,
      );
    }
    this.#ids.set(key, path);
    this.resources.push({ kind, id, value });
    const places = this.places.get(kind);
    if (places === undefined) this.places.set(kind, [path]);
    else places.push(path);
  }
}

function wrongId(kind: Kind, field: string, id: unknown): string | undefined {
  if (id === undefined || id === null || id === '') return `${field} is missing`;
  if (typeof id !== 'string' && !Number.isSafeInteger(id))
    return `${field} must be a text or a whole number, got ${nameOf(id)}`;
  if (kind === 'secrets' && !/^[^/]+\/[^/]+$/.test(String(id)))
    return `the id of a secret is its manager and a name, as in vault/1`;
  return undefined;
}

function nameOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return isObject(value) ? 'an object' : typeof value === 'string' ? 'a text' : `a ${typeof value}`;
}
