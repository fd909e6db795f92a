export function defineConfig<const C>(config: C): C {
  return config;
}
