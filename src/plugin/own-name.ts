import { registerHooks } from 'node:module';

let hooked = false;

/**
 * Lets files outside of this package say `import … from 'sluice'` and get this very package, whether
 * it is installed beside them or not. Holds for the thread that calls it.
 */
export function resolveOwnName(): void {
  if (hooked) return;
  hooked = true;
  const url = new URL('../index.ts', import.meta.url).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'sluice' ? { url, shortCircuit: true } : next(specifier, context),
  });
}
